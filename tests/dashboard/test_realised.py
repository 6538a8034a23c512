"""Predicted beside realised: the price of work before and after, by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from dashboard.analysis.recommendations.realised import (
    CALL,
    REQUEST,
    TOKEN,
    Period,
    measure_of,
    period,
    realised,
)
from tests.support.advice import sessions, traffic_of

D = Decimal


def equal(count: int, cost: float, size: int, days: int = 10, **fields: Any) -> Period:
    """So many sessions of one cost and size each."""
    return Period(
        D(str(cost)) * count,
        size * count,
        np.full(count, float(cost)),
        np.full(count, float(size)),
        D(days),
        **fields,
    )


def test_what_is_saved_is_the_fall_in_price_times_the_work_since() -> None:
    found = realised(equal(20, 10, 100), equal(25, 8, 160))
    # 0.10 a token before and 0.05 since: on 4,000 tokens in 10 days that is 200 USD, and 600 in 30.
    assert found.monthly is not None
    assert found.monthly.estimate == found.monthly.low == found.monthly.high == D(600)
    assert (found.before, found.after) == (D("0.1"), D("0.05"))


def test_traffic_that_doubles_at_the_same_price_saves_nothing() -> None:
    found = realised(equal(20, 10, 100), equal(40, 10, 100))
    assert found.monthly is not None
    assert found.monthly.estimate == 0


def test_what_became_dearer_is_a_negative_saving() -> None:
    found = realised(equal(20, 10, 100), equal(20, 12, 100, days=30))
    assert found.monthly is not None
    assert found.monthly.estimate == -40


def test_a_sample_of_the_sessions_stands_for_all() -> None:
    found = realised(equal(20, 10, 100), equal(20, 8, 100, days=30, sampled=D("0.5")))
    assert found.monthly is not None
    assert found.monthly.estimate == 80


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (equal(20, 10, 100), equal(19, 8, 100)),
        (equal(19, 10, 100), equal(20, 8, 100)),
        (equal(20, 10, 100), equal(20, 8, 100, days=0)),
        (equal(20, 10, 0), equal(20, 8, 100)),
    ],
)
def test_few_sessions_or_hours_are_too_early_to_tell(before: Period, after: Period) -> None:
    found = realised(before, after)
    assert found.monthly is None
    assert (found.sessions, found.sessions_before) == (len(after.costs), len(before.costs))


def test_the_interval_grows_with_what_differs_between_sessions_on_either_side() -> None:
    mixed = Period(D(200), 2000, np.array([5.0, 15.0] * 10), np.full(20, 100.0), D(10))
    flat = equal(20, 8, 100)
    one, two = realised(mixed, flat).monthly, realised(mixed, Period(D(160), *mixed_now(), D(10))).monthly
    assert one is not None
    assert two is not None
    assert one.low is not None and one.high is not None and two.low is not None and two.high is not None
    assert one.estimate == two.estimate == 120
    assert two.low < one.low < 120 < one.high < two.high


def mixed_now() -> tuple[int, Any, Any]:
    return 2000, np.array([4.0, 12.0] * 10), np.full(20, 100.0)


def test_pings_count_as_cost_and_not_as_work() -> None:
    # Two requests a session; the second is a keep-alive ping: no output.
    log = sessions([(0, []), (60, [])], 20, uncached=[100, 10], output=[5, 0])
    everything = np.ones(40, dtype=np.bool_)
    found = period(traffic_of(log), everything, REQUEST, D(10))
    assert (found.cost, found.size) == (20 * D(110), 20)
    assert period(traffic_of(log), everything, TOKEN, D(10)).size == 20 * 110
    whole = period(traffic_of(log), everything, CALL, D(10))
    assert (whole.cost, whole.size) == (20 * D(110 + 25), 40)


def test_each_action_is_measured_in_what_it_leaves_alone() -> None:
    assert [measure_of(each) for each in ("ttl_1h", "keep_alive", "batch", "scenario")] == [
        TOKEN,
        REQUEST,
        CALL,
        CALL,
    ]


def test_only_the_scope_is_looked_at() -> None:
    labels = {"workspace_id": ["a"] * 20 + ["b"] * 20}
    traffic = traffic_of(sessions([(0, [])], 40, uncached=[100]), labels)
    assert traffic.within([("workspace_id", "a")]).sum() == 20
    assert traffic.within([("workspace_id", "a"), ("workspace_id", "b")]).all()
    assert traffic.within([("workspace_id", "a"), ("model", "other")]).sum() == 0
    assert traffic.within([("session_class", "one request"), ("user_id", "known to the query alone")]).all()
