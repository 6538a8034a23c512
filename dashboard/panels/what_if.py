"""What-if: the same traffic under other prices, habits and models, beside what was observed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from dashboard import numbers, pricebook, tables
from dashboard.analysis import what_if
from dashboard.analysis.assumptions import assumptions
from dashboard.analysis.scenario import Scenario
from dashboard.figures import what_if as figures
from dashboard.panels import scenario_knobs, shape, what_if_tables
from dashboard.panels.base import PATHS, Ask, Content, Panel
from dashboard.queries import classes, lanes, policy_effects
from dashboard.queries.remembering import WHILE_TURNING_S
from ingest.core.pricing import total

DAYS_A_MONTH, MONTHS_A_YEAR = 30, Decimal(365) / 30


@dataclass(frozen=True)
class Turned:
    """A scenario with the quantities that it is about."""

    scenario: Scenario
    log: what_if.Log
    replayed: what_if.Replayed | None


def scenario_of(ask: Ask, knobs: Mapping[str, str] | None = None) -> Scenario:
    """What these knobs say, or those in the address. Raises ScenarioError for what cannot be."""

    def can_wait(dimension: str) -> list[str]:
        return [each.evidence.value for each in classes.kinds(ask.filters, dimension) if each.can_wait]

    known = dict(ask.knobs) if knobs is None else knobs
    return scenario_knobs.scenario_of(lambda name: known.get(name, ""), can_wait)


def fetch(ask: Ask) -> Turned:
    scenario = scenario_of(ask)  # before the query: a bad knob costs nothing
    return turned(ask, scenario)


def turned(ask: Ask, scenario: Scenario) -> Turned:
    """The scenario with what it is applied to in this question."""
    replayed = (
        policy_effects.of(ask.filters, scenario.policy, WHILE_TURNING_S) if scenario.is_replayed else None
    )
    return Turned(scenario, lanes.log(ask.filters, scenario.dimensions, WHILE_TURNING_S), replayed)


def compared(data: Turned) -> what_if.Comparison:
    """Observed and scenario of what was fetched."""
    return what_if.apply(data.log, pricebook.current(), data.scenario, data.replayed)


def present(data: Turned, ask: Ask) -> Content | None:
    if data.log.is_empty:
        return None
    result = compared(data)
    turned = [(step.name, step.delta) for step in result.steps if step.turned]
    return Content(
        sub="steps sum exactly; their order is fixed",
        figure=figures.steps(result.observed, turned, result.scenario),
        figure_label="From the observed cost to the scenario's, one step a group of knobs",
        table=what_if_tables.by_model(ask, data.scenario, result, data.replayed),
        note="" if not data.scenario.is_identity else "Nothing is changed yet: move a slider.",
        extra={
            "stats": _stats(ask, data, result),
            "assumptions": tuple(assumptions(data.scenario, result, pricebook.current(), data.replayed)),
            "by_meter": what_if_tables.by_meter(result),
            "steps": what_if_tables.steps(result),
            "how": ask.panel_url("what-if-how"),
            "fits": ask.panel_url("fits") if data.scenario.swaps else "",
            **_actions(ask),
            "recommend": _recommend(ask, result) if not data.scenario.is_identity else {},
        },
    )


def _actions(ask: Ask) -> dict[str, Any]:
    """Where what is on the screen can be taken. A link that is shared says its days outright: a preset would move."""
    filters = ask.filters
    fixed = filters.with_(start=filters.start, end=filters.end) if filters.start or filters.end else filters
    return {
        "share": ask.link(fixed),
        "back": ask.link(),
        "csv": ask.link(format="csv"),
        "xlsx": ask.link(format="xlsx"),
        "knobs": [pair for pair in ask.knobs if pair[0] in scenario_knobs.SAVED],
        "save_url": f"{PATHS['what_if']}save/",
    }


def _recommend(ask: Ask, result: what_if.Comparison) -> dict[str, str]:
    """What the recommendations page is told of a scenario that somebody wants to carry out."""
    knobs = {name: text for name, text in ask.knobs if name in scenario_knobs.SAVED}
    saving = shape.per_month(ask, total((result.observed, -result.scenario)))
    return {
        "scenario": json.dumps(knobs),
        "predicted_monthly": f"{saving:f}",
        "question": ask.filters.to_query(),
        "back": ask.link(page="recommendations"),
    }


def _stats(ask: Ask, data: Turned, result: what_if.Comparison) -> list[dict[str, Any]]:
    difference = result.scenario - result.observed
    delta = numbers.change(result.scenario, result.observed)
    start, end = ask.filters.start, ask.filters.end
    month = shape.per_month(ask, difference)
    facts = [(step.name, numbers.money_signed(step.delta)) for step in result.steps if step.turned]
    version = ("price book", pricebook.current().version)
    return [
        {
            "label": "Observed",
            "value": numbers.money(result.observed),
            "title": tables.money_cell(result.observed).title,
            "foot": f"{shape.range_text(start, end, ask)}, list prices",
            "help": ("List cost of the range, as on the Overview: quantity × unit price, lane by lane.",),
            "facts": [("requests", numbers.count(int(sum(result.models["requests"])))), version],
        },
        {
            "label": "Scenario",
            "value": numbers.money(result.scenario),
            "title": tables.money_cell(result.scenario).title,
            "delta": delta if delta != numbers.NONE else "",
            "tone": tables.tone(delta, True),
            "foot": numbers.money_signed(difference),
            "help": ("The same quantities, lane by lane, as the scenario moves and prices them. Its steps:",),
            "facts": [*facts, version],
        },
        {
            "label": "A year of it",
            "value": _rounded(month * MONTHS_A_YEAR),
            "title": "at this range's rate",
            "foot": _range(month * MONTHS_A_YEAR, data.replayed, result) or f"{_rounded(month)} a month",
            "help": (
                "Difference ÷ days of the range × 365."
                + (
                    " Only prices and shares are changed: exact for this range."
                    if _exact(data.scenario)
                    else ""
                ),
                "No forecast: traffic that grows or shrinks changes it.",
            ),
            "facts": [("difference", numbers.money_signed(difference))],
        },
    ]


def _rounded(amount: Decimal) -> str:
    text = numbers.money_round(amount)
    return f"+{text}" if amount > 0 else text


def _exact(scenario: Scenario) -> bool:
    guessed = scenario.swaps or scenario.is_replayed or scenario.token_hit_rate is not None
    return not guessed and scenario.batch_reads is None


def _range(year: Decimal, replayed: what_if.Replayed | None, result: what_if.Comparison) -> str:
    """The year's difference with the replay's error on both sides; "" where nothing is estimated."""
    if replayed is None or replayed.error is None or result.scenario == result.observed:
        return ""
    width = abs(year * replayed.error * result.scenario / (result.scenario - result.observed))
    return f"{_rounded(year - width)} to {_rounded(year + width)} · policy part estimated"


PANEL = Panel(
    slug="what-if",
    live=False,
    title="From observed to scenario",
    help=(
        "Every lane's quantities are priced twice: at the prices of their day, and with the knobs turned.",
        "Knobs are turned in a fixed order, one group after the other: "
        + ", ".join(name for name, _ in what_if.STEPS)
        + ". A step is what its knobs change after those before it, so the steps always sum to the difference.",
        "What two price knobs make together does not depend on the order; what a single step shows does.",
        "Models without a price are on neither side.",
    ),
    fetch=fetch,
    present=present,
    body="_what_if",
    size="tall",
    plain=True,
)


def present_how(data: Turned, ask: Ask) -> Content | None:
    """Apart from the result, for it is long and a slider should not wait for it."""
    if data.log.is_empty:
        return None
    return Content(
        extra={
            "how": what_if_tables.how(data.scenario, compared(data)),
            "price_version": pricebook.current().version,
        }
    )


HOW = Panel(
    slug="what-if-how",
    live=False,
    title="How each number was computed",
    help=PANEL.help,
    fetch=fetch,
    present=present_how,
    body="_what_if_how",
    size="short",
    plain=True,
)

PANELS = (PANEL, HOW)
