"""A breakpoint further back, where much that repeats is left out of the cache; or further forward, where what is
written is never read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from dashboard.analysis.recommendations.caching import FEWEST, current_policy, doubt
from dashboard.analysis.recommendations.finding import MOVE_BREAKPOINT, Finding, by_unit, monthly
from dashboard.analysis.recommendations.traffic import ANTHROPIC, Traffic
from ingest.core.cache.bill import Bill, observed
from ingest.core.cache.compare import evaluate
from ingest.core.cache.log import CacheLog, Mask, Prefixes, number_pairs
from ingest.core.cache.policies import FIVE_MINUTES, NONE, ONE_HOUR, Policy
from ingest.core.cache.replay import replay
from ingest.core.pricing import EXACT

LEFT_OUT = 0.2  # of the tokens that could be cached: more outside the breakpoint is worth moving it
GROWING = 0.8  # of follow-ups whose uncached part is as large as before: a tail that piles up
UNREAD = 0.5  # tokens read for one written: fewer, and most writes are in vain
LATER, EARLIER = "later", "earlier"


@dataclass(frozen=True)
class Moved:
    """The bill with the breakpoint elsewhere; below, above: USD that it may be off, beside chance."""

    bill: Bill
    where: str
    below: float = 0.0
    above: float = 0.0


def breakpoint_advice(
    traffic: Traffic, scope: tuple[tuple[str, str], ...], chosen: Mask
) -> Iterator[Finding]:
    """The better place for the breakpoint of a scope that caches, if there is one; Claude's models only."""
    claude = chosen & traffic.anthropic
    at = claude & _caching(traffic.log)
    log = traffic.log.where(at)
    if len(log) < FEWEST:
        return
    current = current_policy(traffic.log, at)
    if current is None or current == NONE:
        current = FIVE_MINUTES
    exact = bool((log.has_prefix | (log.total_input == 0)).all())
    moves = [_all_of_it(log, current), _stem(log)] if exact else [_tail(log, current)]
    before = observed(log)
    known = [move for move in moves if move is not None]
    best = min(known, key=lambda move: move.bill.input_list_cost, default=None)
    if best is None or (saving := EXACT.subtract(before.input_list_cost, best.bill.input_list_cost)) <= 0:
        return
    units = by_unit(traffic, at, before.costs - best.bill.costs)
    yield Finding(
        action=MOVE_BREAKPOINT,
        scope=scope if claude.sum() == chosen.sum() else (*scope, ("provider", ANTHROPIC)),
        policy=best.bill.policy,
        chosen=at,
        saving=saving,
        monthly=monthly(traffic, saving, units, best.below, best.above),
        basis=best.bill.basis,
        facts={
            "where": best.where,
            "uncached": int(log.uncached.sum()),
            "total": int(log.total_input.sum()),
            "written": int(log.write_5m.sum() + log.write_1h.sum()),
            "read": int(log.read.sum()),
            "before": before.input_list_cost,
            "after": best.bill.input_list_cost,
        },
    )


def _caching(log: CacheLog) -> Mask:
    """Requests of chains that use the cache at all: where none does, there is no breakpoint to move."""
    used = np.zeros(int(log.chain.max(initial=-1)) + 1, dtype=np.bool_)
    used[log.chain[log.cached_prefix > 0]] = True
    return np.asarray(used[log.chain])


def _all_of_it(log: CacheLog, current: Policy) -> Moved | None:
    """The whole prefix cached, where the breakpoint leaves much of it out."""
    prefix = log.prefix_tokens
    left = int(np.maximum(prefix - log.cached_prefix, 0).sum())
    if left < LEFT_OUT * max(int(prefix.sum()), 1):
        return None
    return Moved(replay(log, [current])[0], LATER)


def _stem(log: CacheLog) -> Moved | None:
    """Only what several sessions have in common is cached, where most that is written is never read."""
    written = int(log.write_5m.sum() + log.write_1h.sum())
    if not written or int(log.read.sum()) >= UNREAD * written or log.prefixes is None:
        return None
    prefixes = log.prefixes
    owner = np.repeat(np.arange(len(log)), np.diff(prefixes.ptr))
    block = number_pairs(log.domain[owner], prefixes.ids)
    users = np.unique(np.stack([block, log.session[owner]]), axis=1)[0]
    shared = np.bincount(users, minlength=int(block.max(initial=-1)) + 1)[block] > 1
    lengths = np.bincount(owner[shared], minlength=len(log))
    ptr = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    stem = replace(log, prefixes=Prefixes(ptr, prefixes.ids[shared], prefixes.tokens[shared]), _memo={})
    nothing, *cached = replay(stem, (NONE, FIVE_MINUTES, ONE_HOUR))
    best = min(cached, key=lambda bill: bill.input_list_cost)
    return Moved(best, EARLIER) if best.input_list_cost < nothing.input_list_cost else None


def _tail(log: CacheLog, current: Policy) -> Moved | None:
    """What follows the breakpoint taken as a prompt of its own, where it piles up from call to call."""
    follow = (log.previous >= 0) & (log.uncached >= LEFT_OUT * log.total_input)
    if follow.sum() < FEWEST or log.uncached.sum() < LEFT_OUT * log.total_input.sum():
        return None
    if (log.uncached[follow] >= log.uncached[log.previous[follow]]).mean() < GROWING:
        return None
    nothing = np.zeros(len(log), dtype=np.int64)
    tail = replace(
        log, read=nothing, write_5m=nothing, write_1h=nothing, min_tokens=nothing, prefixes=None, _memo={}
    )
    bill = evaluate(tail, [current])[0]
    below, above = doubt(tail, bill, current)
    whole = replace(
        bill,
        read=log.read + bill.read,
        write_5m=log.write_5m + bill.write_5m,
        write_1h=log.write_1h + bill.write_1h,
    )
    return Moved(whole, LATER, below, above)
