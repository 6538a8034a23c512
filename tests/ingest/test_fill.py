"""Filling: any order, any number of times, late rows and all, equals one pass over everything."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, connections, transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ingest import fill, interning, ledger, partitions, rollups
from ingest.core.events import PrefixBlock, UsageEvent
from ingest.fill import fill_due, fill_once
from tests.support.builders import T0, at, make_event, send, settle
from tests.support.tables import rollup, rows, short_prefixes

pytestmark = pytest.mark.django_db


def test_every_row_of_both_rollups_and_no_other() -> None:
    settle(
        [
            make_event("a", workspace_id="search", cache_read_input_tokens=50),
            make_event("b", workspace_id="search", occurred_at=at(minutes=59), cache_write_1h_input_tokens=7),
            make_event(
                "c", workspace_id="support", occurred_at=at(hours=1), thinking_tokens=4, web_search_requests=2
            ),
        ]
    )
    ten, eleven, day = T0, at(hours=1), datetime(2026, 3, 2, tzinfo=UTC)
    search = ("claude-sonnet-4-6", 0, "search", 2, 1, 1, 200, 50, 0, 7, 20, 0, 0)
    support = ("claude-sonnet-4-6", 0, "support", 1, 0, 0, 100, 0, 0, 0, 10, 4, 2)
    assert rollup("rollup_hour") == [(ten, *search), (eleven, *support)]
    assert rollup("rollup_day") == [(day, *search), (day, *support)]
    without_labels = (
        "SELECT bucket_start, label_set_id, requests, requests_with_read, output_tokens FROM rollup_lane_day"
    )
    assert rows(without_labels) == [(day, 0, 3, 1, 30)]


def test_short_cached_prefixes_are_summed_by_the_step_they_stay_under() -> None:
    settle(
        [
            make_event(
                "a", workspace_id="search", cache_read_input_tokens=1000, cache_write_1h_input_tokens=23
            ),
            make_event("b", workspace_id="search", cache_read_input_tokens=1024, occurred_at=at(minutes=59)),
            make_event("c", workspace_id="support", cache_write_5m_input_tokens=800, occurred_at=at(hours=1)),
            make_event("none", workspace_id="search"),
            make_event("long", workspace_id="search", cache_read_input_tokens=5320),
        ]
    )
    ten, eleven, day = T0, at(hours=1), datetime(2026, 3, 2, tzinfo=UTC)
    below_1024, below_1330 = (1024, "search", 1, 1000, 0, 23), (1330, "search", 1, 1024, 0, 0)
    support = (1024, "support", 1, 0, 800, 0)
    assert short_prefixes("rollup_short_prefix_hour") == [
        (ten, *below_1024),
        (ten, *below_1330),
        (eleven, *support),
    ]
    assert short_prefixes("rollup_short_prefix") == [(day, *below_1024), (day, *support), (day, *below_1330)]
    lane_rows = "SELECT label_set_id, below, requests, cache_read_input_tokens FROM rollup_lane_short_prefix"
    assert rows(f"{lane_rows} ORDER BY below") == [(0, 1024, 2, 1000), (0, 1330, 1, 1024)]


def test_a_prefix_that_grows_long_leaves_no_short_row_behind() -> None:
    settle([make_event("m1", cache_read_input_tokens=700, flags=0)])
    assert len(short_prefixes("rollup_short_prefix")) == 1
    settle([make_event("m1", cache_read_input_tokens=7000)])
    for table in ("rollup_short_prefix_hour", "rollup_short_prefix", "rollup_lane_short_prefix"):
        assert rows(f"SELECT count(*) FROM {table}") == [(0,)]


def test_filling_twice_equals_filling_once() -> None:
    settle([make_event(f"m{i}", occurred_at=at(minutes=i)) for i in range(90)])
    before = rollup("rollup_hour"), rollup("rollup_day")
    fill.mark_everything_due()
    assert fill_due().events == 90
    assert (rollup("rollup_hour"), rollup("rollup_day")) == before


def test_a_merged_event_moves_its_old_and_its_new_hour() -> None:
    settle([make_event("m1", occurred_at=at(hours=2))])
    settle([make_event("m1", occurred_at=at(hours=0))])
    assert [row[0] for row in rollup("rollup_hour")] == [T0]


def test_a_price_lane_that_changes_leaves_no_row_behind() -> None:
    settle([make_event("m1", inference_geo="", flags=0)])
    settle([make_event("m1", inference_geo="us")])
    assert len(rollup("rollup_hour")) == 1
    assert rows("SELECT inference_geo FROM rollup_day JOIN lane ON lane.id = lane_id") == [("us",)]


def test_unchanged_rows_are_not_written_again() -> None:
    settle([make_event("m1", workspace_id="quiet"), make_event("m2", workspace_id="busy")])
    before = dict(
        rows(
            "SELECT workspace_id, rollup_hour.xmin::text FROM rollup_hour JOIN label_set ON label_set.id = label_set_id"
        )
    )
    settle([make_event("m3", workspace_id="busy")])
    after = dict(
        rows(
            "SELECT workspace_id, rollup_hour.xmin::text FROM rollup_hour JOIN label_set ON label_set.id = label_set_id"
        )
    )
    assert after["quiet"] == before["quiet"]
    assert after["busy"] != before["busy"]


def test_a_crash_in_the_middle_leaves_everything_due(monkeypatch: pytest.MonkeyPatch) -> None:
    send([make_event("m1")])

    def crash(*_: object) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr(fill, "_fill_day", crash)
    with pytest.raises(RuntimeError):
        fill_due()
    assert rollup("rollup_hour") == []
    monkeypatch.undo()
    fill_due()
    assert len(rollup("rollup_hour")) == 1


def test_large_buckets_are_read_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fill, "ROWS_PER_CHUNK", 7)
    settle([make_event(f"m{i}", occurred_at=at(seconds=i)) for i in range(100)])
    assert [row[4] for row in rollup("rollup_hour")] == [100]


def test_filling_works_with_query_logging_on(settings: object) -> None:
    settings.DEBUG = True  # type: ignore[attr-defined]  # Django then wraps cursors, and its wrapper does not know COPY
    settle([make_event("m1", prefix=(PrefixBlock("h", 5),))])
    assert len(rollup("rollup_hour")) == 1


def test_half_hour_zones_split_the_hour_at_local_midnight(settings: object) -> None:
    settings.REPORTING_TIME_ZONE = "Asia/Kolkata"  # type: ignore[attr-defined]
    midnight = datetime(2026, 3, 1, 18, 30, tzinfo=UTC)
    settle(
        [
            make_event("before", occurred_at=midnight - timedelta(microseconds=1)),
            make_event("after", occurred_at=midnight),
        ]
    )
    assert [row[0] for row in rollup("rollup_hour")] == [datetime(2026, 3, 1, 18, tzinfo=UTC), midnight]
    assert [row[0] for row in rollup("rollup_day")] == [datetime(2026, 3, 1, tzinfo=UTC), midnight]


def test_no_day_row_straddles_a_utc_midnight(settings: object) -> None:
    settings.REPORTING_TIME_ZONE = "America/New_York"  # type: ignore[attr-defined]
    utc_midnight = datetime(2026, 3, 3, tzinfo=UTC)
    settle(
        [
            make_event("a", occurred_at=utc_midnight - timedelta(hours=1)),
            make_event("b", occurred_at=utc_midnight),
        ]
    )
    assert [row[0] for row in rollup("rollup_day")] == [datetime(2026, 3, 2, 5, tzinfo=UTC), utc_midnight]


moments = st.integers(0, 4 * 86_400 - 1).map(
    lambda seconds: datetime(2026, 2, 27, tzinfo=UTC) + timedelta(seconds=seconds)
)
deliveries = st.lists(
    st.lists(
        st.builds(
            make_event,
            event_id=st.sampled_from([f"m{i}" for i in range(8)]),
            occurred_at=moments,
            output_tokens=st.integers(0, 9),
            cache_read_input_tokens=st.sampled_from([0, 600, 4095, 4096, 9000]),
            model=st.sampled_from(["claude-sonnet-4-6", "claude-opus-4-6", "nobody-knows"]),
            workspace_id=st.sampled_from(["", "w"]),
        ),
        max_size=6,
    ),
    min_size=1,
    max_size=4,
)


@given(deliveries, st.data())
@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_interleaving_of_deliveries_and_fills_equals_one_pass(
    parts: list[list[UsageEvent]], data: st.DataObject
) -> None:
    for forget in (interning.forget_all, ledger.forget_sources, partitions.forget_known):
        forget()  # the example before was rolled back
    with transaction.atomic():
        for part in parts:
            send(part)
            if data.draw(st.booleans()):
                fill_once(data.draw(st.integers(1, 3)))
        fill_due()
        grown = rollup("rollup_hour"), rollup("rollup_day")
        short = short_prefixes("rollup_short_prefix_hour"), short_prefixes("rollup_short_prefix")
        with connection.cursor() as cursor:
            cursor.execute(
                "TRUNCATE rollup_hour, rollup_day, rollup_lane_day, dirty_bucket,"
                " rollup_short_prefix_hour, rollup_short_prefix, rollup_lane_short_prefix"
            )
        fill.mark_everything_due()
        fill_due()
        assert (rollup("rollup_hour"), rollup("rollup_day")) == grown
        assert short == (short_prefixes("rollup_short_prefix_hour"), short_prefixes("rollup_short_prefix"))
        summed = rows("SELECT coalesce(sum(requests), 0), coalesce(sum(output_tokens), 0) FROM event")
        for table in ("rollup_hour", "rollup_day", "rollup_lane_day"):
            query = f"SELECT coalesce(sum(requests), 0), coalesce(sum(output_tokens), 0) FROM {table}"
            assert rows(query) == summed
        tokens = "coalesce(sum(cache_read_input_tokens), 0), coalesce(sum(requests), 0)"
        of_events = rows(f"SELECT {tokens} FROM event WHERE cache_read_input_tokens BETWEEN 1 AND 5319")
        for table in ("rollup_short_prefix_hour", "rollup_short_prefix", "rollup_lane_short_prefix"):
            assert rows(f"SELECT {tokens} FROM {table}") == of_events
        transaction.set_rollback(True)


@pytest.mark.django_db(transaction=True)
def test_several_workers_share_the_days_and_agree_with_one() -> None:
    send([make_event(f"m{i}", occurred_at=at(hours=i)) for i in range(24 * 12)])
    done, errors = [], []

    def work() -> None:
        try:
            while filled := fill_once(2).days:
                done.append(filled)
        except Exception as error:  # collected and asserted below
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fill_due()
    assert errors == []
    assert sum(row[4] for row in rollup("rollup_day")) == 288
    assert rows("SELECT count(*) FROM dirty_bucket") == [(0,)]


@pytest.mark.django_db(transaction=True)
def test_an_event_that_commits_during_a_fill_is_filled_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    send([make_event("early")])
    real = rollups.hours_from_events

    def send_late() -> None:
        send([make_event("late")])
        connections.close_all()

    def late_arrival(*args: object) -> object:
        result = real(*args)  # type: ignore[arg-type]
        thread = threading.Thread(target=send_late)
        thread.start()
        thread.join()
        return result

    monkeypatch.setattr(rollups, "hours_from_events", late_arrival)
    fill_once(1)
    monkeypatch.undo()
    assert rows("SELECT count(*) FROM dirty_bucket") == [(1,)]
    fill_due()
    assert [row[4] for row in rollup("rollup_hour")] == [2]
