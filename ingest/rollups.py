"""Rollups as data: their columns, and how events become hours and hours days. DataFrame in, DataFrame out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from ingest.core.binary_copy import POSTGRES_EPOCH_US, FixedWidth
from ingest.core.short_prefixes import LADDER
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
CACHED_METERS = TOKEN_METERS[1:4]
SUMS = ["requests", "requests_with_read", "requests_with_write", *TOKEN_METERS]

# What a fill reads of an event.
EVENT_READ = FixedWidth(
    {
        "occurred_at": "timestamptz",
        "lane_id": "integer",
        "label_set_id": "integer",
        **dict.fromkeys(TOKEN_METERS, "integer"),
        "requests": "smallint",
    }
)
HOUR_US = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of rollup row: what tells rows apart, what they sum, and how a row is copied."""

    key: tuple[str, ...]
    sums: tuple[str, ...]
    row: FixedWidth

    @classmethod
    def of(cls, key: Iterable[str], sums: Iterable[str]) -> Shape:
        key, sums = tuple(key), tuple(sums)
        types = dict.fromkeys(key, "integer") | {"bucket_start": "timestamptz"}
        return cls(key, sums, FixedWidth({**types, **dict.fromkeys(sums, "bigint")}))


WHOLE = Shape.of(KEY, SUMS)
# Requests whose cached prefix is shorter than some model's minimum; `below` is the step of the ladder it stays under.
SHORT = Shape.of([*KEY, "below"], ["requests", *CACHED_METERS])
_STEPS = np.array(LADDER, dtype=np.int64)


def hours_from_events(
    chunks: Iterable[npt.NDArray[Any]], hours: npt.NDArray[np.int64], zone: ZoneInfo
) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """Sum chunks of events (layout EVENT_READ) into hour rows; memory is one chunk and the rows themselves.

    `hours` are the UTC hour starts wanted, sorted, in microseconds since the Unix epoch; other events are passed over.
    Returns the frames of WHOLE and of SHORT, and the number of events counted.
    """
    whole, short = _Sums(WHOLE), _Sums(SHORT)
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
        frame = _frame(chunk, hour_bucket_micros(times, zone))
        whole.add(frame)
        short.add(_short_prefixes(frame))
    return whole.total(), short.total(), events


def days_from_hours(hours: pd.DataFrame, zone: ZoneInfo, shape: Shape = WHOLE) -> pd.DataFrame:
    """Sum hour rows into day rows: the pieces of reporting-zone days that lie in one UTC day."""
    if hours.empty:
        return empty(shape)
    buckets = day_bucket_micros(hours["bucket_start"].to_numpy(dtype=np.int64), zone)
    return _sum(hours.assign(bucket_start=buckets), shape)


def without_labels(days: pd.DataFrame, shape: Shape = WHOLE) -> pd.DataFrame:
    """Sum day rows over everything they are attributed to."""
    return _sum(days.assign(label_set_id=0), shape)


def from_copy(chunks: Iterable[npt.NDArray[Any]], shape: Shape = WHOLE) -> pd.DataFrame:
    """Copied rollup rows as a frame; bucket_start in microseconds since the Unix epoch."""
    frames = [
        pd.DataFrame(
            {
                name: chunk[name].astype(np.int64) + (POSTGRES_EPOCH_US if name == "bucket_start" else 0)
                for name in shape.row.columns
            }
        )
        for chunk in chunks
    ]
    return pd.concat(frames, ignore_index=True) if frames else empty(shape)


def empty(shape: Shape = WHOLE) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype=np.int64) for name in [*shape.key, *shape.sums]})


class _Sums:
    """Rows that are added up as they come, so that they never take more than a few chunks' room."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.parts: list[pd.DataFrame] = []

    def add(self, frame: pd.DataFrame) -> None:
        if len(frame):
            self.parts.append(_sum(frame, self.shape))
        if len(self.parts) > 8:
            self.parts = [self.total()]

    def total(self) -> pd.DataFrame:
        if len(self.parts) < 2:
            return self.parts[0] if self.parts else empty(self.shape)
        return _sum(pd.concat(self.parts, ignore_index=True), self.shape)


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


def _short_prefixes(frame: pd.DataFrame) -> pd.DataFrame:
    """Of event rows those with a cached prefix under the ladder's last step, and the step each stays under."""
    read, write_5m, write_1h = (frame[name].to_numpy() for name in CACHED_METERS)
    prefix = read + write_5m + write_1h
    at = np.flatnonzero((prefix > 0) & (prefix < _STEPS[-1]))
    columns = {name: frame[name].to_numpy()[at] for name in (*KEY, *SHORT.sums)}
    below = _STEPS[np.searchsorted(_STEPS, prefix[at], side="right")]
    return pd.DataFrame({**columns, "below": below})


def _sum(frame: pd.DataFrame, shape: Shape) -> pd.DataFrame:
    return frame.groupby(list(shape.key), sort=True, as_index=False)[list(shape.sums)].sum()
