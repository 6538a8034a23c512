"""The cache engine put to a question: what other policies would have made of its requests, and the least possible bill.

Replaying reads single requests, so answers are remembered for as long as neither the data nor the prices change. A
question with many requests is read in parts that share no cache (`dividing`); one that is too long even so is answered
from some of its sessions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from dashboard.filters import METER, FilterError, Filters
from dashboard.queries import dividing, request_log
from dashboard.queries.dividing import divided
from dashboard.queries.remembering import Memory
from dashboard.queries.request_log import RequestLog
from ingest.core.cache.compare import Comparison, compare, merged
from ingest.core.cache.log import CacheLog
from ingest.core.cache.policies import STANDARD, Policy
from ingest.core.cache.reuse import DEFAULT_REUSE, ReuseTable, calibrate
from ingest.core.pricing import total

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


def policies(
    filters: Filters,
    asked: Sequence[Policy] = STANDARD,
    most: int = dividing.MOST,
    between: Callable[[], object] = lambda: None,
) -> Compared:
    """What each policy would have cost on the input side, beside what was observed and the floors.

    With more than `most` requests from some sessions; `between` is called after each part."""

    refuse_meters(filters)

    def work() -> Compared:
        parts = divided(filters, most, ("workspace_id", "model"))
        table = reuse_table(load(filters, dividing.PART, prompt_steps=False).log) if len(parts) > 1 else None
        found = []
        for part in parts:
            found.append(_compared_part(part, asked, table, whole=len(parts) > 1))
            between()
        return found[0] if len(found) == 1 else _merged(found)

    return _compared.answer(filters, (most, tuple(asked)), work)


def _compared_part(
    filters: Filters, asked: Sequence[Policy], table: ReuseTable | None, whole: bool
) -> Compared:
    requests = load(filters, None if whole else dividing.PART, prompt_steps=False)
    table = table or reuse_table(requests.log)
    comparison = compare(requests.log, asked, table).summed()
    return Compared(comparison, requests.sampled, requests.step_premium, unpriced([requests]), table)


def _merged(parts: Sequence[Compared]) -> Compared:
    return Compared(
        merged([part.comparison for part in parts]),
        Decimal(1),
        total(part.step_premium for part in parts),
        added_up(row for part in parts for row in part.unpriced),
        parts[0].reuse,
    )


def reuse_table(log: CacheLog) -> ReuseTable:
    """How much of a prefix is used again after a gap: measured on the requests of the log that carry prefix lists, and
    from public traces where those are too few.
    """
    known = log.has_prefix
    return calibrate(log.where(known)) if known.any() else DEFAULT_REUSE


def unpriced(logs: Iterable[RequestLog]) -> list[dict[str, Any]]:
    """What is left out for want of a price, by model."""
    return added_up(
        {"model": model, "provider": provider, "reason": reason, "requests": count}
        for requests in logs
        for (model, provider, reason), count in requests.unpriced.items()
    )


def added_up(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of `unpriced` with those about the same model as one."""
    names = ("model", "provider", "reason")
    counts: Counter[tuple[str, ...]] = Counter()
    for row in rows:
        counts[tuple(row[name] for name in names)] += row["requests"]
    return [
        {**dict(zip(names, key, strict=True)), "requests": count} for key, count in sorted(counts.items())
    ]


def load(filters: Filters, most: int | None, prompt_steps: bool) -> RequestLog:
    """The log of a question that can be replayed. FilterError for questions about single meters."""
    refuse_meters(filters)
    return request_log.load(filters, most, prompt_steps)


def refuse_meters(filters: Filters) -> None:
    """FilterError where a question is about single meters."""
    if filters.values(METER):
        raise FilterError(METER, "a replay is of whole requests: it cannot be limited to single meters")
