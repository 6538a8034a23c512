"""Money that goes without need: prefixes that change, calls that start together, calls that could wait for a batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import numpy as np

from dashboard.analysis.recommendations.caching import FEWEST
from dashboard.analysis.recommendations.finding import (
    BATCH,
    STABLE_PREFIX,
    STAGGER,
    Finding,
    by_unit,
    monthly,
)
from dashboard.analysis.recommendations.traffic import Rates, Traffic
from ingest.core.cache.bill import ESTIMATED_BASIS, EXACT_BASIS, sum_by
from ingest.core.cache.causes import CONCURRENT, NUMBER, PREFIX_CHANGED, Attribution
from ingest.core.cache.log import Mask
from ingest.core.pricing import EXACT, ZERO

CAUSE_OF = {STABLE_PREFIX: PREFIX_CHANGED, STAGGER: CONCURRENT}


def rewrites(
    traffic: Traffic, causes: Attribution, action: str, scope: tuple[tuple[str, str], ...], chosen: Mask
) -> Iterator[Finding]:
    """What writing again costs above reading, for the cause that the action takes away."""
    cause = CAUSE_OF[action]
    number = NUMBER[cause]
    hit = chosen & (causes.by_request[:, number] > 0)
    if hit.sum() < FEWEST:
        return
    part = _part(causes, chosen)
    saving = part.extra_cost[cause]
    if saving <= 0:
        return
    log = traffic.log
    wrote = log.write_5m + log.write_1h
    each = part.extra_costs_by(np.arange(int(chosen.sum())), int(chosen.sum()))[:, number]
    yield Finding(
        action=action,
        scope=scope,
        policy="",
        chosen=chosen,
        saving=saving,
        monthly=monthly(traffic, saving, by_unit(traffic, chosen, each)),
        basis=EXACT_BASIS if bool((log.has_prefix | (wrote == 0))[chosen].all()) else ESTIMATED_BASIS,
        facts={
            "rewrites": int(hit.sum()),
            "tokens": int(part.by_request[:, number].sum()),
            "written": int(part.by_request.sum()),
            "write_cost": part.write_cost[cause],
            "read_cost": EXACT.subtract(part.write_cost[cause], saving),
        },
    )


def batch_advice(traffic: Traffic, scope: tuple[tuple[str, str], ...], chosen: Mask) -> Iterator[Finding]:
    """What the batch price would take off a class of calls that nobody waits for."""
    because = traffic.can_wait.get(scope[0]) if len(scope) == 1 else None
    offered = np.array([rates is not None for rates in traffic.batch_rates], dtype=np.bool_)[traffic.rate]
    at = chosen & offered
    if because is None or at.sum() < FEWEST:
        return
    before = whole_cost(traffic, at, traffic.rates)
    after = whole_cost(traffic, at, traffic.batch_rates)
    saving = EXACT.subtract(before, after)
    if saving <= 0:
        return
    gains = [
        [0.0] * 5 if batch is None else [float(a - b) for a, b in zip(rates, batch, strict=True)]
        for rates, batch in zip(traffic.rates, traffic.batch_rates, strict=True)
    ]
    each = traffic.priced(np.array(gains))[at]
    yield Finding(
        action=BATCH,
        scope=scope,
        policy="",
        chosen=at,
        saving=saving,
        monthly=monthly(traffic, saving, by_unit(traffic, at, each)),
        basis=EXACT_BASIS,
        facts={"because": because, "before": before, "after": after, "cached": _cached_share(traffic, at)},
    )


def _part(causes: Attribution, chosen: Mask) -> Attribution:
    return replace(
        causes,
        by_request=causes.by_request[chosen],
        in_1h=causes.in_1h[chosen],
        price=causes.price[chosen],
    )


def whole_cost(traffic: Traffic, chosen: Mask, table: tuple[Rates | None, ...]) -> Decimal:
    """USD of all token meters at these rates, exact."""
    amount = ZERO
    for meter in range(5):
        sums = sum_by(traffic.rate[chosen], traffic.tokens[chosen, meter], len(table))
        for tokens, rates in zip(sums.tolist(), table, strict=True):
            if tokens and rates is not None:
                amount = EXACT.fma(Decimal(tokens), rates[meter], amount)
    return amount


def _cached_share(traffic: Traffic, chosen: Mask) -> float:
    whole = int(traffic.log.total_input[chosen].sum())
    return int(traffic.log.read[chosen].sum()) / whole if whole else 0.0
