"""What came of advice: the price of the same work before and after, times the work done since."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from math import sqrt

import numpy as np

from dashboard.analysis.recommendations.finding import BATCH, CENTS, KEEP_ALIVE, WIDE, Monthly, a_month
from dashboard.analysis.recommendations.traffic import Traffic
from dashboard.analysis.recommendations.waste import whole_cost
from ingest.core.cache.bill import observed
from ingest.core.cache.bootstrap import ratio_interval
from ingest.core.cache.log import Floats, Mask

FEWEST_SESSIONS = 20  # on either side
FEWEST_DAYS = Decimal(1)  # since it was done: hours say little about a month
TOKEN, REQUEST, CALL = "input token", "answered request", "request"


@dataclass(frozen=True)
class Period:
    """What a scope cost and how much work it did, in total and by session.

    cost    USD, exact
    size    tokens or requests, as the measure says
    costs, sizes   the same by session, as floats
    """

    cost: Decimal
    size: int
    costs: Floats
    sizes: Floats
    days: Decimal
    sampled: Decimal = Decimal(1)


@dataclass(frozen=True)
class Realised:
    """monthly: None while it is too early to tell; sessions and days are those since it was done."""

    monthly: Monthly | None
    sessions: int
    sessions_before: int
    days: Decimal
    before: Decimal | None  # USD a unit of work, to 18 places
    after: Decimal | None


def measure_of(action: str) -> str:
    """What work is counted in. Input tokens, since prompts grow and shrink by themselves. Keep-alive pings would be
    cheap tokens of their own: there it is requests that were answered, at the price of their input and the pings'.
    What changes output or models too is held against the whole cost of a request."""
    if action == KEEP_ALIVE:
        return REQUEST
    return CALL if action in (BATCH, "scenario") else TOKEN


def period(traffic: Traffic, chosen: Mask, measure: str, days: Decimal) -> Period:
    """The chosen requests as one side of the comparison."""
    log = traffic.log.where(chosen)
    if measure == CALL:
        cost = whole_cost(traffic, chosen, traffic.rates)
        each: Floats = traffic.costs[chosen]
    else:
        happened = observed(log)
        cost, each = happened.input_list_cost, happened.costs
    sizes = (
        log.total_input
        if measure == TOKEN
        else (log.output > 0 if measure == REQUEST else np.ones(len(log))).astype(np.int64)
    )
    _, unit = np.unique(traffic.unit[chosen], return_inverse=True)
    count = int(unit.max(initial=-1)) + 1
    return Period(
        cost=cost,
        size=int(sizes.sum()),
        costs=np.bincount(unit.reshape(-1), weights=each, minlength=count).astype(np.float64),
        sizes=np.bincount(unit.reshape(-1), weights=sizes, minlength=count).astype(np.float64),
        days=days,
        sampled=traffic.sampled,
    )


def realised(before: Period, after: Period) -> Realised:
    """(cost per unit of work before - after) x the work since, in 30 days; its interval is by session."""
    rates = [
        WIDE.divide(each.cost, Decimal(each.size)).quantize(Decimal("1e-18"), context=WIDE)
        if each.size
        else None
        for each in (before, after)
    ]
    known = (
        len(after.costs) >= FEWEST_SESSIONS
        and len(before.costs) >= FEWEST_SESSIONS
        and after.days >= FEWEST_DAYS
        and before.size > 0
        and after.size > 0
    )
    found = Realised(None, len(after.costs), len(before.costs), after.days, *rates)
    if not known:
        return found
    # Exactly: cost_before x size_after / size_before - cost_after.
    instead = WIDE.divide(WIDE.multiply(before.cost, Decimal(after.size)), Decimal(before.size))
    saved = a_month(WIDE.subtract(instead, after.cost), after.days, after.sampled)
    then = ratio_interval(before.costs, before.sizes)
    now = ratio_interval(after.costs, after.sizes, seed=1)
    month = float(a_month(Decimal(after.size), after.days, after.sampled))
    # Two independent samples: the distances of their bounds add like the sides of a right angle.
    below = sqrt((then.estimate - then.low) ** 2 + (now.high - now.estimate) ** 2) * month
    above = sqrt((then.high - then.estimate) ** 2 + (now.estimate - now.low) ** 2) * month
    bounds = (
        Decimal(repr(each)).quantize(CENTS, context=WIDE)
        for each in (float(saved) - below, float(saved) + above)
    )
    low, high = bounds
    return replace(found, monthly=Monthly(low, saved, high))
