"""What counters alone allow: the log's own bill exactly, others by a reuse table with a range."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.core.cache import estimate as estimate_module
from ingest.core.cache.estimate import cacheable, estimate, estimate_ends, estimate_floors
from ingest.core.cache.log import CacheLog
from ingest.core.cache.policies import FIVE_MINUTES, NONE, ONE_HOUR, Policy
from ingest.core.cache.replay import replay
from ingest.core.cache.reuse import (
    DEFAULT_REUSE,
    GAPS,
    NAIVE_REUSE,
    PROMPTS,
    calibrate,
    observed_ttl,
    own_ttl,
)
from tests.support.cache_logs import billed_under, log_of_paths, random_log, without_prefixes


def lapsing(gap: float = 1000, grown: int = 1010) -> CacheLog:
    """Two requests at 5 minutes: the second found nothing."""
    return log_of_paths(
        [(0, []), (gap, [])], uncached=[10, 10], read=[0, 0], write_5m=[1000, grown], ttft_ms=[0, 0]
    )


@given(st.integers(0, 10**9))
@settings(max_examples=60, deadline=None)
def test_the_policy_a_log_was_run_under_gives_back_its_counts(seed: int) -> None:
    log = random_log(seed, minimum=False)
    log = log.where(log.has_prefix)
    for policy in (FIVE_MINUTES, ONE_HOUR):
        ran = without_prefixes(billed_under(log, replay(log, [policy])[0]))
        assert estimate(ran, [policy])[0].sums.tolist() == replay(log, [policy])[0].sums.tolist()


@given(st.integers(0, 10**9))
@settings(max_examples=60, deadline=None)
def test_every_input_token_is_counted_once(seed: int) -> None:
    log = random_log(seed)
    ran = without_prefixes(billed_under(log, replay(log, [FIVE_MINUTES])[0]))
    for bill in estimate(ran, [NONE, FIVE_MINUTES, ONE_HOUR, Policy("5m", 3)]):
        meters = np.stack([bill.uncached, bill.read, bill.write_5m, bill.write_1h])
        assert meters.min(initial=0) >= 0
        assert meters.sum(axis=0).tolist() == ran.total_input.tolist()
        assert bill.basis == "estimated"


def test_after_a_lapse_the_table_says_what_an_hour_would_have_read() -> None:
    bill = estimate(lapsing(), [ONE_HOUR])[0]
    same_size, ten_to_thirty = PROMPTS.index("about as before"), GAPS.index("10-30 min")
    expected = round(float(DEFAULT_REUSE.share[same_size, ten_to_thirty]) * 1000)
    assert bill.read.tolist() == [0, expected]
    assert bill.write_1h.tolist() == [1000, 1010 - expected]


def test_pings_reach_as_far_as_they_are_sent() -> None:
    reads = [estimate(lapsing(), [Policy("5m", pings)])[0].read[1] for pings in (2, 3)]
    assert reads[0] == 0
    assert reads[1] > 900


def test_a_prompt_that_shrank_is_taken_to_have_begun_anew() -> None:
    assert estimate(lapsing(grown=900), [ONE_HOUR])[0].read[1] < 300


def test_the_naive_table_takes_all_for_reusable() -> None:
    assert estimate(lapsing(), [ONE_HOUR], NAIVE_REUSE)[0].read.tolist() == [0, 1000]


def test_a_bill_lies_between_its_ends() -> None:
    log = lapsing()
    ends = [bill.input_list_cost for bill in estimate_ends(log, [ONE_HOUR])[0]]
    assert ends[1] < estimate(log, [ONE_HOUR])[0].input_list_cost < ends[0]


def test_a_chain_that_was_never_cached_may_have_no_reuse_at_all() -> None:
    log = log_of_paths([(0, []), (10, [])], uncached=[1000, 1000])
    least, most = estimate_ends(log, [FIVE_MINUTES])[0]
    assert least.read.tolist() == [0, 0]
    assert most.read[1] > 900
    assert cacheable(log).tolist() == [1000, 1000]


def test_a_prompt_under_the_minimum_is_not_cached() -> None:
    log = log_of_paths([(0, []), (10, [])], uncached=[1000, 1024], min_tokens=1024)
    assert estimate(log, [FIVE_MINUTES])[0].write_5m.tolist() == [0, 1024]


def test_a_chain_keeps_the_ttl_of_its_last_write() -> None:
    log = log_of_paths(
        [(second, []) for second in range(6)],
        session=[0, 0, 0, 0, 1, 1],
        uncached=5,
        read=[0, 9, 9, 9, 9, 0],
        write_5m=[0, 7, 0, 0, 0, 0],
        write_1h=[0, 0, 7, 0, 0, 0],
    )
    # The second session only reads: from what the first wrote last.
    minutes = [-1, 300_000_000, 3_600_000_000, 3_600_000_000, 3_600_000_000, 3_600_000_000]
    assert own_ttl(log).tolist() == minutes
    assert observed_ttl(log).tolist() == [-1, -1, *minutes[1:3], -1, minutes[4]]


def test_calibration_measures_what_is_used_again() -> None:
    # Of six sessions that go on after 15 minutes, four do so with half of their prompt and two with all of it.
    half, whole = [[(1, 500), (2, 500)], [(1, 500), (3, 500)]], [[(1, 500), (2, 500)]] * 2
    rows = [
        (second, path)
        for paths in (*[half] * 4, *[whole] * 2)
        for second, path in zip((0, 900), paths, strict=True)
    ]
    each = np.repeat(np.arange(6), 2)
    log = log_of_paths(rows, session=each, domain=each)
    table = calibrate(log)
    row = next(row for row in table.rows() if row.requests)
    assert (row.prompt, row.gap, row.requests) == ("about as before", "10-30 min", 6)
    assert row.share == pytest.approx(2 / 3)
    assert 0.5 <= row.low < row.share < row.high <= 1
    untouched = [(a, b) for a, b in zip(table.rows(), DEFAULT_REUSE.rows(), strict=True) if not a.requests]
    assert len(untouched) == len(PROMPTS) * len(GAPS) - 1
    assert all((a.share, a.low, a.high) == (b.share, b.low, b.high) for a, b in untouched)


def test_without_prefixes_there_is_nothing_to_calibrate_on() -> None:
    assert calibrate(lapsing()) is DEFAULT_REUSE


def test_estimated_floors_are_in_order_and_below_the_estimates() -> None:
    log = log_of_paths(
        [(0, []), (100, []), (1000, []), (9000, [])],
        uncached=5,
        read=[0, 1000, 0, 0],
        write_5m=[1000, 200, 1300, 1400],
    )
    found = estimate_floors(log)
    assert found.basis == "estimated"
    assert found.never_forgets < found.with_pings < found.without_pings
    for bill in estimate(log, [NONE, FIVE_MINUTES, ONE_HOUR]):
        assert found.without_pings < bill.input_list_cost


def test_estimated_floors_do_not_depend_on_how_many_chains_are_taken_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = random_log(5, most=80)
    ran = without_prefixes(billed_under(log, replay(log, [FIVE_MINUTES])[0]))
    once = estimate_floors(ran)
    monkeypatch.setattr(estimate_module, "TOGETHER", 1)
    again = estimate_floors(ran)
    # What several chains share is taken for shared only where they are looked at together.
    assert float(again.without_pings) == pytest.approx(float(once.without_pings), rel=0.05)


def test_a_long_chain_keeps_few_layers_and_nearly_the_same_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 120
    log = log_of_paths(
        [(60.0 * n if n % 10 else 60.0 * n + 400, []) for n in range(count)],
        uncached=5,
        read=[1000 * n for n in range(count)],
        write_5m=1000,
    )
    few = float(estimate_floors(log).without_pings)
    monkeypatch.setattr(estimate_module, "DEEPEST", 1000)
    assert few == pytest.approx(float(estimate_floors(log).without_pings), rel=0.01)
