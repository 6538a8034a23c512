"""The TTL curve from gap histograms is what always writing at that TTL costs."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.core.cache.curve import BUCKETS, EDGES_S, EDGES_US, GapHistogram, gap_histogram
from ingest.core.cache.estimate import estimate
from ingest.core.cache.log import TTL_1H_US, TTL_5M_US, CacheLog
from ingest.core.cache.policies import FIVE_MINUTES, ONE_HOUR
from ingest.core.cache.replay import replay
from tests.support.cache_logs import log_of_paths, random_log

SECOND = 1_000_000


def at_both_ttls(histogram: GapHistogram) -> list[tuple[Decimal, float]]:
    return [(histogram.input_list_cost(ttl), histogram.token_hit_rate(ttl)) for ttl in (TTL_5M_US, TTL_1H_US)]


def prefixed(seed: int) -> CacheLog:
    """A random log that knows no waiting and has a prefix for every request."""
    log = random_log(seed, wait=False)
    return log.where(log.has_prefix)


def replayed(log: CacheLog) -> list[tuple[Decimal, float]]:
    return [(bill.input_list_cost, bill.token_hit_rate) for bill in replay(log, [FIVE_MINUTES, ONE_HOUR])]


def test_the_ttls_that_are_sold_are_edges() -> None:
    assert {300, 3600} <= set(EDGES_S)
    assert sorted(set(EDGES_S)) == list(EDGES_S)


@given(st.integers(0, 10**9))
@settings(max_examples=60, deadline=None)
def test_at_five_minutes_and_an_hour_it_is_the_replay(seed: int) -> None:
    log = prefixed(seed)
    assert at_both_ttls(gap_histogram(log)) == replayed(log)


@given(st.integers(0, 10**9), st.integers(0, 10**9))
@settings(max_examples=60, deadline=None)
def test_histograms_add_up(seed: int, other: int) -> None:
    one, two = prefixed(seed), prefixed(other)
    both = gap_histogram(one) + gap_histogram(two)
    expected = [a + b for (a, _), (b, _) in zip(replayed(one), replayed(two), strict=True)]
    assert [cost for cost, _ in at_both_ttls(both)] == expected
    assert len(both.prices) == 2


def test_the_worked_example() -> None:
    log = log_of_paths([(second, [(1, 60)]) for second in (0, 120, 1000, 9000)])
    histogram = gap_histogram(log)
    reusable = histogram.reused.sum()
    hits = [int(histogram.hits([ttl * SECOND]).sum()) / reusable for ttl in (60, 300, 3600, 10_800)]
    assert hits == [0, pytest.approx(1 / 3), pytest.approx(2 / 3), 1]
    assert histogram.input_list_cost(TTL_5M_US) == Decimal("3.85") * 60
    assert histogram.input_list_cost(TTL_1H_US) == Decimal("4.2") * 60


@given(st.integers(0, 10**9))
@settings(max_examples=60, deadline=None)
def test_a_longer_ttl_never_reads_less(seed: int) -> None:
    histogram = gap_histogram(random_log(seed))
    rates = [histogram.token_hit_rate(ttl) for ttl in range(0, 4000 * SECOND, 390 * SECOND)]
    assert rates == sorted(rates)


def test_rewriting_is_priced_above_reading_by_bucket() -> None:
    log = log_of_paths([(0, [(1, 100)]), (400, [(1, 100)])])
    costs = gap_histogram(log).rewrite_cost()
    assert len(costs) == BUCKETS
    assert {float(edge): cost for edge, cost in zip(EDGES_US / SECOND, costs, strict=False) if cost} == {
        420.0: Decimal("1.15") * 100
    }


def test_without_prefixes_the_chains_give_an_estimate() -> None:
    log = log_of_paths(
        [(0, []), (100, []), (1000, [])],
        uncached=[5, 5, 5],
        write_5m=[1000, 200, 1300],
        read=[0, 1000, 0],
    )
    histogram = gap_histogram(log)
    assert histogram.basis == "estimated"
    assert [cost for cost, _ in at_both_ttls(histogram)] == [
        bill.input_list_cost for bill in estimate(log, [FIVE_MINUTES, ONE_HOUR])
    ]
