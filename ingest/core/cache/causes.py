"""Why tokens were written to the cache: every written token gets one cause, and the causes add up to the bill."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ingest.core.cache.bill import ESTIMATED_BASIS, EXACT_BASIS, cost_of, rates_of, sum_by
from ingest.core.cache.log import TTL_1H_US, CacheLog, Floats, InputPrices, Ints, Mask
from ingest.core.cache.replay import alive, waiting
from ingest.core.cache.reuse import own_ttl
from ingest.core.cache.touches import Requests, chunks, parts
from ingest.core.pricing import EXACT

COLD_START = "cold start"  # first of its chain
MODEL_CHANGED = "model changed"  # first of its chain, but the session had used another model
LAPSE = "lapse 5-60 min"  # an hour's TTL would have kept it
LONG_LAPSE = "lapse over 60 min"
PREFIX_CHANGED = "prefix changed"
EARLY_EVICTION = "early eviction"  # it should have been alive, and the prompt began the same
COMPACTION = "compaction or new start"  # the prompt shrank by over a tenth
CONCURRENT = "concurrent start"  # the answer of the request that wrote it had not begun
BELOW_MINIMUM = "below minimum"  # shorter than the model caches
UNKNOWN = "unknown"
GROWTH = "growth"  # new at the end of the prompt

# In the order of a prompt: what is written again comes before what is new. 1-hour writes come first, too.
CAUSES = (
    COLD_START,
    MODEL_CHANGED,
    LAPSE,
    LONG_LAPSE,
    PREFIX_CHANGED,
    EARLY_EVICTION,
    COMPACTION,
    CONCURRENT,
    BELOW_MINIMUM,
    UNKNOWN,
    GROWTH,
)
NUMBER = {name: number for number, name in enumerate(CAUSES)}
SHRUNK = 0.9
ABOUT_NOTHING = 0.05  # of the prefix before: less read than this is a break at the root


class CostlyWrite(NamedTuple):
    """One request's dearest cause."""

    position: int  # in the log
    cause: str
    tokens: int
    extra_cost: Decimal  # USD above reading the same tokens


@dataclass(frozen=True)
class Attribution:
    """Written tokens by cause.

    by_request  [request, cause] tokens; rows add up to what the request wrote
    in_1h       the part of these that was written at an hour's price
    basis       "exact" where every writer carries a prefix list, else "estimated"
    """

    by_request: Ints
    in_1h: Ints
    price: Ints
    prices: tuple[InputPrices, ...]
    basis: str

    @cached_property
    def tokens(self) -> dict[str, int]:
        """Tokens by cause; they add up to all tokens written."""
        return dict(zip(CAUSES, self.by_request.sum(axis=0).tolist(), strict=True))

    @cached_property
    def write_cost(self) -> dict[str, Decimal]:
        """USD by cause, exact; they add up to what all writes cost."""
        return {cause: cost_of(self._sums(cause), self.prices) for cause in CAUSES}

    @cached_property
    def extra_cost(self) -> dict[str, Decimal]:
        """USD by cause, exact, above what reading the same tokens would have cost."""
        return {cause: self._extra(self._sums(cause)) for cause in CAUSES}

    def tokens_by(self, groups: Ints, count: int) -> Ints:
        """Tokens [group, cause]; `groups` has a number from 0 to count - 1 for each request."""
        return np.stack([sum_by(groups, column, count) for column in self.by_request.T], axis=1)

    def extra_costs_by(self, groups: Ints, count: int) -> Floats:
        """USD [group, cause] above reading, as floats: for charts."""
        columns = [np.bincount(groups, weights=column, minlength=count) for column in self._extras.T]
        return np.stack(columns, axis=1).astype(np.float64)

    def costliest(self, most: int = 20) -> Iterator[CostlyWrite]:
        """The single rewrites that cost most above reading; growth and cold starts are no rewrites."""
        again = self._extras.copy()
        again[:, [NUMBER[COLD_START], NUMBER[MODEL_CHANGED], NUMBER[GROWTH]]] = 0
        worst = again.max(axis=1, initial=0.0)
        for position in np.argsort(-worst, kind="stable")[:most].tolist():
            if worst[position] <= 0:
                return
            number = int(again[position].argmax())
            tokens, hour = int(self.by_request[position, number]), int(self.in_1h[position, number])
            sums = np.zeros((len(self.prices), 4), dtype=np.int64)
            sums[self.price[position]] = (0, 0, tokens - hour, hour)
            yield CostlyWrite(position, CAUSES[number], tokens, self._extra(sums))

    @cached_property
    def _extras(self) -> Floats:
        rates = rates_of(self.prices)[self.price]
        above = rates[:, 2:] - rates[:, 1:2]
        return (self.by_request - self.in_1h) * above[:, :1] + self.in_1h * above[:, 1:]

    def _sums(self, cause: str) -> Ints:
        number = NUMBER[cause]
        hour, both = self.in_1h[:, number], self.by_request[:, number]
        sums = np.zeros((len(self.prices), 4), dtype=np.int64)
        sums[:, 2] = sum_by(self.price, both - hour, len(self.prices))
        sums[:, 3] = sum_by(self.price, hour, len(self.prices))
        return sums

    def _extra(self, sums: Ints) -> Decimal:
        reading = np.zeros_like(sums)
        reading[:, 1] = sums[:, 2] + sums[:, 3]
        return EXACT.subtract(cost_of(sums, self.prices), cost_of(reading, self.prices))


def attribute(log: CacheLog) -> Attribution:
    """A cause for every written token.

    With prefix lists the blocks say what was known, alive and readable. With counters alone a rewrite gets the first
    cause that fits; a break at the root inside the TTL is a changed prefix when the chain breaks so again right before
    or after, and unknown when it comes once, since an early eviction looks the same.
    """
    written = log.write_5m + log.write_1h
    causes = np.zeros((len(log), len(CAUSES)), dtype=np.int64)
    short = (written > 0) & (log.total_input < log.min_tokens)
    causes[short, NUMBER[BELOW_MINIMUM]] = written[short]
    blocks = log.has_prefix & (written > 0) & ~short
    counters = (written > 0) & ~short & ~blocks
    _from_counters(log, counters, written, causes)
    if blocks.any():
        _from_blocks(log, blocks, written, causes)
    causes[:, NUMBER[UNKNOWN]] += written - causes.sum(axis=1)
    reached = np.minimum(np.cumsum(causes, axis=1), log.write_1h[:, None])
    return Attribution(
        by_request=causes,
        in_1h=np.diff(reached, axis=1, prepend=0),
        price=log.price,
        prices=log.prices,
        basis=ESTIMATED_BASIS if counters.any() else EXACT_BASIS,
    )


def _from_counters(log: CacheLog, chosen: Mask, written: Ints, causes: Ints) -> None:
    before = log.previous
    later = before >= 0
    prefix, total = log.cached_prefix, log.total_input
    earlier = np.where(later, prefix[before], 0)
    growth = np.where(later, np.clip(total - earlier, 0, written), 0)
    gap = log.gap_before
    ttl = np.where(later, own_ttl(log)[before], -1)
    broken = later & (gap <= ttl) & (log.read < ABOUT_NOTHING * earlier) & (written > growth)
    again = broken & (_neighbour(log, broken) | _follower(log, broken))
    cause = np.select(
        [
            ~later & _other_model(log),
            ~later,
            total < SHRUNK * np.where(later, total[before], 0),
            (gap > ttl) & (gap > TTL_1H_US),
            (gap > ttl) & (ttl >= 0),
            log.start < np.where(later, log.ready[before], 0),
            broken & ~again,
            log.read < earlier,
        ],
        [
            NUMBER[name]
            for name in (
                MODEL_CHANGED,
                COLD_START,
                COMPACTION,
                LONG_LAPSE,
                LAPSE,
                CONCURRENT,
                UNKNOWN,
                PREFIX_CHANGED,
            )
        ],
        NUMBER[UNKNOWN],
    )
    at = np.flatnonzero(chosen)
    causes[at, NUMBER[GROWTH]] = growth[at]
    np.add.at(causes, (at, cause[at]), (written - growth)[at])


def _from_blocks(log: CacheLog, chosen: Mask, written: Ints, causes: Ints) -> None:
    """Each block of a written part by what was there: nothing, a lapsed entry, one not readable yet, a live one."""
    before = log.previous
    later = before >= 0
    lifetime, total = own_ttl(log), log.total_input
    new = np.select(
        [~later & _other_model(log), ~later, total < SHRUNK * np.where(later, total[before], 0)],
        [NUMBER[MODEL_CHANGED], NUMBER[COLD_START], NUMBER[COMPACTION]],
        NUMBER[PREFIX_CHANGED],
    )
    # Beyond the prefix of the request before, new blocks are growth.
    edge = np.where(later, log.cached_prefix[before], np.iinfo(np.int64).max)
    for requests in chunks(log):
        at = requests.position
        state = _states(requests, lifetime[at])
        owner = requests.owner
        top, bottom = requests.tokens, requests.tokens - requests.block_tokens
        low = log.read[at][owner]
        high = low + np.where(chosen[at], written[at], 0)[owner]
        fresh = state < 0
        limit = np.where(fresh, np.maximum(edge[at][owner], low), high)
        tokens = _overlap(bottom, top, low, np.minimum(high, limit))
        grown = _overlap(bottom, top, np.minimum(limit, high), high)
        cause = np.where(fresh, new[at][owner], state)
        np.add.at(causes, (at[owner], cause), tokens)
        np.add.at(causes, (at[owner], np.full(len(owner), NUMBER[GROWTH])), grown)


def _states(requests: Requests, lifetime: Ints) -> Ints:
    """For each entry what happened to its block before: a cause, or -1 when no request had it."""
    state = np.full(len(requests.ids), -1, dtype=np.int64)
    caching = lifetime > 0
    for every in parts(requests):
        touches = every.only(caching[every.owner])
        if not len(touches):
            continue
        living = alive(touches, lifetime)
        found = np.where(touches.gap > TTL_1H_US, NUMBER[LONG_LAPSE], NUMBER[LAPSE])
        found[living] = NUMBER[EARLY_EVICTION]
        found[waiting(touches, np.flatnonzero(~living))] = NUMBER[CONCURRENT]
        found[touches.first] = -1
        state[touches.entry] = found
    return state


def _other_model(log: CacheLog) -> Mask:
    """Whether the session had called in another domain before."""
    order = np.lexsort((log.start, log.session))
    session, domain = log.session[order], log.domain[order]
    here = np.arange(len(order))
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = np.diff(session) != 0
    head = np.maximum.accumulate(np.where(first, here, 0))
    change = np.zeros(len(order), dtype=np.bool_)
    change[1:] = np.diff(domain) != 0
    changed = np.maximum.accumulate(np.where(change & ~first, here, -1)) > head
    result = np.zeros(len(log), dtype=np.bool_)
    result[order] = changed
    return result


def _neighbour(log: CacheLog, flags: Mask) -> Mask:
    """The flag of the request before in the chain."""
    return np.asarray((log.previous >= 0) & flags[log.previous])


def _follower(log: CacheLog, flags: Mask) -> Mask:
    """The flag of the request after in the chain."""
    result = np.zeros(len(log), dtype=np.bool_)
    later = log.previous >= 0
    result[log.previous[later]] = flags[later]
    return result


def _overlap(bottom: Ints, top: Ints, low: Ints, high: Ints) -> Ints:
    """Length of what [bottom, top) and [low, high) share."""
    return np.asarray(np.maximum(np.minimum(top, high) - np.maximum(bottom, low), 0))
