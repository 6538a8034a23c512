"""Figures over the time between uses of a prefix: what a TTL would do, and what outlasting it costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from dashboard import numbers
from dashboard.figures import theme

# Axis of seconds, drawn on their logarithm: where it begins and ends, and which moments it names.
FIRST_S, LAST_S = 10, 86_400
NAMED_S = (10, 60, 300, 3600, 21_600, 86_400)
MARKS_S = (300, 3600)  # the TTLs that are sold


class Point(NamedTuple):
    """What a TTL would have given."""

    ttl_s: int
    token_hit_rate: float
    input_list_cost: Decimal


class Bar(NamedTuple):
    """Gaps of more than `low_s` up to `high_s` seconds."""

    low_s: int
    high_s: int
    tokens: int
    rewrite_cost: Decimal


def place(seconds: float) -> float:
    """Where a duration lies on the axis."""
    return math.log10(seconds)


EDGES = (
    place(FIRST_S) - 0.14,
    place(LAST_S) + 0.14,
)  # of the axis: a little air for the labels in its corners


def time_axis() -> dict[str, Any]:
    """The axis of seconds."""
    return {
        "range": list(EDGES),
        "tickmode": "array",
        "tickvals": [place(at) for at in NAMED_S],
        "ticktext": [numbers.seconds(at) for at in NAMED_S],
        "showgrid": False,
        "zeroline": False,
        "ticks": "",
        "tickangle": 0,
    }


def marks() -> list[dict[str, Any]]:
    """Dotted lines at the TTLs that are sold."""
    return [
        {
            "type": "line",
            "name": "previous",
            "x0": place(at),
            "x1": place(at),
            "y0": 0,
            "y1": 1,
            "yref": "paper",
            "line": {"width": 1, "dash": "dot"},
        }
        for at in MARKS_S
    ]


def ttl_curve(points: Sequence[Point]) -> theme.Figure:
    """Token hit rate (left) and input list cost (right) against the TTL."""
    traces: list[theme.Trace] = []
    x = [place(point.ttl_s) for point in points]
    shown = [
        ("token hit rate", "meter:read", "y", [point.token_hit_rate for point in points]),
        ("input list cost", "series:1", "y2", theme.floats([point.input_list_cost for point in points])),
    ]
    for name, role, axis, values in shown:
        texts = (
            [numbers.percent(point.token_hit_rate) for point in points]
            if axis == "y"
            else [numbers.money(point.input_list_cost) for point in points]
        )
        traces.append(
            theme.scatter(
                name=name,
                x=x,
                y=values,
                customdata=[
                    f"{text} at {numbers.seconds(point.ttl_s)}"
                    for text, point in zip(texts, points, strict=True)
                ],
                hovertemplate=theme.HOVER,
                mode="lines",
                line={"width": 2},
                yaxis=axis,
                meta={"role": role},
            )
        )
    most = max((float(point.input_list_cost) for point in points), default=0.0)
    return theme.figure(
        traces,
        hovermode="closest",
        xaxis=time_axis(),
        yaxis={**theme.percent_axis(0.0), "showgrid": True},
        yaxis2={
            **theme.value_axis(0.0, most, numbers.money_tick),
            "overlaying": "y",
            "side": "right",
            "showgrid": False,
        },
        shapes=marks(),
    )


def rewrites(bars: Sequence[Bar], within: Sequence[float]) -> theme.Figure:
    """USD of writing again by gap, as bars as wide as their gaps; `within`: the share of reuse up to each bar's end."""
    traces: list[theme.Trace] = []
    roles = ["meter:write-5m" if bar.high_s <= MARKS_S[1] else "meter:write-1h" for bar in bars]
    left = [max(bar.low_s, FIRST_S) for bar in bars]
    traces.append(
        theme.bar(
            name="rewrites",
            x=[(place(low) + place(bar.high_s)) / 2 for low, bar in zip(left, bars, strict=True)],
            width=[(place(bar.high_s) - place(low)) * 0.94 for low, bar in zip(left, bars, strict=True)],
            y=theme.floats([bar.rewrite_cost for bar in bars]),
            customdata=[f"{numbers.money(bar.rewrite_cost)} after {bar_name(bar)}" for bar in bars],
            hovertemplate=theme.HOVER,
            meta={"role": roles[0] if roles else "meter:write-5m", "roles": roles},
        )
    )
    traces.append(
        theme.scatter(
            name="reuse within",
            x=[place(bar.high_s) for bar in bars],
            y=list(within),
            customdata=[
                f"{numbers.percent(share)} up to {numbers.seconds(bar.high_s)}"
                for share, bar in zip(within, bars, strict=True)
            ],
            hovertemplate=theme.HOVER,
            mode="lines",
            line={"width": 1.8},
            yaxis="y2",
            meta={"role": "line"},
        )
    )
    most = max((float(bar.rewrite_cost) for bar in bars), default=0.0)
    return theme.figure(
        traces,
        hovermode="closest",
        xaxis=time_axis(),
        yaxis=theme.value_axis(0.0, most, numbers.money_tick),
        yaxis2={**theme.percent_axis(0.0), "overlaying": "y", "side": "right"},
        shapes=marks(),
    )


def bar_name(bar: Bar) -> str:
    """The gaps of a bar in words: under 10 s, 5 min – 8 min."""
    if not bar.low_s:
        return f"under {numbers.seconds(bar.high_s)}"
    return f"{numbers.seconds(bar.low_s)} – {numbers.seconds(bar.high_s)}"
