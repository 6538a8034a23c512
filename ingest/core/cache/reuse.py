"""How much of a prefix the next request of a chain uses again, by the gap between them: what counters do not say.

After a lapse a counter shows a rewrite, whether the prompt still began the same or not. Where requests carry prefix
lists the share that did can be measured; elsewhere a table stands in, and is printed with its range.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ingest.core.cache.log import SECOND_US, TTL_1H_US, TTL_5M_US, CacheLog, Floats, Ints, Mask
from ingest.core.cache.policies import MOST_PINGS, ONE_HOUR, Policy
from ingest.core.cache.replay import replay

EDGES_US = np.array([60, 300, 600, 1800, 3600, 7200], dtype=np.int64) * SECOND_US
GAPS = ("under 1 min", "1-5 min", "5-10 min", "10-30 min", "30-60 min", "1-2 h", "over 2 h")
PROMPTS = ("shrunk", "about as before", "grown")
GROWN = 1.05  # a prompt larger than this times the one before; one smaller than it was has lost something
FEWEST = 5  # requests in a cell that say more than the public table does
DRAWS = 200
FOREVER = Policy(ONE_HOUR.tier, MOST_PINGS)


class ReuseRow(NamedTuple):
    """One line of a table as it is printed; shares are from 0 to 1."""

    prompt: str
    gap: str
    requests: int
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class ReuseTable:
    """Shares of min(prefix before, this prefix) that are really used again: [PROMPTS, GAPS]."""

    share: Floats
    low: Floats
    high: Floats
    requests: Ints
    source: str

    def rows(self) -> Iterator[ReuseRow]:
        """The table line by line, by prompt and gap."""
        for at in np.ndindex(self.share.shape):
            yield ReuseRow(
                PROMPTS[at[0]],
                GAPS[at[1]],
                int(self.requests[at]),
                float(self.share[at]),
                float(self.low[at]),
                float(self.high[at]),
            )


class Pairs(NamedTuple):
    """The requests that have one before them in their chain, and what the two have in common at most.

    position  of the later one
    cell      [2, n] row and column in a ReuseTable
    most      tokens: the smaller of the two prefixes
    """

    position: Ints
    cell: Ints
    most: Ints


def pairs(log: CacheLog, prefix: Ints) -> Pairs:
    """`prefix` is what each request could have cached, in tokens."""
    position = np.flatnonzero(log.previous >= 0)
    before = log.previous[position]
    gap = log.gap_before[position]
    total = log.total_input
    size = (total[position] >= total[before]).astype(np.int64) + (total[position] > GROWN * total[before])
    # A gap of exactly 5 minutes is still inside the TTL, so edges belong to the bucket below.
    column = np.searchsorted(EDGES_US, gap, side="left")
    return Pairs(position, np.stack([size, column]), np.minimum(prefix[position], prefix[before]))


def calibrate(log: CacheLog, *, fallback: ReuseTable | None = None, seed: int = 0) -> ReuseTable:
    """The table of a log with prefix lists, with 95 % ranges by resampling sessions.

    Cells that the log says too little about are taken from `fallback` (by default the public table).
    """
    fallback = fallback or DEFAULT_REUSE
    known = log.where(log.has_prefix)
    if not len(known):
        return fallback
    found = pairs(known, known.prefix_tokens)
    truth = replay(known, [FOREVER])[0].read[found.position]
    shape = fallback.share.shape
    cells = shape[0] * shape[1]
    flat = found.cell[0] * shape[1] + found.cell[1]
    session = np.unique(known.session, return_inverse=True)[1].astype(np.int64)
    count = int(session.max(initial=-1)) + 1
    where = session[found.position] * cells + flat
    reused = np.bincount(where, weights=truth, minlength=count * cells).reshape(count, cells)
    most = np.bincount(where, weights=found.most, minlength=count * cells).reshape(count, cells)
    rng = np.random.default_rng(seed)
    weights = np.stack([np.bincount(rng.integers(0, count, count), minlength=count) for _ in range(DRAWS)])
    drawn = _shares(weights.astype(np.float64) @ reused, weights.astype(np.float64) @ most, fallback.share)
    requests = np.bincount(flat, minlength=cells)
    seen = (requests >= FEWEST).reshape(shape)
    share = _shares(reused.sum(axis=0), most.sum(axis=0), fallback.share).reshape(shape)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return ReuseTable(
        np.where(seen, share, fallback.share),
        np.where(seen, low.reshape(shape), fallback.low),
        np.where(seen, high.reshape(shape), fallback.high),
        requests.reshape(shape).astype(np.int64),
        "this log's prefixes",
    )


def reusable(log: CacheLog, prefix: Ints, share: Floats) -> tuple[Ints, Mask]:
    """Tokens of each request that a cache which had kept everything would have read, and where that is a guess.

    What was read while the entry lived is a fact. After a lapse it is a share of what the two prompts have in common
    at most, and no less than what was read all the same. The first of a chain reads what it read.
    """
    found = pairs(log, prefix)
    tokens = log.read.copy()
    guessed = np.zeros(len(log), dtype=np.bool_)
    lapsed = log.gap_before[found.position] > observed_ttl(log)[found.position]
    at = found.position[lapsed]
    shares = share[found.cell[0][lapsed], found.cell[1][lapsed]]
    likely = np.rint(shares * found.most[lapsed]).astype(np.int64)
    tokens[at] = np.minimum(np.maximum(tokens[at], likely), prefix[at])
    guessed[at] = True
    return tokens, guessed


def observed_ttl(log: CacheLog) -> Ints:
    """The TTL in microseconds at which the request before in the chain cached; -1 where none did."""
    ttl = np.full(len(log), -1, dtype=np.int64)
    later = log.previous >= 0
    ttl[later] = own_ttl(log)[log.previous[later]]
    return ttl


def own_ttl(log: CacheLog) -> Ints:
    """The TTL in microseconds at which each request cached: that of its chain's last write so far.

    A chain that has only read so far reads what others wrote: then it is that of the domain's last write, or 5 minutes
    where the log has none. -1 before a chain caches.
    """
    tier = np.select([log.write_1h > 0, log.write_5m > 0], [2, 1], 0)
    of_chain = _last(log.by_chain, log.chain, tier)
    of_domain = _last(np.lexsort((log.start, log.domain)), log.domain, tier)
    reading = _last(log.by_chain, log.chain, (log.read > 0).astype(np.int64)) > 0
    now = np.where(of_chain > 0, of_chain, np.where(reading, np.maximum(of_domain, 1), 0))
    return np.array([-1, TTL_5M_US, TTL_1H_US], dtype=np.int64)[now]


def _last(order: Ints, groups: Ints, values: Ints) -> Ints:
    """The last value above 0 of the same group so far, in this order; 0 where there is none yet."""
    here = np.arange(len(order))
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = np.diff(groups[order]) != 0
    start = np.maximum.accumulate(np.where(first, here, 0))
    known = np.maximum.accumulate(np.where(values[order] > 0, here, -1))
    last = np.empty_like(values)
    last[order] = np.where(known >= start, values[order][known], 0)
    return last


def _shares(reused: Floats, most: Floats, otherwise: Floats) -> Floats:
    spare = np.broadcast_to(otherwise.reshape(-1), reused.shape)
    return np.where(most > 0, np.clip(reused / np.maximum(most, 1), 0.0, 1.0), spare)


def _constant(rows: list[list[tuple[float, float, float]]], source: str) -> ReuseTable:
    """Rows by prompt and gap of (share, low, high)."""
    values = np.array(rows, dtype=np.float64)
    nothing = np.zeros((len(PROMPTS), len(GAPS)), dtype=np.int64)
    return ReuseTable(values[:, :, 0], values[:, :, 1], values[:, :, 2], nothing, source)


NAIVE_REUSE = _constant(
    [[(1.0, 1.0, 1.0)] * len(GAPS)] * len(PROMPTS), "nothing: all is taken to be used again"
)
# Measured with `calibrate` on a public trace: 355 coding-agent sessions, 24,015 requests
# (github.com/callanjfox/kv-cache-tester at 94f6046, Apache-2.0). Prompts that shrank or grew over more than an hour are
# few there and taken together.
DEFAULT_REUSE = _constant(
    [
        [
            (0.370, 0.190, 0.581),
            (0.389, 0.263, 0.520),
            (0.172, 0.112, 0.267),
            (0.275, 0.146, 0.493),
            (0.076, 0.052, 0.113),
            (0.057, 0.046, 0.080),
            (0.058, 0.046, 0.080),
        ],
        [
            (0.999, 0.998, 0.999),
            (0.987, 0.979, 0.993),
            (0.957, 0.934, 0.978),
            (0.957, 0.940, 0.972),
            (0.945, 0.893, 0.982),
            (0.903, 0.800, 0.965),
            (0.621, 0.448, 0.727),
        ],
        [
            (0.984, 0.972, 0.993),
            (0.985, 0.972, 0.995),
            (0.932, 0.839, 1.000),
            (0.855, 0.733, 0.960),
            (0.701, 0.555, 0.814),
            (0.416, 0.159, 1.000),
            (0.416, 0.159, 1.000),
        ],
    ],
    "public coding-agent traces",
)
