"""Golden wire files, the registry, detection, and rules of the canonical event that a file cannot show."""

from __future__ import annotations

import gzip
import json
from dataclasses import asdict
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from ingest import formats
from ingest.core.errors import Reason, Rejection
from ingest.core.events import FLAG_FINAL, FLAG_OUTPUT_INCOMPLETE, UsageEvent
from ingest.core.meter_fields import MeterError
from ingest.formats import BadBody, ParseContext
from ingest.formats._base import read_time
from ingest.formats.events import parse_body

WIRE = Path(__file__).parent.parent / "wire"
T0 = datetime(2026, 3, 2, tzinfo=UTC)
CASES = sorted(
    p
    for p in WIRE.glob("*/*")
    if not p.name.endswith(".expected.json") and p.parent.name in formats.all_formats()
)


def parse(name: str, body: bytes, file_name: str = "", **defaults: str) -> list[formats.Item]:
    return list(formats.get(name).parse(BytesIO(body), ParseContext(T0, file_name, defaults)))


def plain(event: UsageEvent) -> dict[str, Any]:
    """An event as JSON would show it, so that it compares with an expected file."""
    fields: dict[str, Any] = json.loads(
        json.dumps({**asdict(event), "occurred_at": event.occurred_at.isoformat()})
    )
    return fields


def row(**changes: Any) -> dict[str, Any]:
    event = {
        "id": "e1",
        "occurred_at": "2026-03-02T10:15:00Z",
        "model": "claude-sonnet-4-6",
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }
    return {**event, **changes}


def only_rejection(body: object) -> Rejection:
    (item,) = parse_body(json.dumps([body]).encode())
    assert isinstance(item, Rejection), item
    return item


@pytest.mark.parametrize("path", CASES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_golden_file_gives_exactly_the_expected_events_and_rejections(path: Path) -> None:
    expected = json.loads((path.parent / f"{path.stem}.expected.json").read_text())
    items = parse(path.parent.name, path.read_bytes(), path.name)
    events = [plain(item) for item in items if isinstance(item, UsageEvent)]
    refused = [[item.index, str(item.reason), item.field] for item in items if isinstance(item, Rejection)]
    assert [
        {key: event[key] for key in want} for event, want in zip(events, expected["events"], strict=True)
    ] == expected["events"]
    assert refused == expected["rejections"]


@pytest.mark.parametrize("path", CASES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_golden_file_is_detected_by_its_first_bytes(path: Path) -> None:
    found = formats.detect(path.read_bytes())
    assert found is not None and found.name == path.parent.name


@pytest.mark.parametrize("path", CASES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_no_content_text_leaves_a_parser(path: Path) -> None:
    assert "SECRET" not in repr(parse(path.parent.name, path.read_bytes(), path.name))


def test_every_format_has_golden_files() -> None:
    assert {path.parent.name for path in CASES} >= {
        "events",
        "anthropic_messages",
        "anthropic_sse",
        "claude_code",
    }


@pytest.mark.parametrize("name", ["anthropic_messages", "anthropic_sse", "claude_code", "events"])
def test_the_registry_finds_the_module(name: str) -> None:
    assert formats.get(name).name == name


# -------------------------------------------------------------------------------------------------- detection


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"   ",
        b"{}",
        b"[]",
        b"\x00\xff\xfe",
        b"hello",
        b'{"a":1}',
        gzip.compress(b"{}", mtime=0),
        b"data: {}\n",
        b"[" * 70_000,
        b'{"a":' * 9_000,
    ],
    ids=lambda head: repr(head[:12]),
)
def test_bytes_of_no_known_format_are_not_detected(head: bytes) -> None:
    assert formats.detect(head) is None


def test_a_codex_rollout_and_an_openai_stream_are_not_taken_for_anthropic() -> None:
    rollout = {
        "timestamp": "2026-01-01T00:00:00Z",
        "type": "session_meta",
        "payload": {"id": "x", "sessionId": "y"},
    }
    found = formats.detect(json.dumps(rollout).encode())
    assert found is None or not found.name.startswith(("anthropic", "claude"))
    found = formats.detect(b'data: {"id":"c","object":"chat.completion.chunk","usage":null}\n\n')
    assert found is not None and found.name == "openai_sse"


def test_a_transcript_is_detected_when_its_first_line_is_longer_than_the_head() -> None:
    snapshot = {"type": "file-history-snapshot", "messageId": "m", "snapshot": {"text": "x" * 100_000}}
    found = formats.detect(json.dumps(snapshot).encode())
    assert found is not None and found.name == "claude_code"
    answer = {
        "parentUuid": None,
        "sessionId": "s",
        "type": "assistant",
        "message": {"content": "x" * 100_000, "usage": {}},
    }
    found = formats.detect(json.dumps(answer).encode())
    assert found is not None and found.name == "claude_code"


def test_a_message_is_detected_when_its_content_is_longer_than_the_head() -> None:
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [{"text": "x" * 100_000}],
        "usage": {"input_tokens": 1},
    }
    for text in (json.dumps(body), json.dumps([body], indent=2), json.dumps({"body": body})):
        found = formats.detect(text.encode())
        assert found is not None and found.name == "anthropic_messages", text[:40]


def test_a_byte_order_mark_and_leading_blanks_do_not_hide_a_format() -> None:
    for text in (json.dumps(row()), json.dumps([row()], indent=2)):
        found = formats.detect(b"\xef\xbb\xbf\n  " + text.encode())
        assert found is not None and found.name == "events"
        (event,) = parse("events", b"\xef\xbb\xbf\n  " + text.encode())
        assert isinstance(event, UsageEvent)


# ------------------------------------------------------------------------------------------- canonical bodies


def test_an_object_an_array_and_ndjson_give_the_same_events() -> None:
    rows = [row(id=f"e{n}") for n in range(3)]
    array = parse_body(json.dumps(rows).encode(), "application/json")
    lines = "\n".join(map(json.dumps, rows)).encode()
    assert parse_body(lines, "application/x-ndjson") == array
    assert parse_body(lines, "application/json") == array
    assert parse_body(json.dumps(rows[0], indent=2).encode()) == array[:1]
    assert parse_body(lines.replace(b"\n", b"\r\n\r\n") + b"\r\n", "application/jsonl") == array


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" \n ",
        b'[{"id":',
        b'{"id":',
        b"nope",
        b"42",
        b'"text"',
        b"\xff\xfe{",
        b"[" * 5000,
        b'{"a":' * 5000,
        b"[1,]",
        b"{}{}",
        b'{\n"id": 1,\n',
    ],
)
def test_a_body_that_is_no_event_array_or_lines_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(BadBody) as caught:
        parse_body(body, "application/json")
    assert caught.value.reason in (Reason.INVALID_JSON, Reason.NOT_AN_OBJECT)
    assert caught.value.detail


def test_a_syntax_error_in_one_line_refuses_that_line_only() -> None:
    good = json.dumps(row())
    items = parse_body(f"{{oops\n{good}\n\n{good[:-3]}\n{good} {good}".encode(), "application/x-ndjson")
    assert [(item.index, item.reason) for item in items if isinstance(item, Rejection)] == [
        (0, Reason.INVALID_JSON),
        (3, Reason.INVALID_JSON),
        (4, Reason.INVALID_JSON),
    ]
    assert sum(isinstance(item, UsageEvent) for item in items) == 1


def test_an_unpaired_surrogate_or_nul_refuses_its_row_and_not_its_neighbours() -> None:
    rows = json.dumps(
        [
            row(id="a"),
            row(id="b\ud800"),
            row(id="c", tags={"t": "x\0y"}),
            row(id="d", note="\ud83d"),
            row(id="e"),
        ]
    )
    items = parse_body(rows.encode())
    assert [
        item.id if isinstance(item, UsageEvent) else (item.index, item.reason, item.field)
        for item in items
        if isinstance(item, UsageEvent | Rejection)
    ] == [
        "a",
        (1, Reason.INVALID_VALUE, "id"),
        (2, Reason.INVALID_VALUE, "tags"),
        "d",
        "e",
    ]


def test_the_last_of_two_equal_keys_wins() -> None:
    text = (
        json.dumps(row())
        .replace('"id": "e1"', '"id": "first", "id": "second"')
        .replace('"input_tokens": 1', '"input_tokens": 9, "input_tokens": 4')
    )
    (event,) = parse_body(text.encode())
    assert isinstance(event, UsageEvent)
    assert (event.id, event.uncached_input_tokens) == ("second", 4)


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"occurred_at": None}, Reason.MISSING_FIELD, "occurred_at"),
        ({"occurred_at": "2026-03-02"}, Reason.INVALID_TIME, "occurred_at"),
        ({"occurred_at": "2026-03-02T10:15:00"}, Reason.INVALID_TIME, "occurred_at"),
        ({"occurred_at": "1999-12-31T23:59:59Z"}, Reason.INVALID_TIME, "occurred_at"),
        ({"occurred_at": "2101-01-01T00:00:00Z"}, Reason.INVALID_TIME, "occurred_at"),
        ({"occurred_at": 1_700_000_000}, Reason.INVALID_TYPE, "occurred_at"),
        ({"model": "  "}, Reason.INVALID_VALUE, "model"),
        ({"model": "m" * 201}, Reason.INVALID_VALUE, "model"),
        ({"model": 4}, Reason.INVALID_TYPE, "model"),
        ({"usage": []}, Reason.INVALID_TYPE, "usage"),
        ({"usage": {}}, Reason.UNKNOWN_USAGE_SHAPE, "usage"),
        ({"id": "x" * 257}, Reason.INVALID_VALUE, "id"),
        ({"id": 7}, Reason.INVALID_TYPE, "id"),
        ({"session_id": "x" * 257}, Reason.INVALID_VALUE, "session_id"),
        ({"routing": "sideways"}, Reason.INVALID_VALUE, "routing"),
        ({"tags": {str(n): "v" for n in range(33)}}, Reason.INVALID_VALUE, "tags"),
        ({"tags": {"n" * 65: "v"}}, Reason.INVALID_VALUE, "tags"),
        ({"tags": {"n": "v" * 257}}, Reason.INVALID_VALUE, "tags"),
        ({"tags": {"n": ["v"]}}, Reason.INVALID_TYPE, "tags"),
        ({"tags": ["n"]}, Reason.INVALID_TYPE, "tags"),
        ({"latency_ms": -1}, Reason.NEGATIVE_COUNT, "latency_ms"),
        ({"latency_ms": "fast"}, Reason.INVALID_TYPE, "latency_ms"),
        ({"prefix": [{"id": "a", "tokens": 1}] * 513}, Reason.INVALID_VALUE, "prefix"),
        ({"prefix": [{"id": "a" * 129, "tokens": 1}]}, Reason.INVALID_VALUE, "prefix[0].id"),
        ({"prefix": [{"id": "a"}]}, Reason.MISSING_FIELD, "prefix[0].tokens"),
        ({"prefix": [{"id": "a", "tokens": 1}, 4]}, Reason.INVALID_TYPE, "prefix[1]"),
        ({"usage": {"input_tokens": True, "output_tokens": 1}}, Reason.INVALID_TYPE, "usage.input_tokens"),
        ({"usage": {"input_tokens": 10**30}}, Reason.COUNT_TOO_LARGE, "usage.input_tokens"),
        ({"usage": {"input_tokens": 2*10**9, "cache_read_input_tokens": 1}}, Reason.COUNT_TOO_LARGE, "usage"),
        ({"usage": {"input_tokens": 1, "speed": "x" * 65}}, Reason.INVALID_VALUE, "usage.speed"),
    ],
)  # fmt: skip
def test_a_row_that_breaks_a_rule_is_refused_with_its_reason_and_field(
    changes: dict[str, Any], reason: Reason, field: str
) -> None:
    refused = only_rejection(row(**changes))
    assert (refused.index, refused.reason, refused.field) == (0, reason, field)
    assert refused.detail


def test_a_naive_time_is_refused_with_the_fix() -> None:
    assert "append Z" in only_rejection(row(occurred_at="2026-03-02T10:15:00")).detail


def test_half_a_surrogate_pair_is_no_time_and_no_crash() -> None:
    with pytest.raises(MeterError) as caught:
        read_time("\udc80026-07-02 01:00:00", "ChargePeriodEnd")
    assert (caught.value.reason, caught.value.field) == (Reason.INVALID_TIME, "ChargePeriodEnd")


def test_a_rejection_names_the_id_and_both_numbers_but_no_payload() -> None:
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 1,
        "prompt_tokens_details": {"cached_tokens": 12},
        "my private text": 1,
    }
    refused = only_rejection(row(usage=usage))
    assert refused.event_id == "e1"
    assert "10" in refused.detail and "12" in refused.detail
    unknown = only_rejection(row(usage={"my private text": 1, "tokensIn": 2}))
    assert "tokensIn" in unknown.detail and "private" not in unknown.detail


def test_limits_are_inclusive() -> None:
    prefix = [{"id": "p" * 128, "tokens": n} for n in range(512)]
    tags = {f"{n:064}": "v" * 256 for n in range(32)}
    (event,) = parse_body(json.dumps(row(id="i" * 256, model="m" * 200, tags=tags, prefix=prefix)).encode())
    assert isinstance(event, UsageEvent)
    assert (len(event.id), len(event.model), len(event.tags), len(event.prefix)) == (256, 200, 32, 512)


def test_a_tag_without_a_value_is_no_tag() -> None:
    (event,) = parse_body(json.dumps(row(tags={"b": None, "a": 1, "c": False, "d": 1.5})).encode())
    assert isinstance(event, UsageEvent)
    assert event.tags == (("a", "1"), ("c", "false"), ("d", "1.5"))


# ---------------------------------------------------------------------------------------------- other formats


def test_defaults_fill_only_what_the_row_does_not_say() -> None:
    rows = "\n".join(json.dumps(r) for r in (row(workspace_id="own"), row()))
    items = parse("events", rows.encode(), workspace_id="given", user_id="u")
    assert [(e.workspace_id, e.user_id) for e in items if isinstance(e, UsageEvent)] == [
        ("own", "u"),
        ("given", "u"),
    ]


@pytest.mark.parametrize(
    ("file_name", "session", "agent"),
    [
        ("-home-dev-shop/9c42ba52.jsonl", "9c42ba52", ""),
        ("-home-dev-shop/9c42ba52/subagents/agent-a7.jsonl", "9c42ba52", "a7"),
        ("project/session-alpha/chat.jsonl", "session-alpha", ""),
        ("C:\\logs\\9c42ba52.jsonl", "9c42ba52", ""),
        ("", "", ""),
    ],
)
def test_a_transcript_without_session_id_is_named_by_its_path(
    file_name: str, session: str, agent: str
) -> None:
    line = {
        "timestamp": "2026-06-01T08:00:00Z",
        "message": {"id": "m", "model": "c", "usage": {"input_tokens": 1, "output_tokens": 1}},
    }
    (event,) = parse("claude_code", json.dumps(line).encode(), file_name)
    assert isinstance(event, UsageEvent)
    assert event.session_id == session
    assert dict(event.tags).get("agent_id", "") == agent
    assert dict(event.tags).get("project", "") == ("-home-dev-shop" if "shop" in file_name else "")


def test_a_stream_without_its_final_count_is_kept_as_partial() -> None:
    start = {
        "type": "message_start",
        "message": {"id": "msg_1", "model": "c", "usage": {"input_tokens": 9, "output_tokens": 1}},
    }
    (event,) = parse("anthropic_sse", f"data: {json.dumps(start)}".encode())
    assert isinstance(event, UsageEvent)
    assert not event.flags & FLAG_FINAL
    assert event.flags & FLAG_OUTPUT_INCOMPLETE


@pytest.mark.parametrize(("final", "in_5m", "in_1h"), [(100, 0, 100), (40, 0, 40), (0, 0, 0), (130, 30, 100)])
def test_the_final_total_of_writes_wins_over_the_split_at_the_start(
    final: int, in_5m: int, in_1h: int
) -> None:
    usage = {"input_tokens": 9, "output_tokens": 1, "cache_creation_input_tokens": 100}
    usage["cache_creation"] = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 100}  # type: ignore[assignment]
    start = {"type": "message_start", "message": {"id": "msg_1", "model": "c", "usage": usage}}
    delta = {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn"},
        "usage": {"output_tokens": 3, "cache_creation_input_tokens": final},
    }
    (event,) = parse("anthropic_sse", f"data: {json.dumps(start)}\n\ndata: {json.dumps(delta)}\n".encode())
    assert isinstance(event, UsageEvent)
    assert (event.cache_write_5m_input_tokens, event.cache_write_1h_input_tokens) == (in_5m, in_1h)


def test_a_body_without_id_and_time_cannot_be_counted_once() -> None:
    (item,) = parse(
        "anthropic_messages",
        json.dumps({"model": "c", "usage": {"input_tokens": 1, "output_tokens": 1}}).encode(),
    )
    assert isinstance(item, Rejection) and item.reason is Reason.UNATTRIBUTABLE
