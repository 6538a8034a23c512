"""Whatever an exporter's bytes: 200 or 400, the ledger balances, and nothing of the content comes back."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.auth import create_key
from ingest.formats import _protobuf_wire
from tests.support import otlp
from tests.support.tables import ledger

JSON, PROTOBUF = "application/json", "application/x-protobuf"
RELAXED = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "60")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
DOCUMENTS = {
    "traces": otlp.document("traces", [otlp.chat(gen_ai__input__messages="SECRET")], service_name="shop"),
    "logs": otlp.document(
        "logs",
        [
            otlp.log(
                {
                    "event.name": "api_request",
                    "event.timestamp": "2026-03-02T10:00:00Z",
                    "model": "claude-haiku-4-5",
                    "input_tokens": 1,
                    "request_id": "req_1",
                    "prompt": "SECRET",
                },
                "claude_code.api_request",
            )
        ],
        "com.anthropic.claude_code.events",
    ),
    "metrics": otlp.document(
        "metrics",
        [
            otlp.total("claude_code.token.usage", [(4, {"type": "input", "model": "claude-haiku-4-5"})], 2),
            otlp.total("claude_code.cost.usage", [(0.5, {"model": "claude-haiku-4-5"})]),
        ],
    ),
}
BROKEN: tuple[Any, ...] = (
    None,
    True,
    "",
    "\0",
    "\ud800",
    "1",
    -1,
    10**30,
    1e300,
    0.5,
    [],
    {},
    [1],
    {"a": 1},
    "SECRET",
)


@pytest.fixture
def send(client: Client, db: None) -> Iterator[Any]:
    """Sends a body, holds the answer against the protocol, and the ledger against its own law."""
    key = create_key("fuzz", "ingest")[1]

    def post(signal: str, body: bytes, content_type: str) -> int:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": content_type}
        answer = client.post(f"/v1/{signal}", body, content_type=content_type, headers=headers)
        assert answer.status_code in (200, 400), (answer.status_code, body)
        assert answer["Content-Type"] == content_type
        assert b"SECRET" not in answer.content
        return int(answer.status_code)

    yield post
    received, *parts = ledger()
    assert received == sum(parts)


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where every field of a JSON value is."""
    if path:
        yield path
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in entries:
        yield from paths(inner, (*path, key))


def changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The document with another value at one place."""
    document = json.loads(json.dumps(document))
    holder = document
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    return document


@pytest.mark.parametrize("signal", list(DOCUMENTS))
def test_a_body_that_is_cut_off_is_400_and_stores_nothing(send: Any, signal: str) -> None:
    text = json.dumps(DOCUMENTS[signal]).encode()
    for at in range(0, len(text), 7):
        assert send(signal, text[:at], JSON) == 400
    assert ledger() == (0, 0, 0, 0, 0)
    raw = otlp.protobuf(signal, DOCUMENTS[signal])
    for at in range(1, len(raw)):
        assert send(signal, raw[:at], PROTOBUF) == 400
    assert ledger() == (0, 0, 0, 0, 0)
    assert send(signal, raw, PROTOBUF) == send(signal, text, JSON) == 200


@pytest.mark.parametrize("signal", list(DOCUMENTS))
def test_any_one_broken_field_is_survived(send: Any, signal: str) -> None:
    for n, path in enumerate(paths(DOCUMENTS[signal])):
        for value in BROKEN[n % 3 :: 3]:
            body = json.dumps(changed(DOCUMENTS[signal], path, value)).encode()
            # An unpaired surrogate is no JSON; anything else is, and is answered in detail.
            assert send(signal, body, JSON) == (400 if value == "\ud800" else 200)


@RELAXED
@given(data=st.data(), signal=st.sampled_from(list(DOCUMENTS)))
def test_changed_bytes_of_a_protobuf_are_survived(send: Any, data: st.DataObject, signal: str) -> None:
    raw = otlp.protobuf(signal, DOCUMENTS[signal])
    at = data.draw(st.integers(0, len(raw)))
    send(signal, raw[:at] + data.draw(st.binary(max_size=3)) + raw[at + 1 :], PROTOBUF)


@RELAXED
@given(body=st.binary(max_size=200), signal=st.sampled_from(list(DOCUMENTS)))
def test_any_bytes_are_survived(send: Any, body: bytes, signal: str) -> None:
    send(signal, body, PROTOBUF)
    send(signal, body, JSON)


@RELAXED
@given(body=st.binary(max_size=200))
def test_looking_for_protobuf_in_any_bytes_ends(body: bytes) -> None:
    assert _protobuf_wire.sniff_signal(body) in ("", "traces", "logs", "metrics")
    assert _protobuf_wire.sniff_signal(b"\x0a" + body) in ("", "traces", "logs", "metrics")


@RELAXED
@given(text=st.text(max_size=200))
def test_no_text_is_taken_for_protobuf(text: str) -> None:
    for line in (text, "\n" + text, "\n{" + text, '\n{"usage":' + text):
        assert _protobuf_wire.sniff_signal(line.encode("utf-8", "replace")) == ""
