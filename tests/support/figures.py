"""Figures as Plotly takes them."""

from __future__ import annotations

import json

import plotly.graph_objects as go

from dashboard.figures.theme import Figure


def drawn(figure: Figure) -> go.Figure:
    """The figure as Plotly's own objects, which refuse every name and value that Plotly does not know.

    What a page gets is JSON: the figure must hold nothing that JSON would change."""
    assert json.loads(json.dumps(figure, allow_nan=False)) == figure
    return go.Figure(figure)
