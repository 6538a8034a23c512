"""The fast reader of event bodies says exactly what the careful one says, or nothing."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.core.columns import NAMES, from_events
from ingest.core.events import UsageEvent
from ingest.core.meters import read_usage
from ingest.formats._anthropic import ordinary_usage
from ingest.formats._fast_events import read_columns
from ingest.formats.events import parse_body
from tests.support.builders import wire_event

counts = st.none() | st.integers(0, 300_000)
words = st.none() | st.sampled_from(["", "standard", "batch", "us", "global", "not_available", "fast"])
texts = st.none() | st.text(max_size=8)
usages: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"input_tokens": st.integers(0, 9_000), "output_tokens": st.integers(0, 9_000)},
    optional={
        "cache_read_input_tokens": counts,
        "cache_creation_input_tokens": counts,
        "cache_creation": st.none()
        | st.fixed_dictionaries(
            {}, optional={"ephemeral_5m_input_tokens": counts, "ephemeral_1h_input_tokens": counts}
        ),
        "server_tool_use": st.none() | st.fixed_dictionaries({}, optional={"web_search_requests": counts}),
        "output_tokens_details": st.none() | st.fixed_dictionaries({}, optional={"thinking_tokens": counts}),
        "service_tier": words,
        "inference_geo": words,
        "speed": words,
        "iterations": st.none() | st.just([]),
    },
)
events = st.fixed_dictionaries(
    {
        "occurred_at": st.sampled_from(
            [
                "2026-03-02T10:15:00.123456Z",
                "2026-03-02T10:15:00+05:30",
                "1999-12-31T00:00:00Z",
                "2026-03-02T10:15:00",
                "2000-01-01T00:00:00Z",
            ]
        ),
        "model": st.sampled_from(["claude-sonnet-4-6", "gpt-5.4", " ", "m"]),
        "usage": usages,
    },
    optional={
        "id": texts,
        "provider": texts,
        "platform": texts,
        "routing": st.sampled_from([None, "", "global", "regional", "elsewhere"]),
        "workspace_id": texts,
        "request_id": texts,
        "session_id": texts,
        "tags": st.none()
        | st.dictionaries(
            st.text(max_size=4), st.none() | st.booleans() | st.integers() | st.text(max_size=4), max_size=3
        ),
        "latency_ms": st.none() | st.integers(0, 9) | st.floats(0, 9),
        "ttft_ms": st.none() | st.integers(-1, 9),
        "stop_reason": st.none() | st.sampled_from(["end_turn", "refusal"]),
        "prefix": st.none()
        | st.lists(
            st.fixed_dictionaries({"id": st.text(max_size=3), "tokens": st.integers(0, 9)}), max_size=3
        ),
    },
)


def same(body: bytes) -> bool:
    """Whether the fast reader answered; asserts that its answer is the careful reader's."""
    columns = read_columns(body)
    if columns is None:
        return False
    items = parse_body(body, "application/x-ndjson" if not body.startswith(b"[") else "application/json")
    careful = [item for item in items if isinstance(item, UsageEvent)]
    assert len(careful) == len(items) == len(columns), "the fast reader took a row that is refused"
    wanted = from_events(careful)
    for name in NAMES:
        mine, theirs = getattr(columns, name), getattr(wanted, name)
        assert np.array_equal(mine, theirs) if name == "occurred_at" else list(mine) == list(theirs), name
    return True


@given(st.lists(events, min_size=1, max_size=4))
def test_what_the_fast_reader_takes_is_what_the_careful_one_reads(rows: list[dict[str, Any]]) -> None:
    same(json.dumps(rows).encode())
    same("\n".join(map(json.dumps, rows)).encode())


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_ordinary_bodies_are_taken(end: bytes) -> None:
    rows = [
        wire_event(f"m{i}", tags={"b": "2", "a": "1"}, prefix=[{"id": "h", "tokens": 5}]) for i in range(3)
    ]
    assert same(json.dumps(rows).encode() + end)
    assert same("\n".join(map(json.dumps, rows)).encode() + end)


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 5, "completion_tokens": 1},
        {
            "input_tokens": 5,
            "output_tokens": 1,
            "iterations": [{"type": "message", "input_tokens": 5, "output_tokens": 1}],
        },
        {"input_tokens": 5},
        {"input_tokens": -5, "output_tokens": 1},
        {
            "input_tokens": 5,
            "output_tokens": 1,
            "cache_creation_input_tokens": 9,
            "cache_creation": {"ephemeral_5m_input_tokens": 4},
        },
    ],
    ids=["openai", "iterations", "no output", "negative", "split below total"],
)
def test_anything_unusual_is_left_to_the_careful_reader(usage: dict[str, Any]) -> None:
    rows = [wire_event("m1"), wire_event("m2", usage=usage)]
    assert read_columns("\n".join(map(json.dumps, rows)).encode()) is None


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[1]", b'{"model":"\\u0000"}', b"\xff", b"\n\n"])
def test_what_is_no_batch_of_events_is_left_to_the_careful_reader(body: bytes) -> None:
    assert read_columns(body) is None


@given(usages)
def test_an_ordinary_usage_has_the_meters_that_the_careful_reader_finds(usage: dict[str, Any]) -> None:
    quick = ordinary_usage(json.dumps(usage).encode(), "m")
    if quick is None:
        return
    assert quick == read_usage(usage, "m")


def test_most_usage_objects_are_ordinary() -> None:
    usage = {
        "input_tokens": 4,
        "output_tokens": 9,
        "cache_creation_input_tokens": 7,
        "cache_read_input_tokens": 100,
        "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4},
        "output_tokens_details": {"thinking_tokens": 5},
        "server_tool_use": {"web_search_requests": 1},
        "service_tier": "batch",
    }
    assert ordinary_usage(json.dumps(usage).encode(), "m") == read_usage(usage, "m")
    assert ordinary_usage(b'{"input_tokens":4,"output_tokens":9,"iterations":[]}', "m") is None
    assert ordinary_usage(b'{"input_tokens":-4,"output_tokens":9}', "m") is None
