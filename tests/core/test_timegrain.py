"""Buckets: UTC hours and reporting-zone days in whole, half-hour, daylight-saving and date-skipping zones."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.core import timegrain as tg

UTC_ZONE = ZoneInfo("UTC")
ZONES = [
    ZoneInfo(name)
    for name in (
        "UTC",
        "Asia/Kolkata",  # +5:30
        "Asia/Kathmandu",  # +5:45
        "America/St_Johns",  # -3:30, with daylight saving
        "Australia/Lord_Howe",  # +10:30, and a daylight saving of half an hour
        "Pacific/Apia",  # left out 2011-12-30
        "Pacific/Chatham",  # +12:45, with daylight saving
        "Europe/Berlin",
        "America/New_York",
        "America/Havana",  # clocks go back to midnight: it comes twice
        "Africa/Cairo",  # clocks go forward at midnight: it does not exist
        "America/Sao_Paulo",  # the same until 2019
        "Pacific/Kiritimati",  # +14
    )
]
KOLKATA, NEW_YORK = ZoneInfo("Asia/Kolkata"), ZoneInfo("America/New_York")
zones = st.sampled_from(ZONES)
moments = st.datetimes(
    datetime(2012, 1, 1),  # noqa: DTZ001 - st.datetimes wants bounds without a zone
    datetime(2036, 12, 31),  # noqa: DTZ001 - st.datetimes wants bounds without a zone
    timezones=st.just(UTC),
)
some_days = st.dates(date(2012, 1, 1), date(2036, 12, 31))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# ---- examples


def test_flooring_is_in_utc_whatever_zone_the_value_came_in() -> None:
    noon = datetime(2026, 3, 1, 2, 45, 30, 5, tzinfo=ZoneInfo("Europe/Berlin"))
    assert tg.floor_hour(noon) == at("2026-03-01T01:00")
    assert tg.floor_day(noon) == at("2026-03-01T00:00")
    early = datetime(2026, 3, 1, 0, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    assert tg.floor_day(early) == at("2026-02-28T00:00")
    assert tg.floor_month(early) == at("2026-02-01T00:00")
    assert tg.next_month(early) == at("2026-03-01T00:00")
    assert tg.next_month(at("2026-12-31T23:59")) == at("2027-01-01T00:00")
    assert tg.month_of(date(2026, 2, 28)) == date(2026, 2, 1)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        tg.floor_hour(datetime(2026, 3, 1))  # noqa: DTZ001 - the missing zone is what is tested


# zone, day -> its first moment in UTC
STARTS = [
    ("UTC", "2026-03-02", "2026-03-02T00:00"),
    ("Asia/Kolkata", "2026-03-02", "2026-03-01T18:30"),
    ("Asia/Kathmandu", "2026-03-02", "2026-03-01T18:15"),
    ("America/New_York", "2026-03-08", "2026-03-08T05:00"),
    ("America/New_York", "2026-03-09", "2026-03-09T04:00"),  # 23 hours later
    ("America/New_York", "2026-11-01", "2026-11-01T04:00"),
    ("America/New_York", "2026-11-02", "2026-11-02T05:00"),  # 25 hours later
    ("America/St_Johns", "2026-07-01", "2026-07-01T02:30"),
    ("America/St_Johns", "2026-01-01", "2026-01-01T03:30"),
    ("Australia/Lord_Howe", "2026-01-01", "2025-12-31T13:00"),
    ("Australia/Lord_Howe", "2026-07-01", "2026-06-30T13:30"),
    ("Africa/Cairo", "2026-04-24", "2026-04-23T22:00"),  # 00:00 is skipped: the day starts at 01:00 local
    ("America/Havana", "2026-11-01", "2026-11-01T04:00"),  # 00:00 comes twice: the first
    ("America/St_Johns", "2010-11-07", "2010-11-07T03:30"),  # 00:01 went back to 23:01: the second midnight
    ("America/Toronto", "1919-03-31", "1919-03-31T04:30"),  # 23:30 went to 00:30
    ("Pacific/Apia", "2011-12-29", "2011-12-29T10:00"),
    ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00"),  # left out: no time passes
    ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00"),
]


@pytest.mark.parametrize(("zone", "day", "start"), STARTS)
def test_local_days_start_where_the_clocks_say(zone: str, day: str, start: str) -> None:
    assert tg.local_day_start(date.fromisoformat(day), ZoneInfo(zone)) == at(start)


def test_an_hour_is_split_at_a_local_midnight_inside_it() -> None:
    assert tg.hour_bucket(at("2026-03-01T18:29:59"), KOLKATA) == at("2026-03-01T18:00")
    assert tg.hour_bucket(at("2026-03-01T18:30"), KOLKATA) == at("2026-03-01T18:30")
    assert tg.hour_bucket(at("2026-03-01T18:59"), KOLKATA) == at("2026-03-01T18:30")
    assert tg.hour_bucket(at("2026-03-01T19:00"), KOLKATA) == at("2026-03-01T19:00")
    assert tg.hour_bucket_end(at("2026-03-01T18:00"), KOLKATA) == at("2026-03-01T18:30")
    assert tg.hour_bucket_end(at("2026-03-01T18:30"), KOLKATA) == at("2026-03-01T19:00")


def test_a_local_day_is_split_at_the_utc_midnight_inside_it() -> None:
    assert tg.day_buckets(*tg.day_range(date(2026, 3, 8), date(2026, 3, 9), NEW_YORK), NEW_YORK) == [
        at("2026-03-08T05:00"),
        at("2026-03-09T00:00"),
    ]
    assert tg.day_bucket(at("2026-03-09T03:59"), NEW_YORK) == at("2026-03-09T00:00")
    assert tg.day_bucket_end(at("2026-03-09T00:00"), NEW_YORK) == at("2026-03-09T04:00")


def test_a_utc_day_is_one_bucket_in_utc() -> None:
    assert tg.day_buckets(at("2026-03-01T05:00"), at("2026-03-03T00:00"), UTC_ZONE) == [
        at("2026-03-01T00:00"),
        at("2026-03-02T00:00"),
    ]


def test_the_date_apia_left_out_belongs_to_no_moment() -> None:
    apia = ZoneInfo("Pacific/Apia")
    moment = at("2011-12-30T10:00")
    assert tg.day_of(moment - timedelta(microseconds=1), apia) == date(2011, 12, 29)
    assert tg.day_of(moment, apia) == date(2011, 12, 31)
    assert tg.day_bucket_end(at("2011-12-30T00:00"), apia) == moment
    assert tg.day_bucket_end(moment, apia) == at("2011-12-31T00:00")


def test_days_of_a_range_leave_out_its_end() -> None:
    assert tg.days(date(2026, 2, 27), date(2026, 3, 1)) == [date(2026, 2, 27), date(2026, 2, 28)]
    assert tg.days(date(2026, 3, 1), date(2026, 3, 1)) == []


# ---- laws


@given(some_days, zones)
def test_a_day_starts_after_the_day_before_and_its_calendar_agrees(day: date, zone: ZoneInfo) -> None:
    start = tg.local_day_start(day, zone)
    assert tg.local_date(start, zone) == day
    assert tg.local_date(start - timedelta(microseconds=1), zone) == day - timedelta(days=1)
    assert (
        timedelta(hours=22)
        <= tg.local_day_start(day + timedelta(days=1), zone) - start
        <= timedelta(hours=26)
    )


@given(moments, zones)
def test_a_moment_lies_in_the_range_of_its_day(moment: datetime, zone: ZoneInfo) -> None:
    day = tg.day_of(moment, zone)
    start, end = tg.day_range(day, day + timedelta(days=1), zone)
    assert start <= moment < end
    assert day == tg.local_date(moment, zone)


@given(moments, zones)
def test_buckets_hold_their_moment_and_stay_in_one_utc_day_and_one_local_day(
    moment: datetime, zone: ZoneInfo
) -> None:
    for bucket, end_of in ((tg.hour_bucket, tg.hour_bucket_end), (tg.day_bucket, tg.day_bucket_end)):
        start = bucket(moment, zone)
        end = end_of(start, zone)
        last = end - timedelta(microseconds=1)
        assert start <= moment < end
        assert bucket(last, zone) == start
        assert bucket(end, zone) == end
        assert start.date() == last.date() == moment.date()
        assert tg.day_of(start, zone) == tg.day_of(last, zone) == tg.local_date(start, zone)


@given(moments, zones)
def test_hours_add_up_to_days_and_to_utc_hours(moment: datetime, zone: ZoneInfo) -> None:
    hour = tg.hour_bucket(moment, zone)
    assert tg.floor_hour(hour) == tg.floor_hour(moment)
    assert tg.day_bucket(hour, zone) == tg.day_bucket(moment, zone)


@given(moments, st.integers(0, 72 * 60), zones)
def test_bucket_lists_cover_a_range_without_gap_or_overlap(
    start: datetime, minutes: int, zone: ZoneInfo
) -> None:
    end = start + timedelta(minutes=minutes)
    for listed, end_of in ((tg.hour_buckets, tg.hour_bucket_end), (tg.day_buckets, tg.day_bucket_end)):
        buckets = listed(start, end, zone)
        if start == end:
            assert buckets == []
            continue
        assert buckets[0] <= start < end_of(buckets[0], zone)
        assert buckets[-1] < end <= end_of(buckets[-1], zone)
        assert [end_of(bucket, zone) for bucket in buckets[:-1]] == buckets[1:]


@given(st.lists(moments, max_size=30), zones)
def test_columns_are_bucketed_as_single_values_are(times: list[datetime], zone: ZoneInfo) -> None:
    # A span of decades costs a midnight per day; what fill reads spans days.
    times = [at("2026-01-01T00:00") + (time - at("2012-01-01T00:00")) / 20 for time in times]
    micros = np.array([tg.to_micros(time) for time in times], dtype=np.int64)
    hours, day_starts = tg.hour_bucket_micros(micros, zone), tg.day_bucket_micros(micros, zone)
    assert hours.dtype == day_starts.dtype == np.int64
    assert [tg.from_micros(value) for value in hours] == [tg.hour_bucket(time, zone) for time in times]
    assert [tg.from_micros(value) for value in day_starts] == [tg.day_bucket(time, zone) for time in times]


@given(some_days, zones, st.sampled_from([-1, 0, 1]))
def test_columns_agree_with_single_values_at_every_edge(day: date, zone: ZoneInfo, offset: int) -> None:
    edges = [tg.local_day_start(day, zone), datetime(day.year, day.month, day.day, tzinfo=UTC)]
    times = [edge + timedelta(microseconds=offset) for edge in edges]
    micros = np.array([tg.to_micros(time) for time in times], dtype=np.int64)
    assert [tg.from_micros(v) for v in tg.hour_bucket_micros(micros, zone)] == [
        tg.hour_bucket(t, zone) for t in times
    ]
    assert [tg.from_micros(v) for v in tg.day_bucket_micros(micros, zone)] == [
        tg.day_bucket(t, zone) for t in times
    ]


@given(moments)
def test_microseconds_round_trip_exactly(moment: datetime) -> None:
    assert tg.from_micros(tg.to_micros(moment)) == moment


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamp_columns_of_any_resolution_become_microseconds(
    unit: Literal["s", "ms", "us", "ns"],
) -> None:
    times = pd.Series([pd.Timestamp("2026-03-01T18:29:59Z"), pd.Timestamp("1969-12-31T23:00:00Z")])
    berlin = times.dt.tz_convert("Europe/Berlin").dt.as_unit(unit)
    assert tg.as_micros(berlin).tolist() == [tg.to_micros(time.to_pydatetime()) for time in times]


def test_times_before_1970_floor_downwards() -> None:
    micros = np.array([-1, -tg.HOUR_US - 1], dtype=np.int64)
    assert tg.hour_bucket_micros(micros, UTC_ZONE).tolist() == [-tg.HOUR_US, -2 * tg.HOUR_US]
