"""OpenTelemetry as files: rules of the conventions that a golden file shows badly, and reading protobuf in pieces."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from ingest import formats
from ingest.core.errors import Reason, Rejection
from ingest.core.events import UsageEvent
from ingest.core.reported import ReportedUsage
from ingest.formats import ParseContext
from tests.support import otlp

CONTEXT = ParseContext(datetime(2026, 3, 2, tzinfo=UTC))
WIRE = Path(__file__).parent.parent / "wire" / "otlp"


def parse(body: bytes, name: str = "otlp") -> list[formats.Item]:
    return list(formats.get(name).parse(BytesIO(body), CONTEXT))


def traces(*rows: dict[str, Any]) -> bytes:
    return json.dumps(otlp.document("traces", list(rows))).encode()


def one(row: dict[str, Any]) -> UsageEvent:
    (item,) = parse(traces(row))
    assert isinstance(item, UsageEvent), item
    return item


def refused(row: dict[str, Any]) -> Rejection:
    (item,) = parse(traces(row))
    assert isinstance(item, Rejection), item
    return item


def counts(
    given: int, output: int, read: int = 0, written: int = 0, total: int | None = None, **pairs: Any
) -> dict[str, Any]:
    return otlp.chat(
        gen_ai__usage__input_tokens=given,
        gen_ai__usage__output_tokens=output,
        gen_ai__usage__cache_read__input_tokens=read,
        gen_ai__usage__cache_creation__input_tokens=written,
        gen_ai__usage__total_tokens=total,
        **pairs,
    )


# --------------------------------------------------------------------------------------- inside or beside the input


@pytest.mark.parametrize(
    ("row", "uncached"),
    [
        (counts(1754, 561, written=1733), 21),  # the conventions: inside
        (counts(10, 39, 17_536, 8257), 10),  # too small to hold them: beside
        (counts(1000, 50, 400, total=1050), 600),  # the total says inside
        (counts(1000, 50, 400, total=1450), 1000),  # the total says beside
        (counts(1000, 50, 400, breakeven__cached_input="excluded"), 1000),
        (counts(1000, 50, 400, total=1050, breakeven__cached_input="excluded"), 1000),
        (counts(1000, 50, 400, breakeven__cached_input="nonsense"), 600),
    ],
)
def test_cached_tokens_are_found_inside_the_input_or_beside_it(row: dict[str, Any], uncached: int) -> None:
    assert one(row).uncached_input_tokens == uncached


def test_a_service_can_declare_its_convention_for_all_its_spans() -> None:
    resource = {"attributes": otlp.attributes({"breakeven.cached_input": "excluded"})}
    content = otlp.document("traces", [counts(1000, 50, 400)])
    content["resourceSpans"][0]["resource"] = resource
    (event,) = parse(json.dumps(content).encode())
    assert isinstance(event, UsageEvent) and event.uncached_input_tokens == 1000


@pytest.mark.parametrize(
    ("row", "field", "numbers"),
    [
        (counts(10, 1, 12, gen_ai__response__model="gpt-4.1"), "gen_ai.usage.input_tokens", ("10", "12")),
        (counts(10, 5, total=14), "gen_ai.usage.total_tokens", ("14", "15")),
        (counts(10, 5, total=99), "gen_ai.usage.total_tokens", ("99", "15")),
        (counts(1000, 50, 400, total=1200), "gen_ai.usage.total_tokens", ("1200", "1050")),
        (counts(10, 1, 12, breakeven__cached_input="included"), "gen_ai.usage.input_tokens", ("10", "12")),
        (counts(10, 1, total=11, gen_ai__usage__reasoning__output_tokens=2),
         "gen_ai.usage.output_tokens", ("2", "1")),
    ],
)  # fmt: skip
def test_counts_that_cannot_be_true_are_refused_with_both_numbers(
    row: dict[str, Any], field: str, numbers: tuple[str, str]
) -> None:
    rejection = refused(row)
    assert (rejection.reason, rejection.field) == (Reason.CONTRADICTORY_COUNTS, field)
    assert all(number in rejection.detail for number in numbers)
    assert rejection.event_id == "msg_1"


def test_a_kind_of_openinference_tells_a_call_whose_counts_have_the_names_of_the_conventions() -> None:
    pairs = {
        "gen_ai.request.model": "gpt-4.1",
        "gen_ai.usage.input_tokens": 9,
        "gen_ai.usage.output_tokens": 2,
    }
    event = one(otlp.span("llm", {**pairs, "openinference.span.kind": "LLM"}))
    assert (event.uncached_input_tokens, event.output_tokens) == (9, 2)
    assert parse(traces(otlp.span("chain", {**pairs, "openinference.span.kind": "CHAIN"}))) == []
    assert refused(otlp.span("nameless", pairs)).reason is Reason.UNATTRIBUTABLE


def test_thinking_that_is_counted_beside_the_answer_becomes_output() -> None:
    event = one(counts(32, 103, total=855, gen_ai__usage__reasoning__output_tokens=720))
    assert (event.output_tokens, event.thinking_tokens) == (823, 720)


@pytest.mark.parametrize("written", ["7", 7, 7.0])
def test_a_count_may_be_written_as_text_or_as_a_whole_decimal_number(written: Any) -> None:
    assert one(otlp.chat(gen_ai__usage__output_tokens=written)).output_tokens == 7


@pytest.mark.parametrize("written", ["7.5", 7.5, "seven", True, [7], "9" * 40, float("1e300")])
def test_a_count_that_is_no_whole_number_is_refused(written: Any) -> None:
    assert refused(otlp.chat(gen_ai__usage__output_tokens=written)).reason in (
        Reason.INVALID_TYPE,
        Reason.COUNT_TOO_LARGE,
    )


# ----------------------------------------------------------------------------------------- what a span says beside


@pytest.mark.parametrize(
    ("pairs", "provider", "platform"),
    [
        ({"gen_ai__provider__name": "anthropic"}, "anthropic", ""),
        ({"gen_ai__provider__name": None, "gen_ai__system": "OpenAI"}, "openai", ""),
        ({"gen_ai__provider__name": "aws.bedrock"}, "", "bedrock"),
        ({"gen_ai__provider__name": "AWS"}, "", "bedrock"),
        ({"gen_ai__provider__name": "gcp.vertex_ai"}, "", "vertex"),
        ({"gen_ai__provider__name": "azure.ai.openai"}, "", "azure"),
        ({"gen_ai__provider__name": "anthropic.messages"}, "anthropic", ""),
        ({"gen_ai__provider__name": "Langchain"}, "", ""),
        ({"server__address": "openrouter.ai"}, "anthropic", "openrouter"),
        ({"server__address": "bedrock-runtime.us-east-1.amazonaws.com"}, "anthropic", "bedrock"),
        ({"server__address": "us-east5-aiplatform.googleapis.com"}, "anthropic", "vertex"),
        ({"response_id": "msg_vrtx_1"}, "anthropic", "vertex"),
    ],
)
def test_who_made_and_who_served_the_model(pairs: dict[str, Any], provider: str, platform: str) -> None:
    event = one(otlp.chat(**pairs))
    assert (event.provider, event.platform) == (provider, platform)


def test_a_requested_profile_says_where_the_call_was_routed() -> None:
    event = one(otlp.chat(gen_ai__request__model="eu.anthropic.claude-sonnet-4-6"))
    assert (event.model, event.platform, event.routing) == ("claude-sonnet-4-6", "bedrock", "regional")


def test_machines_and_processes_are_no_tags_and_too_many_tags_are_cut() -> None:
    content = otlp.document("traces", [otlp.chat()])
    technical = {
        "host.name": "h",
        "process.pid": 1,
        "os.type": "linux",
        "telemetry.sdk.name": "x",
        "k8s.pod.uid": "u",
    }
    own = {
        "team": "search",
        "n": 5,
        "on": True,
        "long": "x" * 999,
        "bad\0": "x",
        "worse": "x\0",
        "k" * 65: "x",
    }
    content["resourceSpans"][0]["resource"] = {"attributes": otlp.attributes({**technical, **own})}
    (event,) = parse(json.dumps(content).encode())
    assert isinstance(event, UsageEvent)
    tags = dict(event.tags)
    assert set(tags) == {"team", "n", "on", "long"}
    assert (tags["n"], tags["on"], len(tags["long"])) == ("5", "true", 256)
    many = {f"tag{n}": "v" for n in range(90)}
    content["resourceSpans"][0]["resource"] = {"attributes": otlp.attributes(many)}
    (event,) = parse(json.dumps(content).encode())
    assert isinstance(event, UsageEvent) and len(event.tags) == 32


def test_a_time_is_exact_to_the_microsecond_and_one_that_cannot_be_is_refused() -> None:
    row = otlp.chat() | {
        "startTimeUnixNano": 1_785_048_574_796_123_456,
        "endTimeUnixNano": "1785048576568999999",
    }
    event = one(row)
    assert event.occurred_at == datetime(2026, 7, 26, 6, 49, 36, 568_999, tzinfo=UTC)
    assert event.latency_ms == 1772
    for nanos in ("1", str(2**63), -5, 10**19):
        assert refused(otlp.chat() | {"endTimeUnixNano": nanos}).reason is Reason.INVALID_TIME
    assert refused(otlp.chat() | {"endTimeUnixNano": "soon"}).reason is Reason.INVALID_TYPE


def test_a_span_without_any_identity_or_time_cannot_be_counted_once() -> None:
    row = otlp.chat(gen_ai__response__id=None) | {"traceId": "", "endTimeUnixNano": 0, "startTimeUnixNano": 0}
    assert refused(row).reason is Reason.UNATTRIBUTABLE
    assert refused(otlp.chat(gen_ai__response__model=None)).field == "gen_ai.response.model"


def test_the_same_flat_map_has_the_same_identity_however_it_is_written() -> None:
    span = {"openinference.span.kind": "LLM", "llm.model_name": "gpt-4.1", "input.value": "one"}
    span |= {"llm.token_count.prompt": 5, "llm.token_count.completion": 2}  # type: ignore[dict-item]
    other = {**span, "input.value": "two"}
    written = [json.dumps(span), json.dumps(span, indent=2), json.dumps(dict(reversed(span.items())))]
    events = [parse(text.encode(), "otel_span")[0] for text in [*written, json.dumps(other)]]
    ids = [event.id for event in events if isinstance(event, UsageEvent)]
    assert len(ids) == 4 and len(set(ids[:3])) == 1 and ids[3] != ids[0]


# -------------------------------------------------------------------------------------------------------- documents


def test_snake_case_and_the_names_of_the_first_version_are_read() -> None:
    text = traces(otlp.chat()).decode()
    snake = text.replace("resourceSpans", "resource_spans").replace("scopeSpans", "scope_spans")
    snake = snake.replace("traceId", "trace_id").replace("endTimeUnixNano", "end_time_unix_nano")
    snake = snake.replace("intValue", "int_value").replace("stringValue", "string_value")
    old = text.replace("scopeSpans", "instrumentationLibrarySpans").replace(
        '"scope"', '"instrumentationLibrary"'
    )
    whole = parse(text.encode())
    assert len(whole) == 1
    for variant in (snake, old):
        found = formats.detect(variant.encode())
        assert found is not None and found.name == "otlp"
        (event,) = parse(variant.encode())
        assert isinstance(event, UsageEvent) and (event.id, event.output_tokens) == ("msg_1", 10)


def test_lines_of_a_collector_are_numbered_and_a_single_document_by_record() -> None:
    bad = otlp.chat(gen_ai__usage__output_tokens=-1)
    lines = [
        traces(otlp.chat("a")),
        b"{broken",
        traces(otlp.chat("b"), bad),
        b'{"a":1}',
        traces(otlp.chat("c")),
    ]
    items = parse(b"\n".join(lines))
    assert [item.id for item in items if isinstance(item, UsageEvent)] == ["a", "b", "c"]
    assert [(item.index, item.reason) for item in items if isinstance(item, Rejection)] == [
        (1, Reason.INVALID_JSON),
        (2, Reason.NEGATIVE_COUNT),
        (3, Reason.UNKNOWN_FORMAT),
    ]
    (rejection,) = (item for item in parse(traces(otlp.chat(), bad)) if isinstance(item, Rejection))
    assert rejection.index == 1


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"resourceSpans": 1}, "resourceSpans"),
        ({"resourceSpans": [1]}, "resourceSpans"),
        ({"resourceSpans": [{"scopeSpans": {}}]}, "resourceSpans[].scopeSpans"),
        ({"resourceSpans": [{"scopeSpans": [{"spans": "x"}]}]}, "scopeSpans[].spans"),
        (
            {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"sum": {"dataPoints": 4}}]}]}]},
            "metrics[].dataPoints",
        ),
    ],
)
def test_a_part_of_the_wrong_type_is_refused_where_it_stands(content: Any, field: str) -> None:
    (item,) = parse(json.dumps(content).encode())
    assert isinstance(item, Rejection)
    assert (item.reason, item.field) == (Reason.INVALID_TYPE, field)


def several(number: int) -> bytes:
    """A protobuf of several resources, as a collector batches them: export requests can be joined."""
    return b"".join(
        otlp.protobuf("traces", otlp.document("traces", [otlp.chat(f"m{n}")], service_name=f"s{n}"))
        for n in range(number)
    )


def test_a_protobuf_gives_the_same_events_as_its_json() -> None:
    for signal, rows in {
        "traces": [
            otlp.chat("a"),
            otlp.span("GET /", {}, 2),
            otlp.chat("b", 3, gen_ai__usage__output_tokens=-1),
        ],
        "logs": [otlp.log({"model": "m", "input_tokens": 3, "request_id": "r"}, "claude_code.api_request")],
        "metrics": [otlp.total("claude_code.token.usage", [(4.0, {"type": "output"})], 2)],
    }.items():
        content = otlp.document(signal, rows, service_name="shop")
        raw = otlp.protobuf(signal, content)
        found = formats.detect(raw)
        assert found is not None and found.name == "otlp", signal
        items = parse(raw)
        assert items and items == parse(json.dumps(content).encode()), signal


def test_a_protobuf_that_breaks_keeps_what_came_before() -> None:
    body = several(5)
    assert [item.id for item in parse(body) if isinstance(item, UsageEvent)] == [f"m{n}" for n in range(5)]
    cut = parse(body[:-10])
    assert [item.id for item in cut if isinstance(item, UsageEvent)] == [f"m{n}" for n in range(4)]
    assert isinstance(cut[-1], Rejection) and cut[-1].reason is Reason.TRUNCATED
    wrong = bytearray(several(3))
    wrong[len(several(1))] = 0x12  # the second entry claims to be another field
    items = parse(bytes(wrong))
    assert [type(item) for item in items] == [UsageEvent, Rejection]


def test_an_empty_resource_is_no_fault() -> None:
    empty = otlp.protobuf("traces", otlp.document("traces", [], service_name="idle"))
    assert parse(empty + several(1)) == parse(several(1))


@pytest.mark.parametrize(
    "head",
    [
        b"\n\n\n",
        b'\n{"type":"message","usage":{"input_tokens":1}}',
        b"\n  hello\n",
        b"\x0a\x02\x08\x01",
        gzip.compress(several(1), mtime=0),
        b"\x0a\x0bhello world\x12\x03abc",
        otlp.protobuf("traces", otlp.document("traces", [], service_name="idle")),
    ],
)
def test_other_bytes_are_not_taken_for_telemetry(head: bytes) -> None:
    found = formats.detect(head)
    assert found is None or found.name != "otlp"


def test_counters_keep_sessions_apart_and_day_their_start() -> None:
    pairs = {"type": "input", "model": "claude-sonnet-4-6", "speed": "normal"}
    points = [(5.0, {**pairs, "session.id": "a"}), (6.0, {**pairs, "session.id": "b"})]
    metric = otlp.total("claude_code.token.usage", points, 2)
    first, second = parse(json.dumps(otlp.document("metrics", [metric])).encode())
    assert isinstance(first, ReportedUsage) and isinstance(second, ReportedUsage)
    assert first.dimensions != second.dimensions and first.speed == ""
    assert (first.start, first.end) == (otlp.T0, datetime(2026, 3, 3, tzinfo=UTC))
    assert first.refreshed_at == datetime(2026, 3, 2, 10, 1, tzinfo=UTC)


def test_protobuf_classes_are_not_loaded_before_they_are_needed() -> None:
    code = (
        "import sys; from ingest import formats; formats.detect(b'{}');"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'google.protobuf'))])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
