"""What providers reported, read as it came: beside the counted events, never added to them."""

from __future__ import annotations

import json
from datetime import datetime

import pandas as pd
from psycopg import sql

from dashboard.filters import FilterError, Filters
from dashboard.queries import database

MAX_ROWS = 100_000
USAGE, COST = "reported_usage", "reported_cost"
_ABOUT = (
    "kind",
    "source",
    "provider",
    "bucket_start",
    "bucket_end",
    "grouping",
    "model",
    "platform",
    "workspace_id",
    "api_key_id",
    "user_id",
    "service_tier",
    "context_window",
    "inference_geo",
    "speed",
    "product",
    "dimensions",
    "refreshed_at",
    "received_at",
)
_METERS = (
    "uncached_input_tokens",
    "cache_read_input_tokens",
    "cache_write_5m_input_tokens",
    "cache_write_1h_input_tokens",
    "cache_write_unknown_ttl_input_tokens",
    "output_tokens",
    "thinking_tokens",
    "web_search_requests",
)
_AMOUNTS = ("billed_cost", "list_cost", "contracted_cost", "estimated_cost")
# Rows of a group by which the report's rows overlap: a person in two groups is in both.
_OVERLAPPING = "rbac_group_id"


def usage(filters: Filters, kind: str = "") -> pd.DataFrame:
    """Reported usage of buckets that begin in the range, one row a reported row, in order of time.

    Columns: kind, source, provider, bucket_start, bucket_end (UTC), grouping, the dimensions ('' = none or not asked
    for; `dimensions` holds the rarer ones), refreshed_at, received_at, the disjoint meters, requests (None = not said).
    Of the filters, the range and `provider` count. Raises FilterError when there are
    more than MAX_ROWS.
    """
    return _listed(USAGE, (*_ABOUT, *_METERS, "requests"), filters, kind)


def cost(filters: Filters, kind: str = "") -> pd.DataFrame:
    """Reported cost, likewise: the same about each row, then line_item, cost_type, token_type, quantity, unit,
    requests, currency and the amounts (Decimal, None = not given) billed_cost, list_cost, contracted_cost and
    estimated_cost.
    """
    words = ("line_item", "cost_type", "token_type", "quantity", "unit", "requests", "currency")
    return _listed(COST, (*_ABOUT, *words, *_AMOUNTS), filters, kind)


def usage_by_model(filters: Filters) -> pd.DataFrame:
    """One row a report and model: kind, source, provider, platform, model (as reported), first, last (the range of
    the report's buckets), the sums of the meters.
    """
    return _summed(USAGE, _METERS, (), filters)


def cost_by_model(filters: Filters) -> pd.DataFrame:
    """The same of reported cost, by currency as well; an amount that no row of the group gives is None."""
    return _summed(COST, _AMOUNTS, ("currency",), filters)


def _listed(table: str, names: tuple[str, ...], filters: Filters, kind: str) -> pd.DataFrame:
    columns = sql.SQL(", ").join(sql.Identifier("wanted", name) for name in names)
    tail = sql.SQL("ORDER BY bucket_start, kind, source, wanted.id LIMIT {}").format(
        sql.Literal(MAX_ROWS + 1)
    )
    rows = _rows(table, columns, tail, filters, kind)
    if len(rows) > MAX_ROWS:
        raise FilterError(
            "start", f"the answer has more than {MAX_ROWS:,} rows: use a shorter range, a kind or a provider"
        )
    rows["dimensions"] = rows["dimensions"].map(json.loads)
    return rows


def _summed(table: str, sums: tuple[str, ...], more: tuple[str, ...], filters: Filters) -> pd.DataFrame:
    report = ("source_id", "kind")
    keys = ("kind", "source", "provider", "platform", "model", *more)
    grouped = sql.SQL(", ").join(sql.Identifier("wanted", name) for name in ("source_id", *keys))
    span = sql.SQL(", ").join(sql.Identifier("wanted", name) for name in report)
    columns = sql.SQL(", ").join(
        [
            *(sql.Identifier("wanted", name) for name in keys),
            sql.SQL("min(min(bucket_start)) OVER (PARTITION BY {}) AS first").format(span),
            sql.SQL("max(max(bucket_end)) OVER (PARTITION BY {}) AS last").format(span),
            *(sql.SQL("sum({0}) AS {0}").format(sql.Identifier(name)) for name in sums),
        ]
    )
    tail = sql.SQL(
        "AND NOT {} = ANY(string_to_array(wanted.\"grouping\", ','))"
        " GROUP BY {} ORDER BY kind, source, provider, model LIMIT {}"
    ).format(sql.Literal(_OVERLAPPING), grouped, sql.Literal(MAX_ROWS))
    return _rows(table, columns, tail, filters, "")


def _rows(
    table: str, columns: sql.Composable, tail: sql.Composable, filters: Filters, kind: str
) -> pd.DataFrame:
    start, end = filters.instants(database.reporting_zone())
    providers = filters.values("provider")
    parameters: dict[str, datetime | str | list[str] | None] = {
        "start": start,
        "end": end,
        "kind": kind,
        "providers": list(providers) or None,
    }
    query = database.statement("reported_rows", table=sql.Identifier(table), columns=columns, tail=tail)
    return database.frame(query, parameters)
