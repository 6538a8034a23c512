"""Filling the rollups: claim days that have due hours, recompute those hours whole, then their days.

A fill is one transaction, so a crash leaves everything due. Claims are row locks taken with SKIP LOCKED: any number of
workers on any number of machines share the work, and no two work on one day.

Why nothing is lost: a dirty bucket becomes visible with the events of its own transaction. The fill first deletes the
dirty buckets it sees and then reads the events in a later snapshot, so it reads at least the events behind every bucket
it deleted; buckets of transactions that commit later stay and are filled again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd
from django.conf import settings
from django.db import connection, transaction

from ingest import raw, rollups
from ingest.core.binary_copy import FixedWidth
from ingest.core.timegrain import from_micros, to_micros

ROWS_PER_CHUNK = 200_000
DAYS_PER_CLAIM = 31  # a backfill reads each month of events a few times, not once an hour
JOIN_GAP = timedelta(hours=6)  # hours nearer than this are read in one scan
DAY_US = 24 * rollups.HOUR_US

# Rollups by hour, by day, by day without attribution.
_KINDS = (
    ("rollup_hour", "rollup_day", "rollup_lane_day", rollups.WHOLE),
    ("rollup_short_prefix_hour", "rollup_short_prefix", "rollup_lane_short_prefix", rollups.SHORT),
)


@dataclass(slots=True)
class Filled:
    """What one or several fills did."""

    days: int = 0
    hours: int = 0
    events: int = 0
    rows: int = 0
    seconds: float = 0.0

    def add(self, other: Filled) -> None:
        self.days += other.days
        self.hours += other.hours
        self.events += other.events
        self.rows += other.rows
        self.seconds += other.seconds


def fill_due(max_seconds: float | None = None) -> Filled:
    """Fill what is due, newest day first, until nothing is or the time is up; others' days are left to them."""
    total = Filled()
    started = time.monotonic()
    limit = 1  # the newest day first and by itself: that is what people look at
    while max_seconds is None or time.monotonic() - started < max_seconds:
        done = fill_once(limit)
        if not done.days:
            break
        total.add(done)
        limit = DAYS_PER_CLAIM
    return total


def fill_once(days: int) -> Filled:
    """Claim up to so many days and fill their due hours, in one transaction."""
    zone = ZoneInfo(settings.REPORTING_TIME_ZONE)
    started = time.monotonic()
    with transaction.atomic():
        claimed = _claim(days)
        if not claimed:
            return Filled()
        hours = _take_due_hours(claimed)
        result = Filled(days=len(claimed), hours=len(hours))
        for run in _runs(hours):
            starts = np.array([to_micros(hour) for hour in run], dtype=np.int64)
            end = run[-1] + timedelta(hours=1)
            frame, short, events = rollups.hours_from_events(_read_events(run[0], end), starts, zone)
            _replace("rollup_hour", run[0], end, starts, rollups.HOUR_US, frame)
            _replace("rollup_short_prefix_hour", run[0], end, starts, rollups.HOUR_US, short, rollups.SHORT)
            result.events += events
            result.rows += len(frame)
        for day in sorted(claimed):
            _fill_day(day, zone)
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE fill_state SET filled_at = clock_timestamp(), fills = fills + 1 WHERE utc_day = ANY(%s)",
                [claimed],
            )
    result.seconds = time.monotonic() - started
    return result


def _claim(days: int) -> list[date]:
    """Lock the newest days that have due hours and that nobody else is filling."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO fill_state (utc_day)"
            " SELECT DISTINCT (bucket_start AT TIME ZONE 'UTC')::date AS day FROM dirty_bucket ORDER BY day"
            " ON CONFLICT DO NOTHING"
        )
        cursor.execute(
            "SELECT utc_day FROM fill_state WHERE EXISTS (SELECT 1 FROM dirty_bucket"
            "  WHERE bucket_start >= utc_day::timestamp AT TIME ZONE 'UTC'"
            "  AND bucket_start < (utc_day + 1)::timestamp AT TIME ZONE 'UTC')"
            " ORDER BY utc_day DESC LIMIT %s FOR UPDATE SKIP LOCKED",
            [days],
        )
        return [row[0] for row in cursor.fetchall()]


def _take_due_hours(days: list[date]) -> list[datetime]:
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH taken AS (DELETE FROM dirty_bucket"
            "  WHERE (bucket_start AT TIME ZONE 'UTC')::date = ANY(%s) AND bucket_start >= %s AND bucket_start < %s"
            "  RETURNING bucket_start)"
            " SELECT DISTINCT bucket_start FROM taken ORDER BY 1",
            [days, _start(min(days)), _start(max(days) + timedelta(days=1))],
        )
        return [row[0] for row in cursor.fetchall()]


def _start(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _runs(hours: list[datetime]) -> Iterator[list[datetime]]:
    """Stretches of due hours that are worth one scan each; a run never leaves its month, which is a partition."""
    run: list[datetime] = []
    for hour in hours:
        if run and (hour - run[-1] > JOIN_GAP or hour.month != run[-1].month):
            yield run
            run = []
        run.append(hour)
    if run:
        yield run


def _read_events(start: datetime, end: datetime) -> Iterator[npt.NDArray[Any]]:
    return _read("event", "occurred_at", rollups.EVENT_READ, start, end)


def _read(
    table: str, time_column: str, layout: FixedWidth, start: datetime, end: datetime
) -> Iterator[npt.NDArray[Any]]:
    query = (
        f"COPY (SELECT {layout.column_list} FROM {table} WHERE {time_column} >= %s AND {time_column} < %s)"
    )
    with (
        raw.cursor() as cursor,
        cursor.copy(f"{query} TO STDOUT (FORMAT binary)", [start, end]) as copy,
    ):
        yield from layout.decode(copy, ROWS_PER_CHUNK)


def _fill_day(day: date, zone: ZoneInfo) -> None:
    start, end = _start(day), _start(day + timedelta(days=1))
    starts = np.array([to_micros(start)], dtype=np.int64)
    for hour_table, day_table, lane_table, shape in _KINDS:
        hours = rollups.from_copy(_read(hour_table, "bucket_start", shape.row, start, end), shape)
        frame = rollups.days_from_hours(hours, zone, shape)
        _replace(day_table, start, end, starts, DAY_US, frame, shape)
        _replace(lane_table, start, end, starts, DAY_US, rollups.without_labels(frame, shape), shape)


def _replace(
    table: str,
    start: datetime,
    end: datetime,
    starts: npt.NDArray[np.int64],
    width: int,
    frame: pd.DataFrame,
    shape: rollups.Shape = rollups.WHOLE,
) -> None:
    """Make `table` hold exactly `frame` for the spans [s, s + width) of `starts`, all within [start, end).

    Only rows that differ are written: the current hour is refilled every few seconds, and most of its rows stand.
    """
    layout, staged = shape.row, f"staged_{len(shape.key)}"
    key = ", ".join(shape.key)
    new = ", ".join(f"excluded.{name}" for name in shape.sums)
    old = ", ".join(f"{table}.{name}" for name in shape.sums)
    same = " AND ".join(f"s.{name} = {table}.{name}" for name in shape.key)
    span_starts = [from_micros(s) for s in starts]
    span_ends = [moment + timedelta(microseconds=width) for moment in span_starts]
    with raw.cursor() as cursor:
        cursor.execute(
            f"CREATE TEMPORARY TABLE IF NOT EXISTS {staged} (LIKE {table} INCLUDING INDEXES) ON COMMIT DELETE ROWS"
        )
        cursor.execute(f"TRUNCATE {staged}")
        with cursor.copy(f"COPY {staged} ({layout.column_list}) FROM STDIN (FORMAT binary)") as copy:
            copy.write(layout.encode({name: frame[name].to_numpy() for name in layout.columns}, len(frame)))
        cursor.execute(
            f"DELETE FROM {table} USING unnest(%s::timestamptz[], %s::timestamptz[]) AS span(span_start, span_end)"
            f" WHERE bucket_start >= %s AND bucket_start < %s"
            f" AND bucket_start >= span_start AND bucket_start < span_end"
            f" AND NOT EXISTS (SELECT 1 FROM {staged} s WHERE {same})",
            [span_starts, span_ends, start, end],
        )
        cursor.execute(
            f"INSERT INTO {table} ({layout.column_list}) SELECT {layout.column_list} FROM {staged} ORDER BY {key}"
            f" ON CONFLICT ({key}) DO UPDATE SET ({', '.join(shape.sums)}) = ROW({new})"
            f" WHERE ({old}) IS DISTINCT FROM ({new})"
        )


def mark_everything_due() -> int:
    """Make every hour that has events or rollups due, except retired months; returns how many hours that is."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO dirty_bucket (bucket_start, marked_at)"
            " SELECT hour, clock_timestamp() FROM ("
            "  SELECT date_trunc('hour', occurred_at, 'UTC') AS hour FROM event"
            "  UNION SELECT date_trunc('hour', bucket_start, 'UTC') FROM rollup_hour) AS hours"
            " WHERE NOT EXISTS (SELECT 1 FROM retired_month"
            "  WHERE month = date_trunc('month', hour AT TIME ZONE 'UTC')::date)"
        )
        return int(cursor.rowcount)
