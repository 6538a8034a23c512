"""CSV and Parquet files as tables: framing, previews, refusals, and what may be shown of them."""

from __future__ import annotations

import gzip
import io
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import formats
from ingest.core.errors import Reason, Rejection
from ingest.core.events import UsageEvent
from ingest.formats import BadBody, ParseContext
from ingest.formats._mapping import Mapping
from ingest.formats._tables import MAX_CELL, columns_of, open_csv, open_parquet

T0 = datetime(2026, 3, 2, tzinfo=UTC)
CONTEXT = ParseContext(T0)
HEADER = "timestamp,model,input_tokens,output_tokens\n"
ROW = "2026-04-09T14:00:00Z,gpt-4.1,7,8\n"
OWN_NAMES = Mapping(
    {"occurred_at": "when", "model": "engine", "input_tokens": "a", "output_tokens": "b"},
    zone="Europe/Berlin",
)


def parse(name: str, body: bytes, context: ParseContext = CONTEXT) -> list[formats.Item]:
    return list(formats.get(name).parse(io.BytesIO(body), context))


def table(**columns: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


def refusals(items: list[formats.Item]) -> list[tuple[int, Reason]]:
    return [(item.index, item.reason) for item in items if isinstance(item, Rejection)]


def events(items: list[formats.Item]) -> list[UsageEvent]:
    return [item for item in items if isinstance(item, UsageEvent)]


# --------------------------------------------------------------------------------------------------------- CSV


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_every_dialect_gives_the_same_events(delimiter: str, end: str, encoding: str) -> None:
    text = (HEADER + ROW + "\n" + ROW).replace(",", delimiter).replace("\n", end)
    found = events(parse("csv_rows", text.encode(encoding)))
    assert [(e.model, e.uncached_input_tokens, e.output_tokens) for e in found] == [("gpt-4.1", 7, 8)] * 2


def test_a_delimiter_inside_quotes_is_no_delimiter() -> None:
    header = '"note; one; two; three",timestamp,model,input_tokens,output_tokens\n'
    assert len(events(parse("csv_rows", (header + "x," + ROW).encode()))) == 1


def test_line_numbers_count_lines_and_not_rows() -> None:
    body = HEADER.replace("timestamp", "note,timestamp") + '"two\nlines",' + ROW + "\n" + "x,,gpt,1,1\n"
    assert refusals(parse("csv_rows", body.encode())) == [(4, Reason.UNATTRIBUTABLE)]


def test_quotes_that_do_not_match_cost_their_row_alone() -> None:
    body = HEADER + '"2026-04-09T14:00:00Z"x,gpt,1,1\n' + ROW
    items = parse("csv_rows", body.encode())
    assert refusals(items) == [(1, Reason.INVALID_VALUE)]
    assert len(events(items)) == 1


def test_a_file_that_ends_inside_quotes_keeps_what_came_before() -> None:
    items = parse("csv_rows", (HEADER + ROW + '"2026-04-09T1').encode())
    assert refusals(items) == [(2, Reason.TRUNCATED)]
    assert len(events(items)) == 1


def test_a_huge_cell_is_refused_and_the_rows_after_it_are_read() -> None:
    huge = '"' + "x" * (MAX_CELL + 10) + '",gpt,1,1\n'
    items = parse("csv_rows", (HEADER + huge + ROW).encode())
    assert {reason for _, reason in refusals(items)} == {Reason.INVALID_VALUE}
    assert len(events(items)) == 1


def test_text_that_is_not_utf8_matters_only_where_it_is_stored() -> None:
    header = HEADER.replace("timestamp", "prompt,timestamp").encode()
    good = b"caf\xe9," + ROW.encode()
    bad = b"x,2026-04-09T14:00:00Z,gpt\xe9,7,8\n"
    items = parse("csv_rows", header + good + bad)
    assert refusals(items) == [(2, Reason.INVALID_VALUE)]
    assert len(events(items)) == 1


@pytest.mark.parametrize("body", [b"", b"\n\n", b"\xff\xfe", b"\xef\xbb\xbf", b'"', b"," * 3000])
def test_a_file_without_column_names_is_refused_with_a_reason(body: bytes) -> None:
    with pytest.raises(BadBody) as caught:
        parse("csv_rows", body)
    assert caught.value.detail


def test_rows_without_an_id_are_kept_apart_by_their_content() -> None:
    assert [event.id for event in events(parse("csv_rows", (HEADER + ROW + ROW).encode()))] == ["", ""]


# ----------------------------------------------------------------------------------------------------- mappings


def test_a_guess_that_is_not_sure_refuses_the_file_and_names_what_is_open() -> None:
    body = b"when,engine,a,b\n2026-04-09 14:00,gpt-4.1,7,8\n"
    with pytest.raises(BadBody) as caught:
        parse("csv_rows", body)
    assert "time of the call" in caught.value.detail and "input tokens" in caught.value.detail
    with pytest.raises(BadBody) as zone:
        parse("csv_rows", b"time,model,input_tokens,output_tokens\n2026-04-09 14:00,gpt-4.1,7,8\n")
    assert "time zone" in zone.value.detail and zone.value.field == "mapping"


def test_a_given_mapping_wins_over_a_saved_one_and_that_over_a_guess() -> None:
    body = b"when,engine,a,b\n2026-04-09 14:00,gpt-4.1,7,8\n"
    (given_one,) = events(parse("csv_rows", body, ParseContext(T0, mapping=OWN_NAMES)))
    assert given_one.occurred_at == datetime(2026, 4, 9, 12, tzinfo=UTC)
    asked: list[tuple[str, ...]] = []

    def saved(columns: Any) -> Mapping:
        asked.append(tuple(columns))
        return OWN_NAMES

    (saved_one,) = events(parse("csv_rows", body, ParseContext(T0, saved_mapping=saved)))
    assert saved_one == given_one and asked == [("when", "engine", "a", "b")]
    assert parse("csv_rows", body, ParseContext(T0, mapping=OWN_NAMES, saved_mapping=saved)) == [given_one]
    assert len(asked) == 1


def test_a_mapping_for_another_table_refuses_the_file() -> None:
    with pytest.raises(BadBody) as caught:
        parse("csv_rows", (HEADER + ROW).encode(), ParseContext(T0, mapping=OWN_NAMES))
    assert caught.value.field == "columns.occurred_at"


def test_more_rows_than_the_guess_looks_at_are_all_read() -> None:
    assert len(events(parse("csv_rows", (HEADER + ROW * 700).encode()))) == 700


# ------------------------------------------------------------------------------------------------------ preview


def test_a_preview_shows_samples_of_harmless_columns_only() -> None:
    body = (
        "timestamp,model,input_tokens,output_tokens,user,question,answer\n"
        "2026-04-09T14:00:00Z,gpt-4.1,7,8,SECRET,SECRET 2026,2026-04-09\n"
        "2026-04-09T14:00:01Z,gpt-4.1,9,8,SECRET,SECRET,SECRET\n"
    )
    stream = io.BytesIO(body.encode())
    preview = columns_of(stream)
    assert stream.tell() == 0
    assert preview.format == "csv_rows" and preview.columns[1] == "model"
    assert preview.kinds == ("time", "text", "number", "number", "text", "text", "text")
    assert preview.samples[:3] == (
        ("2026-04-09T14:00:00Z", "2026-04-09T14:00:01Z"),
        ("gpt-4.1",),
        ("7", "9"),
    )
    assert preview.guess.sure and "SECRET" not in repr(preview)


def test_a_preview_of_parquet_names_kinds_by_type() -> None:
    body = table(
        ts=pa.array([datetime(2026, 4, 9, tzinfo=UTC)]),
        model=["m"],
        tokens_in=[1],
        tokens_out=[2.0],
        text=["SECRET"],
        x=[[1]],
    )
    preview = columns_of(io.BytesIO(body))
    assert (preview.format, preview.kinds) == (
        "parquet_rows",
        ("time", "text", "number", "number", "text", "other"),
    )
    assert preview.guess.sure and "SECRET" not in repr(preview)


def test_a_stream_that_cannot_seek_can_be_previewed() -> None:
    for body, name in ((HEADER + ROW).encode(), "csv_rows"), (table(model=["m"]), "parquet_rows"):
        with piped(body) as stream:
            assert columns_of(stream).format == name


@pytest.mark.parametrize("body", [b"", b"PAR1", b"PAR1" + b"x" * 50, b"PAR1" + b"\0" * 50 + b"PAR1"])
def test_a_preview_of_a_broken_file_is_refused(body: bytes) -> None:
    with pytest.raises(BadBody):
        columns_of(io.BytesIO(body))


# ------------------------------------------------------------------------------------------------------ Parquet


class piped:
    """A stream of these bytes that cannot seek, as standard input is."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def __enter__(self) -> BinaryIO:
        read, write = os.pipe()

        def feed() -> None:
            with os.fdopen(write, "wb") as end:
                try:
                    end.write(self.body)
                except BrokenPipeError:
                    return  # the reader has seen enough

        self.thread = threading.Thread(target=feed)
        self.thread.start()
        self.stream = os.fdopen(read, "rb")
        return self.stream

    def __exit__(self, *error: object) -> None:
        self.stream.close()
        self.thread.join()


CALLS = table(
    timestamp=pa.array([datetime(2026, 4, 9, 14, tzinfo=UTC)] * 5000, pa.timestamp("us", "UTC")),
    model=["gpt-4.1"] * 5000,
    prompt_tokens=list(range(5000)),
    completion_tokens=[1] * 5000,
)


def test_parquet_streams_from_files_pipes_and_gzip_alike(tmp_path: Path) -> None:
    (tmp_path / "calls.gz").write_bytes(gzip.compress(CALLS, 1))
    whole = parse("parquet_rows", CALLS)
    assert len(events(whole)) == 5000
    log_format = formats.get("parquet_rows")
    with piped(CALLS) as stream:
        assert list(log_format.parse(stream, CONTEXT)) == whole
    with (tmp_path / "calls.gz").open("rb") as raw:
        unzipped = io.BufferedReader(gzip.GzipFile(fileobj=raw))
        assert unzipped.peek(4)[:4] == b"PAR1"
        assert list(log_format.parse(unzipped, CONTEXT)) == whole


def test_parquet_that_is_cut_anywhere_is_refused() -> None:
    for at in range(0, len(CALLS), max(1, len(CALLS) // 60)):
        with pytest.raises(BadBody) as caught:
            parse("parquet_rows", CALLS[:at])
        assert caught.value.reason in (Reason.TRUNCATED, Reason.INVALID_VALUE)


def test_times_and_numbers_that_python_cannot_hold_cost_their_row_alone() -> None:
    body = table(
        timestamp=pa.array([2**62, 1775743200 * 10**6, 1775743200 * 10**6], pa.timestamp("us", "UTC")),
        model=["m", "m", "m"],
        input_tokens=pa.array([1, 2**63, 1], pa.uint64()),
        output_tokens=pa.array([1, 1, 1]),
    )
    assert refusals(parse("parquet_rows", body)) == [(0, Reason.INVALID_TIME), (1, Reason.COUNT_TOO_LARGE)]


def test_a_damaged_page_ends_the_file_and_keeps_what_came_before() -> None:
    whole = pq.read_table(io.BytesIO(CALLS))
    out = io.BytesIO()
    pq.write_table(whole, out, row_group_size=1000)
    broken = bytearray(out.getvalue())
    broken[len(broken) // 2 : len(broken) // 2 + 1000] = b"\xff" * 1000
    *before, last = parse("parquet_rows", bytes(broken))
    assert isinstance(last, Rejection) and last.reason is Reason.TRUNCATED
    assert before == parse("parquet_rows", CALLS)[: last.index] and before


ARRAYS = st.one_of(
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=3, max_size=3).map(
        lambda v: pa.array(v, pa.int64())
    ),
    st.lists(st.none() | st.floats(), min_size=3, max_size=3).map(lambda v: pa.array(v, pa.float64())),
    st.lists(st.none() | st.text(max_size=8), min_size=3, max_size=3).map(lambda v: pa.array(v, pa.string())),
    st.lists(st.none() | st.binary(max_size=8), min_size=3, max_size=3).map(
        lambda v: pa.array(v, pa.binary())
    ),
    st.lists(st.none() | st.booleans(), min_size=3, max_size=3).map(lambda v: pa.array(v, pa.bool_())),
    st.lists(st.integers(-(2**63) + 1, 2**63 - 1), min_size=3, max_size=3).map(
        lambda v: pa.array(v, pa.timestamp("ns"))
    ),
    st.lists(st.integers(-(2**52), 2**52), min_size=3, max_size=3).map(
        lambda v: pa.array(v, pa.timestamp("s", "Asia/Tokyo"))
    ),
    st.lists(st.integers(-(2**31), 2**31 - 1), min_size=3, max_size=3).map(
        lambda v: pa.array(v, pa.date32())
    ),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=3, max_size=3).map(
        lambda v: pa.array(v, pa.duration("ns"))
    ),
    st.just(pa.array([{"a": 1}, None, {"a": 2}])),
    st.just(pa.array([[1], [], None])),
    st.just(pa.nulls(3)),
)


@settings(max_examples=40, deadline=None)
@given(ARRAYS, ARRAYS, ARRAYS)
def test_columns_of_any_type_give_events_or_reasons(when: Any, count: Any, label: Any) -> None:
    body = table(when=when, engine=label, a=count, b=count)
    mapping = Mapping(
        {**OWN_NAMES.columns, "output_tokens": "b", "latency_ms": "a", "user_id": "engine"},
        tags={"t": "engine"},
    )
    for item in parse("parquet_rows", body, ParseContext(T0, mapping=mapping)):
        assert isinstance(item, UsageEvent) or (isinstance(item, Rejection) and item.detail)
    columns_of(io.BytesIO(body))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_damage_to_parquet_is_survived(data: st.DataObject) -> None:
    body = bytearray(SMALL)
    at = data.draw(st.integers(4, len(body) - 1))
    body[at : at + 4] = data.draw(st.binary(min_size=1, max_size=6))
    reasons: list[str] = []
    try:
        items = parse("parquet_rows", bytes(body), ParseContext(T0, mapping=OWN_NAMES))
        reasons += [item.detail for item in items if isinstance(item, Rejection)]
    except BadBody as bad:
        reasons.append(bad.detail)
    assert all(reasons)


SMALL = table(when=["2026-04-09T14:00:00Z"] * 3, engine=["m"] * 3, a=[1, 2, 3], b=[4, 5, 6])


def test_readers_stop_at_the_rows_that_are_wanted() -> None:
    with open_csv(io.BytesIO((HEADER + ROW * 3).encode())) as (columns, rows):
        assert (columns, next(rows)) == (HEADER.strip().split(","), (1, ROW.strip().split(",")))
    with open_parquet(io.BytesIO(SMALL)) as (columns, rows):
        assert (columns, next(rows)) == (
            ["when", "engine", "a", "b"],
            (0, ("2026-04-09T14:00:00Z", "m", 1, 4)),
        )


# ---------------------------------------------------------------------------------------------------- detection


@pytest.mark.parametrize(
    "head",
    [
        b"a,b,c\n1,2,3\n",
        b"just one line of prose, with, commas",
        b"time\n1\n",
        b"<html>,<body>\n,\n",
        b"model\tx\n",
        b"\0\0,\0,\0\n",
    ],
)
def test_text_that_is_no_table_of_calls_is_not_taken_for_one(head: bytes) -> None:
    assert formats.detect(head) is None


def test_a_table_of_calls_under_names_of_its_own_is_recognised_so_that_it_can_be_mapped() -> None:
    found = formats.detect(b"timestamp,deployment_xyz,consumed,produced\n2026-04-09,a,1,2\n")
    assert found is not None and found.name == "csv_rows"
