"""One chain request by request: the requests of a session, or of all sessions that share a prefix."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import numpy as np

from dashboard.filters import Filters
from dashboard.queries import request_log
from dashboard.queries.causes import NEW
from dashboard.queries.request_log import RequestLog
from ingest.core.cache.causes import CAUSES, attribute
from ingest.core.cache.log import CacheLog, InputPrices, Ints
from ingest.core.pricing import EXACT
from ingest.core.timegrain import from_micros
from ingest.models import Session

MOST_REQUESTS = 5_000  # of a chain; a longer one is looked at in a shorter range
PAGE = 60


@dataclass(frozen=True)
class Step:
    """One request of a chain.

    gap_s   seconds since the start of the request before, in the same cache; None for the first
    causes  (cause, tokens) of what it wrote, the most first
    extra_cost  USD that writing again cost above reading
    """

    number: int
    occurred_at: datetime
    gap_s: float | None
    model: str
    workspace_id: str
    session_id: str
    uncached: int
    read: int
    write_5m: int
    write_1h: int
    causes: tuple[tuple[str, int], ...]
    extra_cost: Decimal


@dataclass(frozen=True)
class Timeline:
    """A page of a chain. requests: in the whole chain; more: it is longer than `MOST_REQUESTS` and was cut."""

    steps: tuple[Step, ...]
    page: int
    pages: int
    requests: int
    more: bool
    basis: str
    written_again: int
    unpriced: int


def timeline(filters: Filters, block: int | None, page: int, moment: int | None = None) -> Timeline:
    """The requests of the question in order of time, sixty a page. They are judged by one another alone.

    With a moment (microseconds UTC) the page is the one on which the request that began then stands.
    """
    found = request_log.first(filters, MOST_REQUESTS + 1, block)
    unpriced = sum(found.unpriced.values())
    more = len(found.log) + unpriced > MOST_REQUESTS
    log = found.log.where(np.arange(len(found.log)) < MOST_REQUESTS)  # they are in order of time
    attribution = attribute(log)
    pages = max(1, -(-len(log) // PAGE))
    if moment is not None:
        page = int(np.searchsorted(log.start, moment)) // PAGE + 1
    page = min(max(page, 1), pages)
    at = np.arange(len(log))[(page - 1) * PAGE : page * PAGE]
    gaps = _gaps(log, by_domain=block is not None)
    new = [CAUSES.index(cause) for cause in NEW]
    again, again_1h = (
        np.delete(each, new, axis=1).sum(axis=1) for each in (attribution.by_request, attribution.in_1h)
    )
    names = dict(
        Session.objects.filter(pk__in={int(found.session_key[each]) for each in at}).values_list(
            "pk", "session_id"
        )
    )
    return Timeline(
        steps=tuple(
            _step(
                found,
                log,
                int(each),
                gaps,
                attribution.by_request[each],
                _above_reading(log.prices[log.price[each]], int(again[each]), int(again_1h[each])),
                names,
            )
            for each in at
        ),
        page=page,
        pages=pages,
        requests=len(log),
        more=more,
        basis=attribution.basis,
        written_again=int(again.sum()),
        unpriced=unpriced,
    )


def _gaps(log: CacheLog, by_domain: bool) -> Ints:
    """Microseconds since the request before: in the chain, or in the whole cache."""
    if not by_domain:
        return log.gap_before
    order = np.lexsort((log.start, log.domain))
    gaps = np.full(len(log), -1, dtype=np.int64)
    same = log.domain[order][1:] == log.domain[order][:-1]
    gaps[order[1:][same]] = np.diff(log.start[order])[same]
    return gaps


def _above_reading(price: InputPrices, tokens: int, in_1h: int) -> Decimal:
    """USD of writing these tokens above reading them."""
    short = EXACT.multiply(Decimal(tokens - in_1h), EXACT.subtract(price.write_5m, price.read))
    return EXACT.fma(Decimal(in_1h), EXACT.subtract(price.write_1h, price.read), short)


def _step(
    found: RequestLog, log: CacheLog, at: int, gaps: Ints, tokens: Ints, extra: Decimal, names: dict[int, str]
) -> Step:
    said = [(cause, int(count)) for cause, count in zip(CAUSES, tokens, strict=True) if count]
    return Step(
        number=at + 1,
        occurred_at=from_micros(int(log.start[at])),
        gap_s=float(gaps[at]) / 1e6 if gaps[at] >= 0 else None,
        model=found.lanes[int(found.lane_id[at])].model,
        workspace_id=str(found.label_sets[int(found.label_set_id[at])]["workspace_id"]),
        session_id=names.get(int(found.session_key[at]), ""),
        uncached=int(log.uncached[at]),
        read=int(log.read[at]),
        write_5m=int(log.write_5m[at]),
        write_1h=int(log.write_1h[at]),
        causes=tuple(sorted(said, key=lambda each: -each[1])),
        extra_cost=extra,
    )
