"""The same call seen by several sources: transcript, log event, span, response body. It counts once, in any order."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest

from ingest import formats
from ingest.accept import accept
from ingest.formats import ParseContext
from tests.support import otlp
from tests.support.tables import event_count, rows

pytestmark = pytest.mark.django_db
CONTEXT = ParseContext(datetime(2026, 3, 2, tzinfo=UTC), "project/s-1.jsonl")
COUNTS = {"input_tokens": 10, "cache_read_tokens": 17_536, "cache_creation_tokens": 8257}


def transcript(output: int, stop_reason: str | None) -> bytes:
    """Two lines of one answer, with the time to live of its cache writes and its two ids."""
    usage = {
        "input_tokens": 10,
        "output_tokens": output,
        "cache_read_input_tokens": 17_536,
        "cache_creation_input_tokens": 8257,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 8257},
    }
    line = {
        "type": "assistant",
        "sessionId": "s-1",
        "requestId": "req_1",
        "uuid": "u-1",
        "timestamp": "2026-03-02T10:00:00Z",
        "message": {
            "id": "msg_1",
            "model": "claude-haiku-4-5-20251001",
            "role": "assistant",
            "stop_reason": stop_reason,
            "usage": usage,
            "content": [],
        },
    }
    return (json.dumps(line) + "\n").encode() * 2


def event(output: int) -> bytes:
    pairs: dict[str, Any] = {
        "event.name": "api_request",
        "session.id": "s-1",
        "model": "claude-haiku-4-5-20251001",
        "request_id": "req_1",
        "output_tokens": output,
        **COUNTS,
    }
    record = otlp.log(pairs, "claude_code.api_request")
    return json.dumps(otlp.document("logs", [record], "com.anthropic.claude_code.events")).encode()


def request_span(output: int) -> bytes:
    pairs: dict[str, Any] = {
        "span.type": "llm_request",
        "session.id": "s-1",
        "model": "claude-haiku-4-5-20251001",
        "gen_ai.system": "anthropic",
        "gen_ai.response.id": "req_1",
        "output_tokens": output,
        "ttft_ms": 400,
        **COUNTS,
    }
    row = otlp.span("claude_code.llm_request", pairs)
    return json.dumps(otlp.document("traces", [row], "com.anthropic.claude_code.tracing")).encode()


def take(bodies: Sequence[bytes]) -> list[tuple[Any, ...]]:
    """What is stored after importing these bodies one after the other."""
    for body in bodies:
        found = formats.detect(body)
        assert found is not None
        accept(found.parse(BytesIO(body), CONTEXT), "laptop")
    return rows(
        "SELECT uncached_input_tokens, cache_read_input_tokens, cache_write_5m_input_tokens,"
        " cache_write_1h_input_tokens, output_tokens, flags & 2 FROM event"
    )


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
@pytest.mark.parametrize(
    ("in_transcript", "stop_reason"), [(39, "end_turn"), (1, None)], ids=["final", "placeholder"]
)
def test_transcript_event_and_span_of_one_call_count_once_in_any_order(
    order: tuple[int, ...], in_transcript: int, stop_reason: str | None
) -> None:
    bodies = [transcript(in_transcript, stop_reason), event(39), request_span(39)]
    stored = take([bodies[n] for n in order])
    # The output of the telemetry, which is final; the time to live of the transcript, which alone has it.
    assert stored == [(10, 17_536, 0, 8257, 39, 0)]
    assert event_count() == 1


def test_all_three_in_one_batch_count_once() -> None:
    bodies = [event(39), transcript(1, None), request_span(39)]
    items = [
        item
        for body in bodies
        for found in [formats.detect(body)]
        if found is not None
        for item in found.parse(BytesIO(body), CONTEXT)
    ]
    receipt = accept(items, "laptop")
    assert (receipt.stored, event_count()) == (1, 1)
    assert take([]) == [(10, 17_536, 0, 8257, 39, 0)]


@pytest.mark.parametrize("first", [0, 1])
def test_a_span_and_the_response_it_describes_count_once(first: int) -> None:
    usage = {
        "input_tokens": 21,
        "output_tokens": 561,
        "cache_creation_input_tokens": 1733,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 1733},
    }
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-6"}
    body = json.dumps({**message, "stop_reason": "end_turn", "usage": usage}).encode()
    pairs: dict[str, Any] = {
        "gen_ai__usage__input_tokens": 1754,
        "gen_ai__usage__output_tokens": 561,
        "gen_ai__usage__cache_read__input_tokens": None,
        "gen_ai__usage__cache_creation__input_tokens": 1733,
    }
    traced = json.dumps(otlp.document("traces", [otlp.chat("msg_1", **pairs)])).encode()
    both = [body, traced]
    assert take([both[first], both[1 - first]]) == [(21, 0, 0, 1733, 561, 0)]
    assert event_count() == 1


def test_a_log_record_without_response_id_belongs_to_its_span() -> None:
    pairs = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4.1",
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 2,
    }
    row = otlp.span("chat", pairs, 5)
    record = otlp.log(pairs, traceId=row["traceId"], spanId=row["spanId"].upper(), eventName="gen_ai.client")
    take([json.dumps(otlp.document("traces", [row])).encode()])
    assert take([json.dumps(otlp.document("logs", [record])).encode()]) == [(7, 0, 0, 0, 2, 0)]


@pytest.mark.parametrize("first", [0, 1])
def test_a_span_and_the_invocation_log_of_bedrock_count_once(first: int) -> None:
    traced = otlp.document("traces", [otlp.chat("msg_bdrk_1", aws__request_id="5d0f-9")])
    logged = {
        "schemaType": "ModelInvocationLog",
        "schemaVersion": "1.0",
        "timestamp": "2026-03-02T10:00:00Z",
        "region": "us-east-1",
        "requestId": "5d0f-9",
        "operation": "InvokeModel",
        "modelId": "us.anthropic.claude-sonnet-4-6",
        "input": {"inputTokenCount": 40, "cacheReadInputTokenCount": 60, "cacheWriteInputTokenCount": 0},
        "output": {"outputTokenCount": 10},
    }
    both = [json.dumps(traced).encode(), json.dumps(logged).encode()]
    assert take([both[first], both[1 - first]]) == [(40, 60, 0, 0, 10, 0)]
    assert event_count() == 1
