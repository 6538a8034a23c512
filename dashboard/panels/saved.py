"""Saved scenarios: run anew on the page's range and filters, up to four of them side by side."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from dashboard import numbers, tables
from dashboard.analysis import what_if
from dashboard.models import SavedScenario
from dashboard.panels import shape
from dashboard.panels.base import PATHS, Ask, Content, Empty, Panel
from dashboard.panels.scenario_knobs import SAVED, SEPARATOR, SIDE
from dashboard.panels.what_if import compared, scenario_of, turned
from ingest.core.pricing import total

MOST_SIDE_BY_SIDE = 4


@dataclass(frozen=True)
class Saved:
    """One saved scenario; `result` where it stands side by side, `problem` where it no longer can be."""

    name: str
    href: str
    by: str
    chosen: bool
    result: what_if.Comparison | None = None
    problem: str = ""


def fetch(ask: Ask) -> list[Saved]:
    saved = list(SavedScenario.objects.all())
    names = [name for name in ask.knob(SIDE).split(SEPARATOR) if name]
    chosen = [each.name for each in saved if each.name in names] or [each.name for each in saved]
    chosen = chosen[:MOST_SIDE_BY_SIDE]
    return [_run(ask, each, each.name in chosen) for each in saved]


def _run(ask: Ask, saved: SavedScenario, chosen: bool) -> Saved:
    knobs = {name: str(text) for name, text in dict(saved.knobs).items() if name in SAVED}
    asked: dict[str, str | None] = {**dict.fromkeys((*SAVED, SIDE)), **knobs}
    href = ask.link(None, "", **asked)
    if not chosen:
        return Saved(saved.name, href, saved.saved_by, False)
    try:
        scenario = scenario_of(ask, knobs)
    except what_if.ScenarioError as error:  # a model that left the price files
        return Saved(saved.name, href, saved.saved_by, True, problem=error.message)
    return Saved(saved.name, href, saved.saved_by, True, compared(turned(ask, scenario)))


def present(data: list[Saved], ask: Ask) -> Content | None:
    if not data:
        return None
    return Content(
        sub="each runs anew on this range and these filters; up to four side by side",
        extra={
            "saved": data,
            "tables": _tables([each for each in data if each.result is not None]),
            "back": ask.link(),
            "delete_url": f"{PATHS['what_if']}delete/",
            "hidden": [pair for pair in _pairs(ask) if pair[0] != SIDE],
            "action": PATHS["what_if"],
            "choosable": len(data) > 1,
        },
    )


def _pairs(ask: Ask) -> list[tuple[str, str]]:
    from urllib.parse import parse_qsl

    return parse_qsl(ask.query(), keep_blank_values=True)


def _tables(saved: list[Saved]) -> list[tables.Table]:
    """The cost of every model, and what every step changes: a column a scenario."""
    results = [(each.name, each.result) for each in saved if each.result is not None]
    if not results:
        return []
    heads = tuple(tables.Column(f"scenario {at}", name) for at, (name, _) in enumerate(results, start=1))
    first = results[0][1]
    rows = []
    for row in shape.records(first.models):
        cells = [tables.name_cell(shape.name_of(row["model"])), tables.money_cell(row["observed_cost"])]
        cells += [_cost(result, row["model"], row["provider"]) for _, result in results]
        rows.append(tables.Row(tuple(cells)))
    last = tables.Row(
        (
            tables.Cell("total", "total"),
            tables.money_cell(first.observed),
            *(tables.money_cell(result.scenario) for _, result in results),
        )
    )
    columns = (tables.Column("model", "model", text=True), tables.Column("observed_cost", "observed"), *heads)
    return [
        tables.Table("Cost by model, scenario by scenario", columns, tuple(rows), last),
        _steps(results, heads),
    ]


def _cost(result: what_if.Comparison, model: str, provider: str) -> tables.Cell:
    found = result.models[(result.models["model"] == model) & (result.models["provider"] == provider)]
    return tables.money_cell(found["scenario_cost"].iloc[0] if len(found) else None)


def _steps(results: list[tuple[str, what_if.Comparison]], heads: tuple[tables.Column, ...]) -> tables.Table:
    rows: list[tables.Row] = []
    for at, (name, _) in enumerate(what_if.STEPS):
        steps = [result.steps[at] for _, result in results]
        if any(step.turned for step in steps):
            cells = [_signed(step.delta) if step.turned else tables.Cell(numbers.NONE) for step in steps]
            rows.append(tables.Row((tables.Cell(name, name), *cells)))
    changes = [
        tables.Row(
            (
                tables.Cell("difference", "difference"),
                *(_signed(total((result.scenario, -result.observed))) for _, result in results),
            )
        ),
    ]
    rates = (tables.change_cell(result.scenario, result.observed) for _, result in results)
    last = tables.Row((tables.Cell("change", "change"), *rates))
    columns = (tables.Column("step", "step", text=True), *heads)
    return tables.Table("What every step changes, scenario by scenario", columns, (*rows, *changes), last)


def _signed(amount: Decimal) -> tables.Cell:
    text = numbers.money_signed(amount)
    title: Any = tables.money_cell(amount).title
    return tables.Cell(text, amount, title=title, tone=tables.tone(text, True))


PANEL = Panel(
    slug="saved-scenarios",
    title="Saved scenarios",
    help=(
        "A saved scenario is its knobs and nothing else: here it is applied to the range, filters and prices of this "
        "page, so the same scenario can be tried on any month or team.",
        "The observed column is the same for all of them.",
    ),
    fetch=fetch,
    present=present,
    body="_saved",
    size="short",
    live=True,
    empty=Empty(
        what="Scenarios that you save stand here, side by side.",
        why="None is saved yet.",
        fix="Move a slider, then press Save scenario.",
    ),
)

PANELS = (PANEL,)
