"""One piece of advice: what, where, the dollars a month, and how sure they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Context, Decimal
from typing import Literal

import numpy as np

from dashboard.analysis.recommendations.traffic import Traffic
from ingest.core.cache.bill import EXACT_BASIS
from ingest.core.cache.bootstrap import interval
from ingest.core.cache.log import Floats, Mask

DAYS_A_MONTH = 30
CENTS = Decimal(1).scaleb(-12)  # what a month is rounded to: 30 / 7 has no end
WIDE = Context(prec=60)

CACHE_ON, CACHE_OFF = "cache_on", "cache_off"
TTL_5M, TTL_1H, KEEP_ALIVE = "ttl_5m", "ttl_1h", "keep_alive"
STABLE_PREFIX, MOVE_BREAKPOINT = "stable_prefix", "move_breakpoint"
STAGGER, BATCH = "stagger", "batch"
ACTIONS = (
    CACHE_ON,
    CACHE_OFF,
    TTL_5M,
    TTL_1H,
    KEEP_ALIVE,
    STABLE_PREFIX,
    MOVE_BREAKPOINT,
    STAGGER,
    BATCH,
)
Sure = Literal["likely", "fair", "unsure"]
Fact = int | float | str | Decimal


@dataclass(frozen=True)
class Monthly:
    """USD saved in 30 days, at the rate of the range; the bounds are None where one session is all there is."""

    low: Decimal | None
    estimate: Decimal
    high: Decimal | None


@dataclass(frozen=True)
class Finding:
    """Advice for the requests of `chosen`.

    scope    ((dimension, value), ...): all of these hold
    policy   the name of the cache policy to have, or ""
    saving   USD within the log, exact
    basis    "exact" or "estimated", as in the engine
    facts    the numbers that the evidence is told from
    overlaps positions, in the list this stands in, of what is about some of the same money
    """

    action: str
    scope: tuple[tuple[str, str], ...]
    policy: str
    chosen: Mask
    saving: Decimal
    monthly: Monthly
    basis: str
    facts: Mapping[str, Fact]
    overlaps: tuple[int, ...] = ()

    @property
    def sure(self) -> Sure:
        """unsure: the interval reaches down to nothing saved; likely: exact, and at least half of it."""
        low = self.monthly.low
        if low is None or low <= 0:
            return "unsure"
        return "likely" if self.basis == EXACT_BASIS and low * 2 >= self.monthly.estimate else "fair"

    def with_overlaps(self, overlaps: tuple[int, ...]) -> Finding:
        return replace(self, overlaps=overlaps)


def by_unit(traffic: Traffic, chosen: Mask, values: Floats) -> Floats:
    """Sums of one value a chosen request, unit by unit."""
    _, unit = np.unique(traffic.unit[chosen], return_inverse=True)
    return np.bincount(unit.reshape(-1), weights=values).astype(np.float64)


def monthly(
    traffic: Traffic, saving: Decimal, units: Floats, below: float = 0.0, above: float = 0.0
) -> Monthly:
    """A saving within the log as one of 30 days, with the interval for as many other sessions as a month brings.

    units         USD saved in each unit
    below, above  USD within the log by which the estimate itself may be off, beside chance
    """
    months = DAYS_A_MONTH / (traffic.days * traffic.sampled)
    expected = len(units) * float(months)
    future = max(round(expected), 1)
    found = interval(units, future=future)
    scale = expected / future
    return Monthly(
        _bound(found.low * scale - below * float(months)),
        a_month(saving, traffic.days, traffic.sampled),
        _bound(found.high * scale + above * float(months)),
    )


def a_month(amount: Decimal, days: Decimal, sampled: Decimal = Decimal(1)) -> Decimal:
    """An amount of so many days, from a share of the sessions, as one of 30 days; to 12 places."""
    whole = WIDE.multiply(amount, Decimal(DAYS_A_MONTH))
    return WIDE.divide(whole, WIDE.multiply(days, sampled)).quantize(CENTS, context=WIDE)


def _bound(value: float) -> Decimal | None:
    return Decimal(repr(value)).quantize(CENTS, context=WIDE) if np.isfinite(value) else None
