"""What the prompt cache did: hit rates, reads per write, and the money it saved or cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from functools import cached_property
from typing import Any

import numpy as np
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


@dataclass(frozen=True)
class Report:
    """One answer from one read: its rows (see `by`), their total, and what has no price (see `spend.unpriced`), each
    worked out when it is asked for. `priced` is split at least as finely as `dims` and `grain` ask."""

    priced: costing.Priced
    dims: tuple[str, ...]
    grain: str

    @cached_property
    def rows(self) -> pd.DataFrame:
        keys = [*([BUCKET] if self.grain != "total" else []), *self.dims]
        rows = _with_rates(costing.add_up(self.priced, keys, list(costing.OF_PAGES)))
        names = [*keys, *COUNTS, *RATES, *AMOUNTS, "unpriced_requests", "unpriced_tokens"]
        return with_times(costing.as_frame({name: rows[name] for name in names}), self.grain)

    @cached_property
    def totals(self) -> dict[str, Any]:
        return _totals(_with_rates(costing.add_up(self.priced, [], list(costing.OF_PAGES))))

    @cached_property
    def unpriced(self) -> pd.DataFrame:
        return costing.unpriced(self.priced)


def report(
    filters: Filters,
    dims: Sequence[str] = (),
    grain: str = "total",
    priced: costing.Priced | None = None,
) -> Report:
    """Rows, total and unpriced of a question, from one read, or from one that was made already (`costing.read`)."""
    if METER in dims or filters.values(METER):
        raise FilterError(
            "group_by" if METER in dims else METER,
            "cache rates span the meters: they cannot be split by meter",
        )
    if priced is None:
        priced = costing.load(filters, dims, grain, costing.OF_PAGES)
    return Report(priced, tuple(dims), grain)


def by(
    filters: Filters,
    dims: Sequence[str] = (),
    grain: str = "total",
    priced: costing.Priced | None = None,
) -> pd.DataFrame:
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
    return report(filters, dims, grain, priced).rows


def total(filters: Filters, priced: costing.Priced | None = None) -> dict[str, Any]:
    """The whole question in one: COUNTS, RATES, AMOUNTS (0 USD when there is nothing at all),
    unpriced_requests/_tokens.
    """
    return report(filters, priced=priced).totals


def token_hit_rates(priced: costing.Priced, grain: str) -> pd.DataFrame:
    """The token hit rates of `by` alone, by bucket and model, from a read that is split so; without the amounts, which
    are most of the work. Columns: bucket_start, model, token_hit_rate."""
    summed = costing.add_up(priced, [BUCKET, "model"], [])
    tokens = sum(summed[meter] for meter in INPUT_METERS)
    rates = _ratio(summed["cache_read_input_tokens"], tokens)
    columns = {BUCKET: summed[BUCKET], "model": summed["model"], "token_hit_rate": rates}
    return with_times(costing.as_frame(columns), grain)


def _with_rates(rows: costing.Sums) -> costing.Sums:
    read, uncached = rows["cache_read_input_tokens"], rows["uncached_input_tokens"]
    written = rows["cache_write_5m_input_tokens"] + rows["cache_write_1h_input_tokens"]
    # With no cache, reads would have cost read_saving more and writes write_premium less.
    saving = _exact(EXACT.subtract, rows["read_saving"], rows["write_premium"])
    return {
        **rows,
        "token_hit_rate": _ratio(read, read + uncached + written),
        "request_hit_rate": _ratio(rows["requests_with_read"], rows["requests"]),
        "reads_per_write": _ratio(read, written),
        "cache_saving": saving,
        "no_cache_cost": _exact(EXACT.add, rows["list_cost"], saving),
    }


def _exact(
    operation: Callable[[Decimal, Decimal], Decimal], left: np.ndarray, right: np.ndarray
) -> np.ndarray:
    pairs = zip(left, right, strict=True)
    return costing.objects([None if one is None else operation(one, other) for one, other in pairs])


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    with localcontext() as context:
        context.prec = 60
        return costing.objects(
            [
                (Decimal(above) / Decimal(below)).quantize(_PLACES, ROUND_HALF_EVEN).normalize()
                if below
                else None
                for above, below in zip(part.tolist(), whole.tolist(), strict=True)
            ]
        )


def _totals(summed: costing.Sums) -> dict[str, Any]:
    counts = [*COUNTS, "unpriced_requests", "unpriced_tokens"]
    if not len(summed["requests"]):
        return {**dict.fromkeys(counts, 0), **dict.fromkeys(RATES), **dict.fromkeys(AMOUNTS, Decimal(0))}
    return {
        **{name: int(summed[name][0]) for name in counts},
        **{name: summed[name][0] for name in (*RATES, *AMOUNTS)},
    }
