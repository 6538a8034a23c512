"""Filling a bucket beside reading it by COPY and grouping it once, and the memory of a large fill."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pandas as pd
from django.db import connection

from ingest import rollups
from ingest.accept import accept
from ingest.core.binary_copy import POSTGRES_EPOCH_US
from ingest.fill import _read_events, fill_due
from tests.bench import traffic
from tests.bench.report import Figure

HOUR = datetime(2024, 5, 6, 10, tzinfo=UTC)
EVENTS = 500_000
LARGE_HOUR = datetime(2024, 6, 6, 10, tzinfo=UTC)
LARGE = 2_000_000


def measure() -> list[Figure]:
    store(EVENTS, 900_000_000_000, HOUR)
    fill_due()
    floor = max(_floor() for _ in range(3))
    rate = max(_fill() for _ in range(3))
    return [
        Figure(
            "fill / (COPY out + one groupby)",
            rate / floor,
            "ratio",
            least=0.5,
            detail=f"{rate:,.0f} events/s a worker over {floor:,.0f}",
        )
    ]


def measure_memory() -> list[Figure]:
    store(LARGE, 950_000_000_000, LARGE_HOUR)
    # A process of its own: this one has seen too much memory to tell.
    weighed = subprocess.run(
        [sys.executable, "-m", "tests.bench.weigh"], check=True, capture_output=True, text=True, timeout=300
    )
    memory, seconds = map(float, weighed.stdout.split())
    return [
        Figure(
            "worker's peak memory, bucket of 2 million",
            memory / 1e6,
            "MB",
            aim=600,
            better="low",
            detail=f"filled in {seconds:.1f} s",
        )
    ]


def store(count: int, first: int, hour: datetime) -> None:
    """So many events within one hour."""
    batch = []
    for event in traffic.events(count, first, hour, timedelta(minutes=59)):
        batch.append(event)
        if len(batch) == 20_000:
            accept(batch, "bench")
            batch = []
    if batch:
        accept(batch, "bench")


def _floor() -> float:
    started = time.perf_counter()
    chunks = list(_read_events(HOUR, HOUR + timedelta(hours=1)))
    frame = pd.concat(
        pd.DataFrame({name: chunk[name].astype("int64") for name in rollups.EVENT_READ.columns})
        for chunk in chunks
    )
    hours = (frame["occurred_at"] + POSTGRES_EPOCH_US) // rollups.HOUR_US
    frame.groupby([hours, "lane_id", "label_set_id"])[[*rollups.TOKEN_METERS, "requests"]].sum()
    return len(frame) / (time.perf_counter() - started)


def _fill() -> float:
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE rollup_hour, rollup_day, rollup_lane_day,"
            " rollup_short_prefix_hour, rollup_short_prefix, rollup_lane_short_prefix"
        )
        cursor.execute("INSERT INTO dirty_bucket VALUES (%s, now())", [HOUR])
    started = time.perf_counter()
    done = fill_due()
    return done.events / (time.perf_counter() - started)
