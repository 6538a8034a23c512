"""The bill a log would have had under other cache policies, replayed exactly from its prefix lists.

Why no clock has to tick, as long as a block is used at one TTL (`mixed` has the rest): every request uses its whole
prefix, and a block's expiry after a use is start + TTL whether it was read or written. So a block is alive at a touch
if and only if an earlier touch's expiry reaches it, and the touches of a block fall into runs, each begun by one that
found it dead. Within a run the block is readable once the answer of any earlier user has begun: a user that read needed
a writer whose answer began before, so that taking all users for writers changes nothing. Both are running maxima over
touches sorted by block and time, for all at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ingest.core.cache.bill import EXACT_BASIS, Bill
from ingest.core.cache.log import CacheLog, Ints, Mask
from ingest.core.cache.mixed import shared_at_both, walk
from ingest.core.cache.policies import TIERS, AnyPolicy, PerChain, Policy, Terms
from ingest.core.cache.touches import Requests, Touches, chunks, parts, previous, running_max

_NO_CACHE, _FIVE_MINUTES, _ONE_HOUR = range(len(TIERS))


def replay(log: CacheLog, policies: Sequence[AnyPolicy]) -> list[Bill]:
    """The bills under these policies, in their order.

    A policy writes every token of the prefix that it does not read; what lies after the prefix, and all of a request
    without one or with one under the model's minimum, is uncached input. A hit shorter than the minimum is none.
    """
    terms = [policy.terms(log) for policy in policies]
    sent = [each.sent(log) for each in terms]
    hits = [np.zeros(len(log), dtype=np.int64) for _ in policies]
    paths = np.zeros(len(log), dtype=np.int64)  # tokens that can be cached
    for requests in chunks(log):
        at = requests.position
        paths[at] = requests.tokens[requests.ptr[1:] - 1]
        depths = [np.diff(requests.ptr) for _ in policies]
        tiers = [each.tier[at] for each in terms]
        lifetimes = [(pings[at] + 1) * each.ttl[at] for each, pings in zip(terms, sent, strict=True)]
        mixed = [shared_at_both(requests, tier) for tier in tiers]
        for touches in parts(requests):
            for tier, lifetime, both, depth in zip(tiers, lifetimes, mixed, depths, strict=True):
                _lower(depth, requests, touches, tier != _NO_CACHE, both, lifetime)
        for tier, lifetime, both, depth in zip(tiers, lifetimes, mixed, depths, strict=True):
            if both.any():
                walk(requests, both, tier, lifetime, log.min_tokens[at], depth)
        for found, depth in zip(hits, depths, strict=True):
            read = np.where(depth > 0, requests.tokens[requests.ptr[:-1] + np.maximum(depth, 1) - 1], 0)
            found[at] = np.where(read >= log.min_tokens[at], read, 0)
    return [
        _bill(log, policy.name, each, pings, found, paths)
        for policy, each, pings, found in zip(policies, terms, sent, hits, strict=True)
    ]


def best_per_chain(log: CacheLog, policies: Sequence[Policy], bills: Sequence[Bill]) -> PerChain:
    """For each chain the policy that was cheapest for it when all chains had it; the first of equals.

    `bills` are those of `policies`. Chains that share blocks affect each other, so replay the choice for its bill.
    """
    count = int(log.chain.max(initial=-1)) + 1
    costs = np.stack([bill.costs_by(log.chain, count) for bill in bills])
    return PerChain(tuple(policies), np.argmin(costs, axis=0).astype(np.int64))


def _lower(
    depth: Ints, requests: Requests, touches: Touches, cached: Mask, apart: Mask, lifetime: Ints
) -> None:
    """Cut each request's depth (blocks read from the root on) to before the first of these touches that misses.

    apart: entries that are looked at elsewhere. cached, lifetime: by local request; which ones use the cache, and how
    long an entry lives after their use with its keep-alive pings.
    """
    if not cached.any():
        depth[:] = 0
        return
    depth[~cached] = 0
    keep = cached[touches.owner] & ~apart[touches.entry]
    if not keep.all():
        touches = touches.only(keep)
        if not len(touches):
            return
    missed = np.flatnonzero(~alive(touches, lifetime))
    entry = touches.entry[np.concatenate((missed, waiting(touches, missed)))]
    owner = requests.owner[entry]
    np.minimum.at(depth, owner, entry - requests.ptr[owner])


def alive(touches: Touches, lifetime: Ints) -> Mask:
    """Which touches find their block cached, readable or not."""
    if (lifetime == lifetime[0]).all():
        return np.asarray(touches.gap <= lifetime[0])
    expiry = touches.start + lifetime[touches.owner]
    falls = (expiry[1:] < expiry[:-1]) & ~touches.first[1:]
    if falls.any():  # else the last expiry is the latest
        expiry = running_max(expiry, touches.first)
    return np.asarray((previous(expiry) >= touches.start) & ~touches.first)


def waiting(touches: Touches, missed: Ints) -> Ints:
    """The touches that find their block cached, but none of its users' answers begun.

    `missed`: the touches that found it dead, ascending; a run is one of these and what follows up to the next.
    """
    early: Ints = touches.early
    if not len(early):
        return early
    head = missed[np.searchsorted(missed, early, side="right") - 1]
    unsure = (touches.ready[head] > touches.start[early]) & (head != early)
    early, head = early[unsure], head[unsure]
    if not len(early):
        return early
    # What is left of a run follows its head without a hole, since each touch between starts no later than the last.
    run = np.ones(len(early), dtype=np.bool_)
    run[1:] = np.diff(head) != 0
    soonest = -running_max(-touches.ready[early - 1], run)
    unread: Ints = early[soonest > touches.start[early]]
    return unread


def _bill(log: CacheLog, name: str, terms: Terms, sent: Ints, read: Ints, paths: Ints) -> Bill:
    prefix = np.where(terms.tier != _NO_CACHE, paths, 0)
    written = prefix - read
    nothing = np.zeros(len(log), dtype=np.int64)
    return Bill(
        policy=name,
        basis=EXACT_BASIS,
        price=log.price,
        prices=log.prices,
        uncached=log.total_input - prefix,
        read=read,
        write_5m=np.where(terms.tier == _FIVE_MINUTES, written, nothing),
        write_1h=np.where(terms.tier == _ONE_HOUR, written, nothing),
        pings=sent * prefix,
    )
