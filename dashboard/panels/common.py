"""Panels that stand on every page: the honesty strip and the choices of the filter popover."""

from __future__ import annotations

from typing import Any

from dashboard import numbers, pricebook
from dashboard.filters import LABEL_DIMENSIONS, LANE_DIMENSIONS, TAG_PREFIX
from dashboard.panels import shape
from dashboard.panels.base import Ask, Content, Panel
from dashboard.queries import freshness, labels, ledger, spend

STALE_AFTER_S = 120  # a fill takes seconds; two minutes behind is worth a warning


def fetch_strip(ask: Ask) -> dict[str, Any]:
    return {
        "freshness": freshness.state(),
        "ledger": ledger.totals(),
        "unpriced": spend.unpriced(ask.filters, shape.over_time(ask)),
    }


def present_strip(data: dict[str, Any], ask: Ask) -> Content:
    fresh, books, unpriced = data["freshness"], data["ledger"], data["unpriced"]
    waiting = (ask.now - fresh.pending_since) if fresh.pending_since else None
    late = waiting is not None and waiting.total_seconds() > STALE_AFTER_S
    last = books["last_received_at"]
    models = []
    for row in shape.records(unpriced):
        tokens = sum(int(row[meter]) for meter in pricebook.TOKEN_METERS)
        models.append(
            {
                "name": shape.shown(shape.name_of(row["model"])),
                "tokens": numbers.tokens(tokens),
                "exact": numbers.count(tokens),
                "reason": row["reason"],
                "href": ask.link(ask.filters.only("model", row["model"]), page="spend"),
                "count": tokens,
            }
        )
    models.sort(key=lambda model: -model["count"])
    sum_of_outcomes = sum(books[name] for name in ("stored", "merged", "duplicate", "rejected"))
    return Content(
        extra={
            "late": late,
            "up_to_date": fresh.up_to_date,
            "waiting": numbers.duration(waiting) if waiting is not None else "",
            "pending_buckets": numbers.count(fresh.pending_buckets),
            "last": numbers.ago(ask.now - last) if last else "never",
            "last_at": last,
            "ledger": {
                name: numbers.count(books[name])
                for name in ("received", "stored", "merged", "duplicate", "rejected")
            },
            "balances": books["received"] == sum_of_outcomes,
            "rejected": books["rejected"] > 0,
            "any_received": books["received"] > 0,
            "unpriced": models[:3],
            "unpriced_more": max(0, len(models) - 3),
            "price_version": pricebook.current().version,
            "data_version": fresh.data_version,
        }
    )


STRIP = Panel(
    slug="strip",
    title="Can these numbers be trusted?",
    help=(
        "received = stored + merged + duplicate + rejected, over everything that ever arrived.",
        "Merged rows reported a known call again with more complete counts; duplicates said nothing new; rejected rows "
        "could not be read and are listed with their reason.",
        "Unpriced tokens belong to models without a list price: they are left out of every dollar figure here.",
    ),
    fetch=fetch_strip,
    present=present_strip,
    body="_strip",
    size="strip",
    plain=True,
)


def fetch_choices(ask: Ask) -> list[dict[str, Any]]:
    search = ask.knob("q")
    dimensions = [
        *LANE_DIMENSIONS,
        *LABEL_DIMENSIONS,
        *(f"{TAG_PREFIX}{name}" for name in labels.tag_names()),
    ]
    groups = []
    for dimension in dimensions:
        limit = 30 if search else 8
        values = [value for value in labels.options(dimension, search, limit + 1)["value"] if value]
        if values:
            groups.append({"dimension": dimension, "values": values[:limit], "more": len(values) > limit})
    return groups


def present_choices(data: list[dict[str, Any]], ask: Ask) -> Content:
    groups = []
    for group in data:
        dimension = group["dimension"]
        active = ask.filters.values(dimension)
        choices = [
            {
                "name": value,
                "current": value in active,
                "href": _without_search(
                    ask,
                    ask.filters.without(dimension, value)
                    if value in active
                    else ask.filters.with_value(dimension, value),
                ),
            }
            for value in group["values"]
        ]
        groups.append({"title": shape.word(dimension), "choices": choices, "more": group["more"]})
    return Content(extra={"groups": groups, "search": ask.knob("q")})


def _without_search(ask: Ask, filters: Any) -> str:
    return ask.link(filters, q=None)


CHOICES = Panel(
    slug="filter-choices",
    live=False,
    title="Filter by",
    help=("Values of one dimension are alternatives; different dimensions must all hold.",),
    fetch=fetch_choices,
    present=present_choices,
    body="_choices",
    size="short",
    plain=True,
)

PANELS = (STRIP, CHOICES)
