"""GET /api/v1/cache/curve and the rollup under it, against replays of the same requests."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from django.test import Client

from dashboard.filters import Filters
from dashboard.queries import gaps, replayed
from ingest.auth import create_key
from ingest.core.cache.curve import BUCKETS
from ingest.core.cache.policies import FIVE_MINUTES, ONE_HOUR
from ingest.core.events import PrefixBlock, UsageEvent
from ingest.gaps import fill_gaps_due
from tests.support.builders import at, make_event, settle

pytestmark = pytest.mark.django_db
D = Decimal


def call(name: str, seconds: float, *blocks: str, session: str = "s", **fields: Any) -> UsageEvent:
    """A call whose prefix is these blocks of 10,000 tokens; answers begin at once."""
    tokens = 10_000 * len(blocks)
    return make_event(
        name,
        occurred_at=at(seconds=seconds),
        session_id=session,
        workspace_id="w",
        ttft_ms=0,
        uncached_input_tokens=fields.pop("uncached_input_tokens", 100),
        cache_write_5m_input_tokens=tokens,
        prefix=tuple(PrefixBlock("/".join(blocks[: n + 1]), 10_000 * (n + 1)) for n in range(len(blocks))),
        **fields,
    )


def walk(seed: int, size: int = 300) -> list[UsageEvent]:
    """Random sessions that share beginnings, over a little more than two days."""
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.exponential(700, size))
    return [
        call(
            f"c{n}",
            float(moment),
            *(str(int(each)) for each in rng.integers(0, 2, int(rng.integers(1, 5)))),
            session=f"s{int(rng.integers(0, 5))}",
            model=("claude-sonnet-4-6", "claude-opus-4-6")[int(rng.integers(0, 2))],
        )
        for n, moment in enumerate(times)
    ]


@pytest.mark.parametrize("seed", [1, 2])
def test_at_both_tiers_the_curve_is_the_replay(seed: int) -> None:
    settle(walk(seed))
    fill_gaps_due()
    found = gaps.histogram(Filters())
    bills = replayed.policies(Filters(), (FIVE_MINUTES, ONE_HOUR)).comparison.bills
    for ttl, bill in zip((300, 3600), bills, strict=True):
        assert found.histogram.input_list_cost(ttl * 10**6) == bill.input_list_cost
        assert found.histogram.token_hit_rate(ttl * 10**6) == pytest.approx(bill.token_hit_rate, abs=1e-12)
    assert found.histogram.basis == "exact"


def test_long_prompts_cost_what_short_ones_do_on_the_curve_and_what_was_billed_in_the_bars() -> None:
    # Sonnet 4.5 had twice the price beyond 200,000 tokens.
    settle(
        [
            call(
                f"c{n}",
                1000.0 * n,
                "x",
                model="claude-sonnet-4-5",
                uncached_input_tokens=1,
                prompt_step_tokens=200_001,
            )
            for n in range(2)
        ]
    )
    fill_gaps_due()
    found = gaps.histogram(Filters())
    five = replayed.policies(Filters(), (FIVE_MINUTES,)).comparison.bills[0]
    assert found.histogram.input_list_cost(300 * 10**6) == five.input_list_cost
    assert five.input_list_cost == (20_000 * D("3.75") + 2 * D(3)) / 1_000_000
    again = [sum(each.rewrite_cost("5m"), D(0)) for each in (found.histogram, found.billed)]
    assert again == [10_000 * D("3.45") / 1_000_000, 10_000 * D("6.9") / 1_000_000]


def test_every_input_token_stands_in_the_histogram_once() -> None:
    events = walk(3)
    settle(events)
    fill_gaps_due()
    made = gaps.histogram(Filters()).histogram
    whole = sum(e.uncached_input_tokens + e.cache_write_5m_input_tokens for e in events)
    assert int(made.reused.sum() + made.first.sum() + made.uncached.sum()) == whole
    assert made.reused.shape == (BUCKETS, 2)


def test_a_late_event_changes_its_day_and_the_day_after() -> None:
    day = 86_400
    settle([call("a", 0, "x"), call("c", day - 100, "x")])
    fill_gaps_due()
    assert gaps.histogram(Filters()).histogram.token_hit_rate(600 * 10**6) == 0
    settle([call("b", day - 400, "x")])
    # The day may only be worked out again after a rest; a test does not wait for it.
    rest_over()
    fill_gaps_due()
    assert gaps.histogram(Filters()).histogram.reused.sum() == 20_000


def rest_over() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("UPDATE gap_state SET filled_at = filled_at - interval '1 hour'")


def test_labels_and_models_filter_and_sessions_cannot(client: Client) -> None:
    settle([call("a", 0, "x"), call("b", 60, "x"), call("c", 60, "x", model="claude-opus-4-6")])
    fill_gaps_due()
    opus = gaps.histogram(Filters(where=(("model", ("claude-opus-4-6",)),)))
    assert (int(opus.histogram.first.sum()), int(opus.histogram.reused.sum())) == (10_000, 0)
    none = gaps.histogram(Filters(where=(("workspace_id", ("elsewhere",)),)))
    assert int(none.histogram.first.sum()) == 0
    key = create_key("reader", "read")[1]
    answer = client.get("/api/v1/cache/curve?session_id=s", headers={"Authorization": f"Bearer {key}"})
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "session_id")


def test_calls_with_counters_alone_are_estimated() -> None:
    settle(
        [
            make_event("a", session_id="s", cache_write_5m_input_tokens=50_000),
            make_event("b", session_id="s", occurred_at=at(seconds=30), cache_read_input_tokens=50_000),
        ]
    )
    fill_gaps_due()
    found = gaps.histogram(Filters())
    assert (found.histogram.basis, found.exact_tokens) == ("estimated", 0)
    assert 0.4 < found.histogram.token_hit_rate(300 * 10**6) < 0.6


def test_the_call_answers_the_ttls_that_were_asked(client: Client) -> None:
    settle([call("a", 0, "x"), call("b", 120, "x"), call("c", 1000, "x")])
    fill_gaps_due()
    headers = {"Authorization": f"Bearer {create_key('reader', 'read')[1]}"}
    body = client.get("/api/v1/cache/curve?ttl=60&ttl=300&ttl=3600", headers=headers).json()
    rates = [round(float(point["token_hit_rate"]) * 30_300) for point in body["points"]]
    assert rates == [0, 10_000, 20_000]
    # 300 uncached tokens, 10,000 written for an hour and 20,000 read, at 3 USD a million.
    assert D(body["points"][2]["input_list_cost"]) == D("0.0009") + D("0.06") + D("0.006")
    assert client.get("/api/v1/cache/curve?ttl=-1", headers=headers).json()["error"]["field"] == "ttl"
