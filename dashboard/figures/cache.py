"""Figures about caching: what input tokens were, how many came from the cache, what that saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import pandas as pd

from dashboard import numbers
from dashboard.figures import theme


def input_by_outcome(frame: pd.DataFrame, labels: Sequence[str], unfinished: bool = False) -> theme.Figure:
    """Input tokens over time as a stack of the four input meters, with the token hit rate as a line on the right.

    frame: one row a bucket; the four input meters and token_hit_rate (None where there was no input).
    """
    names = theme.bucket_names(labels, unfinished)
    traces: list[theme.Trace] = []
    # One or two points make no area: then the same stack is drawn as bars.
    areas = len(names) > 2
    for meter in theme.INPUT_METERS:
        values = list(frame[meter.column])
        common = {
            "name": meter.label,
            "x": names,
            "y": theme.floats(values),
            "customdata": [numbers.tokens(value) for value in values],
            "hovertemplate": theme.HOVER,
            "meta": {"role": meter.role},
        }
        if areas:
            traces.append(theme.scatter(mode="lines", line={"width": 0.5}, stackgroup="input", **common))
        else:
            traces.append(theme.bar(**common))
    rates = list(frame["token_hit_rate"])
    traces.append(_rate_line("token hit rate", "line", names, rates, axis="y2"))
    totals = [
        sum(values) for values in zip(*(frame[meter.column] for meter in theme.INPUT_METERS), strict=True)
    ]
    known = [float(rate) for rate in rates if not numbers.is_missing(rate)]
    return theme.figure(
        traces,
        barmode="stack",
        bargap=theme.bar_gap(len(names)),
        xaxis=theme.bucket_axis(names, edge=0.5 if not areas else 0.02),
        yaxis=theme.value_axis(0, float(max([0, *totals])), numbers.tokens_tick),
        yaxis2={**theme.percent_axis(min([0.0, *known])), "overlaying": "y", "side": "right"},
    )


def hit_rates_over_time(
    frame: pd.DataFrame, labels: Sequence[str], roles: Mapping[str, str], share: str
) -> theme.Figure:
    """One line a group: its hit rate, bucket by bucket. frame: one row a bucket, one column a group."""
    traces: list[theme.Trace] = []
    for group in frame.columns:
        traces.append(
            _rate_line(str(group), roles.get(str(group), theme.OTHER_ROLE), labels, list(frame[group]))
        )
    return theme.figure(
        traces,
        xaxis=theme.bucket_axis(labels, edge=0.1),
        yaxis={**theme.percent_axis(0.0), "showgrid": True, "title": {"text": ""}},
        meta={"share": share},
    )


def _rate_line(
    name: str, role: str, x: Sequence[str], rates: Sequence[object], axis: str = "y"
) -> theme.Trace:
    return theme.scatter(
        name=theme.safe(name),
        x=x,
        y=theme.floats(rates),
        customdata=[numbers.percent(rate) for rate in rates],  # type: ignore[arg-type]
        hovertemplate=theme.HOVER,
        mode=theme.line_mode(rates),
        line={"width": 1.8},
        connectgaps=False,
        yaxis=axis,
        meta={"role": role},
    )


def saving_over_time(
    saved: Sequence[Decimal | None],
    premiums: Sequence[Decimal | None],
    net: Sequence[Decimal | None],
    labels: Sequence[str],
    unfinished: bool = False,
) -> theme.Figure:
    """What reads saved (up), what writes cost on top (down), and what remains as a line."""
    names = theme.bucket_names(labels, unfinished)
    paid = [None if premium is None else -premium for premium in premiums]
    traces: list[theme.Trace] = []
    bars = (("saved by reads", "meter:read", saved), ("write premium", "meter:write-5m", paid))
    for name, role, values in bars:
        traces.append(
            theme.bar(
                name=name,
                x=names,
                y=theme.floats(values),
                customdata=[numbers.money(value) for value in values],
                hovertemplate=theme.HOVER,
                marker={"opacity": theme.opacities(len(names), unfinished)},
                meta={"role": role},
            )
        )
    traces.append(
        theme.scatter(
            name="net saving",
            x=names,
            y=theme.floats(net),
            customdata=[numbers.money(value) for value in net],
            hovertemplate=theme.HOVER,
            mode=theme.line_mode(net),
            line={"width": 1.8},
            meta={"role": "line"},
        )
    )
    heights = [value for value in theme.floats([*saved, *paid, *net]) if value is not None]
    return theme.figure(
        traces,
        barmode="relative",
        bargap=theme.bar_gap(len(names)),
        xaxis=theme.bucket_axis(names),
        yaxis=theme.value_axis(min([0.0, *heights]), max([0.0, *heights]), numbers.money_tick),
    )
