"""Figures of why tokens were written: one colour a cause, everywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashboard import numbers
from dashboard.figures import theme
from ingest.core.cache import causes

# Bottom to top of every stack: what was new first, then what was written again.
ROLES = {
    causes.GROWTH: "series:8",
    causes.COLD_START: "series:1",
    causes.MODEL_CHANGED: "series:3",
    causes.LAPSE: "meter:write-5m",
    causes.LONG_LAPSE: "meter:write-1h",
    causes.PREFIX_CHANGED: "series:5",
    causes.COMPACTION: "series:4",
    causes.CONCURRENT: "series:6",
    causes.EARLY_EVICTION: "up",
    causes.BELOW_MINIMUM: "series:7",
    causes.UNKNOWN: "series:other",
}
assert set(ROLES) == set(causes.CAUSES)


def over_time(
    costs: Mapping[str, Sequence[Any]], labels: Sequence[str], unfinished: bool = False
) -> theme.Figure:
    """USD of writes, bucket by bucket, stacked by cause; costs: a value a bucket for each cause that occurred."""
    names = theme.bucket_names(labels, unfinished)
    traces: list[theme.Trace] = []
    for cause in ROLES:
        if cause not in costs:
            continue
        traces.append(
            theme.bar(
                name=cause,
                x=names,
                y=theme.floats(costs[cause]),
                customdata=[numbers.money(value) for value in costs[cause]],
                hovertemplate=theme.HOVER,
                marker={"opacity": theme.opacities(len(names), unfinished)},
                meta={"role": ROLES[cause]},
            )
        )
    heights = [sum(values) for values in zip(*(theme.floats(each) for each in costs.values()), strict=True)]
    return theme.figure(
        traces,
        barmode="stack",
        bargap=theme.bar_gap(len(names)),
        xaxis=theme.bucket_axis(names),
        yaxis=theme.value_axis(0.0, max([0.0, *heights]), numbers.money_tick),
    )


def chain(
    read: Sequence[int], uncached: Sequence[int], written: Mapping[str, Sequence[int]], labels: Sequence[str]
) -> theme.Figure:
    """Input tokens request by request: read at the bottom, what was written by cause above, uncached on top."""
    traces: list[theme.Trace] = []
    parts = [
        ("read", "meter:read", read),
        *((cause, ROLES[cause], written[cause]) for cause in ROLES if cause in written),
        ("uncached", "meter:uncached", uncached),
    ]
    for name, role, values in parts:
        traces.append(
            theme.bar(
                name=name,
                x=list(labels),
                y=list(values),
                customdata=[numbers.tokens(value) for value in values],
                hovertemplate=theme.HOVER,
                meta={"role": role},
            )
        )
    heights = [float(sum(values)) for values in zip(*(values for _, _, values in parts), strict=True)]
    return theme.figure(
        traces,
        barmode="stack",
        bargap=0.12 if len(labels) > 7 else theme.bar_gap(len(labels)),
        xaxis=theme.bucket_axis(labels),
        yaxis=theme.value_axis(0.0, max([0.0, *heights]), numbers.tokens_tick),
    )
