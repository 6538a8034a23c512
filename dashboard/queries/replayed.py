"""The cache engine put to a question: what other policies would have made of its requests, and the least possible bill.

Replaying reads single requests, so answers are remembered for as long as neither the data nor the prices change, and a
question with more requests than `MOST_REQUESTS` is answered from some of its sessions.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from threading import Lock
from typing import Any, TypeVar

from dashboard import pricebook
from dashboard.filters import METER, FilterError, Filters
from dashboard.queries import freshness, request_log
from dashboard.queries.request_log import RequestLog
from ingest.core.cache.compare import Comparison, compare
from ingest.core.cache.policies import STANDARD, Policy

MOST_REQUESTS = 400_000  # some ten seconds of work, and some hundred megabytes
KEPT = 16

Answer = TypeVar("Answer")
_kept: OrderedDict[tuple[Any, ...], Any] = OrderedDict()
_lock = Lock()


@dataclass(frozen=True)
class Compared:
    """A comparison at the models' prices for short prompts, and of which requests; the rest as in `RequestLog`."""

    comparison: Comparison
    sampled: Decimal
    step_premium: Decimal
    unpriced: list[dict[str, Any]]


def policies(filters: Filters, asked: Sequence[Policy] = STANDARD, most: int = MOST_REQUESTS) -> Compared:
    """What each policy would have cost on the input side, beside what was observed and the floors."""

    def work() -> Compared:
        requests = load(filters, most, prompt_steps=False)
        comparison = compare(requests.log, asked)
        return Compared(comparison, requests.sampled, requests.step_premium, unpriced(requests))

    return remembered(("policies", most, tuple(asked)), filters, work)


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


def remembered(kind: tuple[Any, ...], filters: Filters, work: Callable[[], Answer]) -> Answer:
    """The answer to this kind of question, worked out once for as long as data and prices stay."""
    fresh = freshness.state()
    version = (fresh.data_version, fresh.last_fill_at, pricebook.current().version)
    key = (*kind, filters.start, filters.end, filters.where, *version)
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]  # type: ignore[no-any-return]  # the kind in the key tells its type
    answer = work()
    with _lock:
        _kept[key] = answer
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    return answer
