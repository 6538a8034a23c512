"""Worth a look: plain findings in the range's own figures, each with its dollars and a door to the evidence."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from dashboard import numbers, pricebook
from dashboard.analysis import what_if
from dashboard.analysis.scenario import everything
from dashboard.panels import shape
from dashboard.panels.base import Ask, Content, Empty, Panel
from dashboard.panels.overview import labelled, labelled_report
from dashboard.queries import cache, lanes

KEEP = 4
SMALLEST_FALL = Decimal("0.03")  # of the token hit rate; less is weather
SMALLEST_SHARE = Decimal("0.002")  # of the range's cost; less is not worth a line
BATCH_SHARE = Decimal("0.25")


@dataclass(frozen=True)
class Card:
    title: str
    subject: str
    text: str
    amount: Decimal
    href: str
    dearer: bool = False  # what went up, rather than what could be saved

    @property
    def shown_amount(self) -> str:
        return f"{'+' if self.dearer else ''}{numbers.money_round(self.amount)}"

    @property
    def tone(self) -> str:
        return "worse" if self.dearer else "better"


def fetch(ask: Ask) -> dict[str, Any]:
    before = ask.filters.previous()
    dimension, report = labelled_report(ask)
    return {
        "dimension": dimension,
        "report": report,
        "before": labelled(before, dimension).rows if before and not report.rows.empty else None,
        "lanes": lanes.quantities(ask.filters),
    }


def present(data: dict[str, Any], ask: Ask) -> Content | None:
    report, dimension = data["report"], data["dimension"]
    if report.rows.empty:
        return None
    rows = shape.records(report.rows)
    cards = [*_losing_caches(ask, dimension, rows), *_batch(ask, data["lanes"])]
    if data["before"] is not None:
        past = {shape.name_of(row[dimension]): row for row in shape.records(data["before"])}
        cards += [*_fallen_rates(ask, dimension, rows, past), *_risen_costs(ask, dimension, rows, past)]
    least = shape.per_month(ask, report.totals["list_cost"] or Decimal(0)) * SMALLEST_SHARE
    kept = sorted(
        (card for card in cards if card.amount > max(least, Decimal(0))), key=lambda card: -card.amount
    )
    return Content(
        sub="at this rate, per 30 days", extra={"cards": kept[:KEEP]}, note=_NOTHING if not kept else ""
    )


_NOTHING = "No cache that costs more than it saves, no fallen token hit rate, nothing to gain from batch in this range."


def _losing_caches(ask: Ask, dimension: str, rows: list[dict[str, Any]]) -> list[Card]:
    cards = []
    for row in rows:
        saving = row["cache_saving"]
        if saving is None or saving >= 0:
            continue
        name = shape.name_of(row[dimension])
        cards.append(
            Card(
                title="Stop caching in",
                subject=shape.shown(name),
                text=f"{numbers.ratio(row['reads_per_write'], 2)} tokens read per token written: writes cost more than "
                "reads save.",
                amount=shape.per_month(ask, -saving),
                href=ask.link(ask.filters.only(dimension, name), page="cache"),
            )
        )
    return cards


def _fallen_rates(
    ask: Ask, dimension: str, rows: list[dict[str, Any]], past: dict[str, dict[str, Any]]
) -> list[Card]:
    """What the fall of a token hit rate costs: the tokens no longer read × what each read token saves in this group."""
    cards = []
    for row in rows:
        name = shape.name_of(row[dimension])
        before = past.get(name)
        rate = row["token_hit_rate"]
        if (
            before is None
            or rate is None
            or before["token_hit_rate"] is None
            or not row["cache_read_input_tokens"]
        ):
            continue
        fall = before["token_hit_rate"] - rate
        if fall < SMALLEST_FALL or row["read_saving"] is None:
            continue
        each = row["read_saving"] / row["cache_read_input_tokens"]
        lost = fall * sum(int(row[meter]) for meter in cache.INPUT_METERS)
        cards.append(
            Card(
                title="Token hit rate fell in",
                subject=shape.shown(name),
                text=f"{numbers.percent(before['token_hit_rate'])} to {numbers.percent(rate)} of input tokens came "
                "from the cache.",
                amount=shape.per_month(ask, lost * each),
                href=ask.link(ask.filters.only(dimension, name), page="cache"),
            )
        )
    return cards


def _risen_costs(
    ask: Ask, dimension: str, rows: list[dict[str, Any]], past: dict[str, dict[str, Any]]
) -> list[Card]:
    """The group whose cost rose most against the period before."""
    rises = []
    for row in rows:
        name = shape.name_of(row[dimension])
        before = past[name]["list_cost"] if name in past else Decimal(0)
        if row["list_cost"] is not None and before is not None and row["list_cost"] > before:
            rises.append((row["list_cost"] - before, name, before, row["list_cost"]))
    if not rises or not past:
        return []
    rise, name, before, now = max(rises)
    return [
        Card(
            title="Cost rose most in",
            subject=shape.shown(name),
            text=f"{numbers.money(before)} in the period before, {numbers.money(now)} in this one "
            f"({numbers.change(now, before)}).",
            amount=shape.per_month(ask, rise),
            href=ask.link(ask.filters.only(dimension, name), page="spend"),
            dearer=True,
        )
    ]


def _batch(ask: Ask, frame: Any) -> list[Card]:
    if frame.empty:
        return []
    scenario = what_if.Scenario(batch_share=everything(BATCH_SHARE))
    comparison = what_if.apply(frame, pricebook.current(), scenario)
    saved = comparison.observed - comparison.scenario
    share = numbers.percent(BATCH_SHARE, 0)
    return [
        Card(
            title="If",
            subject=f"{share} could wait for batch",
            text="What it would save at the published batch prices. Nobody must be waiting for those answers.",
            amount=shape.per_month(ask, saved),
            href=f"{ask.link(page='what_if')}&batch_share={BATCH_SHARE}",
        )
    ]


PANEL = Panel(
    slug="worth-a-look",
    title="Worth a look",
    help=(
        "Findings computed from this range alone, scaled to 30 days at the same rate; not a forecast.",
        "Green is what could be saved, red is what went up.",
        "A cache that loses money: its net saving is negative. A fallen token hit rate: tokens no longer read × what a "
        "read token saves there. Batch: the what-if at a quarter of standard traffic.",
    ),
    fetch=fetch,
    present=present,
    body="_cards",
    size="tall",
    empty=Empty(
        what="Findings will stand here.",
        why="No event that passes the filters lies in this range.",
        fix="Choose a longer range or remove a filter.",
    ),
)

PANELS = (PANEL,)
