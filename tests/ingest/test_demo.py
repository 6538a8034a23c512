"""Demo data: the same every time, shaped as promised, and never mixed into real figures."""

from __future__ import annotations

import io
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command

from ingest import demo
from ingest.core.events import UsageEvent
from tests.support.builders import make_event, send
from tests.support.tables import event_count, rows

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def traffic() -> list[UsageEvent]:
    return list(demo.events(NOW))


def hit_rate(events: list[UsageEvent]) -> float:
    read = sum(e.cache_read_input_tokens for e in events)
    written = sum(e.cache_write_5m_input_tokens + e.cache_write_1h_input_tokens for e in events)
    return read / (read + written + sum(e.uncached_input_tokens for e in events))


def test_it_is_the_same_every_time() -> None:
    assert list(demo.events(NOW, days=3)) == list(demo.events(NOW, days=3))


def test_it_covers_ninety_days_and_nothing_of_the_future(traffic: list[UsageEvent]) -> None:
    days = {event.occurred_at.date() for event in traffic}
    assert len(days) == 90
    assert max(event.occurred_at for event in traffic) <= NOW


def test_ids_are_unique(traffic: list[UsageEvent]) -> None:
    assert len({event.id for event in traffic}) == len(traffic)


def test_weekends_are_quieter(traffic: list[UsageEvent]) -> None:
    counts: dict[date, int] = defaultdict(int)
    for event in traffic:
        counts[event.occurred_at.date()] += 1
    weekend = [n for day, n in counts.items() if day.weekday() >= 5]
    week = [n for day, n in counts.items() if day.weekday() < 5]
    assert sum(weekend) / len(weekend) < 0.6 * sum(week) / len(week)


def test_the_cache_regression_can_be_found(traffic: list[UsageEvent]) -> None:
    begins = NOW - timedelta(days=demo.REGRESSION_DAYS)
    rerank = [event for event in traffic if event.workspace_id == "search-rerank"]
    before = hit_rate([event for event in rerank if event.occurred_at < begins - timedelta(days=1)])
    after = hit_rate([event for event in rerank if event.occurred_at > begins + timedelta(days=1)])
    assert after < before - 0.25


@pytest.mark.django_db
def test_the_command_sends_it_through_the_real_pipeline_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.management.commands.demo.events", lambda now: demo.events(NOW, days=2))
    call_command("demo", stdout=io.StringIO())
    stored = event_count()
    assert stored > 100
    assert rows("SELECT sum(requests) FROM rollup_day") == [(stored,)]
    call_command("demo", stdout=io.StringIO())
    assert event_count() == stored


@pytest.mark.django_db
def test_it_is_not_mixed_into_real_figures() -> None:
    send([make_event()], "production")
    with pytest.raises(CommandError, match="real events") as refusal:
        call_command("demo")
    assert refusal.value.returncode == 2
    assert event_count() == 1
