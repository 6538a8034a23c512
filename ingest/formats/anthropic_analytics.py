"""Anthropic's Usage and Cost Analytics rows: flat ones with a `group`, and the bucketed and per-user reports.

Usage rows become reported usage, cost rows reported cost; `data_refreshed_at` tells which report of a row is newer.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, BinaryIO

from ingest.core.errors import Reason
from ingest.core.meter_fields import MeterError, keys_seen
from ingest.core.reported import Reported, ReportedCost, ReportedUsage
from ingest.formats._base import Format, Item, ParseContext, read_time
from ingest.formats._reports import (
    CENTS,
    Row,
    anthropic_dimensions,
    anthropic_meters,
    bucket,
    currency_of,
    grouped,
    inside,
    optional_amount,
    optional_sum,
    read_rows,
    sniff_page,
    some_of,
    word_of,
)

NAME = "anthropic_analytics"
USAGE, COST = f"{NAME}_usage", f"{NAME}_cost"


def _read(row: Row) -> Iterator[Reported]:
    row = {**row, **inside(row, "group")}
    start, end = bucket(row)
    common: dict[str, Any] = {
        **anthropic_dimensions(row),
        "provider": "anthropic",
        "platform": "anthropic",
        "user_id": _actor(row),
        "start": start,
        "end": end,
        "refreshed_at": _watermark(row),
    }
    if isinstance(row.get("cost"), dict) or row.get("amount") is not None:
        yield _cost({**row, **inside(row, "cost")}, common)
    elif isinstance(row.get("usage"), dict) or row.get("uncached_input_tokens") is not None:
        yield ReportedUsage(kind=USAGE, **common, **anthropic_meters({**row, **inside(row, "usage")}))
    else:
        detail = f"neither usage nor cost; keys seen: {keys_seen(row)}"
        raise MeterError(Reason.UNKNOWN_USAGE_SHAPE, "usage", detail)


def _cost(row: Row, common: dict[str, Any]) -> ReportedCost:
    some_of(row, ("amount", "list_amount"))
    return ReportedCost(
        kind=COST,
        **common,
        currency=currency_of(row.get("currency")),
        billed_cost=optional_amount(row, "amount", per=CENTS),
        list_cost=optional_amount(row, "list_amount", per=CENTS),
        cost_type=word_of(row, "cost_type"),
        token_type=word_of(row, "token_type"),
        requests=optional_sum(row, "requests"),
    )


def _actor(row: Row) -> str:
    """Who: the user's id, else the address; the name is not kept."""
    actor = row.get("actor")
    if actor is None or isinstance(actor, str):
        return word_of(row, "actor", 256)
    fields = inside(row, "actor")
    names = ("user_id", "email_address", "api_key_id", "service_account_id", "id")
    return next(filter(None, (word_of(fields, name, 256, "actor") for name in names)), "")


def _watermark(row: Row) -> datetime | None:
    value = row.get("data_refreshed_at")
    return None if value is None else read_time(value, "data_refreshed_at")


def _parse(stream: BinaryIO, context: ParseContext) -> Iterator[Item]:
    yield from grouped(read_rows(stream, _read), context)


def _sniff(head: bytes) -> int:
    keys = (b"uncached_input_tokens", b"amount")
    return max(sniff_page(head, key, analytics=True) for key in keys)


FORMAT = Format(NAME, "Anthropic analytics: usage and cost rows", True, _sniff, _parse)
