"""Filling the gap rollups: for each UTC day, how long after its last use every cacheable token was needed again.

Like all rollups these are recomputed whole. A day is due when it or the day before was filled anew, since gaps reach
back; the current day, which is filled every few seconds, gets no more than a small share of a worker. A gap of more
than a day counts as a first use: no TTL is that long.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
from django.db import connection, transaction

from ingest import raw
from ingest.core.binary_copy import POSTGRES_EPOCH_US
from ingest.core.cache import stored
from ingest.core.cache.curve import EDGES_S, gap_histogram
from ingest.core.cache.log import InputPrices, Ints, make_log
from ingest.core.pricing import ZERO, Lane
from ingest.core.timegrain import to_micros
from ingest.models import LabelSet
from ingest.models import Lane as LaneRow
from ingest.prices import load_pricebook

LOOKBACK = timedelta(days=1)
FIRST_USE, NO_PREFIX = -1, -2
# A day with more requests than this is read in parts, so that memory does not grow with it.
REQUESTS_PER_PART = 500_000
ROWS_PER_CHUNK = 200_000
NOT_SOONER_THAN_S = 30.0  # the same day again
REST = 20  # times as long as it took
LANE_FIELDS = Lane._fields
_NO_PRICE = InputPrices(ZERO, ZERO, ZERO, ZERO)
_LONGER_BUCKETS = sum(
    edge <= LOOKBACK.total_seconds() for edge in EDGES_S
)  # from here on gaps exceed the lookback

# Calls with a prefix share it with others of their workspace; the others only with their session.
_PART = """
    CASE WHEN EXISTS (SELECT 1 FROM event_prefix
                      WHERE event_prefix.event_key = event.event_key AND event_prefix.occurred_at = event.occurred_at)
         THEN hashtext(label_set.workspace_id)
         ELSE hashint4(CASE event.session_key WHEN 0 THEN -event.label_set_id ELSE event.session_key END)
    END & 65535"""


@dataclass(slots=True)
class GapsFilled:
    """What a run did."""

    days: int = 0
    rows: int = 0


def fill_gaps_due(max_seconds: float | None = None) -> GapsFilled:
    """Work out the gaps of days that are due, the newest first, each in one transaction; others' days are skipped."""
    total, started = GapsFilled(), time.monotonic()
    while max_seconds is None or time.monotonic() - started < max_seconds:
        _enter_new_days()
        with transaction.atomic():
            claimed = _claim()
            if claimed is None:
                break
            day, fills = claimed
            began = time.monotonic()
            rows = _fill(day)
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE gap_state SET fills = %s, filled_at = clock_timestamp(), seconds = %s WHERE utc_day = %s",
                    [fills, time.monotonic() - began, day],
                )
        total.days += 1
        total.rows += rows
    return total


def _enter_new_days() -> None:
    """A transaction of its own: others would wait for a day that is entered and worked out in one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO gap_state (utc_day) SELECT utc_day FROM fill_state WHERE fills > 0"
            " AND utc_day NOT IN (SELECT utc_day FROM gap_state) ORDER BY 1 ON CONFLICT DO NOTHING"
        )


def _claim() -> tuple[date, int] | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT gap_state.utc_day, today.fills + coalesce(before.fills, 0) FROM gap_state"
            " JOIN fill_state AS today USING (utc_day)"
            " LEFT JOIN fill_state AS before ON before.utc_day = gap_state.utc_day - 1"
            " WHERE gap_state.fills < today.fills + coalesce(before.fills, 0)"
            " AND (gap_state.filled_at IS NULL OR gap_state.filled_at"
            "  < clock_timestamp() - greatest(%s, gap_state.seconds * %s) * interval '1 second')"
            " AND NOT EXISTS (SELECT 1 FROM retired_month"
            "  WHERE month IN (date_trunc('month', gap_state.utc_day)::date,"
            "   date_trunc('month', gap_state.utc_day - 1)::date))"
            " ORDER BY gap_state.utc_day DESC LIMIT 1 FOR UPDATE OF gap_state SKIP LOCKED",
            [NOT_SOONER_THAN_S, REST],
        )
        row = cursor.fetchone()
    return None if row is None else (row[0], int(row[1]))


def _fill(day: date) -> int:
    """Make both tables hold exactly this day's gaps; returns the number of rows."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    tokens: dict[tuple[int, int, int, bool], int] = {}
    for events, blocks in _parts(start):
        for key, count in _gaps(events, blocks, to_micros(start)):
            tokens[key] = tokens.get(key, 0) + count
    without_labels: dict[tuple[int, int, int, bool], int] = {}
    for (lane_id, _, bucket, exact), count in tokens.items():
        key = (lane_id, 0, bucket, exact)
        without_labels[key] = without_labels.get(key, 0) + count
    for table, rows in (("rollup_gap", tokens), ("rollup_lane_gap", without_labels)):
        with raw.cursor() as cursor:
            cursor.execute(f"DELETE FROM {table} WHERE utc_day = %s", [day])
            columns = "utc_day, lane_id, label_set_id, gap_bucket, exact, tokens"
            with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                for key, count in sorted(rows.items()):
                    copy.write_row((day, *key, count))
    return len(tokens)


def _parts(start: datetime) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    """The events of the lookback and the day, and their prefix entries, in as many parts as memory asks for."""
    first, end = start - LOOKBACK, start + timedelta(days=1)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(requests), 0) FROM rollup_lane_day WHERE bucket_start >= %s AND bucket_start < %s",
            [first, end],
        )
        parts = 1 + int(cursor.fetchone()[0]) // REQUESTS_PER_PART
        # One process reads: parallel ones would mix the entries of different prefixes.
        cursor.execute("SELECT set_config('max_parallel_workers_per_gather', '0', true)")
    names = ", ".join(f"event.{name}" for name in stored.EVENT_READ.columns)
    for part in range(parts):
        source = "FROM event"
        where = "WHERE event.occurred_at >= %(first)s AND event.occurred_at < %(end)s"
        if parts > 1:
            source += " JOIN label_set ON label_set.id = event.label_set_id"
            where += f" AND ({_PART}) %% %(parts)s = %(part)s"
        asked = {"first": first, "end": end, "parts": parts, "part": part}
        events = _copied(f"SELECT {names} {source} {where}", asked, stored.EVENT_READ)
        blocks = _copied(
            f"SELECT event_prefix.event_key, block.hash, block.tokens {source} JOIN event_prefix"
            " ON event_prefix.event_key = event.event_key AND event_prefix.occurred_at = event.occurred_at,"
            " unnest(event_prefix.block_hashes, event_prefix.cumulative_tokens)"
            " WITH ORDINALITY AS block(hash, tokens, place)"
            f" {where} AND event_prefix.occurred_at >= %(first)s AND event_prefix.occurred_at < %(end)s",
            asked,
            stored.BLOCK_READ,
        )
        yield events, blocks


def _copied(query: str, asked: dict[str, Any], layout: Any) -> npt.NDArray[Any]:
    with raw.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT binary)", asked) as copy:
        chunks = list(layout.decode(copy, ROWS_PER_CHUNK))
    return np.concatenate(chunks) if chunks else np.zeros(0, dtype=layout.dtype)


def _gaps(
    events: npt.NDArray[Any], blocks: npt.NDArray[Any], day_us: int
) -> Iterator[tuple[tuple[int, int, int, bool], int]]:
    """((lane, label set, bucket, exact), tokens) of the requests of the day, seen after those of the lookback."""
    if not len(events):
        return
    column = {name: events[name].astype(np.int64) for name in stored.EVENT_READ.columns}
    times = column["occurred_at"] + POSTGRES_EPOCH_US
    pairs, pair = np.unique(
        np.stack([column["lane_id"], column["label_set_id"]]), axis=1, return_inverse=True
    )
    lanes = {
        row.id: Lane(*(getattr(row, name) for name in LANE_FIELDS))
        for row in LaneRow.objects.filter(id__in=pairs[0].tolist())
    }
    workspaces = dict(LabelSet.objects.filter(id__in=pairs[1].tolist()).values_list("id", "workspace_id"))
    everything = make_log(
        start=times,
        domain=stored.domains(column["lane_id"], column["label_set_id"], lanes, workspaces),
        session=stored.sessions(column["session_key"], column["label_set_id"]),
        prices=(_NO_PRICE,) * pairs.shape[1],
        price=pair.reshape(-1),
        uncached=column["uncached_input_tokens"],
        read=column["cache_read_input_tokens"],
        write_5m=column["cache_write_5m_input_tokens"],
        write_1h=column["cache_write_1h_input_tokens"],
        output=column["output_tokens"],
        ttft_ms=column["ttft_ms"],
        latency_ms=column["latency_ms"],
        min_tokens=_minimums(column["lane_id"], lanes, day_us),
        prefixes=stored.prefixes(column["event_key"], blocks),
    )
    for exact in (True, False):
        kept = everything.where(everything.has_prefix == exact)
        if not len(kept):
            continue
        # What a request adds depends only on those before it: all, less the lookback alone, is the day.
        both, before = gap_histogram(kept), gap_histogram(kept.where(kept.start < day_us))
        reused = both.reused - before.reused
        first = both.first - before.first + reused[_LONGER_BUCKETS:].sum(axis=0)
        counts = np.vstack([both.uncached - before.uncached, first, reused[:_LONGER_BUCKETS]])
        for row, at in zip(*np.nonzero(counts), strict=True):
            lane_id, label_set_id = int(pairs[0, at]), int(pairs[1, at])
            yield (lane_id, label_set_id, int(row) + NO_PREFIX, exact), int(counts[row, at])


def _minimums(lane_id: Ints, lanes: dict[int, Lane], day_us: int) -> Ints:
    """By request, the shortest prefix that its model caches."""
    book = load_pricebook()
    day = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=day_us)).date()
    ids, at = np.unique(lane_id, return_inverse=True)
    models = [book.model(lanes[int(each)].model) for each in ids]
    return np.array([(model and model.min_cacheable_tokens(day)) or 0 for model in models], dtype=np.int64)[
        at.reshape(-1)
    ]
