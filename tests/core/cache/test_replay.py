"""Replays agree with a plain replay, request by request and token by token."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.core.cache import touches
from ingest.core.cache.bill import Bill
from ingest.core.cache.log import CacheLog, Prefixes, make_log
from ingest.core.cache.policies import NONE, AnyPolicy, Instead, Mix, PerChain, Policy, parse_policy
from ingest.core.cache.replay import best_per_chain, replay
from tests.support.cache_logs import UNIT, log_of_paths, random_log
from tests.support.plain_cache import Line, plain_replay

FIXED = tuple(
    map(parse_policy, ("none", "5m", "1h", "5m+1ping", "5m+3pings", "5m+11pings", "1h+1ping", "1h+4pings"))
)
MIXES = (
    Mix(Policy("5m"), {"helper": Policy("1h")}),
    Mix(Policy("5m", 2), {"helper": NONE, "batch": Policy("1h", 1)}),
    Mix(NONE, {"main": Policy("5m", 3)}),
)


def lines(bill: Bill) -> list[Line]:
    meters = (bill.uncached, bill.read, bill.write_5m, bill.write_1h, bill.pings)
    return [Line(*row) for row in zip(*(meter.tolist() for meter in meters), strict=True)]


def cost(log: CacheLog, policy: str) -> Decimal:
    return replay(log, [parse_policy(policy)])[0].input_list_cost


def agree(log: CacheLog, policies: tuple[AnyPolicy, ...]) -> None:
    for policy, bill in zip(policies, replay(log, policies), strict=True):
        terms = policy.terms(log)
        each = [
            Policy(("none", "5m", "1h")[tier], pings if tier else 0)
            for tier, pings in zip(terms.tier.tolist(), terms.pings.tolist(), strict=True)
        ]
        assert lines(bill) == plain_replay(log, each), policy.name


@given(st.integers(0, 10**9))
@settings(max_examples=60, deadline=None)
def test_fixed_policies_agree_with_the_plain_replay(seed: int) -> None:
    agree(random_log(seed), FIXED)


@given(st.integers(0, 10**9))
@settings(max_examples=60, deadline=None)
def test_mixes_agree_with_the_plain_replay(seed: int) -> None:
    log = random_log(seed)
    some = np.random.default_rng(seed).random(len(log)) < 0.5
    chains = int(log.chain.max(initial=-1)) + 1
    choice = np.random.default_rng(seed).integers(0, len(FIXED), chains)
    agree(log, (*MIXES, Instead(some, Policy("1h"), Policy("5m", 1)), PerChain(FIXED, choice)))


@given(st.integers(0, 10**9))
@settings(max_examples=60, deadline=None)
def test_ids_that_are_not_chained_do_no_harm(seed: int) -> None:
    agree(random_log(seed, chained=False), (*FIXED, *MIXES))


@given(st.integers(0, 10**9))
@settings(max_examples=60, deadline=None)
def test_small_chunks_change_nothing(seed: int) -> None:
    log = random_log(seed)
    whole = [lines(bill) for bill in replay(log, (*FIXED, *MIXES))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(touches, "CHUNK", 5)
        assert [lines(bill) for bill in replay(log, (*FIXED, *MIXES))] == whole


@given(st.integers(0, 10**9))
@settings(max_examples=60, deadline=None)
def test_the_order_of_rows_with_different_times_does_not_matter(seed: int) -> None:
    distinct = np.random.default_rng(seed).permutation(30)
    paths: list[tuple[float, list[tuple[int, int]]]] = [
        (float(second) * 60, [(block, 10) for block in range(int(second) % 7)]) for second in distinct
    ]
    shuffled, in_order = (
        log_of_paths(rows, ttft_ms=[int(second) * 40 for second, _ in rows])
        for rows in (paths, sorted(paths))
    )
    for one, other in zip(replay(shuffled, FIXED), replay(in_order, FIXED), strict=True):
        assert one.sums.tolist() == other.sums.tolist()


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("none", "4"), ("5m", "3.85"), ("1h", "4.2"), ("5m+1ping", "4.15"), ("1h+1ping", "4.4")],
)
def test_one_prefix_at_four_times(policy: str, expected: str) -> None:
    # Pings are sent after the last use, too: 5m+1ping pays for three beside a rewrite at 1000 s that one ping cannot
    # prevent, 1h+1ping for one before the rewrite at 9000 s and one after.
    log = log_of_paths([(second, [(1, 1)]) for second in (0, 120, 1000, 9000)])
    assert cost(log, policy) == Decimal(expected)


@pytest.mark.parametrize(("policy", "expected"), [("5m", "7.9"), ("1h", "10.5"), ("none", "10")])
def test_a_tree_of_prefixes(policy: str, expected: str) -> None:
    a, b, c, d, e = ((block, 1) for block in range(5))
    log = log_of_paths([(0, [a, b, c]), (200, [a, b, d]), (400, [a, b, c, e])])
    assert cost(log, policy) == Decimal(expected)


def test_a_tree_at_five_minutes_request_by_request() -> None:
    a, b, c, d, e = ((block, 1) for block in range(5))
    log = log_of_paths([(0, [a, b, c]), (200, [a, b, d]), (400, [a, b, c, e])])
    bill = replay(log, [Policy("5m")])[0]
    assert bill.read.tolist() == [0, 2, 2]
    assert bill.write_5m.tolist() == [3, 1, 2]
    assert bill.token_hit_rate == 0.4


def test_an_entry_lives_up_to_and_including_its_ttl() -> None:
    log = log_of_paths([(0, [(1, 100)]), (300, [(1, 100)]), (600.000001, [(1, 100)])])
    assert replay(log, [Policy("5m")])[0].read.tolist() == [0, 100, 0]


def test_an_entry_is_readable_once_the_first_answer_has_begun() -> None:
    # The second request writes as well, later than the first: what the first wrote is there for the third.
    log = log_of_paths([(second, [(1, 100)]) for second in (0, 1, 2.5)], ttft_ms=[2000, 5000, 0])
    assert replay(log, [Policy("5m")])[0].read.tolist() == [0, 0, 100]


def test_without_a_time_to_first_token_the_latency_counts_up_to_two_seconds() -> None:
    paths = [(0, [(1, 100)]), (1.9, [(1, 100)]), (2, [(1, 100)])]
    for latency, read in ((60_000, [0, 0, 100]), (1900, [0, 100, 100]), (-1, [0, 0, 100])):
        log = log_of_paths(paths, ttft_ms=-1, latency_ms=[latency, 9000, 9000])
        assert replay(log, [Policy("5m")])[0].read.tolist() == read


def test_a_clock_that_runs_backwards_makes_no_answer_begin_before_its_request() -> None:
    log = log_of_paths([(0, [(1, 100)]), (0, [(1, 100)])], ttft_ms=[-4000, 0], latency_ms=-7)
    assert (log.ready >= log.start).all()


def test_prefixes_under_the_minimum_are_uncached_input() -> None:
    long, short = [(1, 600), (2, 500)], [(1, 600)]
    log = log_of_paths([(0, long), (10, short), (20, long)], min_tokens=1024, tail=7)
    bill = replay(log, [Policy("5m")])[0]
    assert bill.uncached.tolist() == [7, 607, 7]
    assert bill.read.tolist() == [0, 0, 1100]


def test_a_common_part_under_the_minimum_is_no_hit() -> None:
    log = log_of_paths([(0, [(1, 600), (2, 500)]), (10, [(1, 600), (3, 500)])], min_tokens=1024)
    bill = replay(log, [Policy("5m")])[0]
    assert bill.read.tolist() == [0, 0]
    assert bill.write_5m.tolist() == [1100, 1100]


def test_workspaces_and_models_share_nothing() -> None:
    paths = [(0, [(1, 100)]), (10, [(1, 100)]), (20, [(1, 100)])]
    assert replay(log_of_paths(paths, domain=[0, 1, 0]), [Policy("5m")])[0].read.tolist() == [0, 0, 100]


def test_sessions_of_one_domain_share_prefixes_but_not_pings() -> None:
    log = log_of_paths([(0, [(1, 100)]), (10, [(1, 100)]), (800, [(1, 100)])], session=[0, 1, 1])
    bill = replay(log, [Policy("5m", 3)])[0]
    # The first is its chain's last: three pings. The second needs two up to 800 s; the third is a last one again.
    assert bill.pings.tolist() == [300, 200, 300]
    assert bill.read.tolist() == [0, 100, 100]


def test_reading_at_an_hour_does_not_turn_five_minutes_into_an_hour() -> None:
    log = log_of_paths(
        [(second, [(1, 100)]) for second in (0, 10, 1000)], call_class=[0, 1, 1], class_names=("5m", "1h")
    )
    bill = replay(log, [Mix(Policy("5m"), {"1h": Policy("1h")})])[0]
    assert bill.read.tolist() == [0, 100, 0]
    assert bill.write_5m.tolist() == [100, 0, 0]
    assert bill.write_1h.tolist() == [0, 0, 100]


def test_reading_at_five_minutes_keeps_an_hour_s_entry_for_an_hour() -> None:
    log = log_of_paths(
        [(second, [(1, 100)]) for second in (0, 3000, 6000)], call_class=[1, 0, 0], class_names=("5m", "1h")
    )
    assert replay(log, [Mix(Policy("5m"), {"1h": Policy("1h")})])[0].read.tolist() == [0, 100, 100]


def test_the_best_choice_per_chain_is_no_dearer_than_any_policy_when_chains_share_nothing() -> None:
    log = random_log(11, most=60)
    log = replace(log, domain=log.chain, _memo={})
    bills = replay(log, FIXED)
    best = replay(log, [best_per_chain(log, FIXED, bills)])[0]
    chains = int(log.chain.max()) + 1
    cheapest = np.min([bill.costs_by(log.chain, chains) for bill in bills], axis=0)
    assert best.costs_by(log.chain, chains) == pytest.approx(cheapest, abs=1e-9)
    assert best.input_list_cost <= min(bill.input_list_cost for bill in bills)


def test_two_hundred_thousand_requests_at_once_in_one_session() -> None:
    count = 200_000
    seconds = np.where(np.arange(count) < count // 2, 0, 5)
    many = make_log(
        start=seconds * 1_000_000,
        domain=0,
        session=0,
        uncached=20,
        prices=(UNIT,),
        ttft_ms=2000,
        prefixes=Prefixes(np.arange(count + 1) * 2, np.tile([1, 2], count), np.tile([10, 20], count)),
    )
    bill = replay(many, [Policy("5m", 2)])[0]
    assert int(bill.write_5m.sum()) == int(bill.read.sum()) == count // 2 * 20
    assert int(bill.pings.sum()) == 2 * 20


def test_an_empty_log_costs_nothing() -> None:
    log = log_of_paths([])
    assert [bill.input_list_cost for bill in replay(log, (*FIXED, *MIXES))] == [0] * 11
