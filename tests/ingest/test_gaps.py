"""Filling the gap rollups: in parts as in one, again as before, past what is retired, by several workers at once."""

from __future__ import annotations

import threading
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from django.db import connection, connections

from ingest import gaps
from ingest.core.events import PrefixBlock, UsageEvent
from ingest.gaps import fill_gaps_due
from tests.support.builders import T0, at, make_event, send, settle
from tests.support.tables import rows

DAY_S = 86_400
MODELS = ("claude-sonnet-4-6", "claude-opus-4-6")


def call(name: str, seconds: float, *blocks: str, session: str = "s", **fields: Any) -> UsageEvent:
    """A call that writes these blocks of 5,000 tokens each."""
    return make_event(
        name,
        occurred_at=at(seconds=seconds),
        session_id=session,
        workspace_id=fields.pop("workspace_id", "w"),
        ttft_ms=0,
        cache_write_5m_input_tokens=fields.pop("written", 5_000 * len(blocks)),
        prefix=tuple(PrefixBlock("/".join(blocks[: n + 1]), 5_000 * (n + 1)) for n in range(len(blocks))),
        **fields,
    )


def traffic(size: int = 160) -> list[UsageEvent]:
    """Three days of sessions in three workspaces, with and without prefix lists, with and without a session."""
    rng = np.random.default_rng(5)
    found = []
    for number, moment in enumerate(np.cumsum(rng.exponential(1_500, size)).tolist()):
        workspace = int(rng.integers(3))
        blocks = [str(int(each)) for each in rng.integers(0, 2, int(rng.integers(1, 4)))]
        found.append(
            call(
                f"c{number}",
                moment,
                *(blocks if workspace else ()),
                session=f"s{workspace}{int(rng.integers(3))}" if rng.random() < 0.8 else "",
                workspace_id=f"w{workspace}",
                written=5_000 * len(blocks),
                model=MODELS[int(rng.integers(2))],
                user_id=f"u{int(rng.integers(2))}",
            )
        )
    return found


def table(name: str) -> list[tuple[Any, ...]]:
    columns = "utc_day, lane_id, label_set_id, gap_bucket, exact, tokens"
    return rows(f"SELECT {columns} FROM {name} ORDER BY 1, 2, 3, 4, 5")


def both() -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    return table("rollup_gap"), table("rollup_lane_gap")


def due_again() -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE gap_state SET fills = -1, filled_at = filled_at - interval '1 day'")


@pytest.mark.django_db
@pytest.mark.parametrize("most", [60, 7, 1])
def test_a_day_read_in_parts_has_the_rows_of_one_read_whole(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(traffic())
    fill_gaps_due()
    whole = both()
    assert len({row[0] for row in whole[0]}) >= 3
    assert {row[4] for row in whole[0]} == {True, False}
    monkeypatch.setattr(gaps, "REQUESTS_PER_PART", most)
    due_again()
    fill_gaps_due()
    assert both() == whole


@pytest.mark.django_db
def test_a_day_filled_twice_has_the_same_rows_and_is_not_due_after() -> None:
    settle(traffic(60))
    first = fill_gaps_due()
    before = both()
    due_again()
    second = fill_gaps_due()
    assert (second.days, second.rows) == (first.days, first.rows)
    assert both() == before
    assert fill_gaps_due().days == 0


@pytest.mark.django_db
def test_rows_by_lane_are_sums_over_the_labels() -> None:
    settle(traffic(60))
    fill_gaps_due()
    assert table("rollup_lane_gap") == rows(
        "SELECT utc_day, lane_id, 0, gap_bucket, exact, sum(tokens)::bigint FROM rollup_gap"
        " GROUP BY 1, 2, 4, 5 ORDER BY 1, 2, 3, 4, 5"
    )


@pytest.mark.django_db
def test_a_day_that_was_just_made_rests_before_it_is_made_again() -> None:
    settle([call("a", 0, "x")])
    assert fill_gaps_due().days == 1
    settle([call("b", 60, "x")])
    assert fill_gaps_due().days == 0
    with connection.cursor() as cursor:
        cursor.execute("UPDATE gap_state SET filled_at = filled_at - %s * interval '1 second'", [31])
    assert fill_gaps_due().days == 1


@pytest.mark.django_db
def test_what_a_day_holds_is_told_from_the_day_before_and_no_further() -> None:
    settle([call("a", 0, "x"), call("b", DAY_S - 60, "x"), call("c", 3 * DAY_S, "x")])
    fill_gaps_due()
    found = {(row[0], row[3]): row[5] for row in table("rollup_gap")}
    day = T0.date()
    assert found[day, gaps.FIRST_USE] == 5_000
    reused = [bucket for moment, bucket in found if moment == day + timedelta(days=1) and bucket >= 0]
    assert len(reused) == 1
    assert found[day + timedelta(days=3), gaps.FIRST_USE] == 5_000


@pytest.mark.django_db
def test_days_whose_events_were_retired_keep_the_rows_they_have() -> None:
    """Neither they nor the first day of the month after can be worked out: what they look back on is gone."""
    march = T0.replace(day=31)
    offset = (march - T0).total_seconds()
    settle([call("a", offset, "x"), call("b", offset + 3_600, "x"), call("c", offset + DAY_S, "x")])
    fill_gaps_due()
    before = both()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM event")
        cursor.execute("INSERT INTO retired_month (month, retired_at) VALUES ('2026-03-01', now())")
    due_again()
    assert fill_gaps_due().days == 0
    assert both() == before
    send([call("d", offset + 3 * DAY_S, "x")])
    settle()
    assert fill_gaps_due().days == 1


@pytest.mark.django_db(transaction=True)
def test_a_day_that_another_worker_is_at_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    settle([call("a", 0, "x"), call("b", DAY_S, "x")])
    begun, go_on = threading.Event(), threading.Event()
    real = gaps._fill
    filled: list[date] = []
    errors: list[Exception] = []

    def slow(day: date) -> int:
        if threading.current_thread() is worker and not begun.is_set():
            begun.set()
            assert go_on.wait(30)
        filled.append(day)
        return real(day)

    def work() -> None:
        try:
            fill_gaps_due()
        except Exception as error:  # asserted below
            errors.append(error)
        finally:
            connections.close_all()

    monkeypatch.setattr(gaps, "_fill", slow)
    worker = threading.Thread(target=work)
    worker.start()
    try:
        assert begun.wait(30)
        assert fill_gaps_due().days == 1
    finally:
        go_on.set()
        worker.join()
    assert errors == []
    assert sorted(filled) == [T0.date(), T0.date() + timedelta(days=1)]
    assert fill_gaps_due().days == 0
