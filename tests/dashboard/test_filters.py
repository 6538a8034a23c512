"""The URL is the state: what a query string says, and that it says it again."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.http import QueryDict
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dashboard.filters import DIMENSIONS, GRAINS, RANGES, FilterError, Filters, Moment, preset_range

NOW = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)
TODAY = NOW.date()
KOLKATA = ZoneInfo("Asia/Kolkata")
ZONE = ZoneInfo("UTC")


def read(text: str, **options: object) -> Filters:
    return Filters.from_query(QueryDict(text), now=NOW, zone=ZONE, **options)  # type: ignore[arg-type]


def refused(text: str, **options: object) -> str:
    with pytest.raises(FilterError) as caught:
        read(text, **options)
    return caught.value.field


def test_a_bare_page_shows_the_last_thirty_days_with_today() -> None:
    assert read("") == Filters(start=date(2026, 10, 25), end=date(2026, 11, 24), range="30d")


def test_the_api_asks_for_all_of_history_unless_told() -> None:
    assert read("", default_range="") == Filters()


def test_today_is_a_day_of_the_reporting_zone() -> None:
    late = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)  # 01:30 of the 24th in Kolkata
    assert Filters.from_query("range=today", now=late, zone=KOLKATA).start == date(2026, 11, 24)


@pytest.mark.parametrize(
    ("preset", "start"),
    [
        ("today", date(2026, 11, 23)),
        ("7d", date(2026, 11, 17)),
        ("30d", date(2026, 10, 25)),
        ("90d", date(2026, 8, 26)),
        ("month", date(2026, 11, 1)),
        ("quarter", date(2026, 10, 1)),
        ("year", date(2025, 11, 24)),
    ],
)
def test_presets_end_after_today(preset: str, start: date) -> None:
    assert preset_range(preset, TODAY) == (start, TODAY + timedelta(days=1))


def test_said_dates_win_over_a_preset() -> None:
    said = read("range=7d&start=2026-03-01&end=2026-03-02")
    assert (said.start, said.end, said.range) == (date(2026, 3, 1), date(2026, 3, 2), "")


def test_values_repeat_and_an_empty_value_stands_for_none() -> None:
    said = read("model=a&model=b&tag:team=&workspace_id=w")
    assert said.where == (("model", ("a", "b")), ("tag:team", ("",)), ("workspace_id", ("w",)))
    assert said.chips() == [("model", "a"), ("model", "b"), ("tag:team", ""), ("workspace_id", "w")]


def test_pages_ignore_names_they_do_not_know_and_the_api_refuses_them() -> None:
    assert read("modle=x&sort=cost") == read("")
    assert refused("modle=x", strict=True) == "modle"
    assert read("format=csv", strict=True, allow=("format",)) == read("")


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("start=yesterday", "start"),
        ("start=2026-02-30", "start"),
        ("end=2026-03-02T10:00:00", "end"),  # which zone?
        ("start=0001-01-01", "start"),
        ("end=9999-12-31", "end"),
        ("start=2026-03-02&end=2026-03-02", "end"),
        ("start=2026-03-02&end=2026-03-01T23:00:00Z", "end"),
        ("range=fortnight", "range"),
        ("grain=week", "grain"),
        ("compare=perhaps", "compare"),
        ("group_by=colour", "group_by"),
        ("group_by=tag:", "group_by"),
        ("model=%00", "model"),
        ("model=" + "x" * 1001, "model"),
        ("&".join(f"group_by=tag:{n}" for n in range(7)), "group_by"),
        ("&".join(f"model={n}" for n in range(501)), "filters"),
    ],
)
def test_what_cannot_be_answered_is_refused_by_name(text: str, field: str) -> None:
    assert refused(text) == field


def test_times_keep_their_instant() -> None:
    said = read("start=2026-03-02T10:00:00%2B05:30&end=2026-03-02T10:00:00Z")
    assert said.start == datetime(2026, 3, 2, 4, 30, tzinfo=UTC)
    assert said == read("start=2026-03-02T10:00:00 05:30&end=2026-03-02T10:00:00Z")  # a plus sign sent raw


def test_days_begin_at_midnight_of_the_reporting_zone() -> None:
    day = Filters(start=date(2026, 3, 2), end=date(2026, 3, 3))
    assert day.instants(KOLKATA) == (
        datetime(2026, 3, 1, 18, 30, tzinfo=UTC),
        datetime(2026, 3, 2, 18, 30, tzinfo=UTC),
    )
    assert day.days(KOLKATA) == 1


def test_the_previous_range_has_the_same_length_and_touches_this_one() -> None:
    week = read("range=7d&compare=1&model=a")
    assert week.previous() == Filters(
        start=date(2026, 11, 10), end=date(2026, 11, 17), where=(("model", ("a",)),)
    )
    assert Filters().previous() is None


def test_links_add_replace_and_remove_one_thing_at_a_time() -> None:
    page = read("model=a")
    assert page.with_value("model", "b").values("model") == ("a", "b")
    assert page.with_value("user_id", None).values("user_id") == ("",)
    assert page.only("model", "c").values("model") == ("c",)
    assert page.without("model", "a").where == ()
    assert page.with_value("model", "b").without("model", every=True).where == ()
    assert page.with_(grain="day").range == "30d"
    assert page.with_(start=date(2026, 11, 1)).range == ""
    assert page.with_range("7d", TODAY).start == date(2026, 11, 17)


days = st.dates(date(1990, 1, 1), date(2200, 1, 1))
instants = st.datetimes(
    datetime(1990, 1, 1),  # noqa: DTZ001 - st.datetimes wants bounds without a zone
    datetime(2200, 1, 1),  # noqa: DTZ001 - st.datetimes wants bounds without a zone
    timezones=st.just(UTC),
)
texts = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=12)
names = st.sampled_from(DIMENSIONS) | texts.filter(bool).map(lambda name: f"tag:{name}")
spans = st.one_of(
    st.just((None, None)),
    st.tuples(days, st.integers(1, 4000)).map(lambda span: (span[0], span[0] + timedelta(days=span[1]))),
    st.tuples(instants, st.timedeltas(timedelta(microseconds=1), timedelta(days=400))).map(
        lambda span: (span[0], span[0] + span[1])
    ),
    days.map(lambda day: (day, None)),
    instants.map(lambda moment: (None, moment)),
)


@hypothesis_settings(deadline=None)
@given(
    span=spans,
    preset=st.sampled_from(["", *RANGES]),
    compare=st.booleans(),
    grain=st.sampled_from(["", *GRAINS]),
    group_by=st.lists(names, max_size=6),
    where=st.lists(st.tuples(names, st.lists(texts, min_size=1, max_size=3)), max_size=4),
    zone=st.sampled_from([ZONE, KOLKATA, ZoneInfo("America/Sao_Paulo")]),
    default_range=st.sampled_from(["", "30d"]),
)
def test_the_url_says_the_whole_state(
    span: tuple[Moment | None, Moment | None],
    preset: str,
    compare: bool,
    grain: str,
    group_by: list[str],
    where: list[tuple[str, list[str]]],
    zone: ZoneInfo,
    default_range: str,
) -> None:
    start, end = preset_range(preset, NOW.astimezone(zone).date()) if preset else span
    state = Filters(
        start, end, preset, compare, grain, tuple(group_by), tuple((n, tuple(v)) for n, v in where)
    )
    again = Filters.from_query(
        QueryDict(state.to_query()), now=NOW, zone=zone, default_range=default_range, strict=True
    )
    assert again == state
    assert Filters.from_query(state.to_query(), now=NOW, zone=zone, default_range=default_range) == state
