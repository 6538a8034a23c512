"""Column mappings: what is guessed from headers and rows, what is refused, and how rows become events."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.core.errors import Reason, Rejection
from ingest.core.events import FLAG_TTL_UNKNOWN, UsageEvent
from ingest.formats import BadBody, ParseContext
from ingest.formats._mapping import TARGETS, Mapping, MappingError, problems
from ingest.formats._mapping_guess import NAMES, guess, plain_name
from ingest.formats._mapping_rows import apply

CONTEXT = ParseContext(datetime(2026, 3, 2, tzinfo=UTC))
PLAIN = Mapping({"occurred_at": "t", "model": "m", "input_tokens": "in", "output_tokens": "out"})
T = "2026-04-09T14:00:00Z"


def one(mapping: Mapping, **cells: object) -> UsageEvent | Rejection:
    """The only item of a table with one row; its columns are the names given."""
    (item,) = apply(mapping, list(cells), [(7, list(cells.values()))], CONTEXT)
    assert isinstance(item, UsageEvent | Rejection)
    return item


def event(mapping: Mapping, **cells: object) -> UsageEvent:
    item = one(mapping, **cells)
    assert isinstance(item, UsageEvent), item
    return item


def refused(mapping: Mapping, **cells: object) -> Rejection:
    item = one(mapping, **cells)
    assert isinstance(item, Rejection), item
    assert item.index == 7
    return item


# ---------------------------------------------------------------------------------------------------- guessing


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("Prompt Tokens", "prompt_tokens"),
        ("promptTokens", "prompt_tokens"),
        ("usage.prompt_tokens", "usage_prompt_tokens"),
        ("APIKeyID", "api_key_id"),
        (" Latency (ms) ", "latency_ms"),
        ("Größe", "gr_e"),
        ("!!!", ""),
    ],
)
def test_a_header_is_read_as_plain_words(header: str, name: str) -> None:
    assert plain_name(header) == name


def test_no_spelling_stands_for_two_targets_except_ids() -> None:
    seen: dict[str, str] = {}
    for target, spellings in NAMES.items():
        for spelling in spellings:
            assert spelling == plain_name(spelling)
            assert spelling not in seen, (spelling, target, seen[spelling])
            seen[spelling] = target
    assert NAMES.keys() <= {target.name for target in TARGETS}


def test_openai_names_mean_that_cached_tokens_are_inside() -> None:
    mapping = guess(
        ["created_at", "model", "prompt_tokens", "cached_tokens", "completion_tokens"], [(T, "m", 9, 4, 1)]
    )
    assert mapping.sure and mapping.input_includes_cached
    assert mapping.columns == {
        "occurred_at": "created_at",
        "model": "model",
        "input_tokens": "prompt_tokens",
        "cache_read_input_tokens": "cached_tokens",
        "output_tokens": "completion_tokens",
    }


def test_anthropic_names_mean_that_cached_tokens_are_beside() -> None:
    columns = [
        "timestamp",
        "model",
        "input_tokens",
        "output_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
    ]
    mapping = guess(columns, [(T, "m", 9, 4, 5, 1)])
    assert mapping.sure and not mapping.input_includes_cached
    assert mapping.columns["cache_write_input_tokens"] == "cache_creation_input_tokens"


@pytest.mark.parametrize(
    ("total", "inside", "sure"),
    [(105, True, True), (165, False, True), (None, True, False), (130, True, False)],
)
def test_totals_in_the_rows_decide_where_the_cached_tokens_are(
    total: int | None, inside: bool, sure: bool
) -> None:
    columns = [
        "timestamp",
        "model",
        "prompt_tokens",
        "cache_read_tokens",
        "completion_tokens",
        "total_tokens",
    ]
    mapping = guess(columns, [(T, "m", 100, 60, 5, total)])
    assert (mapping.input_includes_cached, mapping.sure) == (inside, sure)


def test_rows_that_contradict_each_other_leave_it_open() -> None:
    columns = ["timestamp", "model", "prompt_tokens", "cached_tokens", "completion_tokens", "total_tokens"]
    mapping = guess(columns, [(T, "m", 100, 60, 5, 105), (T, "m", 100, 60, 5, 165)])
    assert mapping.unsure == ("input_includes_cached",)


def test_an_uncached_column_wins_over_a_sum_beside_it() -> None:
    columns = [
        "timestamp",
        "model",
        "input_tokens",
        "uncached_input_tokens",
        "cache_read_tokens",
        "output_tokens",
    ]
    mapping = guess(columns, [(T, "m", 100, 40, 60, 5)])
    assert mapping.columns["input_tokens"] == "uncached_input_tokens"
    assert mapping.sure and not mapping.input_includes_cached


@pytest.mark.parametrize(
    ("columns", "row", "unsure"),
    [
        (["time", "input_tokens", "output_tokens"], (T, 1, 2), "model"),
        (["model", "input_tokens", "output_tokens"], ("m", 1, 2), "occurred_at"),
        (["time", "model", "output_tokens"], (T, "m", 2), "input_tokens"),
        (
            ["time", "model", "Input Tokens", "input_tokens", "output_tokens"],
            (T, "m", 1, 2, 3),
            "input_tokens",
        ),
        (["time", "model", "input_tokens", "output_tokens"], ("2026-04-09 14:00:00", "m", 1, 2), "zone"),
        (["time", "model", "input_tokens", "output_tokens"], ("03/04/2026", "m", 1, 2), "time_format"),
        (["time", "model", "input_tokens", "output_tokens"], ("yesterday", "m", 1, 2), "time_format"),
        (["time", "model", "input_tokens", "output_tokens", "num_requests"], (T, "m", 1, 2, 9), "requests"),
    ],
)
def test_a_guess_says_what_it_cannot_decide(columns: list[str], row: Sequence[object], unsure: str) -> None:
    mapping = guess(columns, [row])
    assert unsure in mapping.unsure and not mapping.sure
    assert mapping.confirmed().sure and mapping.confirmed() == mapping


@pytest.mark.parametrize(
    ("value", "time_format", "unsure"),
    [
        ("2026-04-09T14:00:00Z", "iso", ()),
        ("2026-04-09 14:00:00+00", "iso", ()),
        ("2026-04-09 14:00:00.123 UTC", "iso", ()),
        ("1775743200", "epoch_s", ()),
        (1775743200.5, "epoch_s", ()),
        (1775743200123, "epoch_ms", ()),
        ("1775743200123456", "epoch_us", ()),
        (1775743200123456789, "epoch_ns", ()),
        ("20", "epoch_s", ("time_format",)),
        ("23/04/2026 10:15", "%d/%m/%Y %H:%M", ("zone",)),
        ("04/23/2026", "%m/%d/%Y", ("requests", "zone")),
        ("23.04.2026 10:15:16", "%d.%m.%Y %H:%M:%S", ("zone",)),
        (datetime(2026, 4, 9, tzinfo=UTC), "iso", ()),
        (datetime(2026, 4, 9), "iso", ("zone",)),  # noqa: DTZ001
        (date(2026, 4, 9), "iso", ("requests", "zone")),
    ],
)
def test_the_form_of_times_is_seen_in_the_rows(
    value: object, time_format: str, unsure: tuple[str, ...]
) -> None:
    mapping = guess(["timestamp", "model", "input_tokens", "output_tokens"], [(value, "m", 1, 2)])
    assert (mapping.time_format, mapping.unsure) == (time_format, unsure)


@pytest.mark.parametrize("column", ["timestamp_utc", "Created At (UTC)", "usage_date_utc"])
def test_a_column_that_says_utc_needs_no_zone(column: str) -> None:
    mapping = guess([column, "model", "input_tokens", "output_tokens"], [("2026-04-09 14:00", "m", 1, 2)])
    assert mapping.sure and mapping.columns["occurred_at"] == column


def test_sums_by_day_are_not_taken_for_calls_without_asking() -> None:
    columns = [
        "usage_date_utc",
        "model_version",
        "workspace",
        "usage_input_tokens_no_cache",
        "usage_input_tokens_cache_read",
        "usage_output_tokens",
    ]
    mapping = guess(columns, [("2026-04-09", "claude-sonnet-4-6", "Default", 5, 6, 7)])
    assert mapping.unsure == ("requests",)
    assert (
        mapping.columns["input_tokens"] == "usage_input_tokens_no_cache" and not mapping.input_includes_cached
    )


def test_thousands_are_seen_only_where_they_are_clear() -> None:
    columns = ["timestamp", "model", "input_tokens", "output_tokens"]
    assert guess(columns, [(T, "m", "1,234", "5")]).thousands == ""
    assert guess(columns, [(T, "m", "1,234,567", "5")]).thousands == ","
    assert guess(columns, [(T, "m", "1,234,567", "1.234.567")]).thousands == ""


@pytest.mark.parametrize(
    ("column", "value", "unit"),
    [("latency_ms", 1.5, "ms"), ("latency_s", 900, "s"), ("duration", "2.5", "s"), ("duration", 1800, "ms")],
)
def test_the_unit_of_durations_is_named_or_seen(column: str, value: object, unit: str) -> None:
    assert guess(["timestamp", "model", "input_tokens", column], [(T, "m", 1, value)]).duration_unit == unit


def test_tags_are_the_columns_that_say_so_and_the_usual_dimensions() -> None:
    mapping = guess(["timestamp", "model", "input_tokens", "tag.squad", "Environment", "prompt"], [])
    assert mapping.tags == {"squad": "tag.squad", "environment": "Environment"}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.text(max_size=12) | st.sampled_from([n for names in NAMES.values() for n in names]), max_size=8
    ),
    st.lists(st.lists(st.none() | st.integers() | st.text(max_size=9) | st.floats(), max_size=8), max_size=4),
)
def test_any_header_and_rows_give_a_guess_that_fits_once_it_is_complete(
    columns: list[str], rows: list[list[Any]]
) -> None:
    mapping = guess(columns, rows)
    missing = {"columns.occurred_at", "columns.model", "columns.input_tokens"}
    assert problems(mapping, columns).keys() <= missing | {f"columns.{name}" for name in mapping.unsure}
    assert Mapping.from_object(mapping.to_object() | {"columns": PLAIN.columns, "tags": {}}) is not None


# ----------------------------------------------------------------------------------------------- JSON and checks


def test_the_json_form_is_stable_and_read_back() -> None:
    mapping = Mapping(
        {"model": "Model", "occurred_at": "Time", "output_tokens": "Out"},
        tags={"team": "Team"},
        constants={"provider": "openai"},
        input_includes_cached=True,
        time_format="%d/%m/%Y",
        zone="Europe/Berlin",
        thousands=".",
        duration_unit="s",
    )
    assert Mapping.from_json(mapping.to_json()) == mapping
    shuffled = json.dumps(dict(reversed(json.loads(mapping.to_json()).items())))
    assert Mapping.from_json(shuffled).to_json() == mapping.to_json()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"columns": []}, "columns"),
        ({"columns": {"model": "m", "input_tokens": "in"}}, "columns.occurred_at"),
        ({"columns": {"occurred_at": "t", "input_tokens": "in"}}, "columns.model"),
        ({"columns": {"occurred_at": "t", "model": "m"}}, "columns.input_tokens"),
        ({"columns": {"occurred_at": "t", "model": "m", "output_tokens": "o", "cost": "c"}}, "columns.cost"),
        (
            {"columns": {"occurred_at": "t", "model": "m", "input_tokens": "x", "output_tokens": "x"}},
            "columns.output_tokens",
        ),
        ({"columns": {"occurred_at": 1, "model": "m", "input_tokens": "in"}}, "columns.occurred_at"),
        ({"constants": {"input_tokens": "5"}}, "constants.input_tokens"),
        ({"constants": {"model": "gpt-5"}}, "constants.model"),
        ({"tags": {"": "in"}}, "tags."),
        ({"tags": {str(n): "in" for n in range(33)}}, "tags"),
        ({"time_format": "epoch"}, "time_format"),
        ({"time_format": "%H:%M"}, "time_format"),
        ({"zone": "Mars/Base"}, "zone"),
        ({"zone": "../../etc/passwd"}, "zone"),
        ({"zone": ""}, "zone"),
        ({"zone": 5}, "zone"),
        ({"thousands": ";"}, "thousands"),
        ({"duration_unit": "h"}, "duration_unit"),
        ({"input_includes_cached": "yes"}, "input_includes_cached"),
        ({"version": 2}, "version"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_mapping_that_cannot_be_used_is_refused_by_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(MappingError) as caught:
        Mapping.from_object({**PLAIN.to_object(), **changes})
    assert field in caught.value.errors
    assert caught.value.errors[field]


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 9000])
def test_a_mapping_that_is_no_json_object_is_refused(text: bytes) -> None:
    with pytest.raises(MappingError):
        Mapping.from_json(text)


def test_a_mapping_is_held_against_the_columns_of_the_table() -> None:
    with pytest.raises(MappingError) as caught:
        Mapping.from_json(PLAIN.to_json(), ["t", "m", "in", "in"])
    assert caught.value.errors.keys() == {"columns.input_tokens", "columns.output_tokens"}
    with pytest.raises(BadBody) as refused_body:
        list(apply(PLAIN, ["t", "m"], [], CONTEXT))
    assert "columns.input_tokens" in refused_body.value.detail


# --------------------------------------------------------------------------------------------------------- rows


def with_columns(**columns: str) -> Mapping:
    return Mapping({**PLAIN.columns, **columns})


def test_cached_tokens_inside_the_input_are_taken_out_of_it() -> None:
    inside = Mapping({**PLAIN.columns, "cache_read_input_tokens": "read"}, input_includes_cached=True)
    found = event(inside, t=T, m="gpt-5", **{"in": 1370}, read=1280, out=155)
    assert (found.uncached_input_tokens, found.cache_read_input_tokens, found.prompt_step_tokens) == (
        90,
        1280,
        1370,
    )
    too_many = refused(inside, t=T, m="gpt-5", **{"in": 1370}, read=1380, out=155)
    assert (
        too_many.reason is Reason.CONTRADICTORY_COUNTS
        and "1370" in too_many.detail
        and "1380" in too_many.detail
    )


@pytest.mark.parametrize(("inside", "total"), [(True, 105), (False, 165)])
def test_a_total_must_be_the_sum_of_its_parts(inside: bool, total: int) -> None:
    mapping = Mapping(
        {**PLAIN.columns, "cache_read_input_tokens": "read", "total_tokens": "sum"},
        input_includes_cached=inside,
    )
    cells = {"t": T, "m": "m", "in": 100, "read": 60, "out": 5}
    assert event(mapping, **cells, sum=total).output_tokens == 5
    for wrong in (270 - total, total + 1, 0):
        answer = refused(mapping, **cells, sum=wrong)
        assert answer.reason is Reason.CONTRADICTORY_COUNTS and answer.field == "sum"
        assert str(wrong) in answer.detail and str(total) in answer.detail


def test_writes_are_taken_by_lifetime_where_it_is_known() -> None:
    mapping = with_columns(
        cache_write_input_tokens="w", cache_write_5m_input_tokens="w5", cache_write_1h_input_tokens="w1"
    )
    cells = {"t": T, "m": "m", "in": 1, "out": 1}
    both = event(mapping, **cells, w=30, w5=10, w1=20)
    assert (both.cache_write_5m_input_tokens, both.cache_write_1h_input_tokens) == (10, 20)
    flat = event(mapping, **cells, w=30, w5="", w1="")
    assert (flat.cache_write_5m_input_tokens, bool(flat.flags & FLAG_TTL_UNKNOWN)) == (30, True)
    split = event(mapping, **cells, w="", w5=10, w1=20)
    assert (split.cache_write_5m_input_tokens, split.cache_write_1h_input_tokens) == (10, 20)
    assert refused(mapping, **cells, w=5, w5=10, w1=20).reason is Reason.CONTRADICTORY_COUNTS


@pytest.mark.parametrize(
    ("cell", "count"),
    [(5, 5), ("5", 5), (" 5 ", 5), ("5.0", 5), ("5.000000", 5), (5.0, 5), (Decimal("5.00"), 5), (None, 0), ("", 0),
     ("NULL", 0), ("NaN", 0), ("\\N", 0), (float("nan"), 0), ("2000000000", 2_000_000_000)],
)  # fmt: skip
def test_a_count_is_a_whole_number_however_it_is_written(cell: object, count: int) -> None:
    assert event(PLAIN, t=T, m="m", **{"in": cell}, out=1).uncached_input_tokens == count


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("1,234", Reason.INVALID_TYPE),
        ("1.234", Reason.INVALID_TYPE),
        ("1.000", Reason.INVALID_TYPE),
        ("5.5", Reason.INVALID_TYPE),
        (5.5, Reason.INVALID_TYPE),
        (True, Reason.INVALID_TYPE),
        ("five", Reason.INVALID_TYPE),
        ("٥", Reason.INVALID_TYPE),
        ("1e3", Reason.INVALID_TYPE),
        (float("inf"), Reason.INVALID_TYPE),
        ([1], Reason.INVALID_TYPE),
        ("-1", Reason.NEGATIVE_COUNT),
        (-1, Reason.NEGATIVE_COUNT),
        ("2000000001", Reason.COUNT_TOO_LARGE),
        (10**40, Reason.COUNT_TOO_LARGE),
    ],
)
def test_a_count_that_is_none_is_refused(cell: object, reason: Reason) -> None:
    answer = refused(PLAIN, t=T, m="m", **{"in": cell}, out=1)
    assert (answer.reason, answer.field) == (reason, "in")


@pytest.mark.parametrize(
    ("separator", "text", "count"),
    [
        (",", "1,234,567", 1_234_567),
        (".", "1.234", 1_234),
        (".", "1.000", 1_000),
        (" ", "1\u202f234", 1_234),
        ("'", "1'234", 1_234),
    ],
)
def test_thousands_are_read_as_the_mapping_says(separator: str, text: str, count: int) -> None:
    mapping = Mapping(PLAIN.columns, thousands=separator)
    assert event(mapping, t=T, m="m", **{"in": text}, out="7").uncached_input_tokens == count
    assert refused(mapping, t=T, m="m", **{"in": f"12{separator}34"}, out="7").reason is Reason.INVALID_TYPE


@pytest.mark.parametrize(
    ("cell", "time_format", "zone", "moment"),
    [
        ("2026-04-09T14:00:00+02:00", "iso", "Asia/Tokyo", "2026-04-09T12:00:00+00:00"),
        ("2026-04-09 14:00", "iso", "Europe/Berlin", "2026-04-09T12:00:00+00:00"),
        ("2026-04-09", "iso", "America/New_York", "2026-04-09T04:00:00+00:00"),
        ("09/04/2026 14:00", "%d/%m/%Y %H:%M", "UTC", "2026-04-09T14:00:00+00:00"),
        ("1775743200.25", "epoch_s", "Asia/Tokyo", "2026-04-09T14:00:00.250000+00:00"),
        (1775743200250, "epoch_ms", "UTC", "2026-04-09T14:00:00.250000+00:00"),
        ("1775743200250000001", "epoch_ns", "UTC", "2026-04-09T14:00:00.250000+00:00"),
        (datetime(2026, 4, 9, 14), "iso", "Europe/Berlin", "2026-04-09T12:00:00+00:00"),  # noqa: DTZ001
        (date(2026, 4, 9), "iso", "UTC", "2026-04-09T00:00:00+00:00"),
    ],
)
def test_times_are_read_in_the_form_and_zone_of_the_mapping(
    cell: object, time_format: str, zone: str, moment: str
) -> None:
    mapping = Mapping(PLAIN.columns, time_format=time_format, zone=zone)
    assert event(mapping, t=cell, m="m", **{"in": 1}, out=1).occurred_at.isoformat() == moment


@pytest.mark.parametrize(
    "cell",
    ["soon", 5, "1775743200", "9999-12-31T00:00:00Z", "0001-01-01T00:00:00+14:00", "２０２６", [], True],
)
def test_a_cell_that_holds_no_time_is_refused(cell: object) -> None:
    assert refused(PLAIN, t=cell, m="m", **{"in": 1}, out=1).reason is Reason.INVALID_TIME
    assert refused(PLAIN, t=None, m="m", **{"in": 1}, out=1).reason is Reason.UNATTRIBUTABLE


def test_texts_durations_tags_and_constants_are_filled_in() -> None:
    mapping = Mapping(
        {**PLAIN.columns, "id": "key", "user_id": "who", "latency_ms": "took", "service_tier": "tier"},
        tags={"team": "Team", "paid": "Paid"},
        constants={"provider": "OpenAI", "workspace_id": "shop"},
        duration_unit="s",
    )
    cells = {"t": T, "m": "m", "in": 1, "out": 1}
    found = event(mapping, **cells, key="c1", who=42, took="1.5", tier="batch", Team="search", Paid=True)
    assert (found.id, found.user_id, found.latency_ms, found.service_tier) == ("c1", "42", 1500, "batch")
    assert (found.provider, found.workspace_id, found.tags) == (
        "openai",
        "shop",
        (("paid", "true"), ("team", "search")),
    )
    bare = event(mapping, **cells, key="", who=None, took=timedelta(seconds=2), tier="", Team="", Paid=None)
    assert (bare.id, bare.user_id, bare.latency_ms, bare.service_tier, bare.tags) == (
        "",
        "",
        2000,
        "standard",
        (),
    )
    assert event(mapping, **cells, key="", who="", took="fast", tier="", Team="", Paid="").latency_ms is None
    assert refused(mapping, **cells, key="k" * 257, who="", took="", tier="", Team="", Paid="").field == "key"
    assert (
        refused(mapping, **cells, key="", who={"a": 1}, took="", tier="", Team="", Paid="").reason
        is Reason.INVALID_TYPE
    )


def test_an_empty_row_is_none_and_a_row_of_another_width_is_refused() -> None:
    rows: list[tuple[int, list[object]]] = [
        (0, ["", None, "", ""]),
        (1, [T, "m", 1]),
        (2, [T, "m", 1, 2, 3]),
        (3, [T, "m", 1, 2]),
    ]
    items = list(apply(PLAIN, ["t", "m", "in", "out"], rows, CONTEXT))
    assert [item.index for item in items if isinstance(item, Rejection)] == [1, 2]
    assert sum(isinstance(item, UsageEvent) for item in items) == 1


def test_a_column_named_like_a_sentence_is_not_repeated_in_messages() -> None:
    column = "What is my password? It is hunter2"
    mapping = Mapping({**PLAIN.columns, "input_tokens": column})
    answer = refused(mapping, **{"t": T, "m": "m", column: "x", "out": 1})
    assert "hunter2" not in repr(answer) and answer.field == "input_tokens"


COUNT = st.integers(0, 10**6)


@settings(max_examples=80, deadline=None)
@given(COUNT, COUNT, COUNT, COUNT, st.booleans())
def test_the_meters_are_disjoint_and_lose_nothing(
    uncached: int, read: int, written: int, output: int, inside: bool
) -> None:
    mapping = Mapping(
        {
            **PLAIN.columns,
            "cache_read_input_tokens": "r",
            "cache_write_5m_input_tokens": "w",
            "total_tokens": "sum",
        },
        input_includes_cached=inside,
    )
    given_input = uncached + (read + written if inside else 0)
    total = uncached + read + written + output
    found = event(
        mapping, t=T, m="m", **{"in": str(given_input)}, out=output, r=read, w=f"{written}.0", sum=total
    )
    assert (found.uncached_input_tokens, found.cache_read_input_tokens) == (uncached, read)
    assert (found.cache_write_5m_input_tokens, found.output_tokens) == (written, output)


CELL = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.binary(max_size=5) | st.dates()
    | st.datetimes() | st.timedeltas() | st.decimals() | st.lists(st.integers(), max_size=2) | st.just(T)
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(CELL, min_size=4, max_size=5), max_size=5),
    st.sampled_from(["iso", "epoch_s", "epoch_ns", "%d/%m/%Y"]),
)
def test_any_cells_give_an_event_or_a_reason(rows: list[list[Any]], time_format: str) -> None:
    mapping = Mapping({**PLAIN.columns, "latency_ms": "in"}, tags={"x": "m"}, time_format=time_format)
    for item in apply(mapping, ["t", "m", "in", "out"], enumerate(rows), CONTEXT):
        assert isinstance(item, UsageEvent) or (isinstance(item, Rejection) and item.detail)
