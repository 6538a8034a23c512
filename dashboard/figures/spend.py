"""Figures about money: cost over time, stacked by a group, beside the period before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from dashboard import numbers
from dashboard.figures import theme


def cost_over_time(
    frame: pd.DataFrame,
    labels: Sequence[str],
    roles: Mapping[str, str],
    previous: Sequence[object] | None = None,
    unfinished: bool = False,
) -> theme.Figure:
    """Stacked bars of list cost.

    frame     one row a bucket, one column a group (in stacking order), Decimal
    labels    a bucket's name on the axis, as many as rows
    roles     group -> role
    previous  totals of the period before, bucket by bucket from its start; may be shorter or longer
    """
    names = theme.bucket_names(labels, unfinished)
    opacity = theme.opacities(len(names), unfinished)
    traces: list[theme.Trace] = []
    totals = [sum(row) for row in frame.itertuples(index=False)] if len(frame.columns) else []
    for group in frame.columns:
        traces.append(
            theme.bar(
                name=theme.safe(str(group)),
                x=names,
                y=theme.floats(frame[group]),
                customdata=[numbers.money(value) for value in frame[group]],
                hovertemplate=theme.HOVER,
                marker={"opacity": opacity},
                meta={"role": roles.get(str(group), theme.OTHER_ROLE)},
            )
        )
    traces.append(_hover_line("total", "line", names, totals, visible=False))
    high = max([0.0, *(float(total) for total in totals)])
    if previous is not None:
        before = list(previous)[: len(names)]
        before += [None] * (len(names) - len(before))
        high = max([high, *(value for value in theme.floats(before) if value is not None)])
        traces.append(_hover_line("period before", "previous", names, before, visible=True))
    return theme.figure(
        traces,
        barmode="stack",
        bargap=theme.bar_gap(len(names)),
        xaxis=theme.bucket_axis(names),
        yaxis=theme.value_axis(0, high, numbers.money_tick),
    )


def _hover_line(
    name: str, role: str, x: Sequence[str], values: Sequence[object], *, visible: bool
) -> theme.Trace:
    return theme.scatter(
        name=name,
        x=x,
        y=theme.floats(values),
        customdata=[numbers.money(value) for value in values],  # type: ignore[arg-type]
        hovertemplate=theme.HOVER,
        mode="lines",
        line={"dash": "dot", "width": 1.5},
        opacity=1 if visible else 0,
        meta={"role": role},
    )
