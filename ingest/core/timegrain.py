"""Time buckets: UTC hours and reporting-zone days, one value at a time and over whole columns.

Two laws hold for every bucket: it lies in one UTC day (so the UTC day of its start fixes the price) and in
one day of the reporting zone (so hours add up to days). An hour that holds a local midnight, as in half-
hour zones, is split there; a local day that holds a UTC midnight is split there. All ranges are half-open.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US

Micros = npt.NDArray[np.int64]


def floor_hour(at: datetime) -> datetime:
    """Start of the UTC hour."""
    return _utc(at).replace(minute=0, second=0, microsecond=0)


def floor_day(at: datetime) -> datetime:
    """Start of the UTC day."""
    return _utc(at).replace(hour=0, minute=0, second=0, microsecond=0)


def floor_month(at: datetime) -> datetime:
    """Start of the UTC month: how the event table is partitioned."""
    return floor_day(at).replace(day=1)


def next_month(at: datetime) -> datetime:
    """Start of the UTC month after the one that holds this moment."""
    start = floor_month(at)
    return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)


def month_of(day: date) -> date:
    """First day of the month."""
    return day.replace(day=1)


# ---- the reporting zone


@lru_cache(maxsize=65_536)
def local_day_start(day: date, zone: ZoneInfo) -> datetime:
    """The moment from which the zone's date is `day` or later for good, in UTC.

    Midnight may not exist (clocks go forward over it: the day starts at the jump, and a date left out
    altogether starts and ends there), may come twice (clocks go back to it: the first counts), or may be
    undone a minute later (clocks go back across it: the second counts).
    """
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - the wall clock, before it has a zone
    first = midnight.replace(tzinfo=zone, fold=0).astimezone(UTC)
    second = midnight.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if first == second:
        return first
    if first > second:
        return _jump_over(day, zone, second, first)
    return first if local_date(second - MICROSECOND, zone) >= day else second


def local_date(at: datetime, zone: ZoneInfo) -> date:
    """What a calendar in the zone shows at this moment."""
    return at.astimezone(zone).date()


def day_of(at: datetime, zone: ZoneInfo) -> date:
    """The reporting day a moment belongs to: the one whose range holds it."""
    day = local_date(at, zone)
    return day if local_day_start(day, zone) <= at else day - DAY


def day_range(start: date, end: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The UTC moments [from, to) of the reporting days [start, end)."""
    return local_day_start(start, zone), local_day_start(end, zone)


def days(start: date, end: date) -> list[date]:
    """The days of [start, end)."""
    return [start + timedelta(days=n) for n in range((end - start).days)]


# ---- buckets, one at a time


def hour_bucket(at: datetime, zone: ZoneInfo) -> datetime:
    """Start of the hourly bucket of this moment: its UTC hour, or the local midnight inside that hour."""
    return max(floor_hour(at), local_day_start(day_of(at, zone), zone))


def day_bucket(at: datetime, zone: ZoneInfo) -> datetime:
    """Start of the daily bucket of this moment: the later of the last local and the last UTC midnight."""
    return max(floor_day(at), local_day_start(day_of(at, zone), zone))


def hour_bucket_end(start: datetime, zone: ZoneInfo) -> datetime:
    """First moment after the hourly bucket that starts here."""
    return min(floor_hour(start) + HOUR, _next_local_midnight(start, zone))


def day_bucket_end(start: datetime, zone: ZoneInfo) -> datetime:
    """First moment after the daily bucket that starts here."""
    return min(floor_day(start) + DAY, _next_local_midnight(start, zone))


def hour_buckets(start: datetime, end: datetime, zone: ZoneInfo) -> list[datetime]:
    """Starts of every hourly bucket that touches [start, end)."""
    found: list[datetime] = []
    at = hour_bucket(start, zone) if start < end else end
    while at < end:
        found.append(at)
        at = hour_bucket_end(at, zone)
    return found


def day_buckets(start: datetime, end: datetime, zone: ZoneInfo) -> list[datetime]:
    """Starts of every daily bucket that touches [start, end)."""
    found: list[datetime] = []
    at = day_bucket(start, zone) if start < end else end
    while at < end:
        found.append(at)
        at = day_bucket_end(at, zone)
    return found


# ---- buckets, whole columns: int64 microseconds since 1970 UTC in and out


def to_micros(at: datetime) -> int:
    return (at - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    return EPOCH + timedelta(microseconds=int(micros))


def as_micros(times: pd.Series[pd.Timestamp]) -> Micros:
    """An aware timestamp column of any resolution as microseconds."""
    return times.dt.tz_convert(UTC).dt.as_unit("us").to_numpy(dtype="datetime64[us]").view(np.int64)


def hour_bucket_micros(micros: Micros, zone: ZoneInfo) -> Micros:
    """hour_bucket() over a column."""
    starts: Micros = np.maximum(micros - micros % HOUR_US, _day_starts_of(micros, zone))
    return starts


def day_bucket_micros(micros: Micros, zone: ZoneInfo) -> Micros:
    """day_bucket() over a column."""
    starts: Micros = np.maximum(micros - micros % DAY_US, _day_starts_of(micros, zone))
    return starts


def _day_starts_of(micros: Micros, zone: ZoneInfo) -> Micros:
    """For each moment, the start of its reporting day."""
    if micros.size == 0:
        return micros
    first = day_of(from_micros(micros.min()), zone)
    last = day_of(from_micros(micros.max()), zone)
    starts = [to_micros(local_day_start(day, zone)) for day in days(first, last + DAY)]
    edges = np.array(starts, dtype=np.int64)
    return edges[np.searchsorted(edges, micros, side="right") - 1]


def _next_local_midnight(at: datetime, zone: ZoneInfo) -> datetime:
    day = day_of(at, zone) + DAY
    while (start := local_day_start(day, zone)) <= at:  # a date that a zone left out takes no time
        day += DAY
    return start


def _jump_over(day: date, zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The moment, between two that enclose it, at which the clocks jump over the start of `day`."""
    low, high = before - MICROSECOND, after
    while high - low > MICROSECOND:
        middle = low + (high - low) // 2
        if local_date(middle, zone) >= day:
            high = middle
        else:
            low = middle
    return high


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone")
    return at.astimezone(UTC)
