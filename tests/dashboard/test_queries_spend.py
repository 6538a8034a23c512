"""Spend questions over a small world that came in through the front door and was really filled."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dashboard.filters import FilterError, Filters
from dashboard.pricebook import METERS, Lane, cost, current
from dashboard.queries import costing, database, quantities, spend
from ingest import interning, ledger, partitions
from tests.support.builders import T0, at, make_event, send, settle

pytestmark = pytest.mark.django_db
D = Decimal
MARCH = Filters(start=date(2026, 3, 1), end=date(2026, 4, 1))
SONNET, OPUS = "claude-sonnet-4-6", "claude-opus-4-6"


def small_world() -> None:
    """Two priced models and one without a price, two workspaces and none, two days, two sources.

    100 uncached and 10 output tokens cost 0.00045 at Sonnet 4.6 (3 / 15) and 0.00075 at Opus 4.6 (5 / 25).
    """
    settle(
        [
            make_event("a", workspace_id="search", tags=(("team", "red"),), session_id="s1"),
            make_event("b", workspace_id="search", model=OPUS, occurred_at=at(hours=1), session_id="s1"),
            make_event("c", workspace_id="support", occurred_at=at(days=1), tags=(("team", "blue"),)),
            make_event("d", occurred_at=at(days=1), model="mystery-9", provider="", platform=""),
        ],
        source="gateway",
    )
    settle([make_event("e", web_search_requests=3, thinking_tokens=4, user_id="ann")], source="import")


def table(frame: pd.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    return list(frame[list(columns)].itertuples(index=False, name=None))


def test_every_row_by_model_and_no_other() -> None:
    small_world()
    columns = ["model", *spend.COUNTS, "list_cost", "unpriced_requests", "unpriced_tokens"]
    found = spend.by(MARCH, ("model",))
    assert list(found.columns) == columns
    assert table(found, *columns) == [
        (OPUS, 1, 100, 0, 0, 0, 10, 0, 0, D("0.00075"), 0, 0),
        (SONNET, 3, 300, 0, 0, 0, 30, 4, 3, D("0.03135"), 0, 0),
        ("mystery-9", 1, 100, 0, 0, 0, 10, 0, 0, None, 1, 110),
    ]


def test_the_total_counts_everything_and_costs_what_has_a_price() -> None:
    small_world()
    found = spend.total(MARCH)
    assert (found["requests"], found["uncached_input_tokens"], found["unpriced_requests"]) == (5, 500, 1)
    assert found["list_cost"] == D("0.0321")


def test_what_has_no_price_is_named_with_its_tokens() -> None:
    small_world()
    found = spend.unpriced(MARCH)
    assert table(found, "model", "provider", *spend.COUNTS) == [
        ("mystery-9", None, 1, 100, 0, 0, 0, 10, 0, 0)
    ]
    assert "mystery-9" in found["reason"].iloc[0]


def test_nothing_at_all_costs_zero() -> None:
    assert spend.total(MARCH) == {
        **dict.fromkeys(spend.COUNTS, 0),
        "list_cost": 0,
        "unpriced_requests": 0,
        "unpriced_tokens": 0,
    }
    assert spend.by(MARCH, ("model", "tag:team"), "day").empty
    assert spend.by(MARCH, ("meter",)).empty
    assert spend.unpriced(MARCH).empty


def test_a_total_of_only_unpriced_tokens_is_not_zero_dollars() -> None:
    settle([make_event("a", model="mystery-9")])
    assert spend.total(MARCH)["list_cost"] is None


@pytest.mark.parametrize(
    ("dimension", "expected"),
    [
        ("workspace_id", [(None, 2), ("search", 2), ("support", 1)]),
        ("tag:team", [(None, 3), ("blue", 1), ("red", 1)]),
        ("tag:unheard", [(None, 5)]),
        ("source", [("gateway", 4), ("import", 1)]),
        ("user_id", [(None, 4), ("ann", 1)]),
        ("session_id", [(None, 3), ("s1", 2)]),
        ("provider", [(None, 1), ("anthropic", 4)]),
        ("inference_geo", [("global", 5)]),
    ],
)
def test_every_dimension_splits_and_never_doubles(
    dimension: str, expected: list[tuple[str | None, int]]
) -> None:
    small_world()
    assert table(spend.by(MARCH, (dimension,)), dimension, "requests") == expected


def test_dimensions_of_every_kind_combine() -> None:
    small_world()
    found = spend.by(MARCH, ("session_id", "model", "tag:team", "source"), "day")
    first, second = pd.Timestamp("2026-03-02", tz="UTC"), pd.Timestamp("2026-03-03", tz="UTC")
    assert table(found, "bucket_start", "session_id", "model", "tag:team", "source", "requests") == [
        (first, None, SONNET, None, "import", 1),
        (first, "s1", OPUS, None, "gateway", 1),
        (first, "s1", SONNET, "red", "gateway", 1),
        (second, None, SONNET, "blue", "gateway", 1),
        (second, None, "mystery-9", None, "gateway", 1),
    ]


@pytest.mark.parametrize(
    ("query", "requests"),
    [
        ("model=claude-sonnet-4-6", 3),
        (
            "model=us.anthropic.claude-opus-4-6-v1&model=mystery-9",
            2,
        ),  # an alias finds the model it stands for
        ("workspace_id=search&workspace_id=support", 3),
        ("workspace_id=", 2),
        ("workspace_id=&source=import", 1),
        ("tag:team=red", 1),
        ("tag:team=", 3),
        ("tag:team=red&tag:team=blue&model=claude-opus-4-6", 0),
        ("session_id=s1", 2),
        ("session_id=", 3),
        ("session_id=&session_id=s1", 5),
        ("session_id=unheard", 0),
        ("provider=", 1),
        ("user_id=ann&service_tier=standard&speed=standard", 1),
    ],
)
def test_filters_let_through_what_they_say(query: str, requests: int) -> None:
    small_world()
    said = Filters.from_query(query, now=T0, zone=database.reporting_zone(), default_range="", strict=True)
    assert spend.total(said)["requests"] == requests


def test_meters_are_rows_of_their_own() -> None:
    settle(
        [
            make_event("a", cache_read_input_tokens=1000, web_search_requests=2),
            make_event("b", model="mystery-9"),
        ]
    )
    found = spend.by(MARCH, ("model", "meter"))
    assert table(found, "model", "meter", "quantity", "requests", "list_cost", "unpriced_tokens") == [
        (SONNET, "uncached_input_tokens", 100, 1, D("0.0003"), 0),
        (SONNET, "cache_read_input_tokens", 1000, 1, D("0.0003"), 0),
        (SONNET, "output_tokens", 10, 1, D("0.00015"), 0),
        (SONNET, "web_search_requests", 2, 1, D("0.02"), 0),
        ("mystery-9", "uncached_input_tokens", 100, 1, None, 100),
        ("mystery-9", "output_tokens", 10, 1, None, 10),
    ]
    whole = spend.total(MARCH)
    for name in (*METERS, "thinking_tokens", "unpriced_tokens"):
        assert found[name].sum() == whole[name], name
    assert sum(value for value in found["list_cost"] if value is not None) == whole["list_cost"]


def test_a_meter_without_a_price_is_not_free_because_others_have_one() -> None:
    settle([make_event("a", output_tokens=0), make_event("b", model="mystery-9", uncached_input_tokens=0)])
    assert table(spend.by(MARCH, ("meter",)), "meter", "list_cost") == [
        ("uncached_input_tokens", D("0.0003")),
        ("output_tokens", None),
    ]


def test_a_meter_filter_leaves_the_others_out() -> None:
    settle([make_event("a", web_search_requests=2, thinking_tokens=5)])
    found = spend.total(MARCH.with_value("meter", "web_search_requests"))
    assert (found["web_search_requests"], found["output_tokens"], found["thinking_tokens"]) == (2, 0, 0)
    assert (found["requests"], found["list_cost"]) == (1, D("0.02"))


def test_ranges_are_half_open_to_the_microsecond() -> None:
    start, end = datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC)
    settle([make_event("first", occurred_at=start), make_event("next", occurred_at=end)])
    assert spend.total(Filters(start=date(2026, 3, 2), end=date(2026, 3, 3)))["requests"] == 1
    assert spend.total(Filters(start=date(2026, 3, 3), end=date(2026, 3, 4)))["requests"] == 1
    inside = datetime(2026, 3, 2, 0, 0, 0, 1, tzinfo=UTC)
    assert spend.total(Filters(start=inside, end=end))["requests"] == 0
    assert spend.total(Filters(start=start, end=inside))["requests"] == 1


def test_a_price_that_changes_at_utc_midnight_applies_exactly() -> None:
    """Sonnet 5.5 reads cost 0.20 until 2026-10-06 and 0.10 from 2026-10-07 on, USD per million."""
    used = {
        "model": "claude-sonnet-5-5",
        "uncached_input_tokens": 0,
        "output_tokens": 0,
        "cache_read_input_tokens": 10**6,
    }
    settle(
        [
            make_event("before", occurred_at=datetime(2026, 10, 6, 23, 59, 59, 999999, tzinfo=UTC), **used),
            make_event("after", occurred_at=datetime(2026, 10, 7, tzinfo=UTC), **used),
        ]
    )
    by_day = spend.by(Filters(), (), "day")
    assert list(by_day["list_cost"]) == [D("0.2"), D("0.1")]
    assert spend.by(Filters(), ("model",))["list_cost"].tolist() == [D("0.3")]
    assert spend.total(Filters(start=date(2026, 10, 7)))["list_cost"] == D("0.1")
    assert spend.total(Filters(end=date(2026, 10, 7)))["list_cost"] == D("0.2")


def test_days_and_months_are_the_reporting_zones_and_hours_are_utc(settings: Any) -> None:
    settings.REPORTING_TIME_ZONE = "Asia/Kolkata"
    settle(
        [
            make_event("last of March", occurred_at=datetime(2026, 3, 31, 18, 29, 59, tzinfo=UTC)),
            make_event("first of April", occurred_at=datetime(2026, 3, 31, 18, 30, tzinfo=UTC)),
            make_event("same April day", occurred_at=datetime(2026, 4, 1, 18, 29, tzinfo=UTC)),
        ]
    )
    everything = Filters()
    days = spend.by(everything, (), "day")
    assert [(str(start), n) for start, n in table(days, "bucket_start", "requests")] == [
        ("2026-03-31 00:00:00+05:30", 1),
        ("2026-04-01 00:00:00+05:30", 2),
    ]
    months = spend.by(everything, (), "month")
    assert [(str(start), n) for start, n in table(months, "bucket_start", "requests")] == [
        ("2026-03-01 00:00:00+05:30", 1),
        ("2026-04-01 00:00:00+05:30", 2),
    ]
    hours = spend.by(everything, (), "hour")
    assert [(str(start), n) for start, n in table(hours, "bucket_start", "requests")] == [
        ("2026-03-31 18:00:00+00:00", 2),
        ("2026-04-01 18:00:00+00:00", 1),
    ]
    april = Filters(start=date(2026, 4, 1), end=date(2026, 5, 1))
    assert [spend.total(april)["requests"], spend.by(april, (), "hour")["requests"].sum()] == [2, 2]


def test_what_is_not_filled_yet_is_not_shown_and_sessions_are() -> None:
    send([make_event("a", session_id="s1")])
    assert spend.total(MARCH)["requests"] == 0
    assert spend.total(MARCH.with_value("session_id", "s1"))["requests"] == 1


def test_an_answer_with_too_many_rows_is_refused_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    small_world()
    monkeypatch.setattr(costing, "MAX_ROWS", 2)
    with pytest.raises(FilterError, match="shorter range"):
        spend.by(MARCH, ("model",))
    monkeypatch.setattr(quantities, "MAX_GROUPS", 3)
    with pytest.raises(FilterError, match="coarser grain"):
        spend.by(MARCH, ("model",), "hour")


def test_text_that_looks_like_sql_is_only_text() -> None:
    name = "tag:te'am%s{x}\""
    settle([make_event("a", tags=((name.removeprefix("tag:"), "'; DROP TABLE event; --%(x)s"),))])
    found = spend.by(MARCH.with_value(name, "'; DROP TABLE event; --%(x)s"), (name, "session_id"))
    assert table(found, name, "requests") == [("'; DROP TABLE event; --%(x)s", 1)]


MODELS = (SONNET, OPUS, "claude-3-haiku-20240307", "claude-sonnet-5-5", "mystery-9")
moments = st.integers(0, 4 * 24 * 60 - 1).map(lambda minute: at(minutes=minute))
calls = st.lists(
    st.fixed_dictionaries(
        {
            "occurred_at": moments,
            "model": st.sampled_from(MODELS),
            "service_tier": st.sampled_from(["standard", "batch"]),
            "inference_geo": st.sampled_from(["", "us"]),
            "workspace_id": st.sampled_from(["", "w"]),
            "cache_read_input_tokens": st.integers(0, 10**6),
            "output_tokens": st.integers(0, 10**6),
            "web_search_requests": st.integers(0, 3),
        }
    ),
    max_size=8,
)


@hypothesis_settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    calls=calls,
    start=moments,
    length=st.integers(1, 3 * 24 * 60),
    zone=st.sampled_from(["UTC", "Asia/Kolkata"]),
)
def test_rollups_and_their_ragged_ends_equal_pricing_every_event(
    settings: Any, calls: list[dict[str, Any]], start: datetime, length: int, zone: str
) -> None:
    from django.db import transaction

    settings.REPORTING_TIME_ZONE = zone
    events = [make_event(f"m{number}", **fields) for number, fields in enumerate(calls)]
    end = start + pd.Timedelta(minutes=length).to_pytimedelta()
    with transaction.atomic():
        for forget in (interning.forget_all, ledger.forget_sources, partitions.forget_known):
            forget()  # the example before was rolled back
        settle(events)
        found = spend.report(Filters(start=start, end=end), ("workspace_id", "model"), "hour")
        whole_days = spend.total(Filters())
        transaction.set_rollback(True)
    book = current()
    inside = [event for event in events if start <= event.occurred_at < end]
    assert found.totals["requests"] == len(inside)
    expected = D(0)
    for event in inside:
        lane = Lane(
            "anthropic", "anthropic", event.model, event.service_tier, "standard", event.inference_geo
        )
        if vector := book.vector(lane, event.occurred_at.date()):
            expected += cost(event, vector)
    assert (found.totals["list_cost"] or 0) == expected
    assert sum(value for value in found.rows["list_cost"] if value is not None) == expected
    assert whole_days["output_tokens"] == sum(event.output_tokens for event in events)
