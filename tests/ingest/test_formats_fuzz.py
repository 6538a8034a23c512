"""Whatever the bytes: events and rejections, or BadBody; the quick and the careful path never disagree."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest import formats
from ingest.core.errors import Rejection
from ingest.core.events import UsageEvent
from ingest.core.meter_fields import MAX_COUNT
from ingest.core.reported import ReportedCost, ReportedUsage, natural_key
from ingest.formats import BadBody, ParseContext
from ingest.formats._canonical import read_row
from ingest.formats.events import parse_body

WIRE = Path(__file__).parent.parent / "wire"
STREAMS = ("anthropic_sse", "openai_sse")
CONTEXT = ParseContext(datetime(2026, 3, 2, tzinfo=UTC), "folder/file.jsonl")
FILES = [
    path
    for path in sorted(WIRE.glob("*/*"))
    if not path.name.endswith(".expected.json") and path.parent.name in formats.all_formats()
]
TABLES = [path for path in FILES if path.suffix in (".csv", ".tsv")]
NAMES = sorted({path.parent.name for path in FILES})
BODIES = {name: [path.read_bytes() for path in FILES if path.parent.name == name] for name in NAMES}
# Formats whose rows are lines or elements of their own: a row without counts is refused at its place.
ROWS = [
    "anthropic_messages", "anthropic_sse", "claude_code", "events", "gemini", "helicone", "litellm", "openai_batch",
    "openai_chat", "openai_responses", "openai_sse", "openmeter", "portkey",
]  # fmt: skip
MOST_TRIES = 3_000  # broken fields of one file, in the long tests
CUTS = 24  # places a file is cut at, outside the long tests
# Put in the place of any one field: wrong kinds, counts that cannot be, texts that no database takes.
BROKEN: tuple[object, ...] = (
    None, True, "", "x" * 5000, "1", -1, 10**40, 1.5, 1e300, [], {}, [1], {"a": {"b": []}}, "\0", "\ud800",
    "2026-13-45T99:00:00Z", "0001-01-01T00:00:00+23:59",
)  # fmt: skip
BROKEN_CELLS = (
    b"", b"\x80", b'"', b"-1", b"9" * 5000, b"1e999", b"nan", b"NULL", b"\0", b"{", b"2026-13-45T99:00:00Z",
    "\u0663".encode(),
)  # fmt: skip
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(
        [
            "\0",
            "\ud800",
            "",
            "2026-03-02T10:15:00",
            "2026-03-02T10:15:00Z",
            "msg_1",
            "x" * 300,
            "refusal",
            "message",
        ]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
RELAXED = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "100")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def check(items: Iterator[formats.Item] | list[formats.Item]) -> None:
    """Every item is storable: counts in range, no text the database refuses, thinking inside the output."""
    for item in items:
        if isinstance(item, Rejection):
            assert item.index >= 0 and item.detail and "\0" not in item.detail + item.field + item.event_id
            (item.detail + item.field + item.event_id).encode()
            continue
        if isinstance(item, ReportedUsage | ReportedCost):
            assert (
                item.start < item.end and item.start.tzinfo is UTC and len(natural_key(item, "source")) == 16
            )
            continue
        assert isinstance(item, UsageEvent)
        counts = [item.uncached_input_tokens, item.cache_read_input_tokens, item.output_tokens]
        counts += [item.cache_write_5m_input_tokens, item.cache_write_1h_input_tokens, item.thinking_tokens]
        counts += [item.web_search_requests, item.prompt_step_tokens]
        assert all(type(count) is int and 0 <= count <= MAX_COUNT for count in counts)
        assert item.thinking_tokens <= item.output_tokens
        assert item.occurred_at.tzinfo is UTC and item.model.strip()
        words = [
            item.id,
            item.model,
            item.provider,
            item.platform,
            item.service_tier,
            item.speed,
            item.inference_geo,
            item.stop_reason,
        ]
        words += [item.workspace_id, item.api_key_id, item.user_id, item.session_id, item.request_id]
        words += [text for tag in item.tags for text in tag] + [block.id for block in item.prefix]
        for word in words:
            assert "\0" not in word
            word.encode()  # a lone surrogate would fail here
        assert list(item.tags) == sorted(item.tags) and len(dict(item.tags)) == len(item.tags)


def check_or_refused(read: Callable[[], Iterator[formats.Item] | list[formats.Item]]) -> None:
    """What `read` gives is storable, or it refuses the whole body and says why."""
    refused: BadBody | None = None
    try:
        check(read())
    except BadBody as error:
        refused = error
    assert refused is None or refused.detail


def parse(name: str, body: bytes) -> None:
    check_or_refused(lambda: formats.get(name).parse(BytesIO(body), CONTEXT))
    if name == "events":
        check_or_refused(lambda: parse_body(body, "application/json"))
        check_or_refused(lambda: parse_body(body, "application/x-ndjson"))
    formats.detect(body)


@RELAXED
@given(name=st.sampled_from(NAMES), body=st.binary(max_size=300))
def test_any_bytes_give_events_rejections_or_a_refused_body(name: str, body: bytes) -> None:
    parse(name, body)
    parse(name, b'{"usage":' + body)
    parse(name, b"data: " + body + b'\ndata: {"type":"message_start"' + body)


@RELAXED
@given(data=st.data(), name=st.sampled_from(NAMES))
def test_any_truncation_and_any_changed_byte_are_survived(data: st.DataObject, name: str) -> None:
    body = data.draw(st.sampled_from(BODIES[name]))
    at = data.draw(st.integers(0, len(body)))
    parse(name, body[:at])
    parse(name, body[at:])
    parse(name, body[:at] + data.draw(st.binary(max_size=2)) + body[at + 1 :])


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _paths(inner, (*path, key))
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from _paths(inner, (*path, n))


def _changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    document = copy.deepcopy(document)
    holder = document
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    return document


def _documents(body: bytes) -> list[Any]:
    """The JSON values of a golden file, whatever its framing."""
    try:
        whole = json.loads(body)
        return whole if isinstance(whole, list) else [whole]
    except ValueError:
        lines = [line.removeprefix(b"data:") for line in body.splitlines()]
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


DOCUMENTS = {
    name: documents
    for name in NAMES
    if (documents := [d for body in BODIES[name] for d in _documents(body) if isinstance(d, dict)])
}


def _framed(name: str, document: object) -> bytes:
    """A JSON value as the format would carry it."""
    text = json.dumps(document).encode()
    return b"data: " + text if name in STREAMS else text


def _cuts(body: bytes, many: int) -> list[int]:
    """Places to cut a file at: spread evenly, and next to the marks where something begins or ends."""
    spread = [len(body) * n // many for n in range(many)]
    marks = [
        at + n
        for at in range(0, len(body), max(1, len(body) // many))
        for n in (0, 1)
        if body[at : at + 1] in b'\n,"}'
    ]
    return sorted({*spread, *marks, len(body) - 1})


def _identities(name: str, body: bytes, refused: bool = False) -> set[str]:
    """The ids of a file's events, and with `refused` of its rows that were refused."""
    try:
        items = list(formats.get(name).parse(BytesIO(body), CONTEXT))
    except BadBody:
        return set()
    found = {item.id for item in items if isinstance(item, UsageEvent)}
    return found | {item.event_id for item in items if refused and isinstance(item, Rejection)}


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_a_file_that_is_cut_off_gives_what_came_before_or_a_reason(path: Path) -> None:
    name, body = path.parent.name, path.read_bytes()
    whole = _identities(name, body, refused=True)
    for at in _cuts(body, CUTS):
        parse(name, body[:at])
        assert _identities(name, body[:at]) <= whole, f"cut at {at}"


def _tries(documents: list[Any], most: int) -> Iterator[Any]:
    """Documents with one field broken: every field with every broken value, evenly thinned out to about `most`."""
    tries = [
        (d, path, value) for d in documents if isinstance(d, dict) for path in _paths(d) for value in BROKEN
    ]
    # An odd step, so that a thinned-out list still meets every broken value.
    for document, path, value in tries[:: len(tries) // most // 2 * 2 + 1]:
        yield _changed(document, path, value)


@pytest.mark.parametrize("name", list(DOCUMENTS))
def test_a_broken_field_is_survived(name: str) -> None:
    for document in _tries(DOCUMENTS[name], 400):
        parse(name, _framed(name, document))


@pytest.mark.parametrize("path", TABLES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_a_broken_cell_is_survived(path: Path) -> None:
    lines = path.read_bytes().split(b"\n")
    delimiter = max(b",;\t", key=lines[0].count)
    for n, line in enumerate(lines[:2]):  # the header and a row
        cells = line.split(bytes([delimiter]))
        for at, cell in enumerate(cells):
            for broken in (*BROKEN_CELLS, b"\x80" + cell, cell + b"\x00", cell * 2):
                changed = bytes([delimiter]).join([*cells[:at], broken, *cells[at + 1 :]])
                parse(path.parent.name, b"\n".join([*lines[:n], changed, *lines[n + 1 :]]))


@pytest.mark.fuzz
@pytest.mark.skipif("FUZZ_EXAMPLES" not in os.environ, reason="set FUZZ_EXAMPLES to run the long tests")
@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_every_byte_and_every_field_of_a_golden_file_may_break(path: Path) -> None:
    name, body = path.parent.name, path.read_bytes()
    whole = _identities(name, body, refused=True)
    for at in range(len(body)) if len(body) < 3_000 else _cuts(body, 600):
        parse(name, body[:at])
        assert _identities(name, body[:at]) <= whole, f"cut at {at}"
    for document in _tries(_documents(body), MOST_TRIES):
        parse(name, _framed(name, document))


@RELAXED
@given(data=st.data(), name=st.sampled_from(list(DOCUMENTS)), value=JSON)
def test_any_field_may_hold_any_json_value(data: st.DataObject, name: str, value: Any) -> None:
    document = data.draw(st.sampled_from(DOCUMENTS[name]))
    path = data.draw(st.sampled_from(list(_paths(document))))
    text = json.dumps(_changed(document, path, value)).encode()
    if name == "anthropic_sse":
        opening = json.dumps(
            {"type": "message_start", "message": {"id": "msg_0", "model": "m", "usage": {"input_tokens": 1}}}
        )
        parse(name, b"data: " + opening.encode() + b"\n\ndata: " + text + b"\n\n")
    parse(name, _framed(name, _changed(document, path, value)))


@RELAXED
@given(data=st.data(), value=JSON)
def test_the_quick_and_the_careful_path_agree_on_every_event(data: st.DataObject, value: Any) -> None:
    document = data.draw(st.sampled_from(DOCUMENTS["events"]))
    path = data.draw(st.sampled_from(list(_paths(document))))
    text = json.dumps(_changed(document, path, value)).encode()
    careful = read_row(text, 0)
    assert list(formats.get("events").parse(BytesIO(text), CONTEXT)) == careful
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return  # an unpaired surrogate: an array is then read leniently and can say more
    assert parse_body(b"[" + text + b"]") == careful


@pytest.mark.parametrize("name", NAMES)
def test_endless_nesting_is_refused_without_a_crash(name: str) -> None:
    for opening in (
        b"[",
        b'{"usage":',
        b'{"message":{"usage":',
        b'{"type":"assistant","message":{"id":"x","usage":{"a":',
    ):
        parse(name, opening * 3000)
        parse(name, b'data: {"type":"message_start","message":' + opening * 3000)


@pytest.mark.parametrize("name", ROWS)
def test_line_numbers_survive_blank_lines_and_long_lines(name: str) -> None:
    if name == "anthropic_sse":
        bad = b'data: {"type":"message_delta","usage":{}}'
    elif name == "openai_sse":
        bad = b'data: [{"choices":1}]'
    else:
        bad = b'{"type":"assistant","message":{"usage":{"input_tokens":1}},"usage":{"input_tokens":1}}'
    padding = json.dumps({"type": "user", "text": "x" * 200_000}).encode()
    body = b"\n\n" + (padding if name in ("claude_code", *STREAMS) else bad) + b"\n\r\n" + bad + b"\n"
    items = list(formats.get(name).parse(BytesIO(body), CONTEXT))
    assert [item.index for item in items if isinstance(item, Rejection)][-1] == 4
