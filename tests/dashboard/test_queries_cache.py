"""Cache rates and money against arithmetic by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from dashboard.filters import FilterError, Filters
from dashboard.queries import cache
from tests.support.builders import at, make_event, settle

pytestmark = pytest.mark.django_db
D = Decimal
MARCH = Filters(start=date(2026, 3, 1), end=date(2026, 4, 1))
COLUMNS = [*cache.COUNTS, *cache.RATES, *cache.AMOUNTS, "unpriced_requests", "unpriced_tokens"]


def test_one_write_and_three_reads_by_hand() -> None:
    """Sonnet 4.6 at 3 USD: a 5m write of 100,000 costs 0.375 (premium 0.075); three reads of 100,000 cost
    0.09 instead of 0.90 (saving 0.81). With 4 x 100 uncached and 4 x 10 output tokens (0.0018) the bill is
    0.4668; without cache 1.2018."""
    write = make_event("w", cache_write_5m_input_tokens=100_000)
    reads = [
        make_event(f"r{n}", occurred_at=at(minutes=n), cache_read_input_tokens=100_000) for n in (1, 2, 3)
    ]
    settle([write, *reads])
    found = cache.by(MARCH)
    assert list(found.columns) == COLUMNS
    assert found.iloc[0].to_dict() == {
        "requests": 4,
        "requests_with_read": 3,
        "requests_with_write": 1,
        "uncached_input_tokens": 400,
        "cache_read_input_tokens": 300_000,
        "cache_write_5m_input_tokens": 100_000,
        "cache_write_1h_input_tokens": 0,
        "token_hit_rate": D("0.749250749251"),
        "request_hit_rate": D("0.75"),
        "reads_per_write": D(3),
        "list_cost": D("0.4668"),
        "no_cache_cost": D("1.2018"),
        "cache_saving": D("0.735"),
        "read_saving": D("0.81"),
        "write_premium": D("0.075"),
        "unpriced_requests": 0,
        "unpriced_tokens": 0,
    }
    assert cache.total(MARCH) == found.iloc[0].to_dict()


def test_writes_that_nobody_reads_cost_money() -> None:
    settle([make_event("w", cache_write_5m_input_tokens=10**6, cache_write_1h_input_tokens=10**6)])
    found = cache.total(MARCH)
    assert found["cache_saving"] == -D("0.75") - 3
    assert (found["reads_per_write"], found["request_hit_rate"]) == (0, 0)


def test_savings_follow_the_lane_and_its_day() -> None:
    """Sonnet 5.5 in batch: 1 USD uncached; reads 0.10 until 2026-10-06, 0.05 from 2026-10-07."""
    used = {"model": "claude-sonnet-5-5", "service_tier": "batch", "cache_read_input_tokens": 10**6}
    settle(
        [make_event(f"d{day}", occurred_at=datetime(2026, 10, day, 12, tzinfo=UTC), **used) for day in (6, 7)]
    )
    found = cache.by(Filters(), ("model",), "day")
    assert list(found["cache_saving"]) == [D("0.9"), D("0.95")]


def test_rates_without_a_divisor_are_nothing_rather_than_zero() -> None:
    settle([make_event("a", uncached_input_tokens=0)])
    found = cache.total(MARCH)
    assert (found["token_hit_rate"], found["reads_per_write"], found["request_hit_rate"]) == (None, None, 0)
    nothing = cache.total(Filters(start=date(2020, 1, 1), end=date(2020, 1, 2)))
    assert (nothing["request_hit_rate"], nothing["cache_saving"]) == (None, 0)


def test_rates_count_what_has_no_price_and_money_does_not() -> None:
    settle([make_event("a", model="mystery-9", cache_read_input_tokens=100)])
    found = cache.by(MARCH, ("model",)).iloc[0]
    assert (found["token_hit_rate"], found["cache_saving"], found["unpriced_tokens"]) == (D("0.5"), None, 210)


def test_rates_cannot_be_split_by_meter() -> None:
    with pytest.raises(FilterError, match="meter"):
        cache.by(MARCH, ("meter",))
    with pytest.raises(FilterError, match="meter"):
        cache.by(MARCH.with_value("meter", "output_tokens"))
