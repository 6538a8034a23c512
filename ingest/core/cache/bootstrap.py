"""How sure a figure is: intervals from drawing sessions again, since requests of one session are not independent."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ingest.core.cache.log import Floats

LEVEL = 0.95
DRAWS = 1000
MOST_UNITS = 2000  # more sessions than these are put into so many bags at random, and bags are drawn
AT_ONCE = 1_000_000  # values in memory


class Interval(NamedTuple):
    """A figure and the bounds that hold it at some level; low <= high."""

    low: float
    estimate: float
    high: float


def interval(
    values: Floats, *, future: int | None = None, level: float = LEVEL, draws: int = DRAWS, seed: int = 0
) -> Interval:
    """The sum of one value a session, such as the USD that a policy saves in it.

    `future`: instead the sum to expect of so many other sessions of the same kind, with their own chance in it.
    The same seed gives the same interval.
    """
    count = len(values) if future is None else future
    scale = np.ones(len(values))
    found = _bounds(values, scale, future, level, draws, seed)
    return Interval(*(bound * count for bound in found))


def ratio_interval(
    top: Floats,
    bottom: Floats,
    *,
    future: int | None = None,
    level: float = LEVEL,
    draws: int = DRAWS,
    seed: int = 0,
) -> Interval:
    """The quotient of two sums, such as saved USD over spent USD; top and bottom have one value a session."""
    return _bounds(top, bottom, future, level, draws, seed)


def _bounds(top: Floats, bottom: Floats, future: int | None, level: float, draws: int, seed: int) -> Interval:
    if len(top) != len(bottom):
        raise ValueError(f"{len(top)} values over {len(bottom)}")
    estimate = _quotient(top.sum(), bottom.sum())
    if len(top) < 2:  # one session says nothing about others
        return Interval(float("-inf"), float(estimate), float("inf"))
    rng = np.random.default_rng(seed)
    units = _bags(np.stack([top, bottom], axis=1).astype(np.float64), rng)
    again = _draw(units, len(units), draws, rng)
    if future is None:
        low, high = np.quantile(again, [(1 - level) / 2, (1 + level) / 2])
    else:
        others = max(round(future * len(units) / len(top)), 1)
        # How far others lie from what one sample says about them: both are drawn.
        miss = _draw(units, others, draws, rng) - again
        low, high = estimate + np.quantile(miss, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(estimate), float(high))


def _draw(units: Floats, size: int, draws: int, rng: np.random.Generator) -> Floats:
    """The quotient of the sums of `size` units drawn with replacement, so many times."""
    found = np.empty(draws)
    step = max(AT_ONCE // size, 1)
    for begin in range(0, draws, step):
        chosen = rng.integers(0, len(units), (min(step, draws - begin), size))
        sums = units[chosen].sum(axis=1)
        found[begin : begin + len(chosen)] = _quotient(sums[:, 0], sums[:, 1])
    return found


def _bags(units: Floats, rng: np.random.Generator) -> Floats:
    if len(units) <= MOST_UNITS:
        return units
    edges = np.linspace(0, len(units), MOST_UNITS + 1).astype(np.int64)[:-1]
    return np.asarray(np.add.reduceat(rng.permutation(units), edges, axis=0))


def _quotient(top: Floats, bottom: Floats) -> Floats:
    return np.divide(top, bottom, out=np.zeros_like(np.asarray(top, dtype=np.float64)), where=bottom != 0)
