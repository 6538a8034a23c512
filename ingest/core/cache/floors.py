"""The least that a log's input could have cost under any cache policy: per block, by dynamic programming.

Every bill is a sum over tokens, and the share of one block in it is a sequence of choices for that block alone, so the
cheapest sequence for each block by itself is a bound for all policies together. Breakpoints, minimum lengths, the wait
for an answer to begin, and pings that re-read more than one block are left out: dropping a constraint can only lower
the optimum.

Amounts are whole numbers of a unit so small that every price is one, so that the floors are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from ingest.core.cache.bill import ESTIMATED_BASIS, EXACT_BASIS, cost_of, sum_by, whole_units
from ingest.core.cache.log import TTL_1H_US, TTL_5M_US, CacheLog, Ints
from ingest.core.cache.touches import Touches, chunks, parts, previous
from ingest.core.pricing import EXACT

MOST_BRIDGED = 10_000  # pings in one gap; long before that, writing again is cheaper
FEW_BLOCKS = 32  # so few are followed one by one, since whole-array steps would cost more
SLAB = 1 << 16  # touches of one block whose matrices are in memory at once
LARGEST = 1 << 59  # amounts below this add up in 64 bits

Amounts = npt.NDArray[Any]  # int64, or whole Python numbers where 64 bits are not enough


@dataclass(frozen=True)
class Floors:
    """USD, exact: never_forgets <= with_pings <= without_pings <= any policy that sends no pings."""

    without_pings: Decimal
    with_pings: Decimal
    never_forgets: Decimal
    basis: str = EXACT_BASIS

    def __add__(self, other: Floors) -> Floors:
        """Those of requests that share no cache, together."""
        return Floors(
            EXACT.add(self.without_pings, other.without_pings),
            EXACT.add(self.with_pings, other.with_pings),
            EXACT.add(self.never_forgets, other.never_forgets),
            EXACT_BASIS if self.basis == other.basis == EXACT_BASIS else ESTIMATED_BASIS,
        )


@dataclass(frozen=True)
class Steps:
    """What each touch can cost, in units; sorted by block and time.

    uncached, read, write_5m, write_1h   of this touch
    keep_5m, keep_1h   [floor, touch] to have kept the entry alive since the touch before
    """

    uncached: Amounts
    read: Amounts
    write_5m: Amounts
    write_1h: Amounts
    keep_5m: Amounts
    keep_1h: Amounts


def floors(log: CacheLog) -> Floors:
    """The three floors of a log; what no prefix list covers counts as uncached input."""
    rest = log.total_input
    units, scale, worst = _units(log)
    totals = [0, 0, 0]
    for requests in chunks(log, short_too=True):
        rest[requests.position] -= requests.tokens[requests.ptr[1:] - 1]
        for touches in parts(requests):
            tokens = requests.block_tokens[touches.entry]
            price = log.price[requests.position[touches.owner]]
            least = _least(steps(touches, tokens, price, units, 2 * worst + 1), touches)
            totals = [total + int(value) for total, value in zip(totals, least, strict=True)]
    sums = np.zeros((len(log.prices), 4), dtype=np.int64)
    sums[:, 0] = sum_by(log.price, rest, len(log.prices))
    tail = cost_of(sums, log.prices)
    without, with_pings, never = (EXACT.add(tail, EXACT.multiply(Decimal(value), scale)) for value in totals)
    return Floors(without, with_pings, never)


def captured_share(no_cache: Decimal, observed: Decimal, floor: Decimal) -> float | None:
    """The part of what caching could have saved that it did save; negative when it cost more than it saved.

    None when there was nothing to save.
    """
    possible = EXACT.subtract(no_cache, floor)
    return float(EXACT.subtract(no_cache, observed)) / float(possible) if possible > 0 else None


def steps(touches: Touches, tokens: Ints, price: Ints, units: Amounts, never: int) -> Steps:
    """`tokens` and `price` (position in `units`) are per touch; units [price class, input meter].

    `never` is more than any policy costs: what is impossible.
    """
    uncached, read, write_5m, write_1h = (tokens * units[price, meter] for meter in range(4))
    keeping = previous(read)
    keep = []
    for ttl in (TTL_5M_US, TTL_1H_US):
        bridged = np.minimum(np.maximum(touches.gap - 1, 0) // ttl, MOST_BRIDGED)
        pinged = bridged * keeping
        keep.append(
            np.stack([(bridged > 0) * np.array(never, dtype=pinged.dtype), pinged, np.zeros_like(pinged)])
        )
    return Steps(uncached, read, write_5m, write_1h, *keep)


def _least(step: Steps, touches: Touches) -> Amounts:
    """Sum over blocks of the least cost of all their touches, for each floor.

    States after a touch: not cached, alive at 5 minutes, alive at an hour. All blocks take their k-th step together.
    """
    begin = np.flatnonzero(touches.first)
    count = np.diff(begin, append=len(touches))
    order = np.argsort(-count, kind="stable")
    begin, count = begin[order], count[order]
    shape = (3, len(begin))
    none, five, hour = (
        np.array(np.broadcast_to(start[begin], shape))
        for start in (step.uncached, step.write_5m, step.write_1h)
    )
    # How many blocks have a touch number k, for k = 1 ..: those come first.
    left = len(begin) - np.searchsorted(
        count[::-1], np.arange(1, int(count[0]) if len(count) else 0), "right"
    )
    for number, active in enumerate(left.tolist(), start=1):
        if active <= FEW_BLOCKS:
            for block in range(active):
                rows = slice(int(begin[block]) + number, int(begin[block] + count[block]))
                states = np.stack([none[:, block], five[:, block], hour[:, block]], axis=1)
                none[:, block] = five[:, block] = hour[:, block] = _walk(step, rows, states)
            break
        at = begin[:active] + number
        best = np.minimum(np.minimum(none[:, :active], five[:, :active]), hour[:, :active])
        read = step.read[at]
        five[:, :active] = np.minimum(five[:, :active] + step.keep_5m[:, at] + read, best + step.write_5m[at])
        hour[:, :active] = np.minimum(hour[:, :active] + step.keep_1h[:, at] + read, best + step.write_1h[at])
        none[:, :active] = best + step.uncached[at]
    return np.asarray(np.minimum(np.minimum(none, five), hour).sum(axis=1))


def _walk(step: Steps, rows: slice, states: Amounts) -> Amounts:
    """The least cost of one block for each floor, given the states [floor, state] before its touches `rows`.

    A touch maps states to states by sums and minima, as a matrix does by products and sums; so matrices of neighbours
    can be multiplied in pairs, and a million touches take twenty rounds.
    """
    for begin in range(rows.start, rows.stop, SLAB):
        at = slice(begin, min(begin + SLAB, rows.stop))
        stay_5m = np.minimum(step.keep_5m[:, at] + step.read[at], step.write_5m[at])
        stay_1h = np.minimum(step.keep_1h[:, at] + step.read[at], step.write_1h[at])
        # [floor, touch, state before, state after]
        matrices = np.empty((*stay_5m.shape, 3, 3), dtype=stay_5m.dtype)
        for state, price in enumerate((step.uncached, step.write_5m, step.write_1h)):
            matrices[:, :, :, state] = price[at, None]
        matrices[:, :, 1, 1] = stay_5m
        matrices[:, :, 2, 2] = stay_1h
        while matrices.shape[1] > 1:
            last = matrices[:, matrices.shape[1] // 2 * 2 :]
            pairs = _product(matrices[:, 0:-1:2], matrices[:, 1::2])
            matrices = np.concatenate((pairs, last), axis=1)
        states = _product(states[:, None, :], matrices[:, 0])[:, 0]
    return np.asarray(states.min(axis=1))


def _product(left: Amounts, right: Amounts) -> Amounts:
    """Matrices multiplied where + stands for times and min for plus; over the last two axes."""
    ways = [left[..., :, middle, None] + right[..., middle, None, :] for middle in range(3)]
    return np.asarray(np.minimum(np.minimum(ways[0], ways[1]), ways[2]))


def _units(log: CacheLog) -> tuple[Amounts, Decimal, int]:
    """Prices as whole numbers [price class, meter], the USD of one unit, and more units than any policy could cost.

    The prices are Python's own numbers where sums of them could be too large for 64 bits.
    """
    units, places = whole_units(log.prices)
    tokens = int(log.total_input.sum()) + MOST_BRIDGED * int(log.total_input.max(initial=0))
    worst = max(units.reshape(-1).tolist(), default=0) * tokens
    kept = units.astype(np.int64) if worst < LARGEST else units
    return kept, EXACT.scaleb(Decimal(1), -places), worst
