"""Demo data: the same every time, shaped as promised, and never mixed into real figures."""

from __future__ import annotations

import io
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from ingest import demo
from ingest.core.cache.causes import CONCURRENT, LAPSE, PREFIX_CHANGED, attribute
from ingest.core.cache.log import CacheLog, InputPrices, Prefixes, make_log
from ingest.core.cache.policies import FIVE_MINUTES, ONE_HOUR, Policy
from ingest.core.cache.replay import replay
from ingest.core.events import UsageEvent
from ingest.core.reported import ReportedCost, ReportedUsage
from ingest.core.timegrain import to_micros
from ingest.demo_reports import ELSEWHERE, Reports
from ingest.prices import load_pricebook
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


def log_of(traffic: list[UsageEvent], workspace: str) -> CacheLog:
    """The workspace's calls as the cache engine sees them; a session never changes its model."""
    events = [event for event in traffic if event.workspace_id == workspace]
    lengths = [len(event.prefix) for event in events]
    blocks = [block for event in events for block in event.prefix]
    return make_log(
        start=[to_micros(event.occurred_at) for event in events],
        domain=numbered([event.model for event in events]),
        session=numbered([event.session_id for event in events]),
        prices=(InputPrices(Decimal(3), Decimal("0.3"), Decimal("3.75"), Decimal(6)),),
        uncached=[event.uncached_input_tokens for event in events],
        read=[event.cache_read_input_tokens for event in events],
        write_5m=[event.cache_write_5m_input_tokens for event in events],
        write_1h=[event.cache_write_1h_input_tokens for event in events],
        ttft_ms=[-1 if event.ttft_ms is None else event.ttft_ms for event in events],
        min_tokens=512,
        prefixes=Prefixes(
            np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
            np.array(numbered([block.id for block in blocks]), dtype=np.int64),
            np.array([block.tokens for block in blocks], dtype=np.int64),
        )
        if blocks
        else None,
    )


def numbered(names: list[str]) -> list[int]:
    numbers: dict[str, int] = {}
    return [numbers.setdefault(name, len(numbers)) for name in names]


@pytest.mark.parametrize(
    ("workspace", "policy"),
    [
        ("coding-agents", FIVE_MINUTES),
        ("search-rerank", FIVE_MINUTES),
        ("site-reports", FIVE_MINUTES),
        ("extract", FIVE_MINUTES),
        ("research", ONE_HOUR),
    ],
)
def test_counters_are_those_of_a_real_cache_for_the_same_prefixes(
    traffic: list[UsageEvent], workspace: str, policy: Policy
) -> None:
    log = log_of(traffic, workspace)
    bill = replay(log, [policy])[0]
    assert log.has_prefix.all()
    assert bill.read.tolist() == log.read.tolist()


def test_every_story_it_tells_is_in_it(traffic: list[UsageEvent]) -> None:
    begins = NOW - timedelta(days=demo.REGRESSION_DAYS - 1)
    before = [event for event in traffic if event.occurred_at < begins - timedelta(days=1)]
    after = [event for event in traffic if event.occurred_at >= begins]

    def share(events: list[UsageEvent], workspace: str, cause: str) -> float:
        found = attribute(log_of(events, workspace)).tokens
        return found[cause] / sum(found.values())

    assert share(before, "search-rerank", PREFIX_CHANGED) < 0.02
    assert share(after, "search-rerank", PREFIX_CHANGED) > 0.5
    assert share(traffic, "site-reports", CONCURRENT) > 0.8
    assert share(traffic, "support", LAPSE) > 0.3
    assert share(traffic, "coding-agents", LAPSE) > 0.2
    extract = [event for event in traffic if event.workspace_id == "extract"]
    assert all(event.cache_write_5m_input_tokens and not event.cache_read_input_tokens for event in extract)
    assert {event.provider for event in traffic} == {"anthropic", "openai", "google"}
    assert {event.workspace_id for event in traffic if not event.prefix} == {
        "support",
        "help-widget",
        "translate",
    }
    nightly = [event for event in traffic if event.workspace_id == "nightly-digest"]
    assert {event.service_tier for event in nightly} == {"standard"}
    assert {event.occurred_at.hour for event in nightly} == {1, 2}


def test_prefixes_are_short_chained_and_no_longer_than_their_prompt(traffic: list[UsageEvent]) -> None:
    assert max(len(event.prefix) for event in traffic) <= 9
    for event in traffic:
        sizes = [block.tokens for block in event.prefix]
        assert sizes == sorted(set(sizes))
        assert not sizes or sizes[-1] <= (
            event.uncached_input_tokens
            + event.cache_read_input_tokens
            + event.cache_write_5m_input_tokens
            + event.cache_write_1h_input_tokens
        )


def test_calls_of_a_session_wait_for_the_answer_before_unless_they_fan_out(traffic: list[UsageEvent]) -> None:
    last: dict[str, datetime] = {}
    for event in traffic:
        assert event.ttft_ms is not None and event.latency_ms is not None
        assert 0 < event.ttft_ms < event.latency_ms < 600_000
        if not event.session_id or event.workspace_id == "site-reports":
            continue
        assert event.session_id not in last or event.occurred_at >= last[event.session_id]
        last[event.session_id] = event.occurred_at + timedelta(milliseconds=event.latency_ms)


def test_providers_report_whole_days_and_a_little_more_than_was_counted(traffic: list[UsageEvent]) -> None:
    reports = Reports(load_pricebook())
    assert list(reports.watch(traffic)) == traffic
    rows = list(reports.rows(NOW))
    assert max(row.end for row in rows) == NOW.replace(hour=0)
    assert {row.kind for row in rows} == {
        "anthropic_usage_report",
        "anthropic_cost_report",
        "openai_usage",
        "openai_costs",
    }
    counted = sum(
        event.output_tokens
        for event in traffic
        if event.provider == "openai" and event.occurred_at < NOW.replace(hour=0)
    )
    said = sum(
        row.output_tokens for row in rows if isinstance(row, ReportedUsage) and row.provider == "openai"
    )
    assert counted < said <= counted * (1 + ELSEWHERE)
    assert all(row.billed_cost for row in rows if isinstance(row, ReportedCost))


@pytest.mark.django_db
def test_the_command_sends_it_through_the_real_pipeline_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.management.commands.demo.events", lambda now: demo.events(NOW, days=2))
    call_command("demo", stdout=io.StringIO())
    stored = event_count()
    assert stored > 100
    assert rows("SELECT sum(requests) FROM rollup_day") == [(stored,)]
    reported = rows("SELECT count(*) FROM reported_usage") + rows("SELECT count(*) FROM reported_cost")
    assert reported[0] == reported[1] != (0,)
    call_command("demo", stdout=io.StringIO())
    assert event_count() == stored
    assert rows("SELECT count(*) FROM reported_usage") == reported[:1]


@pytest.mark.django_db
def test_it_is_not_mixed_into_real_figures() -> None:
    send([make_event()], "production")
    with pytest.raises(CommandError, match="real events") as refusal:
        call_command("demo")
    assert refusal.value.returncode == 2
    assert event_count() == 1
