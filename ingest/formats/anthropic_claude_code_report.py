"""Anthropic's Claude Code report: one row an actor and UTC day; tokens as reported usage, estimates as reported cost.

The estimates are no bill, and subscriptions are in the report too. Cache writes come without their time to live.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, BinaryIO

from ingest.core.errors import Reason
from ingest.core.meter_fields import MeterError, kind_of
from ingest.core.reported import Reported, ReportedCost, ReportedUsage
from ingest.formats._base import Format, Item, ParseContext, read_time
from ingest.formats._reports import (
    CENTS,
    Row,
    currency_of,
    first_object,
    inside,
    optional_amount,
    read_rows,
    some_of,
    sum_of,
    word_of,
)

NAME = "anthropic_claude_code_report"
_TOKENS = ("input", "output", "cache_read", "cache_creation")


def _read(row: Row) -> Iterator[Reported]:
    day = _day(row.get("date"))
    actor = inside(row, "actor")
    remote = row.get("is_remote")
    dimensions = {
        "customer_type": word_of(row, "customer_type"),
        "is_remote": str(remote).lower() if isinstance(remote, bool) else "",
        "organization_id": word_of(row, "organization_id", 256),
        "subscription_type": word_of(row, "subscription_type"),
        "terminal_type": word_of(row, "terminal_type", 256),
    }
    common: dict[str, Any] = {
        "kind": NAME,
        "provider": "anthropic",
        "platform": "anthropic",
        "start": day,
        "end": day + timedelta(days=1),
        "user_id": word_of(actor, "email_address", 256, "actor"),
        "api_key_id": word_of(actor, "api_key_name", 256, "actor"),
        "product": "claude_code",
        "dimensions": tuple((name, value) for name, value in dimensions.items() if value),
    }
    models = row.get("model_breakdown")
    if not isinstance(models, list):
        detail = f"model_breakdown must be a list, not {kind_of(models)}"
        raise MeterError(Reason.INVALID_TYPE, "model_breakdown", detail)
    for number, entry in enumerate(models):
        yield from _model(entry, f"model_breakdown[{number}]", common)


def _model(entry: object, where: str, common: dict[str, Any]) -> Iterator[Reported]:
    if not isinstance(entry, dict):
        raise MeterError(Reason.NOT_AN_OBJECT, where, f"{where} must be an object, not {kind_of(entry)}")
    model = word_of(entry, "model", 200, where)
    tokens = inside(entry, "tokens")
    some_of(tokens, _TOKENS)
    yield ReportedUsage(
        **common,
        model=model,
        uncached_input_tokens=sum_of(tokens, "input", f"{where}.tokens"),
        output_tokens=sum_of(tokens, "output", f"{where}.tokens"),
        cache_read_input_tokens=sum_of(tokens, "cache_read", f"{where}.tokens"),
        cache_write_unknown_ttl_input_tokens=sum_of(tokens, "cache_creation", f"{where}.tokens"),
    )
    estimate = inside(entry, "estimated_cost")
    if estimate.get("amount") is not None:
        yield ReportedCost(
            **common,
            model=model,
            currency=currency_of(estimate.get("currency"), f"{where}.estimated_cost.currency"),
            estimated_cost=optional_amount(estimate, "amount", f"{where}.estimated_cost", per=CENTS),
        )


def _day(value: object) -> datetime:
    """The UTC day a row is about; the API writes it as a date or as that day's first moment."""
    if value is None:
        raise MeterError(Reason.MISSING_FIELD, "date", "date is required")
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        value += "T00:00:00Z"
    return read_time(value, "date").replace(hour=0, minute=0, second=0, microsecond=0)


def _parse(stream: BinaryIO, context: ParseContext) -> Iterator[Item]:
    yield from read_rows(stream, _read)


def _sniff(head: bytes) -> int:
    if not re.search(rb'"model_breakdown"\s*:|"core_metrics"\s*:', head):
        return 0
    first = first_object(head)
    return 90 if "data" in first or {"actor", "date"} <= first.keys() else 0


FORMAT = Format(NAME, "Anthropic Admin API: Claude Code report", True, _sniff, _parse)
