"""Tables of a what-if, for the page and its exports: by model, by meter, its steps, how each number was computed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from dashboard import numbers, tables
from dashboard.analysis import what_if
from dashboard.analysis.assumptions import basis
from dashboard.analysis.scenario import Scenario
from dashboard.figures import theme
from dashboard.panels import shape
from dashboard.panels.base import Ask
from ingest.core.pricing import METERS, total

DOOR = "#how"  # where an amount leads: the tables of `how`


@dataclass(frozen=True)
class How:
    """The arithmetic behind one model's row: quantities × average unit prices on both sides."""

    anchor: str
    model: str
    table: tables.Table


def by_model(
    ask: Ask, scenario: Scenario, result: what_if.Comparison, replayed: what_if.Replayed | None = None
) -> tables.Table:
    """Observed and scenario side by side, a row a model, dearest first; amounts lead to how they were computed."""

    columns = (
        tables.Column("model", "model", text=True),
        tables.Column("observed_cost", "observed"),
        tables.Column("scenario_cost", "scenario"),
        tables.Column("difference", "difference", hide_narrow=True),
        tables.Column("change", "change"),
        tables.Column("basis", "basis", hide_narrow=True),
    )
    roles = theme.assign([shape.name_of(name) for name in result.models["model"]][:8], shape.stable_models())
    rows = []
    for row in shape.records(result.models):
        name = shape.name_of(row["model"])
        text = f"{name} → {row['becomes']}" if row["becomes"] else name
        known = basis(scenario, name, row["becomes"], replayed)
        cells = (
            tables.name_cell(
                name,
                role=roles.get(name, "series:other"),
                href=shape.filter_link(ask, "model", name),
                text=text,
                title=text,
            ),
            *_amounts(row["observed_cost"], row["scenario_cost"], DOOR),
            tables.Cell(known, known),
        )
        rows.append(tables.Row(cells))
    for row in shape.records(result.unpriced):
        blank = tables.Cell(numbers.NONE)
        unpriced = tables.money_cell(None, title=row["reason"], unpriced=True)
        cells = (
            tables.name_cell(shape.name_of(row["model"]), badge="no price"),
            unpriced,
            unpriced,
            *[blank] * 3,
        )
        rows.append(tables.Row(cells, unpriced=True))
    last = tables.Row(
        (
            tables.Cell("total", "total"),
            *_amounts(result.observed, result.scenario, DOOR),
            tables.Cell(),
        )
    )
    return tables.Table("Observed and scenario by model", columns, tuple(rows), last)


def by_meter(result: what_if.Comparison) -> tables.Table:
    """Observed and scenario side by side, a row a meter."""
    names = _meter_names()
    columns = (
        tables.Column("meter", "meter", text=True),
        tables.Column("observed_quantity", "observed quantity", hide_narrow=True),
        tables.Column("scenario_quantity", "scenario quantity", hide_narrow=True),
        tables.Column("observed_cost", "observed"),
        tables.Column("scenario_cost", "scenario"),
        tables.Column("difference", "difference", hide_narrow=True),
        tables.Column("change", "change"),
    )
    rows = []
    for meter in METERS:
        found = result.meters[result.meters["meter"] == meter]
        if found.empty:
            continue
        sums = {name: total(found[name]) for name in _SIDES}
        cells = (
            tables.name_cell(meter, role=names[meter][1], text=names[meter][0]),
            _quantity(sums["observed_quantity"]),
            _quantity(sums["scenario_quantity"]),
            *_amounts(sums["observed_cost"], sums["scenario_cost"], DOOR),
        )
        rows.append(tables.Row(cells))
    last = tables.Row(
        (
            tables.Cell("total", "total"),
            tables.Cell(),
            tables.Cell(),
            *_amounts(result.observed, result.scenario, DOOR),
        )
    )
    return tables.Table("Observed and scenario by meter", columns, tuple(rows), last)


def steps(result: what_if.Comparison) -> tables.Table:
    """Every step in its order, from the observed cost to the scenario's."""
    columns = (
        tables.Column("step", "step", text=True),
        tables.Column("delta", "changes the cost by"),
        tables.Column("level", "to"),
    )
    level = result.observed
    rows = [
        tables.Row((tables.Cell("observed", "observed"), tables.Cell(), tables.money_cell(result.observed)))
    ]
    for step in result.steps:
        if step.turned:
            level = total((level, step.delta))
            text = numbers.money_signed(step.delta)
            delta = tables.Cell(
                text, step.delta, title=tables.money_cell(step.delta).title, tone=tables.tone(text, True)
            )
            rows.append(tables.Row((tables.Cell(step.name, step.name), delta, tables.money_cell(level))))
    text = numbers.money_signed(result.scenario - result.observed)
    last = tables.Row(
        (
            tables.Cell("scenario", "scenario"),
            tables.Cell(text, total((result.scenario, -result.observed)), tone=tables.tone(text, True)),
            tables.money_cell(result.scenario),
        )
    )
    return tables.Table("From observed to scenario, step by step", columns, tuple(rows), last)


def how(scenario: Scenario, result: what_if.Comparison) -> tuple[How, ...]:
    """For each row of by_model: quantity × average unit price = cost, meter by meter, on both sides."""
    names = _meter_names()
    columns = (
        tables.Column("meter", "meter", text=True),
        tables.Column("observed_quantity", "observed quantity"),
        tables.Column("observed_price", "× average price"),
        tables.Column("observed_cost", "= observed"),
        tables.Column("scenario_quantity", "scenario quantity"),
        tables.Column("scenario_price", "× average price"),
        tables.Column("scenario_cost", "= scenario"),
    )
    lines: dict[tuple[str, str], list[tables.Row]] = {}
    for row in shape.records(result.meters):
        searches = row["meter"] == "web_search_requests"
        cells = [tables.name_cell(row["meter"], role=names[row["meter"]][1], text=names[row["meter"]][0])]
        for side in ("observed", "scenario"):
            quantity, cost = row[f"{side}_quantity"], row[f"{side}_cost"]
            cells += [_quantity(quantity), _average(cost, quantity, searches), tables.money_cell(cost)]
        lines.setdefault((row["model"], row["provider"]), []).append(tables.Row(tuple(cells)))
    found = []
    for at, row in enumerate(shape.records(result.models)):
        last = tables.Row(
            (
                tables.Cell("total", "total"),
                tables.Cell(),
                tables.Cell(),
                tables.money_cell(row["observed_cost"]),
                tables.Cell(),
                tables.Cell(),
                tables.money_cell(row["scenario_cost"]),
            )
        )
        rows = tuple(lines.get((row["model"], row["provider"]), ()))
        title = f"{row['model']} → {row['becomes']}" if row["becomes"] else row["model"]
        found.append(How(f"how-{at}", title, tables.Table(f"How {title} was computed", columns, rows, last)))
    return tuple(found)


_SIDES = ("observed_quantity", "scenario_quantity", "observed_cost", "scenario_cost")


def _meter_names() -> dict[str, tuple[str, str]]:
    return {meter.column: (meter.label, meter.role) for meter in theme.METERS}


def _quantity(quantity: Decimal) -> tables.Cell:
    """A count; a share of one stays exact in exports and is rounded for people."""
    return tables.Cell(numbers.tokens(quantity), quantity, title=f"{quantity:,f}")


def _average(cost: Decimal, quantity: Decimal, searches: bool) -> tables.Cell:
    if not quantity:
        return tables.Cell(numbers.NONE)
    each = cost / quantity
    return tables.Cell(numbers.money(each) if searches else numbers.unit_price(each), each)


def _amounts(observed: Decimal, scenario: Decimal, door: str) -> tuple[tables.Cell, ...]:
    difference = total((scenario, -observed))
    text = numbers.money_signed(difference)
    return (
        _door(tables.money_cell(observed), door),
        _door(tables.money_cell(scenario), door),
        tables.Cell(
            text, difference, title=tables.money_cell(difference).title, tone=tables.tone(text, True)
        ),
        tables.change_cell(scenario, observed),
    )


def _door(cell: tables.Cell, door: str) -> tables.Cell:
    """The amount, leading to how it was computed."""
    return replace(cell, href=door)
