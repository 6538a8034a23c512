"""What the prompt cache did: hit rates, reads per write, and the money it saved or cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Any

import pandas as pd

from dashboard.filters import METER, FilterError, Filters
from dashboard.queries import costing
from dashboard.queries.spend import BUCKET, with_times
from ingest.core.pricing import EXACT, TOKEN_METERS

INPUT_METERS = TOKEN_METERS[:4]
COUNTS = ("requests", "requests_with_read", "requests_with_write", *INPUT_METERS)
RATES = ("token_hit_rate", "request_hit_rate", "reads_per_write")
AMOUNTS = ("list_cost", "no_cache_cost", "cache_saving", "read_saving", "write_premium")
_PLACES = Decimal("0.000000000001")
_COSTS = {
    "list_cost": costing.list_cost,
    "read_saving": costing.read_saving,
    "write_premium": costing.write_premium,
}


@dataclass(frozen=True)
class Report:
    """One answer, read once: its rows (see `by`), their total, what has no price (see `spend.unpriced`)."""

    rows: pd.DataFrame
    totals: dict[str, Any]
    unpriced: pd.DataFrame


def report(filters: Filters, dims: Sequence[str] = (), grain: str = "total") -> Report:
    """Rows, total and unpriced of a question, from one read."""
    if METER in dims or filters.values(METER):
        raise FilterError(
            "group_by" if METER in dims else METER,
            "cache rates span the meters: they cannot be split by meter",
        )
    priced = costing.load(filters, dims, grain, _COSTS)
    keys = [*([BUCKET] if grain != "total" else []), *dims]
    rows = _with_rates(costing.add_up(priced, keys, list(_COSTS)))
    rows = with_times(rows, grain)[[*keys, *COUNTS, *RATES, *AMOUNTS, "unpriced_requests", "unpriced_tokens"]]
    summed = _with_rates(costing.add_up(priced, [], list(_COSTS)))
    return Report(rows, _totals(summed), costing.unpriced(priced))


def by(filters: Filters, dims: Sequence[str] = (), grain: str = "total") -> pd.DataFrame:
    """Cache behaviour by dimensions and time. One row a combination that occurred, ordered by time and
    dimensions.

    Columns: bucket_start and dims as in `spend.by`; requests, requests_with_read, requests_with_write;
    uncached_input_tokens, cache_read_input_tokens, cache_write_5m_input_tokens, cache_write_1h_input_tokens
    (tokens); token_hit_rate (read tokens / total input tokens), request_hit_rate (requests with a read /
    requests) and reads_per_write (read tokens / written tokens) as Decimals to 12 places, None where the
    divisor is 0; list_cost, no_cache_cost (every read and written token at the uncached price of its own lane
    and day), cache_saving (no_cache_cost - list_cost = read_saving - write_premium; may be negative),
    read_saving and write_premium in USD as Decimals, of what has a price, None where nothing has;
    unpriced_requests, unpriced_tokens."""
    return report(filters, dims, grain).rows


def total(filters: Filters) -> dict[str, Any]:
    """The whole question in one: COUNTS, RATES, AMOUNTS (0 USD when there is nothing at all),
    unpriced_requests/_tokens.
    """
    return report(filters).totals


def _with_rates(rows: pd.DataFrame) -> pd.DataFrame:
    read, uncached = rows["cache_read_input_tokens"], rows["uncached_input_tokens"]
    written = rows["cache_write_5m_input_tokens"] + rows["cache_write_1h_input_tokens"]
    rows["token_hit_rate"] = _ratio(read, read + uncached + written)
    rows["request_hit_rate"] = _ratio(rows["requests_with_read"], rows["requests"])
    rows["reads_per_write"] = _ratio(read, written)
    # With no cache, reads would have cost read_saving more and writes write_premium less.
    saving = _exact(EXACT.subtract, rows["read_saving"], rows["write_premium"])
    rows["cache_saving"] = saving
    rows["no_cache_cost"] = _exact(EXACT.add, rows["list_cost"], saving)
    return rows


def _exact(operation: Callable[[Decimal, Decimal], Decimal], left: pd.Series, right: pd.Series) -> pd.Series:
    pairs = zip(left, right, strict=True)
    return pd.Series([None if one is None else operation(one, other) for one, other in pairs], dtype=object)


def _ratio(part: pd.Series, whole: pd.Series) -> pd.Series:
    with localcontext() as context:
        context.prec = 60
        ratios = [
            (Decimal(int(above)) / Decimal(int(below))).quantize(_PLACES, ROUND_HALF_EVEN).normalize()
            if below
            else None
            for above, below in zip(part, whole, strict=True)
        ]
    return pd.Series(ratios, dtype=object)


def _totals(summed: pd.DataFrame) -> dict[str, Any]:
    counts = [*COUNTS, "unpriced_requests", "unpriced_tokens"]
    if summed.empty:
        return {**dict.fromkeys(counts, 0), **dict.fromkeys(RATES), **dict.fromkeys(AMOUNTS, Decimal(0))}
    first = summed.iloc[0]
    return {
        **{name: int(first[name]) for name in counts},
        **{name: first[name] for name in (*RATES, *AMOUNTS)},
    }
