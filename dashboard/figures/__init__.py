"""DataFrame -> Plotly figure: data and structure only. Colours are given in the browser, from the CSS tokens."""
