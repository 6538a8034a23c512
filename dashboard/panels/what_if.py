"""What-if: the same traffic under other batch and cache terms, beside what was observed."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from dashboard import numbers, pricebook, tables
from dashboard.analysis import what_if
from dashboard.panels import shape
from dashboard.panels.base import Ask, Content, Panel
from dashboard.queries import lanes

KNOBS = ("batch_share", "batch_discount", "read_multiplier", "write_5m_multiplier", "write_1h_multiplier")
# The order in which knobs are turned in the waterfall: fixed, so that the same scenario always gives the same steps.
STEPS = (
    ("batch", ("batch_share", "batch_discount")),
    ("cache reads", ("read_multiplier",)),
    ("5m writes", ("write_5m_multiplier",)),
    ("1h writes", ("write_1h_multiplier",)),
)


def scenario_of(ask: Ask) -> what_if.Scenario:
    """The knobs in the address. Raises ScenarioError for what cannot be."""
    return what_if.Scenario.from_texts({name: ask.knob(name) for name in KNOBS})


def fetch(ask: Ask) -> dict[str, Any]:
    scenario = scenario_of(ask)  # before the query: a bad knob costs nothing
    return {"scenario": scenario, "frame": lanes.quantities(ask.filters)}


def present(data: dict[str, Any], ask: Ask) -> Content | None:
    from dashboard.figures import theme
    from dashboard.figures import what_if as figures

    frame, scenario = data["frame"], data["scenario"]
    if frame.empty:
        return None
    book = pricebook.current()
    result = what_if.apply(frame, book, scenario)
    steps = _steps(frame, book, scenario, result.observed)
    return Content(
        sub="steps sum exactly; their order is fixed",
        figure=theme.payload(figures.steps(result.observed, steps, result.scenario)),
        figure_label="From the observed cost to the scenario's, one step a knob",
        table=_table(ask, result),
        note="Exact: the observed token counts at other prices. It does not guess how people or caches would behave."
        if not scenario.is_identity
        else "Nothing is changed yet: move a slider.",
        extra={"stats": _stats(ask, result), "unpriced": len(result.unpriced)},
    )


def _steps(
    frame: Any, book: pricebook.PriceBook, scenario: what_if.Scenario, observed: Decimal
) -> list[tuple[str, Decimal]]:
    """Each knob's own part of the difference, turned one after the other."""
    steps, level, partial = [], observed, what_if.Scenario()
    for name, knobs in STEPS:
        partial = replace(partial, **{knob: getattr(scenario, knob) for knob in knobs})
        after = what_if.apply(frame, book, partial).scenario
        steps.append((name, after - level))
        level = after
    return steps


def _stats(ask: Ask, result: what_if.Comparison) -> list[dict[str, Any]]:
    difference = result.scenario - result.observed
    delta = numbers.change(result.scenario, result.observed)
    start, end = ask.filters.start, ask.filters.end
    return [
        {
            "label": "Observed",
            "value": numbers.money(result.observed),
            "foot": f"{shape.range_text(start, end, ask)}, list prices",
            "help": ("List cost of the range, as on the Overview.",),
        },
        {
            "label": "Scenario",
            "value": numbers.money(result.scenario),
            "delta": delta if delta != numbers.NONE else "",
            "tone": tables.tone(delta, True),
            "foot": numbers.money_signed(difference),
            "help": ("The same quantities, lane by lane, at the scenario's prices.",),
        },
        {
            "label": "Per 30 days",
            "value": numbers.money_signed(shape.per_month(ask, difference)) if difference else "$0.00",
            "foot": "the difference at this range's rate",
            "help": ("Difference ÷ days of the range × 30. No forecast.",),
        },
    ]


def _table(ask: Ask, result: what_if.Comparison) -> tables.Table:
    from dashboard.figures import theme

    columns = (
        tables.Column("model", "model", text=True),
        tables.Column("requests", "requests", hide_narrow=True),
        tables.Column("observed_cost", "observed"),
        tables.Column("scenario_cost", "scenario"),
        tables.Column("difference", "difference"),
        tables.Column("change", "change"),
        tables.Column("movable_cost", "could be batch", hide_narrow=True),
    )
    roles = theme.assign([shape.name_of(name) for name in result.models["model"]][:8], shape.stable_models())
    rows = []
    for row in result.models.to_dict("records"):
        name = shape.name_of(row["model"])
        cells = (
            tables.name_cell(
                name, role=roles.get(name, "series:other"), href=shape.filter_link(ask, "model", name)
            ),
            tables.count_cell(row["requests"]),
            *_amounts(row["observed_cost"], row["scenario_cost"]),
            tables.money_cell(row["movable_cost"]),
        )
        rows.append(tables.Row(cells, href=shape.filter_link(ask, "model", name)))
    for row in result.unpriced.to_dict("records"):
        name = shape.name_of(row["model"])
        blank = tables.Cell(numbers.NONE)
        unpriced = tables.money_cell(None, title=row["reason"], unpriced=True)
        cells = (
            tables.name_cell(name, badge="no price"),
            tables.count_cell(row["requests"]),
            unpriced,
            unpriced,
            blank,
            blank,
            blank,
        )
        rows.append(tables.Row(cells, unpriced=True))
    total = tables.Row(
        (
            tables.Cell("total", "total"),
            tables.count_cell(sum(result.models["requests"])),
            *_amounts(result.observed, result.scenario),
            tables.money_cell(shape.money_sum(result.models["movable_cost"])),
        )
    )
    return tables.Table("Observed and scenario by model", columns, tuple(rows), total)


def _amounts(observed: Decimal, scenario: Decimal) -> tuple[tables.Cell, ...]:
    difference = scenario - observed
    text = numbers.money_signed(difference)
    return (
        tables.money_cell(observed),
        tables.money_cell(scenario),
        tables.Cell(text, difference, tone=tables.tone(text, True)),
        tables.change_cell(scenario, observed),
    )


PANEL = Panel(
    slug="what-if",
    live=False,
    title="From observed to scenario",
    help=(
        "Every lane's quantities are priced twice: at the prices of their day, and with the knobs turned.",
        "Batch share moves standard-tier, standard-speed traffic to batch prices. The discount comes off its prices; "
        "as listed means the provider's own. Cache multipliers are multiples of the lane's own input price.",
        "Models without a price are on neither side.",
    ),
    fetch=fetch,
    present=present,
    body="_what_if",
    size="tall",
    plain=True,
)

PANELS = (PANEL,)
