"""Replay of blocks that some requests use at 5 minutes and others at an hour: one request after the other.

An entry keeps the TTL it was written at: a read restarts it and cannot turn 5 minutes into an hour, and a write adds an
entry of its own TTL. So what a block's touches do depends on what the ones before did, and only here.
"""

from __future__ import annotations

from itertools import islice

import numpy as np

from ingest.core.cache.log import TTL_1H_US, TTL_5M_US, Ints, Mask
from ingest.core.cache.touches import Requests, parts

_DEAD = (-1 << 62, -1 << 62, 0)  # expiry of the 5-minute entry, of the hour's, and when the block can be read


def shared_at_both(requests: Requests, tier: Ints) -> Mask:
    """Which entries are blocks that some requests use at 5 minutes and others at an hour, or lie above such a block.

    `tier` is by local request. What is left is used at one TTL, so that its entries do not depend on what was read.
    """
    both = np.zeros(len(requests.ids), dtype=np.bool_)
    if not ((tier == 1).any() and (tier == 2).any()):
        return both
    cached = tier > 0
    while True:
        count = int(both.sum())
        for touches in parts(requests):
            used = touches.only(cached[touches.owner])
            if not len(used):
                continue
            heads = np.flatnonzero(used.first)
            of_touch = tier[used.owner]
            mixed = np.minimum.reduceat(of_touch, heads) < np.maximum.reduceat(of_touch, heads)
            mixed |= np.logical_or.reduceat(both[used.entry], heads)
            both[used.entry] = mixed[np.cumsum(used.first) - 1]
        # What lies above a shared block has to be followed with it; chained ids are shared from the root on anyway.
        last = np.zeros(len(requests.start), dtype=np.int64)
        found = np.flatnonzero(both)
        last[requests.owner[found]] = found + 1
        both |= (np.arange(len(both)) < last[requests.owner]) & cached[requests.owner]
        if int(both.sum()) == count:
            return both


def walk(requests: Requests, both: Mask, tier: Ints, lifetime: Ints, minimum: Ints, depth: Ints) -> None:
    """Cut the depth (blocks read from the root on) of each request to before the first of these entries that misses.

    both: entries as from `shared_at_both`; `depth` holds what the others allow. tier, lifetime, minimum: by local
    request; the lifetime is that of an entry of the request's own tier after its use, keep-alive pings included; an
    entry of the other tier is kept for its plain TTL.
    """
    entries: dict[int, tuple[int, int, int]] = {}
    shared = np.bincount(requests.owner[both], minlength=len(depth))
    at = np.flatnonzero(shared)
    begin = requests.ptr[:-1][at]
    ids = iter(requests.ids[both].tolist())
    sizes = requests.tokens
    columns = (
        *(at, shared[at], begin, depth[at], minimum[at]),
        *(requests.start[at], requests.ready[at], tier[at] == 2, lifetime[at]),
    )
    for number, blocks, root, most, least, now, begins, hourly, life in zip(
        *(column.tolist() for column in columns), strict=True
    ):
        path = list(islice(ids, blocks))
        for above, block in enumerate(path[:most]):
            five, hour, since = entries.get(block, _DEAD)
            if (five < now and hour < now) or since > now:
                most = above
                break
        if most and least and sizes[root + most - 1] < least:
            most = 0
        depth[number] = most
        read = min(most, blocks)
        own_five, own_hour = now + (TTL_5M_US if hourly else life), now + (life if hourly else TTL_1H_US)
        for block in path[:read]:
            five, hour, since = entries[block]
            entries[block] = (
                max(five, own_five) if five >= now else five,
                max(hour, own_hour) if hour >= now else hour,
                since,
            )
        for block in path[read:]:
            five, hour, since = entries.get(block, _DEAD)
            since = min(since, begins) if five >= now or hour >= now else begins
            entries[block] = (
                (five, max(hour, own_hour), since) if hourly else (max(five, own_five), hour, since)
            )
