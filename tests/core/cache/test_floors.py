"""The floors are what trying everything finds, in their order, and below every policy."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.core.cache import floors as floors_module
from ingest.core.cache import touches
from ingest.core.cache.bill import cost_of, observed
from ingest.core.cache.floors import Floors, captured_share, floors
from ingest.core.cache.log import CacheLog, InputPrices
from ingest.core.cache.policies import AnyPolicy, Mix, Policy
from ingest.core.cache.replay import best_per_chain, replay
from tests.core.cache.test_replay import FIXED, MIXES
from tests.support.cache_logs import UNIT, log_of_paths, random_log
from tests.support.plain_cache import block_uses, cheapest_by_trying, path_of


def amounts(found: Floors) -> tuple[Decimal, Decimal, Decimal]:
    return found.without_pings, found.with_pings, found.never_forgets


def test_one_prefix_at_four_times() -> None:
    log = log_of_paths([(second, [(1, 1)]) for second in (0, 120, 1000, 9000)])
    assert amounts(floors(log)) == (Decimal("3.2"), Decimal("2.5"), Decimal("1.55"))


def test_a_tree_of_prefixes() -> None:
    a, b, c, d, e = ((block, 1) for block in range(5))
    log = log_of_paths([(0, [a, b, c]), (200, [a, b, d]), (400, [a, b, c, e])])
    assert amounts(floors(log))[:2] == (Decimal("6.9"), Decimal("6.35"))


def test_what_lies_after_the_prefix_is_uncached() -> None:
    log = log_of_paths([(0, [(1, 100)]), (1, []), (2, [(1, 100)])], tail=7)
    assert floors(log).without_pings == Decimal("1.35") * 100 + 3 * 7


@given(st.integers(0, 10**9))
@settings(max_examples=60, deadline=None)
def test_the_programme_finds_what_trying_everything_finds(seed: int) -> None:
    log = random_log(seed, most=7)
    tails = [Fraction(0)]
    for i in range(len(log)):
        path = path_of(log, i)
        rest = int(log.total_input[i]) - (path[-1][1] if path else 0)
        tails.append(rest * Fraction(log.prices[int(log.price[i])].uncached))
    for found, pings, forgets in zip(
        amounts(floors(log)), (False, True, False), (True, True, False), strict=True
    ):
        tried = (cheapest_by_trying(log, uses, pings=pings, forgets=forgets) for uses in block_uses(log))
        assert Fraction(found) == sum(tried, sum(tails))


@given(st.integers(0, 10**9))
@settings(max_examples=60, deadline=None)
def test_no_policy_is_below_its_floor(seed: int) -> None:
    log = random_log(seed)
    without, with_pings, never = amounts(floors(log))
    assert never <= with_pings <= without
    bills = replay(log, FIXED)
    choice = best_per_chain(log, FIXED, bills)
    policies: tuple[AnyPolicy, ...] = (
        *FIXED,
        *MIXES,
        Mix(Policy("1h"), {"main": Policy("5m"), "batch": Policy("none")}),
        choice,
    )
    for policy, bill in zip(policies, replay(log, policies), strict=True):
        assert with_pings <= bill.input_list_cost, policy.name
        if not policy.terms(log).pings.any():
            assert without <= bill.input_list_cost, policy.name


@given(st.integers(0, 10**9))
@settings(max_examples=60, deadline=None)
def test_chunks_and_the_way_blocks_are_followed_change_nothing(seed: int) -> None:
    log = random_log(seed)
    whole = amounts(floors(log))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(touches, "CHUNK", 5)
        patch.setattr(floors_module, "SLAB", 3)
        assert amounts(floors(log)) == whole
        patch.setattr(floors_module, "FEW_BLOCKS", 0)
        assert amounts(floors(log)) == whole


@pytest.mark.parametrize(
    "prices",
    [
        InputPrices(
            *(price * Decimal("1.000000000000000001") for price in UNIT)
        ),  # more places than 64 bits hold
        InputPrices(Decimal(0), Decimal(0), Decimal(0), Decimal(0)),
        InputPrices(Decimal("1E+2"), Decimal("1E+1"), Decimal("1.25E+2"), Decimal("2E+2")),
    ],
)
def test_any_price_keeps_the_floors_exact(prices: InputPrices) -> None:
    log = log_of_paths([(second, [(1, 3)]) for second in (0, 120, 1000, 9000)])
    factor = prices.uncached
    assert amounts(floors(replace(log, prices=(prices,)))) == (
        Decimal("9.6") * factor,
        Decimal("7.5") * factor,
        Decimal("4.65") * factor,
    )


def test_a_price_that_changes_between_uses_is_followed() -> None:
    cheap, dear = UNIT, InputPrices(Decimal(10), Decimal(1), Decimal("12.5"), Decimal(20))
    log = log_of_paths([(0, [(1, 1)]), (10, [(1, 1)])], prices=(cheap, dear), price=[0, 1])
    assert floors(log).without_pings == Decimal("2.25")
    assert floors(replace(log, price=log.price[::-1].copy())).without_pings == Decimal("11")


def test_captured_share_is_the_part_of_the_possible_saving() -> None:
    log = log_of_paths([(second, [(1, 1)]) for second in (0, 120, 1000, 9000)])
    none, five = (replay(log, [Policy(tier)])[0].input_list_cost for tier in ("none", "5m"))
    assert captured_share(none, five, floors(log).without_pings) == pytest.approx(0.15 / 0.8)
    assert captured_share(none, none, none) is None
    assert captured_share(none, Decimal("4.8"), Decimal("3.2")) == pytest.approx(-1)


def test_the_observed_bill_is_exact_to_the_last_digit() -> None:
    price = InputPrices(*(Decimal(each) for each in ("0.000003", "3E-7", "0.00000375", "0.000006")))
    log = log_of_paths(
        [(0, []), (1, [])],
        prices=(price,),
        uncached=[1, 2],
        read=[10**9, 3],
        write_5m=[7, 0],
        write_1h=[0, 11],
    )
    bill = observed(log)
    assert bill.input_list_cost == 3 * price[0] + (10**9 + 3) * price[1] + 7 * price[2] + 11 * price[3]
    assert cost_of(bill.sums, log.prices) == bill.input_list_cost
    assert bill.costs.sum() == pytest.approx(float(bill.input_list_cost))


def test_an_empty_log_has_floors_of_nothing() -> None:
    empty: CacheLog = log_of_paths([])
    assert amounts(floors(empty)) == (Decimal(0),) * 3
