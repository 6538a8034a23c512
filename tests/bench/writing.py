"""Durable HTTP ingest beside bare COPY, and what a stored event weighs."""

from __future__ import annotations

import http.client
import threading
import time
import uuid
from collections.abc import Callable
from itertools import count
from typing import Any

from django.db import connection
from psycopg import Copy

from ingest import raw
from ingest.storage import EVENT_LAYOUT
from tests.bench import traffic
from tests.bench.report import Figure
from tests.bench.world import World

BATCH = 1_000
EVENTS = 120_000
CONNECTIONS = 12
RUNS, FLOOR_RUNS = 5, 3


def measure(world: World) -> list[Figure]:
    """HTTP in, each batch acknowledged after its COMMIT, against one connection's COPY of the same rows.

    Their runs take turns, so that a busy machine slows both. The second ratio is against rows that were encoded before
    the clock started: what COPY alone can do when no program makes its rows.
    """
    numbers = count(1)
    rates, floors, bare_floors = [], [], []
    for turn in range(RUNS):
        bodies = traffic.batches(EVENTS, BATCH, first=next(numbers) * 10_000_000)
        rates.append(EVENTS / _send(world, bodies))
        if turn < FLOOR_RUNS:
            rows = _stored_rows()
            floors.append(_copy_floor(rows, _copy_rows))
            bare_floors.append(_copy_floor(rows, _copy_bytes))
    best, floor, bare_floor = max(rates), max(floors), max(bare_floors)
    runs = f"{best:,.0f} events/s (runs: {', '.join(f'{rate:,.0f}' for rate in rates)})"
    return [
        Figure(
            "durable HTTP ingest / bare COPY",
            best / floor,
            "ratio",
            aim=0.60,
            least=0.40,
            detail=f"{runs} over {floor:,.0f} rows/s",
        ),
        Figure(
            "durable HTTP ingest / COPY of ready-made bytes",
            best / bare_floor,
            "ratio",
            detail=f"the same over {bare_floor:,.0f} rows/s",
        ),
        Figure("stored event, all tables and indexes", _bytes_per_event(), "bytes", aim=250, better="low"),
    ]


def _send(world: World, bodies: list[bytes]) -> float:
    """Seconds from the first byte to the last acknowledgement, over a few connections kept open."""
    pending = iter(bodies)
    lock = threading.Lock()
    failures: list[str] = []

    def client() -> None:
        link = http.client.HTTPConnection("127.0.0.1", world.port, timeout=60)
        headers = {"Authorization": f"Bearer {world.key}", "Content-Type": "application/x-ndjson"}
        while True:
            with lock:
                body = next(pending, None)
            if body is None:
                break
            link.request("POST", "/api/v1/events", body, headers)
            answer = link.getresponse()
            text = answer.read()
            if answer.status != 200 or b'"stored": 1000' not in text:
                failures.append(f"{answer.status} {text[:200]!r}")
                break
        link.close()

    threads = [threading.Thread(target=client) for _ in range(CONNECTIONS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise SystemExit(f"A batch was not stored: {failures[0]}")
    return time.perf_counter() - started


def _stored_rows() -> list[tuple[Any, ...]]:
    """The rows last stored, each with an id as a client sends it."""
    with raw.cursor() as cursor:
        cursor.execute(
            f"SELECT {EVENT_LAYOUT.column_list} FROM event ORDER BY event_key DESC LIMIT %s", [EVENTS]
        )
        return [(*row, f"msg_{uuid.uuid4().hex[:24]}") for row in cursor.fetchall()]


def _copy_floor(rows: list[tuple[Any, ...]], write: Callable[[Copy, list[Any]], None]) -> float:
    """Rows a second of bare COPY: one connection, one empty table with the columns of an event and its id as sent, a
    unique index on the id, a commit per batch.
    """
    with raw.cursor() as cursor:
        cursor.execute("CREATE TABLE floor_event (LIKE event, id text NOT NULL UNIQUE)")
        try:
            batches: list[list[Any]] = [rows[i : i + BATCH] for i in range(0, len(rows), BATCH)]
            if write is _copy_bytes:
                batches = [["\t".join(map(str, row)) + "\n" for row in batch] for batch in batches]
                batches = [["".join(lines).encode()] for lines in batches]
            started = time.perf_counter()
            for batch in batches:
                with cursor.copy(f"COPY floor_event ({EVENT_LAYOUT.column_list}, id) FROM STDIN") as copy:
                    write(copy, batch)
            return len(rows) / (time.perf_counter() - started)
        finally:
            cursor.execute("DROP TABLE floor_event")


def _copy_rows(copy: Copy, rows: list[Any]) -> None:
    for row in rows:
        copy.write_row(row)


def _copy_bytes(copy: Copy, pieces: list[Any]) -> None:
    for piece in pieces:
        copy.write(piece)


def _bytes_per_event() -> float:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM event_identity")
        cursor.execute(
            "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c"
            " WHERE c.relname = 'event_identity'"
            " OR c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'event'::regclass)"
        )
        size = float(cursor.fetchone()[0])
        cursor.execute("SELECT count(*) FROM event")
        return size / float(cursor.fetchone()[0])
