"""Aggregated rows that a provider reported: usage and cost of a whole bucket, not of one call.

They are kept beside the events and never added to them: the same calls may be in both. Set side by side they show
what was not counted, or was counted at another price.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

MAX_REPORTED_COUNT = 10**15  # a bucket sums many calls; a column holds nine times 10^18
MAX_AMOUNT = Decimal(10) ** 12  # of any currency, either way
MAX_QUANTITY = Decimal(10) ** 18  # of tokens, requests, hours, ...
AMOUNT_PLACES = 18  # decimal places that are stored


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reported:
    """What every reported row says about itself.

    A dimension is '' both when the report was not grouped by it and when it has no value there (a null workspace is
    the default workspace); only `grouping` tells the two apart. It names what the report was split by, or is '' for
    reports that know only one split. Of a day reported in several groupings, one is shown: the latest.
    """

    kind: str  # the report: the name of its format, such as "anthropic_usage_report"
    provider: str  # whose report it is: "anthropic", "openai", ...
    start: datetime  # aware UTC; the bucket is [start, end)
    end: datetime
    grouping: str = ""  # dimensions, sorted, comma between; "nothing" for a total
    model: str = ""  # as the report writes it
    platform: str = ""
    workspace_id: str = ""  # also a project, a sub-account
    api_key_id: str = ""
    user_id: str = ""
    service_tier: str = ""
    context_window: str = ""
    inference_geo: str = ""
    speed: str = ""
    product: str = ""
    dimensions: tuple[tuple[str, str], ...] = ()  # rarer ones, sorted by name, names unique
    refreshed_at: datetime | None = None  # the data's watermark, if given: older never replaces newer


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedUsage(_Reported):
    """Sums of the disjoint meters over one bucket and one combination of dimensions.

    `cache_write_unknown_ttl_input_tokens` are cache writes whose report does not tell 5 minutes from 1 hour; it
    overlaps neither of the other two. `requests` is None where the report does not count them.
    """

    uncached_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_write_5m_input_tokens: int = 0
    cache_write_1h_input_tokens: int = 0
    cache_write_unknown_ttl_input_tokens: int = 0
    output_tokens: int = 0
    thinking_tokens: int = 0  # a subset of output_tokens
    web_search_requests: int = 0
    requests: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedCost(_Reported):
    """Amounts of one line of a cost report, in whole units of `currency` (dollars, not cents), exact.

    Each amount is None where the report does not give it: `billed_cost` is what is invoiced, `list_cost` the same at
    published prices, `contracted_cost` at negotiated ones, `estimated_cost` a figure that is no bill.
    """

    currency: str  # ISO 4217, upper case
    billed_cost: Decimal | None = None
    list_cost: Decimal | None = None
    contracted_cost: Decimal | None = None
    estimated_cost: Decimal | None = None
    line_item: str = ""  # the report's own words for the line
    cost_type: str = ""  # "tokens", "web_search", "code_execution", ...
    token_type: str = ""  # as the report writes it
    quantity: Decimal | None = None
    unit: str = ""  # of `quantity`
    requests: int | None = None


Reported = ReportedUsage | ReportedCost
Row = TypeVar("Row", ReportedUsage, ReportedCost)

USAGE_METERS = (
    "uncached_input_tokens",
    "cache_read_input_tokens",
    "cache_write_5m_input_tokens",
    "cache_write_1h_input_tokens",
    "cache_write_unknown_ttl_input_tokens",
    "output_tokens",
    "thinking_tokens",
    "web_search_requests",
    "requests",
)
COST_AMOUNTS = ("billed_cost", "list_cost", "contracted_cost", "estimated_cost", "quantity", "requests")
_NOT_IN_KEY = {*USAGE_METERS, *COST_AMOUNTS, "refreshed_at"}
# The named dimensions that a report may be grouped by.
_GROUPED = (
    "model",
    "workspace_id",
    "api_key_id",
    "user_id",
    "service_tier",
    "context_window",
    "inference_geo",
    "speed",
    "product",
    "line_item",
    "cost_type",
    "token_type",
)


def natural_key(row: Reported, source: str | int) -> bytes:
    """16 bytes for what the row is about: source, report, bucket and every dimension, but none of its numbers.

    A row with the same key is the same line reported again, and takes the older one's place.
    """
    values = [type(row).__name__, str(source)]
    for field in fields(row):
        if field.name not in _NOT_IN_KEY:
            value = getattr(row, field.name)
            values.append(value.isoformat() if isinstance(value, datetime) else repr(value))
    return hashlib.blake2b("\x1f".join(values).encode("utf-8", "replace"), digest_size=16).digest()


def with_grouping(rows: Sequence[Row], given: str | None = None) -> list[Row]:
    """The rows of one document, told what the document was grouped by: every dimension that any of them names.

    For reports that give all dimensions in every row and null where they were not asked for. `given` is the answer of
    a caller that knows, dimensions with commas between.
    """
    named = {name for row in rows for name in _GROUPED if getattr(row, name, "")}
    named |= {name for row in rows for name, value in row.dimensions if value}
    if given is not None:
        named = set(filter(None, given.split(",")))
    grouping = ",".join(sorted(named)) or "nothing"
    return [replace(row, grouping=grouping) for row in rows]
