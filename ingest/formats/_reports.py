"""What provider reports share: pages of buckets, checked sums larger than one call's, and exact amounts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, BinaryIO

from ingest.core.errors import Reason, Rejection
from ingest.core.meter_fields import MeterError, count, keys_seen, kind_of
from ingest.core.reported import (
    AMOUNT_PLACES,
    MAX_AMOUNT,
    MAX_REPORTED_COUNT,
    Reported,
    ReportedCost,
    ReportedUsage,
    with_grouping,
)
from ingest.formats._anthropic import text_of
from ingest.formats._base import Item, ParseContext, quiet_decode, read_time, rejection
from ingest.formats._lines import json_values
from ingest.formats._peek import peek

CENTS = Decimal(100)
MAX_LINE_ITEM = 1000
GIVEN_GROUPING = (
    "grouping"  # the name in ParseContext.defaults under which a caller that asked tells the grouping
)

Row = Mapping[str, Any]

_AMOUNT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def read_rows(stream: BinaryIO, read: Callable[[Row], Iterator[Reported]]) -> Iterator[Reported | Rejection]:
    """The rows of one or more pages, in order; a row that cannot be read is rejected at its position.

    A page is `{"data": [bucket or row, ...]}` and a bucket `{"results": [row, ...]}`; what the page and the bucket say
    beside their lists is read as if it stood in each row. Buckets and rows without a page around them are taken too.
    """
    position = 0
    for _, raw in json_values(stream):
        try:
            if isinstance(raw, Rejection):
                yield raw
                continue
            for outer in _entries(_object(quiet_decode(raw), ""), "data"):
                key = "result" if isinstance(outer.get("result"), list) else "results"  # OpenAI's older name
                for row in _entries(outer, key):
                    try:
                        yield from list(read(row))
                    except MeterError as error:
                        yield rejection(position, error)
                    position += 1
        except MeterError as error:
            yield rejection(position, error)
            position += 1


def grouped(items: Iterator[Reported | Rejection], context: ParseContext) -> Iterator[Item]:
    """The items with the grouping of their document, told by the caller or else seen in the rows."""
    found = list(items)  # a page of a report, or a few
    usage = [item for item in found if isinstance(item, ReportedUsage)]
    cost = [item for item in found if isinstance(item, ReportedCost)]
    given = context.defaults.get(GIVEN_GROUPING)
    told = {id(row): new for row, new in zip(usage, with_grouping(usage, given), strict=True)}
    priced = {id(row): new for row, new in zip(cost, with_grouping(cost, given), strict=True)}
    for item in found:
        yield told.get(id(item)) or priced.get(id(item)) or item


def _entries(holder: Row, key: str) -> list[Row]:
    """The objects of a list with what stands beside the list, or `holder` itself where it has no such list."""
    if key not in holder:
        return [holder]
    value = holder[key]
    if not isinstance(value, list):
        raise MeterError(Reason.INVALID_TYPE, key, f"{key} must be a list, not {kind_of(value)}")
    beside = {name: member for name, member in holder.items() if name != key}
    return [{**beside, **_object(entry, f"{key}[{n}]")} for n, entry in enumerate(value)]


def _object(value: object, where: str) -> Row:
    if not isinstance(value, Mapping):
        what = where or "a report"
        raise MeterError(Reason.NOT_AN_OBJECT, where, f"{what} must be a JSON object, not {kind_of(value)}")
    return value


def first_object(head: bytes) -> Row:
    """The first object of the bytes, without what is cut off; {} when there is none."""
    return next(iter(peek(head, limit=1)), {})


def bucket(row: Row, start: str = "starting_at", end: str = "ending_at") -> tuple[datetime, datetime]:
    """The row's [start, end)."""
    for name in (start, end):
        if row.get(name) is None:
            raise MeterError(Reason.MISSING_FIELD, name, f"{name} is required")
    begins, ends = read_time(row[start], start), read_time(row[end], end)
    if ends <= begins:
        raise MeterError(Reason.INVALID_TIME, end, f"{end} must be later than {start}")
    return begins, ends


def sum_of(holder: Row, key: str, path: str = "") -> int:
    """A reported sum: null and missing are 0. It may be far larger than a count of one call."""
    return count(holder, key, path, MAX_REPORTED_COUNT)


def optional_sum(holder: Row, key: str, path: str = "") -> int | None:
    """The same, but null and missing stay unknown."""
    return None if holder.get(key) is None else sum_of(holder, key, path)


def word_of(holder: Row, key: str, limit: int = 64, path: str = "") -> str:
    """A dimension: null, missing and "not_available" are ''."""
    value = text_of(holder.get(key), f"{path}.{key}" if path else key, limit)
    return "" if value == "not_available" else value


def amount_of(value: object, where: str, most: Decimal = MAX_AMOUNT) -> Decimal:
    """An exact amount from a string or a number, any sign, at most `most` either way. Raises MeterError."""
    if isinstance(value, str):
        text = value.strip()
    elif isinstance(value, int | float) and not isinstance(value, bool):
        text = repr(value) if isinstance(value, float) or -(10**18) < value < 10**18 else "1e99"
    else:
        detail = f"{where} must be a decimal number or a string of one, not {kind_of(value)}"
        raise MeterError(Reason.INVALID_TYPE, where, detail)
    if len(text) > 64 or not _AMOUNT.fullmatch(text):
        raise MeterError(Reason.INVALID_VALUE, where, f"{where} is not a decimal number")
    amount = Decimal(text)
    if amount.is_zero():
        return Decimal(0)
    if amount.adjusted() > most.adjusted() or abs(amount) > most:
        raise MeterError(Reason.INVALID_VALUE, where, f"{where} is above {most:,}")
    digits, places = len(amount.as_tuple().digits), -int(amount.as_tuple().exponent)
    if places > AMOUNT_PLACES - 2 or digits > 28:  # two places are left for cents
        detail = f"{where} has {places} decimal places, at most {AMOUNT_PLACES - 2} can be kept exactly"
        raise MeterError(Reason.INVALID_VALUE, where, detail)
    return amount


def optional_amount(holder: Row, key: str, path: str = "", per: Decimal = Decimal(1)) -> Decimal | None:
    """holder[key] / per, exact; None when it is null or missing."""
    value = holder.get(key)
    return None if value is None else amount_of(value, f"{path}.{key}" if path else key) / per


def currency_of(value: object, where: str = "currency") -> str:
    """A currency in upper case; reports of one provider write it lower, of another upper."""
    code = text_of(value, where, 16).strip().upper()
    if not code:
        raise MeterError(
            Reason.MISSING_FIELD, where, f"{where} is required: an amount without it says nothing"
        )
    return code


def inside(row: Row, key: str) -> Row:
    """A nested object; null and missing are {}."""
    value = row.get(key)
    return {} if value is None else _object(value, key)


def some_of(row: Row, names: Sequence[str]) -> None:
    """Refuse a row that has none of the counts or amounts a report is made of: it is of another report."""
    if all(row.get(name) is None for name in names):
        detail = f"none of {', '.join(names)}; keys seen: {keys_seen(row)}"
        raise MeterError(Reason.UNKNOWN_USAGE_SHAPE, names[0], detail)


_ANALYTICS = re.compile(rb'"(data_refreshed_at|product|group|rbac_group_id)"\s*:')
_TIMES = re.compile(rb'"(starting_at|ending_at)"\s*:')


def sniff_page(head: bytes, key: bytes, *, analytics: bool) -> int:
    """How surely the bytes are a page of an Anthropic report whose rows have this key."""
    if not _TIMES.search(head):
        return 0
    first = first_object(head)
    if not {"data", "results", "starting_at", "ending_at"} & first.keys():
        return 0
    if not re.search(rb'"%s"\s*:' % key, head):
        return 0
    return 90 if bool(_ANALYTICS.search(head)) == analytics else 0


_NAMED = {
    "model": 200,
    "workspace_id": 256,
    "api_key_id": 256,
    "service_tier": 64,
    "context_window": 64,
    "inference_geo": 64,
    "speed": 64,
    "product": 256,
}
_RARE = (
    "account_id",
    "actor_type",
    "agent_id",
    "claude_tag_category",
    "claude_tag_user_id",
    "deployment_id",
    "environment_id",
    "organization_id",
    "rbac_group_id",
    "service_account_id",
    "session_id",
    "slack_channel_id",
    "user_profile_id",
)
_METERS = ("uncached_input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation")


def anthropic_dimensions(row: Row) -> dict[str, Any]:
    """The dimensions of an Anthropic report's row, as arguments of a reported row."""
    found: dict[str, Any] = {name: word_of(row, name, limit) for name, limit in _NAMED.items()}
    rare = ((name, word_of(row, name, 256)) for name in _RARE)
    return {**found, "dimensions": tuple((name, value) for name, value in rare if value)}


def anthropic_meters(row: Row) -> dict[str, Any]:
    """The sums of an Anthropic report's row, as arguments of ReportedUsage."""
    some_of(row, _METERS)
    written, tools = inside(row, "cache_creation"), inside(row, "server_tool_use")
    return {
        "uncached_input_tokens": sum_of(row, "uncached_input_tokens"),
        "cache_read_input_tokens": sum_of(row, "cache_read_input_tokens"),
        "cache_write_5m_input_tokens": sum_of(written, "ephemeral_5m_input_tokens", "cache_creation"),
        "cache_write_1h_input_tokens": sum_of(written, "ephemeral_1h_input_tokens", "cache_creation"),
        "output_tokens": sum_of(row, "output_tokens"),
        "web_search_requests": sum_of(tools, "web_search_requests", "server_tool_use"),
        "requests": optional_sum(row, "requests"),
    }
