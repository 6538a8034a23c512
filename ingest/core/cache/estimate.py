"""Bills and floors from counters alone, for logs without prefix lists: always called estimated.

A chain (workspace, model, session) is taken to use one prefix that grows. What is used again after a gap comes from a
reuse table; what was read while the entry lived is known from the counters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import reduce
from operator import add

import numpy as np

from ingest.core.cache.bill import ESTIMATED_BASIS, Bill
from ingest.core.cache.floors import Floors, floors
from ingest.core.cache.log import CacheLog, Floats, Ints, Mask, Prefixes
from ingest.core.cache.policies import AnyPolicy
from ingest.core.cache.reuse import DEFAULT_REUSE, ReuseTable, observed_ttl, reusable
from ingest.core.pricing import ZERO

DEEPEST = 24  # layers a chain's prefix is kept in for the floors; beyond that the oldest are one
TOGETHER = 200_000  # requests whose layers are in memory at once


def estimate(log: CacheLog, policies: Sequence[AnyPolicy], table: ReuseTable = DEFAULT_REUSE) -> list[Bill]:
    """The bills under these policies. The policy that the log was run under gives back the log's own counts."""
    return _bills(log, policies, table.share)


def estimate_ends(
    log: CacheLog, policies: Sequence[AnyPolicy], table: ReuseTable = DEFAULT_REUSE
) -> list[tuple[Bill, Bill]]:
    """The bills at both ends of the table's range: least reuse first.

    Where a chain was never cached nothing is known about its prefix: at the first end it has no reuse at all.
    """
    unknown = observed_ttl(log) < 0
    return list(
        zip(_bills(log, policies, table.low, unknown), _bills(log, policies, table.high), strict=True)
    )


def cacheable(log: CacheLog) -> Ints:
    """Tokens of each request that a policy could cache: what was read and written, or all where nothing was.

    0 where that is under the model's minimum.
    """
    prefix = np.where(log.cached_prefix > 0, log.cached_prefix, log.total_input)
    return np.where(prefix >= log.min_tokens, prefix, 0)


def estimate_floors(log: CacheLog, table: ReuseTable = DEFAULT_REUSE) -> Floors:
    """The floors of the chains as layers: a request keeps what it uses again of the one before and adds the rest."""
    nothing = Floors(ZERO, ZERO, ZERO, ESTIMATED_BASIS)
    return reduce(add, (floors(part) for part in _layered(log, table.share)), nothing)


def _bills(
    log: CacheLog, policies: Sequence[AnyPolicy], share: Floats, without: Mask | None = None
) -> list[Bill]:
    prefix = cacheable(log)
    known, _ = reusable(log, prefix, share)
    if without is not None:
        known = np.where(without, log.read, known)
    kept, gap, before = observed_ttl(log), log.gap_before, log.previous
    bills = []
    for policy in policies:
        terms = policy.terms(log)
        sent = terms.sent(log)
        lifetime = (sent + 1) * terms.ttl
        lived = np.where(before >= 0, lifetime[before], 0)
        # Past its lifetime a chain still reads what others keep alive, if they keep it as long as those observed did.
        dead = np.where((before < 0) | (lived >= kept), log.read, 0)
        read = np.where((before >= 0) & (gap <= lived), known, dead)
        path = np.where(terms.tier > 0, prefix, 0)
        read = np.where(terms.tier > 0, np.minimum(read, prefix), 0)
        written = path - read
        bills.append(
            Bill(
                policy=policy.name,
                basis=ESTIMATED_BASIS,
                price=log.price,
                prices=log.prices,
                uncached=log.total_input - path,
                read=read,
                write_5m=np.where(terms.tier == 1, written, 0),
                write_1h=np.where(terms.tier == 2, written, 0),
                pings=sent * path,
            )
        )
    return bills


def _layered(log: CacheLog, share: Floats) -> Iterator[CacheLog]:
    """The log with prefix lists made up from its counters, some whole chains at a time."""
    if not len(log):
        return
    prefix = cacheable(log)
    kept, _ = reusable(log, prefix, share)
    order = log.by_chain
    chain = log.chain[order]
    ends = np.append(np.flatnonzero(np.diff(chain)) + 1, len(order))
    begin = 0
    while begin < len(order):
        end = int(ends[min(int(np.searchsorted(ends, begin + TOGETHER)), len(ends) - 1)])
        keep = np.zeros(len(log), dtype=np.bool_)
        keep[order[begin:end]] = True
        part = log.where(keep)
        yield replace(part, prefixes=_layers(part, prefix[keep], kept[keep]))
        begin = end


def _layers(log: CacheLog, prefix: Ints, kept: Ints) -> Prefixes:
    """What a request keeps of the layers before stays under their ids, the top one of them perhaps shorter."""
    paths: list[list[tuple[int, int]]] = [[] for _ in range(len(log))]
    path: list[tuple[int, int]] = []
    order = log.by_chain
    columns = (order, prefix[order], kept[order], log.previous[order], log.domain[order])
    for number, (position, size, reused, before, domain) in enumerate(
        zip(*(column.tolist() for column in columns), strict=True)
    ):
        if before < 0:
            # What the first of a chain reads, other chains of the domain wrote.
            path = [(-1 - domain, reused)] if reused else []
        while path and path[-1][1] > reused:
            layer, _ = path.pop()
            if reused > (path[-1][1] if path else 0):
                path.append((layer, reused))
        if size > (path[-1][1] if path else 0):
            path.append((number, size))
        if len(path) > DEEPEST:
            del path[1]  # the root stays: it says which layers belong together
        paths[position] = path.copy()
    lengths = [len(each) for each in paths]
    entries = np.array([entry for each in paths for entry in each], dtype=np.int64).reshape(-1, 2)
    ptr = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    return Prefixes(ptr, np.ascontiguousarray(entries[:, 0]), np.ascontiguousarray(entries[:, 1]))
