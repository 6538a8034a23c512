"""Spend: quantities and their list cost, by any dimension and over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from functools import cached_property
from typing import Any

import pandas as pd

from dashboard.filters import METER, Filters
from dashboard.pricebook import METERS, TOKEN_METERS
from dashboard.queries import costing, database
from dashboard.queries.quantities import TooManyRows
from ingest.core.timegrain import local_day_start

BUCKET = "bucket_start"
# What an answer's rows count, in the order they are shown.
COUNTS = (
    "requests",
    "uncached_input_tokens",
    "cache_read_input_tokens",
    "cache_write_5m_input_tokens",
    "cache_write_1h_input_tokens",
    "output_tokens",
    "thinking_tokens",
    "web_search_requests",
)


@dataclass(frozen=True)
class Report:
    """One answer from one read: its rows (see `by`), their total (see `total`) and what has no price (see `unpriced`),
    each worked out when it is asked for. `priced` is split at least as finely as `dims` and `grain` ask."""

    priced: costing.Priced
    filters: Filters
    dims: tuple[str, ...]
    grain: str

    @cached_property
    def rows(self) -> pd.DataFrame:
        buckets = [BUCKET] if self.grain != "total" else []
        keys = [*buckets, *(name for name in self.dims if name != METER)]
        summed = costing.add_up(self.priced, keys, [_column(name) for name in _amounts(self.dims)])
        rows = costing.as_frame(summed)
        if METER in self.dims:
            rows = _by_meter(rows, self.filters)
        order = [*buckets, *self.dims, *(["quantity"] if METER in self.dims else [])]
        names = [*order, *COUNTS, "list_cost", "unpriced_requests", "unpriced_tokens"]
        return with_times(rows, self.grain)[names]

    @cached_property
    def totals(self) -> dict[str, Any]:
        return _totals(costing.add_up(self.priced, [], ["list_cost"]))

    @cached_property
    def unpriced(self) -> pd.DataFrame:
        return costing.unpriced(self.priced)


def report(
    filters: Filters,
    dims: Sequence[str] = (),
    grain: str = "total",
    priced: costing.Priced | None = None,
) -> Report:
    """Rows, total and unpriced of a question, from one read, or from one that was made already (`costing.read`, which
    does not hold the costs of single meters)."""
    if priced is None:
        amounts = {_column(name): amount for name, amount in _amounts(dims).items()}
        priced = costing.load(filters, dims, grain, amounts)
    return Report(priced, filters, tuple(dims), grain)


def _amounts(dims: Sequence[str]) -> dict[str, costing.Amount]:
    meters = {meter: costing.of_meter(meter) for meter in METERS} if METER in dims else {}
    return {"list_cost": costing.list_cost, **meters}


def by(
    filters: Filters,
    dims: Sequence[str] = (),
    grain: str = "total",
    priced: costing.Priced | None = None,
) -> pd.DataFrame:
    """Spend by dimensions and time. One row a combination that occurred, ordered by time and then dimensions.

    Columns: bucket_start unless the grain is total (aware Timestamp: UTC hour, or midnight of the reporting
    zone for day and month); each name of `dims` (text, None = none); requests; uncached_input_tokens,
    cache_read_input_tokens, cache_write_5m_input_tokens, cache_write_1h_input_tokens, output_tokens (tokens);
    thinking_tokens (tokens, part of output_tokens); web_search_requests (searches); list_cost (USD as
    Decimal, of what has a price; None where nothing has); unpriced_requests, unpriced_tokens (the part of
    requests and tokens that list_cost leaves out).

    With `meter` among the dims there is one row a meter that occurred: `quantity` (tokens or searches) and
    `list_cost` are that meter's, the other meters' columns are 0, and `requests` counts the requests of the
    row's group."""
    return report(filters, dims, grain, priced).rows


def total(filters: Filters, priced: costing.Priced | None = None) -> dict[str, Any]:
    """The whole question in one: every name of COUNTS, unpriced_requests, unpriced_tokens (int), list_cost.

    list_cost is a Decimal in USD of what has a price: 0 when there is nothing at all, None when nothing has a
    price."""
    return report(filters, priced=priced).totals


def unpriced(filters: Filters, priced: costing.Priced | None = None) -> pd.DataFrame:
    """What the question's list_cost leaves out, by model.

    Columns: model, provider (text or None), reason (a sentence), and every name of COUNTS.
    """
    return costing.unpriced(costing.load(filters, (), "total", {}) if priced is None else priced)


def with_times(rows: pd.DataFrame, grain: str) -> pd.DataFrame:
    """The rows with bucket_start as aware Timestamps: UTC for hours, the reporting zone for others."""
    if grain == "total":
        return rows
    zone = database.reporting_zone()
    starts = list(rows[BUCKET]) if grain == "hour" else [local_day_start(day, zone) for day in rows[BUCKET]]
    times = pd.to_datetime(pd.Series(starts, dtype=object), utc=True).astype("datetime64[us, UTC]")
    return rows.assign(**{BUCKET: times.dt.tz_convert(UTC if grain == "hour" else zone)})


def _column(name: str) -> str:
    """Costs of single meters stand beside the meters' own columns."""
    return name if name == "list_cost" else f"{name}_cost"


def _totals(summed: costing.Sums) -> dict[str, Any]:
    counts = [*COUNTS, "unpriced_requests", "unpriced_tokens"]
    if not len(summed["requests"]):
        return {**dict.fromkeys(counts, 0), "list_cost": Decimal(0)}
    return {**{name: int(summed[name][0]) for name in counts}, "list_cost": summed["list_cost"][0]}


def _by_meter(rows: pd.DataFrame, filters: Filters) -> pd.DataFrame:
    """One row a group becomes one row a meter that the group used."""
    wanted = filters.values(METER) or METERS
    parts = []
    for place, meter in enumerate(METERS):
        if meter not in wanted:
            continue
        part = rows[rows[meter] > 0].copy()
        part[METER] = pd.Series([meter] * len(part), index=part.index, dtype=object)
        part["quantity"] = part[meter]
        part["list_cost"] = part[f"{meter}_cost"].where(part[f"unpriced_{meter}"] < part[meter], None)
        part["unpriced_tokens"] = part[f"unpriced_{meter}"] if meter in TOKEN_METERS else 0
        for other in METERS:
            if other != meter:
                part[other] = 0
        if meter != "output_tokens":
            part["thinking_tokens"] = 0
        part["place"] = place
        parts.append(part)
    stacked = pd.concat(parts) if parts else rows.assign(**{METER: None, "quantity": 0, "place": 0}).iloc[:0]
    stacked = stacked.rename_axis("group").reset_index().sort_values(["group", "place"], ignore_index=True)
    if len(stacked) > costing.MAX_ROWS:
        raise TooManyRows(costing.MAX_ROWS)
    return stacked
