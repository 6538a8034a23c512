"""Real logs beside the checkout import to exactly the expected meters. Skipped where there are none."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from ingest import formats
from ingest.core.events import FLAG_OUTPUT_INCOMPLETE, UsageEvent
from ingest.core.meters import read_usage
from ingest.core.model_ids import clean, take_apart
from ingest.formats import ParseContext

SAMPLES = Path(__file__).parents[3] / "shared" / "samples"
INDEX = SAMPLES / "EXPECTED.json"
pytestmark = pytest.mark.skipif(not INDEX.is_file(), reason="the sample logs are not beside this checkout")

OURS = {
    "cloudevents": "openmeter",
    "codex_rollout": "codex",
    "helicone_export": "helicone",
    "langfuse_ingestion_batch": "langfuse",
    "langfuse_trace": "langfuse",
    "litellm_spend_log": "litellm",
    "litellm_standard_logging_payload": "litellm",
    "openinference_span_attributes": "otel_span",
    "otel_genai_span_attributes": "otel_span",
    "otlp_metrics": "otlp",
    "otlp_traces": "otlp",
    "otlp_traces_claude_code": "otlp",
    "gemini_generate_content": "gemini",
    "openai_chat_completion": "openai_chat",
    "openai_chat_sse": "openai_sse",
    "openai_response": "openai_responses",
    "anthropic_message": "anthropic_messages",
    "anthropic_sse": "anthropic_sse",
    "claude_code_transcript": "claude_code",
    "claude_code_transcript_legacy_flat": "claude_code",
}
INPUTS = (
    "uncached_input_tokens",
    "cache_read_input_tokens",
    "cache_write_5m_input_tokens",
    "cache_write_1h_input_tokens",
)
METERS = (*INPUTS, "output_tokens", "web_search_requests")
EXPECTED: dict[str, Any] = json.loads(INDEX.read_text()) if INDEX.is_file() else {}
FILES = [name for name, want in EXPECTED.items() if want["format"] in OURS and (SAMPLES / name).is_file()]


def counted_once(name: str) -> dict[str, dict[str, Any]]:
    """What storage would hold: one row per id with the most complete counts, parts folded into their call."""
    body = (SAMPLES / name).read_bytes()
    body = gzip.decompress(body) if name.endswith(".gz") else body
    found = formats.detect(body[: formats.HEAD_BYTES])
    assert found is not None and found.name == OURS[EXPECTED[name]["format"]]
    rows: dict[str, dict[str, Any]] = {}
    for item in found.parse(BytesIO(body), ParseContext(datetime(2026, 1, 1, tzinfo=UTC), name)):
        if isinstance(item, UsageEvent):
            new = {key: getattr(item, key) for key in METERS} | {
                "model": item.model,
                "flags": item.flags,
                "occurred_at": item.occurred_at,
            }
            new |= {"request_id": item.request_id, "session": item.session_id}
            old = rows.get(item.id, new)
            rows[item.id] = old | {key: max(old[key], new[key]) for key in METERS}
    calls: dict[str, dict[str, Any]] = {}
    for key, row in rows.items():
        call = calls.setdefault(key.partition("#")[0], row | dict.fromkeys(METERS, 0))
        calls[key.partition("#")[0]] = call | {meter: call[meter] + row[meter] for meter in METERS}
    return calls


@pytest.mark.parametrize("name", FILES)
def test_sample_file_has_exactly_the_expected_totals(name: str) -> None:
    calls, want = counted_once(name), EXPECTED[name]["totals"]
    got = {meter: sum(call[meter] for call in calls.values()) for meter in METERS} | {"events": len(calls)}
    got["cache_write_total_tokens"] = got["cache_write_5m_input_tokens"] + got["cache_write_1h_input_tokens"]
    assert {key: got[key] for key in want} == want


@pytest.mark.parametrize("name", [name for name in FILES if EXPECTED[name]["events"]])
def test_sample_file_has_exactly_the_expected_calls(name: str) -> None:
    calls = counted_once(name)
    for want in EXPECTED[name]["events"]:
        call = (
            calls[want["event_id"]]
            if "event_id" in want
            else next(c for c in calls.values() if all(c[key] == want[key] for key in METERS if key in want))
        )
        named = {
            key: want[key] for key in (*METERS, "model", "request_id", "session") if want.get(key) is not None
        }
        if call["model"] != named.get("model"):  # written with its platform and version around it
            call["model"] = clean(take_apart(call["model"]).name)
        assert {key: call[key] for key in named} == named
        if "occurred_at" in want:
            assert call["occurred_at"] == datetime.fromisoformat(want["occurred_at"])


def test_a_placeholder_output_is_flagged_where_the_answer_was_long() -> None:
    (name,) = (name for name in FILES if "acompact" in name)
    (call,) = counted_once(name).values()
    assert call["flags"] & FLAG_OUTPUT_INCOMPLETE


@pytest.mark.parametrize("family", ["anthropic", "openai_chat_family"])
def test_every_recorded_usage_body_is_metered_as_expected(family: str) -> None:
    bodies = (SAMPLES / "usage_bodies" / f"{family}.jsonl").read_text().splitlines()
    wanted = (SAMPLES / "usage_bodies" / f"{family}.expected.jsonl").read_text().splitlines()
    for number, (body, want) in enumerate(zip(map(json.loads, bodies), map(json.loads, wanted), strict=True)):
        metered = read_usage(body["usage"], body["model"])
        got = {key: getattr(metered.main, key) for key in (*INPUTS, "output_tokens")}
        got["cache_write_total_tokens"] = (
            got["cache_write_5m_input_tokens"] + got["cache_write_1h_input_tokens"]
        )
        got |= {
            key: getattr(metered, key)
            for key in ("thinking_tokens", "web_search_requests", "service_tier", "inference_geo")
        }
        assert metered.extra == [], number
        compared = [key for key in want if key in got]
        assert len(compared) >= 4
        assert {key: got[key] for key in compared} == {key: want[key] for key in compared}, number
