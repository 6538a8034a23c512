"""Token hit rate and cost at any TTL, from histograms of gaps that add up like every rollup.

5 minutes and 1 hour are edges of buckets, and an entry lives up to and including its TTL, so the curve is exact there
and at every other edge. Between edges a bucket's tokens are taken to be spread evenly over the logarithm of the gap.
The wait for an answer to begin is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from ingest.core.cache.bill import ESTIMATED_BASIS, EXACT_BASIS, cost_of, sum_by, whole_units
from ingest.core.cache.estimate import cacheable
from ingest.core.cache.log import SECOND_US, TTL_5M_US, CacheLog, Floats, InputPrices, Ints
from ingest.core.cache.reuse import DEFAULT_REUSE, ReuseTable, reusable
from ingest.core.cache.touches import NEVER_US, Requests, chunks, parts, previous, running_max
from ingest.core.pricing import EXACT

# Seconds; a gap belongs to the first bucket whose edge it does not exceed, beyond the last edge to one more bucket.
EDGES_S = (
    *(0, 1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 150, 180, 240, 300),
    *(360, 420, 480, 600, 720, 900, 1200, 1500, 1800, 2100, 2400, 2700, 3000, 3300, 3600),
    *(5400, 7200, 10_800, 14_400, 21_600, 28_800, 43_200, 64_800, 86_400, 172_800, 345_600, 604_800),
)
EDGES_US = np.array(EDGES_S, dtype=np.int64) * SECOND_US
BUCKETS = len(EDGES_S) + 1


@dataclass(frozen=True)
class GapHistogram:
    """Input tokens by what a TTL could do for them; all arrays end with one column a price class of `prices`.

    reused    [bucket, price class] tokens needed again after a gap in this bucket
    first     tokens of a prefix needed for the first time
    uncached  tokens that are part of no prefix
    """

    reused: Ints
    first: Ints
    uncached: Ints
    prices: tuple[InputPrices, ...]
    basis: str

    def __add__(self, other: GapHistogram) -> GapHistogram:
        """Both together: price classes that are equal become one."""
        prices = tuple(dict.fromkeys((*self.prices, *other.prices)))
        basis = EXACT_BASIS if self.basis == other.basis == EXACT_BASIS else ESTIMATED_BASIS
        held = []
        for one in (self, other):
            place = np.zeros((len(one.prices), len(prices)), dtype=np.int64)
            place[np.arange(len(one.prices)), [prices.index(price) for price in one.prices]] = 1
            held.append([array @ place for array in (one.reused, one.first, one.uncached)])
        sums = [mine + more for mine, more in zip(*held, strict=True)]
        return GapHistogram(sums[0], sums[1], sums[2], prices, basis)

    def hits(self, ttls_us: Sequence[int]) -> Ints:
        """Tokens [ttl, price class] that caches with these TTLs read, in whole tokens."""
        return np.asarray(np.rint(_within(ttls_us) @ self.reused), dtype=np.int64)

    def token_hit_rates(self, ttls_us: Sequence[int]) -> list[float]:
        """Read tokens over all input tokens; 0 without any input."""
        tokens = int(self.reused.sum() + self.first.sum() + self.uncached.sum())
        return [float(read / tokens) if tokens else 0.0 for read in self.hits(ttls_us).sum(axis=1)]

    def input_list_costs(self, ttls_us: Sequence[int], tier: str | None = None) -> list[Decimal]:
        """USD when every prefix is written at a tier's price and lives so long.

        Tier: 5m or 1h; by default the cheapest one that lasts, as far as such a thing is sold.
        """
        hits = self.hits(ttls_us)
        written = self.first + self.reused.sum(axis=0) - hits
        hour = [ttl > TTL_5M_US if tier is None else tier == "1h" for ttl in ttls_us]
        # Whole numbers of one small unit of money: exact, and far quicker than a Decimal for every product.
        units, places = whole_units(self.prices)
        rest = int(self.uncached.astype(object) @ units[:, 0]) if len(units) else 0
        costs = hits.astype(object) @ units[:, 1] + rest
        write = np.where(np.array(hour, dtype=np.bool_)[:, None], units[:, 3], units[:, 2])
        costs = costs + (written.astype(object) * write).sum(axis=1)
        return [EXACT.scaleb(Decimal(int(cost)), -places) for cost in costs]

    def token_hit_rate(self, ttl_us: int) -> float:
        """The same for one TTL."""
        return self.token_hit_rates([ttl_us])[0]

    def input_list_cost(self, ttl_us: int, tier: str | None = None) -> Decimal:
        """The same for one TTL."""
        return self.input_list_costs([ttl_us], tier)[0]

    def rewrite_cost(self, tier: str = "5m") -> list[Decimal]:
        """USD per bucket that writing again costs above reading, when these gaps outlast the entry."""
        column = InputPrices._fields.index(f"write_{tier}")
        above = tuple(InputPrices(price[column] - price.read, *[Decimal(0)] * 3) for price in self.prices)
        zero = np.zeros((len(self.prices), 3), dtype=np.int64)
        return [cost_of(np.column_stack([row, zero]), above) for row in self.reused]


def _within(ttls_us: Sequence[int]) -> Floats:
    """The part [ttl, bucket] of each bucket whose gaps a TTL covers."""
    ttl = np.maximum(np.array(ttls_us, dtype=np.int64), 0)
    full = np.searchsorted(EDGES_US, ttl, side="right")
    share = (np.arange(BUCKETS) < full[:, None]).astype(np.float64)
    # The bucket that a TTL ends in, as far as it does not end at its edge.
    at = np.flatnonzero((full > 0) & (full < len(EDGES_US)))
    low, high = np.log1p(EDGES_US[full[at] - 1] / SECOND_US), np.log1p(EDGES_US[full[at]] / SECOND_US)
    share[at, full[at]] = (np.log1p(ttl[at] / SECOND_US) - low) / (high - low)
    return share


def gap_histogram(log: CacheLog, table: ReuseTable = DEFAULT_REUSE) -> GapHistogram:
    """The histogram of a log: from block to block where requests carry prefix lists, from the chains elsewhere."""
    classes = len(log.prices)
    reused = np.zeros(BUCKETS * classes, dtype=np.int64)
    first = np.zeros(classes, dtype=np.int64)
    covered = np.zeros(len(log), dtype=np.int64)
    for requests in chunks(log):
        covered[requests.position] = requests.tokens[requests.ptr[1:] - 1]
        gap = _needed(requests, log.min_tokens[requests.position])
        price = log.price[requests.position][requests.owner]
        tokens = requests.block_tokens
        again = gap < NEVER_US
        first += sum_by(price[~again], tokens[~again], classes)
        reused += sum_by(_bucket(gap[again]) * classes + price[again], tokens[again], BUCKETS * classes)
    basis = EXACT_BASIS
    rest = ~log.has_prefix & (log.total_input > 0)
    if rest.any():
        basis = ESTIMATED_BASIS
        prefix = np.where(rest, cacheable(log), 0)
        kept = np.where(rest, np.minimum(reusable(log, cacheable(log), table.share)[0], prefix), 0)
        covered += prefix
        first += sum_by(log.price, prefix - kept, classes)
        # What the first of a chain reads is kept alive by others: it is read at any TTL.
        bucket = _bucket(np.maximum(log.gap_before, 0))
        reused += sum_by(bucket * classes + log.price, kept, BUCKETS * classes)
    return GapHistogram(
        reused.reshape(BUCKETS, classes),
        first,
        sum_by(log.price, log.total_input - covered, classes),
        log.prices,
        basis,
    )


def _bucket(gap: Ints) -> Ints:
    return np.searchsorted(EDGES_US, gap, side="left").astype(np.int64)


def _needed(requests: Requests, minimum: Ints) -> Ints:
    """The TTL that each entry needs to be read: its gap, or a longer one of the path before it.

    No hit is shorter than the model's minimum, so entries before that need what the first beyond it needs.
    """
    gap = np.empty(len(requests.ids), dtype=np.int64)
    for touches in parts(requests):
        gap[touches.entry] = touches.gap
    heads = np.zeros(len(gap), dtype=np.bool_)
    heads[requests.ptr[:-1][np.diff(requests.ptr) > 0]] = True
    falls = np.flatnonzero((gap < previous(gap)) & ~heads)
    if len(falls):  # a block used without the one before it: ids that are not chained
        gap = running_max(gap, heads)
    owner = requests.owner
    short = requests.tokens < minimum[owner]
    if short.any():
        beyond = requests.ptr[:-1] + np.bincount(owner[short], minlength=len(requests.start))
        at = np.minimum(beyond[owner[short]], len(gap) - 1)
        gap[short] = np.maximum(gap[short], gap[at])
    return gap
