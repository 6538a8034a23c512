"""The cache engine put to a question: what other policies would have made of its requests, and the least possible bill.

Replaying reads single requests, so answers are remembered for as long as neither the data nor the prices change, and a
question with more requests than `MOST_REQUESTS` is answered from some of its sessions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from dashboard.filters import METER, FilterError, Filters
from dashboard.queries import request_log
from dashboard.queries.remembering import Memory
from dashboard.queries.request_log import RequestLog
from ingest.core.cache.compare import Comparison, compare
from ingest.core.cache.log import CacheLog
from ingest.core.cache.policies import STANDARD, Policy
from ingest.core.cache.reuse import DEFAULT_REUSE, ReuseTable, calibrate

MOST_REQUESTS = 400_000  # some ten seconds of work, and some hundred megabytes
KEPT = 16


@dataclass(frozen=True)
class Compared:
    """A comparison at the models' prices for short prompts, and of which requests; the rest as in `RequestLog`."""

    comparison: Comparison
    sampled: Decimal
    step_premium: Decimal
    unpriced: list[dict[str, Any]]
    reuse: ReuseTable  # what estimates rest on


_compared: Memory[Compared] = Memory(KEPT)


def policies(filters: Filters, asked: Sequence[Policy] = STANDARD, most: int = MOST_REQUESTS) -> Compared:
    """What each policy would have cost on the input side, beside what was observed and the floors."""

    def work() -> Compared:
        requests = load(filters, most, prompt_steps=False)
        table = reuse_table(requests.log)
        comparison = compare(requests.log, asked, table)
        return Compared(comparison, requests.sampled, requests.step_premium, unpriced(requests), table)

    return _compared.answer(filters, (most, tuple(asked)), work)


def reuse_table(log: CacheLog) -> ReuseTable:
    """How much of a prefix is used again after a gap: measured on the requests of the log that carry prefix lists, and
    from public traces where those are too few.
    """
    known = log.has_prefix
    return calibrate(log.where(known)) if known.any() else DEFAULT_REUSE


def unpriced(requests: RequestLog) -> list[dict[str, Any]]:
    """What is left out for want of a price, by model."""
    return [
        {"model": model, "provider": provider, "reason": reason, "requests": count}
        for (model, provider, reason), count in sorted(requests.unpriced.items())
    ]


def load(filters: Filters, most: int, prompt_steps: bool) -> RequestLog:
    """The log of a question that can be replayed. FilterError for questions about single meters."""
    if filters.values(METER):
        raise FilterError(METER, "a replay is of whole requests: it cannot be limited to single meters")
    return request_log.load(filters, most, prompt_steps)
