"""Intervals by session hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from ingest.core.cache import bootstrap
from ingest.core.cache.bootstrap import interval, ratio_interval


def test_an_interval_is_around_its_estimate_and_repeatable() -> None:
    values = np.random.default_rng(1).lognormal(0, 1, 200)
    found = interval(values)
    assert found.low < found.estimate < found.high
    assert found.estimate == pytest.approx(values.sum())
    assert interval(values) == found
    assert interval(values, seed=1) != found


def test_equal_sessions_leave_no_doubt() -> None:
    assert interval(np.full(50, 2.0)) == pytest.approx((100, 100, 100))
    assert ratio_interval(np.full(50, 1.0), np.full(50, 4.0)) == pytest.approx((0.25, 0.25, 0.25))


def test_one_session_says_nothing_about_others() -> None:
    assert interval(np.array([3.0])) == (float("-inf"), 3.0, float("inf"))


def test_a_prediction_is_wider_than_the_doubt_about_the_mean() -> None:
    values = np.random.default_rng(1).lognormal(0, 1, 200)
    mean, other = interval(values), interval(values, future=200)
    assert other.high - other.low > 1.2 * (mean.high - mean.low)


def test_a_prediction_for_half_as_many_sessions_is_about_half() -> None:
    values = np.random.default_rng(1).lognormal(0, 1, 200)
    assert interval(values, future=100).estimate == pytest.approx(values.sum() / 2)


def test_nothing_over_nothing_is_nothing() -> None:
    assert ratio_interval(np.zeros(5), np.zeros(5)) == (0, 0, 0)


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="5 values over 4"):
        ratio_interval(np.zeros(5), np.zeros(4))


def test_intervals_cover_the_mean_of_what_was_drawn_from() -> None:
    rng = np.random.default_rng(3)
    inside = 0
    for seed in range(100):
        values = rng.gamma(2.0, 1.0, 80)
        found = interval(values, draws=400, seed=seed)
        inside += found.low <= 2.0 * 80 <= found.high
    assert inside >= 88


def test_predictions_cover_the_sum_of_other_sessions() -> None:
    rng = np.random.default_rng(4)
    inside = 0
    for seed in range(100):
        found = interval(rng.gamma(2.0, 1.0, 80), future=40, draws=400, seed=seed)
        inside += found.low <= rng.gamma(2.0, 1.0, 40).sum() <= found.high
    assert inside >= 88


@pytest.mark.parametrize("sessions", [8, 20])
def test_a_few_sessions_that_hold_most_of_the_money_do_not_make_it_too_sure(sessions: int) -> None:
    rng = np.random.default_rng(6)
    inside = 0
    for seed in range(200):
        found = interval(rng.lognormal(0, 1, sessions), future=sessions, draws=400, seed=seed)
        inside += found.low <= rng.lognormal(0, 1, sessions).sum() <= found.high
    assert inside >= 180


def test_two_sessions_have_bounds_and_they_are_wide() -> None:
    found = interval(np.array([1.0, 3.0]))
    assert found.low < 0 < 8 < found.high < 100


def test_very_many_sessions_are_drawn_in_bags(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(5).gamma(2.0, 1.0, 1500)
    one_by_one = interval(values)
    monkeypatch.setattr(bootstrap, "MOST_UNITS", 300)
    in_bags = interval(values)
    assert in_bags.estimate == one_by_one.estimate
    assert in_bags.high - in_bags.low == pytest.approx(one_by_one.high - one_by_one.low, rel=0.2)
