"""Rollups as data: their columns, and how events become hours and hours days. DataFrame in, DataFrame out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from ingest.core.binary_copy import POSTGRES_EPOCH_US, FixedWidth
from ingest.core.timegrain import day_bucket_micros, hour_bucket_micros

KEY = ["bucket_start", "lane_id", "label_set_id"]
TOKEN_METERS = [
    "uncached_input_tokens",
    "cache_read_input_tokens",
    "cache_write_5m_input_tokens",
    "cache_write_1h_input_tokens",
    "output_tokens",
    "thinking_tokens",
    "web_search_requests",
]
SUMS = ["requests", "requests_with_read", "requests_with_write", *TOKEN_METERS]

# What a fill reads of an event, and what a rollup row is.
EVENT_READ = FixedWidth(
    {
        "occurred_at": "timestamptz",
        "lane_id": "integer",
        "label_set_id": "integer",
        **dict.fromkeys(TOKEN_METERS, "integer"),
        "requests": "smallint",
    }
)
ROLLUP_ROW = FixedWidth(
    {
        "bucket_start": "timestamptz",
        "lane_id": "integer",
        "label_set_id": "integer",
        **dict.fromkeys(SUMS, "bigint"),
    }
)
HOUR_US = 3_600_000_000


def hours_from_events(
    chunks: Iterable[npt.NDArray[Any]], hours: npt.NDArray[np.int64], zone: ZoneInfo
) -> tuple[pd.DataFrame, int]:
    """Sum chunks of events (layout EVENT_READ) into hour rows; memory is one chunk and the rows themselves.

    `hours` are the UTC hour starts wanted, sorted, in microseconds since the Unix epoch; other events are passed over.
    Returns the frame [KEY + SUMS] and the number of events counted.
    """
    folded: list[pd.DataFrame] = []
    events = 0
    for chunk in chunks:
        times = chunk["occurred_at"].astype(np.int64) + POSTGRES_EPOCH_US
        starts = times - times % HOUR_US
        at = np.searchsorted(hours, starts)
        wanted = hours[np.minimum(at, len(hours) - 1)] == starts
        if not wanted.all():
            chunk, times = chunk[wanted], times[wanted]
        if not len(chunk):
            continue
        events += len(chunk)
        folded.append(_sum(_frame(chunk, hour_bucket_micros(times, zone))))
        if len(folded) > 8:
            folded = [_sum(pd.concat(folded, ignore_index=True))]
    if not folded:
        return empty(), 0
    return _sum(pd.concat(folded, ignore_index=True)), events


def days_from_hours(hours: pd.DataFrame, zone: ZoneInfo) -> pd.DataFrame:
    """Sum hour rows into day rows: the pieces of reporting-zone days that lie in one UTC day."""
    if hours.empty:
        return empty()
    buckets = day_bucket_micros(hours["bucket_start"].to_numpy(dtype=np.int64), zone)
    return _sum(hours.assign(bucket_start=buckets))


def without_labels(days: pd.DataFrame) -> pd.DataFrame:
    """Sum day rows over everything they are attributed to."""
    return _sum(days.assign(label_set_id=0))


def from_copy(chunks: Iterable[npt.NDArray[Any]]) -> pd.DataFrame:
    """Rollup rows (layout ROLLUP_ROW) as a frame; bucket_start in microseconds since the Unix epoch."""
    frames = [
        pd.DataFrame(
            {
                name: chunk[name].astype(np.int64) + (POSTGRES_EPOCH_US if name == "bucket_start" else 0)
                for name in ROLLUP_ROW.columns
            }
        )
        for chunk in chunks
    ]
    return pd.concat(frames, ignore_index=True) if frames else empty()


def empty() -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype=np.int64) for name in [*KEY, *SUMS]})


def _frame(chunk: npt.NDArray[Any], buckets: npt.NDArray[np.int64]) -> pd.DataFrame:
    columns = {name: chunk[name].astype(np.int64) for name in ("lane_id", "label_set_id", *TOKEN_METERS)}
    requests = chunk["requests"].astype(np.int64)
    writes = columns["cache_write_5m_input_tokens"] + columns["cache_write_1h_input_tokens"]
    return pd.DataFrame(
        {
            "bucket_start": buckets,
            "lane_id": columns["lane_id"],
            "label_set_id": columns["label_set_id"],
            "requests": requests,
            "requests_with_read": requests * (columns["cache_read_input_tokens"] > 0),
            "requests_with_write": requests * (writes > 0),
            **{name: columns[name] for name in TOKEN_METERS},
        }
    )


def _sum(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.groupby(KEY, sort=True, as_index=False)[SUMS].sum()
