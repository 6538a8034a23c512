"""One log, everything side by side, and what it rests on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ingest.core.cache.compare import compare, evaluate
from ingest.core.cache.floors import floors
from ingest.core.cache.log import CacheLog, Prefixes
from ingest.core.cache.policies import FIVE_MINUTES, NONE, ONE_HOUR, STANDARD, Policy
from ingest.core.cache.replay import replay
from tests.support.cache_logs import billed_under, log_of_paths, random_log, without_prefixes


@pytest.fixture
def log() -> CacheLog:
    """What 5 minutes everywhere made of a random log in which every request has a prefix."""
    made = random_log(3, most=120)
    made = made.where(made.has_prefix)
    return billed_under(made, replay(made, [FIVE_MINUTES])[0])


def test_with_prefixes_everything_is_exact(log: CacheLog) -> None:
    found = compare(log)
    assert (found.basis, found.requests, found.exact_requests) == ("exact", len(log), len(log))
    assert [bill.policy for bill in found.bills] == [policy.name for policy in STANDARD]
    by_name = {bill.policy: bill.input_list_cost for bill in found.bills}
    assert found.observed.input_list_cost == by_name["5m"]
    assert found.ranges == tuple((cost, cost) for cost in by_name.values())
    assert found.floors == floors(log)
    assert found.captured_share == pytest.approx(
        float((by_name["none"] - by_name["5m"]) / (by_name["none"] - found.floors.without_pings))
    )
    assert found.floors.with_pings <= found.best_per_chain.input_list_cost <= min(by_name.values())


def test_without_prefixes_everything_is_estimated(log: CacheLog) -> None:
    found = compare(without_prefixes(log), [FIVE_MINUTES, ONE_HOUR])
    assert (found.basis, found.exact_requests) == ("estimated", 0)
    assert {found.floors.basis, *(bill.basis for bill in found.bills)} == {"estimated"}
    assert [bill.policy for bill in found.bills] == ["5m", "1h"]
    for bill, (low, high) in zip(found.bills, found.ranges, strict=True):
        assert low <= bill.input_list_cost <= high


def test_where_only_some_carry_prefixes_the_whole_is_an_estimate(log: CacheLog) -> None:
    """The domain with prefixes is replayed as if it were alone."""
    assert log.prefixes is not None
    known = log.domain == 0
    lengths = np.where(known, np.diff(log.prefixes.ptr), 0)
    kept = np.repeat(known, np.diff(log.prefixes.ptr))
    mixed = replace(
        log,
        prefixes=Prefixes(
            np.concatenate(([0], np.cumsum(lengths))), log.prefixes.ids[kept], log.prefixes.tokens[kept]
        ),
        _memo={},
    )
    found = compare(mixed)
    assert (found.basis, found.exact_requests) == ("estimated", int(known.sum()))
    policies = [*STANDARD, Policy("1h", 2)]
    alone = replay(log.where(known), policies)
    for bill, expected in zip(evaluate(mixed, policies), alone, strict=True):
        assert bill.read[known].tolist() == expected.read.tolist()
        assert bill.pings[known].tolist() == expected.pings.tolist()


def test_policies_asked_for_twice_are_answered_once(log: CacheLog) -> None:
    assert [bill.policy for bill in compare(log, [ONE_HOUR, NONE, ONE_HOUR]).bills] == ["1h", "none"]


def test_a_log_without_caching_has_captured_nothing() -> None:
    log = log_of_paths([(0, [(1, 1000)]), (10, [(1, 1000)])])
    assert compare(log).captured_share == 0


def test_an_empty_log_has_nothing_to_capture() -> None:
    found = compare(log_of_paths([]))
    assert (found.basis, found.requests, found.captured_share) == ("exact", 0, None)
