"""Figures about scenarios: the way from what was paid to what would have been."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from dashboard import numbers
from dashboard.figures import theme


def steps(observed: Decimal, changes: Sequence[tuple[str, Decimal]], scenario: Decimal) -> theme.Figure:
    """A waterfall: observed, one step a knob, scenario. The steps sum exactly to the difference."""
    names = ["observed", *(name for name, _ in changes), "scenario"]
    amounts = [observed, *(amount for _, amount in changes), scenario]
    levels = [observed]
    for _, amount in changes:
        levels.append(levels[-1] + amount)
    text = [
        numbers.money_round(observed),
        *(_step_text(amount) for _, amount in changes),
        numbers.money_round(scenario),
    ]
    traces = [
        theme.waterfall(
            x=[theme.safe(name) for name in names],
            y=theme.floats(amounts),
            measure=["absolute", *("relative" for _ in changes), "total"],
            text=text,
            customdata=[numbers.money(amount) for amount in amounts],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{x}  <b>%{customdata}</b><extra></extra>",
        )
    ]
    high = max([0.0, float(scenario), *(float(level) for level in levels)])
    axis = theme.value_axis(0, high * 1.05, numbers.money_tick)
    return theme.figure(
        traces,
        hovermode="closest",
        waterfallgap=0.35,
        margin={"l": 8, "r": 8, "t": 22, "b": 24},
        xaxis={"type": "category", "ticks": "", "showgrid": False, "tickangle": 0},
        yaxis=axis,
    )


def _step_text(amount: Decimal) -> str:
    if amount == 0:
        return "no change"
    return f"+{numbers.money_round(amount)}" if amount > 0 else numbers.money_round(amount)
