"""Policies, floors and the observed bill of one log side by side, and what they rest on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import reduce
from operator import add

import numpy as np

from ingest.core.cache.bill import ESTIMATED_BASIS, EXACT_BASIS, METERS, Bill, observed
from ingest.core.cache.bill import merged as merged_bills
from ingest.core.cache.estimate import estimate, estimate_ends, estimate_floors
from ingest.core.cache.floors import Floors, captured_share, floors
from ingest.core.cache.log import CacheLog, Mask
from ingest.core.cache.policies import NONE, STANDARD, AnyPolicy, Policy
from ingest.core.cache.replay import best_per_chain, replay
from ingest.core.cache.reuse import DEFAULT_REUSE, ReuseTable
from ingest.core.pricing import total


@dataclass(frozen=True)
class Comparison:
    """What happened beside what policies would have made of it.

    basis            "exact" when every request with input carries a prefix list, else "estimated"
    exact_requests   how many requests rest on a prefix list, of `requests`
    observed         the log's own bill
    bills            one a policy, in the order asked for
    ranges           USD (low, high) of each bill; both are the bill itself on the exact basis
    best_per_chain   the bill when every chain has the policy that suits it best
    floors           the three floors
    no_cache         USD without a cache
    captured_share   of what caching without pings could have saved; None when that is nothing
    """

    basis: str
    requests: int
    exact_requests: int
    observed: Bill
    bills: tuple[Bill, ...]
    ranges: tuple[tuple[Decimal, Decimal], ...]
    best_per_chain: Bill
    floors: Floors
    no_cache: Decimal
    captured_share: float | None

    def summed(self) -> Comparison:
        """The same with bills that have forgotten single requests."""
        return replace(
            self,
            observed=self.observed.summed(),
            bills=tuple(bill.summed() for bill in self.bills),
            best_per_chain=self.best_per_chain.summed(),
        )


def compare(
    log: CacheLog, policies: Sequence[Policy] = STANDARD, table: ReuseTable = DEFAULT_REUSE
) -> Comparison:
    """Everything about one log. Requests with a prefix list are replayed, the others estimated, and added."""
    exact = log.has_prefix
    basis = _basis(log)
    wanted = tuple(dict.fromkeys((*policies, NONE)))
    bills = evaluate(log, wanted, table)
    best = evaluate(log, [best_per_chain(log, wanted, bills)], table)[0]
    if basis == EXACT_BASIS:
        ranges = [(bill.input_list_cost, bill.input_list_cost) for bill in bills]
        least = floors(log)
    else:
        ranges = _ranges(log, wanted, bills, table)
        least = floors(log.where(exact)) + estimate_floors(log.where(~exact), table)
    happened = observed(log)
    asked = len(dict.fromkeys(policies))
    return Comparison(
        basis=basis,
        requests=len(log),
        exact_requests=int(exact.sum()),
        observed=happened,
        bills=tuple(bills[:asked]),
        ranges=tuple(ranges[:asked]),
        best_per_chain=best,
        floors=least,
        no_cache=(no_cache := bills[wanted.index(NONE)].input_list_cost),
        captured_share=captured_share(no_cache, happened.input_list_cost, least.without_pings),
    )


def merged(parts: Sequence[Comparison]) -> Comparison:
    """One comparison of several, of the same policies and of requests that share no cache."""
    happened = merged_bills([part.observed for part in parts])
    least = reduce(add, (part.floors for part in parts))
    no_cache = total(part.no_cache for part in parts)
    return Comparison(
        basis=least.basis,
        requests=sum(part.requests for part in parts),
        exact_requests=sum(part.exact_requests for part in parts),
        observed=happened,
        bills=tuple(merged_bills(bills) for bills in zip(*(part.bills for part in parts), strict=True)),
        ranges=tuple(
            (total(low for low, _ in ends), total(high for _, high in ends))
            for ends in zip(*(part.ranges for part in parts), strict=True)
        ),
        best_per_chain=merged_bills([part.best_per_chain for part in parts]),
        floors=least,
        no_cache=no_cache,
        captured_share=captured_share(no_cache, happened.input_list_cost, least.without_pings),
    )


def evaluate(log: CacheLog, policies: Sequence[AnyPolicy], table: ReuseTable = DEFAULT_REUSE) -> list[Bill]:
    """The bills under any policies: replayed where requests carry prefix lists, estimated where not."""
    basis, exact = _basis(log), log.has_prefix
    replayed = replay(log, policies)
    if basis == EXACT_BASIS:
        return replayed
    guessed = estimate(log, policies, table)
    return [_joined(exact, *each, basis) for each in zip(replayed, guessed, strict=True)]


def _basis(log: CacheLog) -> str:
    without = log.total_input[~log.has_prefix]
    return ESTIMATED_BASIS if (without > 0).any() else EXACT_BASIS


def _ranges(
    log: CacheLog, policies: Sequence[AnyPolicy], bills: Sequence[Bill], table: ReuseTable
) -> list[tuple[Decimal, Decimal]]:
    exact = log.has_prefix
    ranges = []
    for bill, ends in zip(bills, estimate_ends(log, policies, table), strict=True):
        low, high = sorted(_joined(exact, bill, end, bill.basis).input_list_cost for end in ends)
        # With one end cheaper and the other too, the bill itself can lie outside.
        ranges.append((min(low, bill.input_list_cost), max(high, bill.input_list_cost)))
    return ranges


def _joined(chosen: Mask, bill: Bill, other: Bill, basis: str) -> Bill:
    """One bill at the chosen requests, the other at the rest."""
    meters = {name: np.where(chosen, getattr(bill, name), getattr(other, name)) for name in METERS}
    return replace(bill, basis=basis, **meters)
