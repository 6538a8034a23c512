"""Reports that take longer than a page may. Pages want them, the worker makes them (`stored`); which there are, and
their JSON bodies, is in `kinds`; advice as cards in `recommended` and `words`, what people decided about it in
`decisions`."""
