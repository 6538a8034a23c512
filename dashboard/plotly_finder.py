"""Serves the one script of the plotly wheel that pages need, so that Python and JavaScript versions always agree."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.contrib.staticfiles.finders import BaseFinder
from django.core.files.storage import FileSystemStorage

FILE = "plotly.min.js"


class PlotlyFinder(BaseFinder):
    """Only `plotly.min.js`: the folder around it also holds a second bundle and sample data."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        spec = find_spec("plotly")  # found without importing plotly, which takes a second
        assert spec is not None and spec.origin is not None
        self.folder = Path(spec.origin).parent / "package_data"
        self.storage = FileSystemStorage(location=self.folder)
        super().__init__(*args, **kwargs)

    def find(self, path: str, *args: Any, **kwargs: Any) -> Any:
        if path != FILE:
            return []
        found = str(self.folder / FILE)
        return [found] if kwargs.get("find_all") or kwargs.get("all") else found

    def list(self, ignore_patterns: Any) -> Iterator[tuple[str, Any]]:
        yield FILE, self.storage
