"""Rate-limit headroom: the busiest minutes against the limits, and spend against the cap, now and under a scenario."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from dashboard import numbers, pricebook, tables
from dashboard.analysis import headroom, limits
from dashboard.analysis.scenario import Scenario
from dashboard.models import RateLimits
from dashboard.panels import shape
from dashboard.panels.base import PATHS, Ask, Content, Empty, Panel
from dashboard.panels.what_if import Turned, compared, scenario_of, turned
from dashboard.queries import peaks
from dashboard.queries.remembering import WHILE_TURNING_S, Memory

MEASURES = (("requests", "requests"), ("input", "counted input"), ("output", "output"))
TIGHT, OVER = Decimal("0.8"), Decimal(1)
_AS_OBSERVED = Scenario()
_now: Memory[dict[str, headroom.Peak]] = Memory(8)


@dataclass(frozen=True)
class Found:
    turned: Turned
    minutes: peaks.Minutes
    tier: limits.Tier


def current_tier() -> limits.Tier:
    """The installation's tier with its own numbers; the highest published one while nobody chose."""
    row = RateLimits.objects.first()
    if row is None:
        return limits.tier(limits.DEFAULT_TIER)
    own = {name: given for name, given in dict(row.own).items() if name != "cap" and isinstance(given, dict)}
    try:
        cap = Decimal(str(row.own["cap"])) if "cap" in row.own else None
    except InvalidOperation:
        cap = None
    return limits.tier(row.tier).with_own(own, cap)


def fetch(ask: Ask) -> Found:
    scenario = scenario_of(ask)
    return Found(turned(ask, scenario), peaks.minutes(ask.filters, scenario.dimensions), current_tier())


def present(data: Found, ask: Ask) -> Content | None:
    frame, scenario = data.minutes.frame, data.turned.scenario
    if frame.empty:
        return None
    book = pricebook.current()
    now = _now.answer(
        ask.filters, scenario.dimensions, lambda: headroom.peaks(frame, book, _AS_OBSERVED), WHILE_TURNING_S
    )
    same = scenario == _AS_OBSERVED
    then = now if same else headroom.peaks(frame, book, scenario, data.turned.replayed)
    names = list(dict.fromkeys((*now, *then)))
    hours = len(data.minutes.hours)
    return Content(
        sub=f"busiest minute by model class · {data.tier.name}",
        table=_table(names, now, then, data.tier),
        note=(
            f"Peaks of the {hours} busiest hours of the range (by requests, counted input and output of each class); a "
            "shorter spike elsewhere could be higher. Standard tier and speed on the provider's own API; batch, fast "
            f"mode and priority have limits of their own. {data.tier.note}"
        ),
        extra={
            "cap": _cap(ask, data),
            "tiers": [
                {"name": each.name, "system": each.system, "current": each.name == data.tier.name}
                for each in limits.TIERS
            ],
            "rows": [_edited(name, data.tier) for name in names],
            "cap_value": "" if data.tier.cap is None else f"{data.tier.cap:f}",
            "action": f"{PATHS['what_if']}limits/",
            "back": ask.link(),
            "may_edit": ask.staff and not ask.inline,
        },
    )


def _cap(ask: Ask, data: Found) -> str:
    """Spend against the tier's monthly cap, in a sentence."""
    result = compared(data.turned)
    before, after = shape.per_month(ask, result.observed), shape.per_month(ask, result.scenario)
    if data.tier.cap is None:
        return f"{numbers.money_round(before)} a month at this rate, {numbers.money_round(after)} under the scenario."
    if not data.tier.cap:
        return "The monthly cap is $0: nothing may be spent."
    return (
        f"{numbers.money_round(before)} a month at this rate is {numbers.percent(before / data.tier.cap)} of the "
        f"monthly cap of {numbers.money_round(data.tier.cap)}; under the scenario {numbers.money_round(after)}, "
        f"{numbers.percent(after / data.tier.cap)}."
    )


def _table(
    names: list[str], now: dict[str, headroom.Peak], then: dict[str, headroom.Peak], tier: limits.Tier
) -> tables.Table:
    columns: list[tables.Column] = [tables.Column("class", "class", text=True)]
    for name, label in MEASURES:
        columns += [
            tables.Column(f"{name}_observed", f"{label} / min"),
            tables.Column(f"{name}_scenario", "scenario"),
            tables.Column(f"{name}_limit", "limit", hide_narrow=True),
        ]
    rows = []
    for model_class in names:
        cells = [
            tables.name_cell(
                model_class, title="cache reads count" if limits.counts_reads(model_class) else ""
            )
        ]
        for name, _ in MEASURES:
            limit = getattr(tier.of(model_class), name)
            for side in (now, then):
                peak = getattr(side[model_class], name) if model_class in side else 0
                cells.append(_against(peak, limit))
            cells.append(_short(limit))
        rows.append(tables.Row(tuple(cells)))
    return tables.Table("Busiest minutes against the limits", tuple(columns), tuple(rows))


def _against(peak: int, limit: int | None) -> tables.Cell:
    cell = _short(peak)
    if not limit:
        return cell
    share = Decimal(peak) / limit
    badge = "over" if share > OVER else "tight" if share >= TIGHT else ""
    title = f"{numbers.count(peak)} of {numbers.count(limit)}: {numbers.percent(share)}"
    return tables.Cell(f"{cell.text} · {numbers.percent(share, 0)}", peak, title=title, badge=badge)


def _short(number: int | None) -> tables.Cell:
    if number is None:
        return tables.Cell(numbers.NONE, title="no published limit")
    return tables.Cell(numbers.tokens(number), number, title=numbers.count(number))


def _edited(name: str, tier: limits.Tier) -> dict[str, Any]:
    of = tier.of(name)
    return {
        "name": name,
        "values": [(key, "" if value is None else str(value)) for key, value in of._asdict().items()],
    }


PANEL = Panel(
    slug="headroom",
    title="Rate-limit headroom",
    help=(
        "The busiest minute of each model class: requests, counted input tokens and output tokens, each its own "
        "busiest minute. Counted input = uncached + written tokens; cache reads do not count, except for Haiku 3.5 and "
        "older models.",
        "Under the scenario: the same minutes with calls moved, swapped and grown. What goes to batch leaves them.",
        "Limits are the published ones of the tier unless you enter your own: what you were granted is the truth.",
    ),
    fetch=fetch,
    present=present,
    body="_headroom",
    size="short",
    live=True,
    empty=Empty(
        what="Peaks a minute would stand here.",
        why="No standard call on the provider's own API lies in this range, or its single events are gone.",
        fix="Choose a range with raw events.",
    ),
)

PANELS = (PANEL,)
