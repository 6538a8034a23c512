"""Sums that cannot be true are refused with both numbers, in every format that has such sums; nothing is clamped."""

from __future__ import annotations

import contextlib
import copy
import json
import re
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from ingest import formats
from ingest.core.errors import Reason, Rejection
from ingest.core.events import FLAG_OUTPUT_INCOMPLETE, UsageEvent
from ingest.formats import BadBody, ParseContext

WIRE = Path(__file__).parent.parent / "wire"
CONTEXT = ParseContext(datetime(2026, 3, 2, tzinfo=UTC))
T = "2026-04-02T08:00:00Z"
# Counts of the golden files by their names; ids, codes and durations have others.
COUNT_NAME = re.compile(
    r"tokens$|token_?count$|_units$|requests$|^(input|output|total|cache_read_.*)$", re.IGNORECASE
)

Json = dict[str, Any]


def parse(name: str, body: bytes) -> list[formats.Item]:
    try:
        return list(formats.get(name).parse(BytesIO(body), CONTEXT))
    except BadBody:
        return []


def chat(prompt: int, completion: int, **more: Any) -> Json:
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, **more}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1775116800,
        "model": "gpt-5.4",
        "usage": usage,
    }


def cached(count: int) -> Json:
    return {"prompt_tokens_details": {"cached_tokens": count}}


def cached_input(count: int) -> Json:
    return {"input_tokens_details": {"cached_tokens": count}}


def gemini(**counts: int) -> Json:
    return {"responseId": "r", "createTime": T, "modelVersion": "gemini-2.5-flash", "usageMetadata": counts}


def spans(attributes: Json) -> Json:
    pairs = [
        {"key": k, "value": {"intValue": v} if isinstance(v, int) else {"stringValue": v}}
        for k, v in attributes.items()
    ]
    span = {
        "traceId": "0" * 31 + "1",
        "spanId": "0" * 15 + "1",
        "name": "chat",
        "endTimeUnixNano": "1775116800000000000",
    }
    return {"resourceSpans": [{"scopeSpans": [{"spans": [{**span, "attributes": pairs}]}]}]}


def genai(given: int, output: int, **more: int) -> Json:
    counts = {"input_tokens": given, "output_tokens": output, **more}
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5.4",
        "gen_ai.response.id": "chatcmpl-1",
    } | {f"gen_ai.usage.{name}": count for name, count in counts.items()}


def codex(**usage: int) -> Json:
    payload = {"type": "token_count", "info": {"last_token_usage": usage}}
    return {"timestamp": T, "type": "event_msg", "payload": payload}


def converse(**usage: int) -> Json:
    return {
        "requestId": "r",
        "timestamp": T,
        "modelId": "anthropic.claude-sonnet-4-6",
        "stopReason": "end_turn",
        "usage": usage,
    }


def bedrock_log(**usage: int) -> Json:
    return {
        "schemaType": "ModelInvocationLog",
        "timestamp": T,
        "requestId": "r",
        "operation": "Converse",
        "modelId": "anthropic.claude-sonnet-4-6",
        "output": {"outputBodyJson": {"usage": usage}},
    }


def event(**usage: Any) -> Json:
    return {"id": "e", "occurred_at": T, "model": "gpt-5.4", "usage": usage}


def litellm(prompt: int, completion: int, **more: Any) -> Json:
    row = {"request_id": "r", "call_type": "acompletion", "spend": 1.0, "startTime": T, "model": "gpt-5.4"}
    return {**row, "prompt_tokens": prompt, "completion_tokens": completion, **more}


def langfuse(**details: int) -> Json:
    return {
        "id": "o",
        "traceId": "t",
        "type": "GENERATION",
        "startTime": T,
        "model": "gpt-5.4",
        "usageDetails": details,
    }


def helicone(**counts: int) -> Json:
    return {
        "request_id": "h",
        "request_created_at": T,
        "response_status": 200,
        "request_model": "gpt-5.4",
        "provider": "OPENAI",
        **counts,
    }


def portkey(**units: int) -> Json:
    return {"id": "row", "created_at": T, "ai_org": "openai", "ai_model": "gpt-4.1", **units}


def openmeter(**data: int) -> Json:
    return {
        "specversion": "1.0",
        "id": "c",
        "source": "//gw",
        "type": "llm",
        "time": T,
        "data": {"model": "gpt-5.4", **data},
    }


def usage_page(**counts: int) -> Json:
    bucket = {"object": "bucket", "start_time": 1772409600, "end_time": 1772496000}
    result = {"object": "organization.usage.completions.result", "model": "gpt-5.4", **counts}
    return {"object": "page", "data": [{**bucket, "results": [result]}]}


def responses(**usage: Any) -> Json:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1775116800,
        "model": "gpt-5.4",
        "usage": usage,
    }


HEADER = "Date,Model,Prompt Tokens,Completion Tokens,Cached Tokens,Total Tokens"


def table(*counts: int) -> str:
    return f"{HEADER}\n{T},gpt-5.4,{','.join(map(str, counts))}\n"


def batch(body: Json) -> Json:
    return {"id": "b", "custom_id": "c", "response": {"status_code": 200, "body": body}}


def chunk(body: Json) -> str:
    return "data: " + json.dumps({**body, "object": "chat.completion.chunk", "choices": []})


CONTRADICTIONS: list[tuple[str, Json | str, str, str]] = [
    ("events", event(prompt_tokens=10, completion_tokens=1, **cached(12)), "10", "12"),
    ("events", event(input_tokens=10, output_tokens=5, total_tokens=16), "16", "15"),
    ("openai_chat", chat(10, 1, **cached(12)), "10", "12"),
    ("openai_chat", chat(10, 5, total_tokens=14), "14", "15"),
    ("openai_responses", responses(input_tokens=10, output_tokens=5, **cached_input(12)), "10", "12"),
    ("openai_responses", responses(input_tokens=10, output_tokens=5, total_tokens=16), "16", "15"),
    ("openai_sse", chunk(chat(10, 1, **cached(12))), "10", "12"),
    ("openai_batch", batch(chat(10, 5, total_tokens=14)), "14", "15"),
    ("openai_usage", usage_page(input_tokens=10, output_tokens=1, input_cached_tokens=12), "10", "12"),
    ("openai_usage", usage_page(input_tokens=10, input_cached_tokens=2, input_uncached_tokens=9), "10", "11"),
    ("gemini", gemini(promptTokenCount=10, candidatesTokenCount=1, cachedContentTokenCount=12), "10", "12"),
    ("gemini", gemini(promptTokenCount=10, candidatesTokenCount=5, totalTokenCount=16), "16", "15"),
    ("bedrock_converse", converse(inputTokens=10, outputTokens=5, totalTokens=16), "16", "15"),
    ("bedrock_converse", converse(inputTokens=10, outputTokens=5, totalTokens=15, cacheReadInputTokens=12), "10", "12"),
    ("bedrock_log", bedrock_log(inputTokens=10, outputTokens=5, totalTokens=16), "16", "15"),
    ("litellm", litellm(10, 5, total_tokens=14), "14", "15"),
    ("litellm", litellm(10, 5, metadata={"usage_object": {"prompt_tokens": 11}}), "10", "11"),
    ("langfuse", langfuse(input=10, output=5, total=14), "14", "15"),
    ("helicone", helicone(prompt_tokens=10, completion_tokens=5, total_tokens=16), "16", "15"),
    ("portkey", portkey(req_units=10, res_units=5, total_units=14), "14", "15"),
    ("openmeter", openmeter(prompt_tokens=10, completion_tokens=5, total_tokens=14), "14", "15"),
    ("codex", codex(input_tokens=10, cached_input_tokens=12, output_tokens=1), "10", "12"),
    ("codex", codex(input_tokens=10, output_tokens=5, total_tokens=16), "16", "15"),
    ("otel_span", genai(10, 1, cache_read_input_tokens=12), "10", "12"),
    ("otel_span", genai(10, 5, total_tokens=16), "16", "15"),
    ("otlp", spans(genai(10, 1, cache_read_input_tokens=12)), "10", "12"),
    ("otlp", spans(genai(10, 5, total_tokens=16)), "16", "15"),
    ("csv_rows", table(10, 5, 0, 16), "16", "15"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "body", "one", "other"), CONTRADICTIONS, ids=lambda value: str(value)[:40])
def test_counts_that_contradict_each_other_are_refused_with_both_numbers(
    name: str, body: Json | str, one: str, other: str
) -> None:
    items = parse(name, (body if isinstance(body, str) else json.dumps(body)).encode())
    assert [(type(item), getattr(item, "reason", "")) for item in items] == [
        (Rejection, Reason.CONTRADICTORY_COUNTS)
    ], items
    assert {one, other} <= set(re.findall(r"\d+", getattr(items[0], "detail", "")))


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("openai_chat", chat(10, 5, total_tokens=16)),
        ("litellm", litellm(10, 5, total_tokens=16)),
        ("langfuse", langfuse(input=10, output=5, total=16)),
        ("portkey", portkey(req_units=10, res_units=5, total_units=16)),
        ("openmeter", openmeter(prompt_tokens=10, completion_tokens=5, total_tokens=16)),
    ],
)  # a model behind a gateway may think without saying how much: the total is then the only trace of it
def test_a_total_that_holds_more_than_a_gateway_names_is_flagged_and_nothing_is_guessed(
    name: str, body: Json
) -> None:
    (found,) = parse(name, json.dumps(body).encode())
    assert isinstance(found, UsageEvent)
    assert (found.uncached_input_tokens, found.output_tokens) == (10, 5)
    assert found.flags & FLAG_OUTPUT_INCOMPLETE


# Negative counts -----------------------------------------------------------------------------------------------------


def counts_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of all counts in a JSON value."""
    if isinstance(value, dict):
        return [found for key, inner in value.items() for found in counts_in(inner, (*path, key))]
    if isinstance(value, list):
        return [found for n, inner in enumerate(value) for found in counts_in(inner, (*path, n))]
    number = type(value) is int or (isinstance(value, str) and value.isdigit())
    return [path] if path and number and COUNT_NAME.search(str(path[-1])) else []


def negated(document: Any, path: tuple[Any, ...]) -> Any:
    """The document with -7 in one place, as text where it was text."""
    document = copy.deepcopy(document)
    holder = document
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = "-7" if isinstance(holder[path[-1]], str) else -7
    return document


def documents(name: str) -> list[Any]:
    """The JSON values of a format's golden files, whatever their framing."""
    found: list[Any] = []
    for path in sorted((WIRE / name).iterdir()):
        if path.name.endswith(".expected.json") or path.suffix not in (".json", ".jsonl", ".sse", ".ndjson"):
            continue
        for text in (path.read_text(), *path.read_text().splitlines()):
            with contextlib.suppress(ValueError):
                found.append(json.loads(text.removeprefix("data:")))
                if text.count("\n") > 0:
                    break  # the whole file is one value
    return found


JSON_FORMATS = [name for name in sorted(formats.all_formats()) if any(counts_in(d) for d in documents(name))]


def test_every_format_that_is_json_with_counts_under_names_of_their_own_is_looked_through() -> None:
    others = {name for name in formats.all_formats() if name not in JSON_FORMATS}
    assert others == {
        "anthropic_cost_report",
        "csv_rows",
        "focus_cost",
        "openai_costs",
        "otlp",
        "parquet_rows",
    }


@pytest.mark.parametrize("name", JSON_FORMATS)
def test_a_negative_count_is_refused_with_its_number_wherever_it_is_read(name: str) -> None:
    opening = b"data: " if name.endswith("_sse") else b""
    refused = 0
    for document in documents(name):
        before = repr(parse(name, opening + json.dumps(document).encode()))
        for path in counts_in(document):
            items = parse(name, opening + json.dumps(negated(document, path)).encode())
            told = any(isinstance(item, Rejection) and "-7" in item.detail for item in items)
            assert told or repr(items) == before, path  # else nobody read it
            refused += told
    assert refused


@pytest.mark.parametrize("column", [0, 1, 2, 3])
def test_a_negative_cell_is_refused_with_its_number(column: int) -> None:
    cells = [100, 5, 0, 105]
    cells[column] = -7
    (item,) = parse("csv_rows", table(*cells).encode())
    assert isinstance(item, Rejection) and item.reason is Reason.NEGATIVE_COUNT and "-7" in item.detail


@pytest.mark.parametrize("counts", [(-7, 5), (10, -7)])
def test_a_negative_attribute_of_a_span_is_refused_with_its_number(counts: tuple[int, int]) -> None:
    (item,) = parse("otlp", json.dumps(spans(genai(*counts))).encode())
    assert isinstance(item, Rejection) and item.reason is Reason.NEGATIVE_COUNT and "-7" in item.detail
