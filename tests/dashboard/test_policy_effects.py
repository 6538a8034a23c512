"""A policy of the replay inside a scenario costs what the cache engine says it costs."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from dashboard import pricebook
from dashboard.analysis import what_if
from dashboard.analysis.scenario_json import from_json
from dashboard.filters import Filters
from dashboard.queries import lanes, policy_effects, replayed
from ingest.core.cache.policies import parse_policy
from ingest.core.events import PrefixBlock
from tests.support.builders import T0, make_event, settle

pytestmark = pytest.mark.django_db
EVERYTHING = Filters()


def log_with_prefixes() -> None:
    settle(
        [
            make_event(
                f"p{number}",
                model=model,
                session_id=model,
                occurred_at=T0 + timedelta(minutes=gap),
                prefix=(PrefixBlock("h", 50_000),),
                uncached_input_tokens=50_500,
                output_tokens=800,
                latency_ms=1000,
                ttft_ms=500,
            )
            for model in ("claude-sonnet-4-6", "claude-opus-4-6")
            for number, gap in enumerate(
                (0, 1, 8, 30) if "opus" in model else (0, 2, 4, 70), start=len(model) * 10
            )
        ]
    )


@pytest.mark.parametrize("policy", ["5m", "1h", "5m+3pings", "1h+1ping"])
def test_the_step_is_the_difference_of_the_engines_bills(policy: str) -> None:
    log_with_prefixes()
    book = pricebook.current()
    effect = policy_effects.of(EVERYTHING, policy)
    assert effect is not None and effect.error is None and "prefix lists of 8 of 8" in effect.basis
    scenario = from_json({"cache": {"policy": policy}}, book, policy_effects.is_known)
    result = what_if.apply(lanes.log(EVERYTHING), book, scenario, effect)
    bills = replayed.policies(EVERYTHING, [parse_policy(policy)]).comparison
    assert (
        result.scenario - result.observed == bills.bills[0].input_list_cost - bills.observed.input_list_cost
    )


def test_a_policy_that_changes_nothing_leaves_every_digit() -> None:
    settle([make_event("a", uncached_input_tokens=333, output_tokens=7)])
    effect = policy_effects.of(EVERYTHING, "none")
    assert effect is not None and effect.shares == {}


def test_counters_alone_carry_an_error_bar() -> None:
    events = [
        make_event(
            f"c{number}",
            session_id="s",
            occurred_at=T0 + timedelta(minutes=10 * number),
            uncached_input_tokens=100,
            cache_write_5m_input_tokens=40_000,
        )
        for number in range(5)
    ]
    settle(events)
    effect = policy_effects.of(EVERYTHING, "1h")
    assert effect is not None and effect.error is not None and effect.error > 0
    assert sum(effect.shares["claude-sonnet-4-6"]) == Decimal(1)
    assert "Estimated from the counters of 5 requests" in effect.basis


def test_an_empty_question_has_no_replay() -> None:
    assert policy_effects.of(EVERYTHING, "1h") is None
    assert not policy_effects.is_known("sometimes")
