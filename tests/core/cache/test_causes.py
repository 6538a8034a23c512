"""Every written token has one cause, and the causes add up to the bill."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.core.cache.bill import cost_of, observed
from ingest.core.cache.causes import CAUSES, attribute
from ingest.core.cache.log import CacheLog
from ingest.core.cache.policies import Mix, Policy
from ingest.core.cache.replay import replay
from ingest.core.pricing import total
from tests.support.cache_logs import billed_under, log_of_paths, random_log, with_meters, without_prefixes


def found(log: CacheLog) -> dict[str, int]:
    """The causes that have any tokens."""
    return {cause: tokens for cause, tokens in attribute(log).tokens.items() if tokens}


def session(*rows: tuple[float, int, int], **columns: Any) -> CacheLog:
    """One chain by counters: (second, read, written at 5 minutes), 10 uncached tokens each."""
    return log_of_paths(
        [(second, []) for second, _, _ in rows],
        uncached=[10] * len(rows),
        read=[read for _, read, _ in rows],
        **{"write_5m": [written for _, _, written in rows], **columns},
    )


def test_growth_and_a_cold_start() -> None:
    # The 10 tokens that were uncached before are new in the cache as well.
    assert found(session((0, 0, 1000), (10, 1000, 200))) == {"cold start": 1000, "growth": 200}


def test_lapses_within_and_beyond_an_hour() -> None:
    log = session((0, 0, 1000), (400, 0, 1000), (4001, 0, 1000))
    assert found(log) == {
        "cold start": 1000,
        "lapse 5-60 min": 990,
        "lapse over 60 min": 990,
        "growth": 20,
    }


def test_an_hour_s_entry_does_not_lapse_after_five_minutes() -> None:
    nothing = [0, 0, 0]
    log = session((0, 0, 0), (400, 0, 0), (800, 0, 0), write_5m=nothing, write_1h=[1000, 1000, 1000])
    assert found(log) == {"cold start": 1000, "prefix changed": 1980, "growth": 20}


def test_one_break_at_the_root_is_unknown_and_two_in_a_row_are_a_changed_prefix() -> None:
    once = session((0, 0, 1000), (10, 0, 1000), (20, 1000, 0))
    assert found(once) == {"cold start": 1000, "unknown": 990, "growth": 10}
    twice = session((0, 0, 1000), (10, 0, 1000), (20, 0, 1000))
    assert found(twice) == {"cold start": 1000, "prefix changed": 1980, "growth": 20}


def test_a_break_further_down_is_a_changed_prefix() -> None:
    assert found(session((0, 0, 1000), (10, 600, 400))) == {
        "cold start": 1000,
        "prefix changed": 390,
        "growth": 10,
    }


def test_a_prompt_that_shrank_was_compacted_or_begun_anew() -> None:
    assert found(session((0, 0, 1000), (10, 100, 300))) == {
        "cold start": 1000,
        "compaction or new start": 300,
    }


def test_a_request_before_the_answer_began_is_a_concurrent_start() -> None:
    log = session((0, 0, 1000), (1, 0, 1000), ttft_ms=2000)
    assert found(log) == {"cold start": 1000, "concurrent start": 990, "growth": 10}


def test_another_model_in_the_same_session_starts_cold_for_that_reason() -> None:
    log = session((0, 0, 1000), (10, 0, 1000), (20, 1000, 0), domain=[0, 1, 0])
    assert found(log) == {"cold start": 1000, "model changed": 1000}


def test_below_the_minimum_nothing_should_have_been_written() -> None:
    assert found(session((0, 0, 1000), min_tokens=2048)) == {"below minimum": 1000}


def test_blocks_tell_a_changed_prefix_from_an_early_eviction() -> None:
    same, other = [(1, 500), (2, 500)], [(3, 500), (4, 500)]
    counters: dict[str, Any] = {"uncached": 0, "write_5m": [1000, 1000]}
    assert found(log_of_paths([(0, same), (10, same)], **counters)) == {
        "cold start": 1000,
        "early eviction": 1000,
    }
    assert found(log_of_paths([(0, same), (10, other)], **counters)) == {
        "cold start": 1000,
        "prefix changed": 1000,
    }


def test_blocks_tell_a_lapse_from_a_prompt_that_changed_meanwhile() -> None:
    before, after = [(1, 500), (2, 500)], [(1, 500), (3, 500), (4, 100)]
    log = log_of_paths([(0, before), (400, after)], uncached=0, write_5m=[1000, 1100])
    assert found(log) == {"cold start": 1000, "lapse 5-60 min": 500, "prefix changed": 500, "growth": 100}


def test_blocks_of_another_session_that_lapsed_are_a_lapse() -> None:
    log = log_of_paths(
        [(0, [(1, 500)]), (9000, [(1, 500), (2, 500)])], session=[0, 1], uncached=0, write_5m=[500, 1000]
    )
    assert found(log) == {"cold start": 1000, "lapse over 60 min": 500}


def test_what_blocks_cannot_explain_stays_unknown() -> None:
    log = log_of_paths([(0, [(1, 500)])], uncached=0, write_5m=[700])
    assert found(log) == {"cold start": 500, "unknown": 200}


@given(st.integers(0, 10**9))
@settings(max_examples=60, deadline=None)
def test_tokens_and_dollars_add_up_whatever_was_written(seed: int) -> None:
    log = random_log(seed)
    policies = (
        Policy("5m"),
        Policy("1h"),
        Mix(Policy("1h"), {"main": Policy("5m"), "batch": Policy("none")}),
    )
    for bill in replay(log, policies):
        for billed in (billed_under(log, bill), without_prefixes(billed_under(log, bill))):
            attribution = attribute(billed)
            written = billed.write_5m + billed.write_1h
            assert attribution.by_request.min(initial=0) >= 0
            assert attribution.by_request.sum(axis=1).tolist() == written.tolist()
            assert attribution.in_1h.sum(axis=1).tolist() == billed.write_1h.tolist()
            assert (attribution.in_1h <= attribution.by_request).all()
            writes = observed(billed).sums.copy()
            writes[:, [0, 1, 4]] = 0
            assert total(attribution.write_cost.values()) == cost_of(writes, billed.prices)


@given(st.integers(0, 10**9))
@settings(max_examples=60, deadline=None)
def test_nothing_is_unknown_when_the_replayed_cache_wrote(seed: int) -> None:
    log = random_log(seed, minimum=False)
    attribution = attribute(billed_under(log, replay(log, [Policy("5m")])[0]))
    assert attribution.tokens["unknown"] == attribution.tokens["early eviction"] == 0
    assert attribution.tokens["below minimum"] == 0


def test_random_counters_never_break_the_sums() -> None:
    rng = np.random.default_rng(7)
    for seed in range(30):
        log = random_log(seed)
        meters = rng.choice([0, 0, 50, 400, 5000], (4, len(log)))
        attribution = attribute(with_meters(log, *meters))
        assert sum(attribution.tokens.values()) == meters[2:].sum()


def test_groups_and_the_costliest_come_from_the_same_tokens() -> None:
    log = session((0, 0, 1000), (400, 0, 1000), (4001, 0, 5000))
    attribution = attribute(log)
    hours = attribution.tokens_by(np.array([0, 0, 1]), 2)
    assert hours.sum(axis=0).tolist() == list(attribution.tokens.values())
    costs = attribution.extra_costs_by(np.array([0, 0, 1]), 2)
    assert costs.sum() == pytest.approx(float(total(attribution.extra_cost.values())))
    worst = list(attribution.costliest())
    assert [(each.position, each.cause, each.tokens) for each in worst] == [
        (1, "lapse 5-60 min", 990),
        (2, "lapse over 60 min", 990),
    ]
    assert worst[0].extra_cost == Decimal("1.15") * 990
    assert list(attribution.costliest(1)) == worst[:1]


def test_an_empty_log_has_causes_of_nothing() -> None:
    attribution = attribute(log_of_paths([]))
    assert attribution.tokens == dict.fromkeys(CAUSES, 0)
    assert list(attribution.costliest()) == []
