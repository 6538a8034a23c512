"""The cache and its floors once more, as plainly as they can be written: what the engine is held against."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from ingest.core.cache.log import CacheLog
from ingest.core.cache.policies import Policy

TTL_US = {"none": 0, "5m": 300_000_000, "1h": 3_600_000_000}


class Line(NamedTuple):
    """Tokens of one request."""

    uncached: int
    read: int
    write_5m: int
    write_1h: int
    pings: int


def plain_replay(log: CacheLog, policies: Sequence[Policy]) -> list[Line]:
    """One request after the other through one dictionary of entries; `policies` has one for each request."""
    total = log.total_input.tolist()
    start, ready = log.start.tolist(), log.ready.tolist()
    domain, minimum = log.domain.tolist(), log.min_tokens.tolist()
    follower = next_in_chain(log)
    # -> for each tier when the entry expires, and from when the block can be read
    entries: dict[tuple[int, int, int], tuple[dict[str, int], int]] = {}
    lines = [Line(tokens, 0, 0, 0, 0) for tokens in total]
    for i in sorted(range(len(log)), key=lambda n: (start[n], n)):
        tier, most_pings = policies[i].tier, policies[i].pings
        path = path_of(log, i)
        full = path_of(log, i, cut=False)
        if tier == "none" or not path or full[-1][1] < minimum[i]:
            continue
        pings = most_pings
        if i in follower:
            gap = start[follower[i]] - start[i]
            pings = min(pings, max(0, math.ceil(Fraction(gap, TTL_US[tier])) - 1))
        read = hits = 0
        for block, tokens in path:
            expiries, readable = entries.get((domain[i], path[0][0], block), ({}, 0))
            if not any(expiry >= start[i] for expiry in expiries.values()) or readable > start[i]:
                break
            read, hits = tokens, hits + 1
        if read < minimum[i]:
            read = hits = 0
        for depth, (block, _) in enumerate(path):
            key = (domain[i], path[0][0], block)
            expiries, readable = entries.get(key, ({}, 0))
            alive = {name: expiry for name, expiry in expiries.items() if expiry >= start[i]}
            if depth >= hits:
                readable = min(readable, ready[i]) if alive else ready[i]
            for name in alive if depth < hits else [tier]:
                kept = start[i] + (pings + 1 if name == tier else 1) * TTL_US[name]
                alive[name] = max(alive.get(name, kept), kept)
            entries[key] = (alive, readable)
        size = path[-1][1]
        written = size - read
        lines[i] = Line(
            total[i] - size,
            read,
            written if tier == "5m" else 0,
            written if tier == "1h" else 0,
            pings * size,
        )
    return lines


def next_in_chain(log: CacheLog) -> dict[int, int]:
    """The request after each in its chain, where there is one."""
    chains: dict[tuple[int, int], list[int]] = defaultdict(list)
    for i in sorted(range(len(log)), key=lambda n: (int(log.start[n]), n)):
        chains[int(log.domain[i]), int(log.session[i])].append(i)
    return {a: b for chain in chains.values() for a, b in pairwise(chain)}


def path_of(log: CacheLog, i: int, *, cut: bool = True) -> list[tuple[int, int]]:
    """(id, cumulative tokens) of request i, up to the first id that it had already."""
    assert log.prefixes is not None
    rows = slice(int(log.prefixes.ptr[i]), int(log.prefixes.ptr[i + 1]))
    path: list[tuple[int, int]] = []
    for block, tokens in zip(
        log.prefixes.ids[rows].tolist(), log.prefixes.tokens[rows].tolist(), strict=True
    ):
        if cut and any(block == known for known, _ in path):
            break
        path.append((block, tokens))
    return path


def block_uses(log: CacheLog) -> Iterator[list[tuple[int, int, int]]]:
    """For each block its uses in order of time: (start, tokens, price class)."""
    uses: dict[tuple[int, int, int], list[tuple[int, int, int]]] = defaultdict(list)
    for i in sorted(range(len(log)), key=lambda n: (int(log.start[n]), n)):
        path, bottom = path_of(log, i), 0
        for block, tokens in path:
            key = (int(log.domain[i]), path[0][0], block)
            uses[key].append((int(log.start[i]), tokens - bottom, int(log.price[i])))
            bottom = tokens
    yield from uses.values()


def cheapest_by_trying(
    log: CacheLog, uses: Sequence[tuple[int, int, int]], *, pings: bool, forgets: bool
) -> Fraction:
    """The least cost of one block's uses over every sequence of choices: at each use leave it uncached, read it (where
    it is alive, or was kept alive by pings), or write it at 5 minutes or an hour.
    """
    prices = [[Fraction(price) for price in each] for each in log.prices]

    def after(n: int, tier: str) -> Fraction:
        """The least cost of uses n onwards; `tier` is what the use before left in the cache."""
        if n == len(uses):
            return Fraction(0)
        start, tokens, price = uses[n]
        uncached, read, write_5m, write_1h = (tokens * each for each in prices[price])
        choices = [
            uncached + after(n + 1, "none"),
            write_5m + after(n + 1, "5m"),
            write_1h + after(n + 1, "1h"),
        ]
        if tier != "none":
            before, earlier_tokens, earlier_price = uses[n - 1]
            needed = max(0, math.ceil(Fraction(start - before, TTL_US[tier])) - 1) if forgets else 0
            if needed == 0 or pings:
                keeping = needed * earlier_tokens * prices[earlier_price][1]
                choices.append(keeping + read + after(n + 1, tier))
        return min(choices)

    return after(0, "none")
