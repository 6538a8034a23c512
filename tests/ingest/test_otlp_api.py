"""POST /v1/traces, /v1/logs and /v1/metrics, as an exporter sees them."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from ingest.auth import create_key, revoke_key
from ingest.fill import fill_due
from ingest.models import ApiKey, Source
from tests.support import otlp
from tests.support.tables import event_count, ledger, rows

pytestmark = pytest.mark.django_db
JSON, PROTOBUF = "application/json", "application/x-protobuf"
GOOD = otlp.document("traces", [otlp.chat()], service_name="shop", team="search")
MIXED = otlp.document(
    "traces",
    [
        otlp.chat(),
        otlp.chat("msg_2", 2, gen_ai__usage__output_tokens=-3),
        otlp.chat("msg_3", 3, gen_ai__usage__output_tokens="PRIVATE"),
        otlp.chat("msg_4", 4, gen_ai__usage__output_tokens=-9),
        otlp.span("GET /", {"url.full": "PRIVATE"}, 5),
    ],
)


@pytest.fixture
def key() -> str:
    return create_key("exporter", "ingest")[1]


def post(
    client: Client, key: str, body: bytes, signal: str = "traces", content_type: str = JSON, **headers: str
) -> Any:
    # Named twice: the test client leaves the type of an empty body out.
    sent = {"Authorization": f"Bearer {key}", "Content-Type": content_type, **headers}
    return client.post(f"/v1/{signal}", body, content_type=content_type, headers=sent)


def encoded(content: Any, content_type: str, signal: str = "traces") -> bytes:
    return otlp.protobuf(signal, content) if content_type == PROTOBUF else json.dumps(content).encode()


def status_of(answer: Any) -> tuple[int, str]:
    """The google.rpc.Status in an answer's body, in either encoding: (code, message)."""
    raw = answer.content
    if answer["Content-Type"] == JSON:
        status = json.loads(raw)
        assert set(status) == {"code", "message"}
        return status["code"], status["message"]
    assert answer["Content-Type"] == PROTOBUF
    assert raw[0] == 0x08 and raw[2] == 0x12
    length, at = raw[3], 4
    if length > 0x7F:
        length, at = (length & 0x7F) | raw[4] << 7, 5
    assert len(raw) == at + length
    return raw[1], raw[at:].decode()


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("content_type", [JSON, PROTOBUF, "application/json; charset=utf-8"])
def test_a_span_is_stored_in_each_encoding(client: Client, key: str, content_type: str, zipped: bool) -> None:
    body = encoded(GOOD, content_type)
    headers = {"Content-Encoding": "gzip"} if zipped else {}
    answer = post(client, key, gzip.compress(body) if zipped else body, "traces", content_type, **headers)
    assert answer.status_code == 200
    assert answer["Content-Type"] == content_type.partition(";")[0]
    assert answer.content == (b"" if content_type == PROTOBUF else b"{}")
    assert rows(
        "SELECT uncached_input_tokens, cache_read_input_tokens, output_tokens, latency_ms FROM event"
    ) == [(40, 60, 10, 2000)]
    assert rows("SELECT tags->>'service.name', tags->>'team' FROM label_set") == [("shop", "search")]
    assert Source.objects.get().name == "exporter", (
        "the key's name is the source, the service's name is a tag"
    )


def test_the_same_span_in_every_encoding_counts_once(client: Client, key: str) -> None:
    for content_type in (JSON, PROTOBUF, JSON, PROTOBUF):
        assert post(client, key, encoded(GOOD, content_type), "traces", content_type).status_code == 200
    assert event_count() == 1
    assert ledger() == (4, 1, 0, 3, 0)


@pytest.mark.parametrize("content_type", [JSON, PROTOBUF])
def test_bad_spans_are_told_in_partial_success_without_their_content(
    client: Client, key: str, content_type: str
) -> None:
    answer = post(client, key, encoded(MIXED, content_type), "traces", content_type)
    assert answer.status_code == 200
    if content_type == PROTOBUF:
        partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
        rejected, message = partial.rejected_spans, partial.error_message
    else:
        content = answer.json()["partialSuccess"]
        rejected, message = int(content["rejectedSpans"]), content["errorMessage"]
    assert rejected == 3
    assert message.startswith(
        "negative_count at gen_ai.usage.output_tokens (2), invalid_type at gen_ai.usage"
    )
    assert "PRIVATE" not in message
    assert event_count() == 1
    assert ledger() == (4, 1, 0, 0, 3)


def test_each_signal_names_what_was_rejected_in_its_own_words(client: Client, key: str) -> None:
    bad_log = otlp.log({"model": "m", "input_tokens": -1, "request_id": "r"}, "claude_code.api_request")
    logs = otlp.document("logs", [bad_log])
    metrics = otlp.document("metrics", [otlp.total("claude_code.token.usage", [(1.5, {"type": "input"})])])
    answer = post(client, key, encoded(logs, JSON), "logs")
    assert answer.json()["partialSuccess"]["rejectedLogRecords"] == "1"
    answer = post(client, key, encoded(logs, PROTOBUF, "logs"), "logs", PROTOBUF)
    assert ExportLogsServiceResponse.FromString(answer.content).partial_success.rejected_log_records == 1
    answer = post(client, key, encoded(metrics, JSON), "metrics")
    assert answer.json()["partialSuccess"]["rejectedDataPoints"] == "1"
    answer = post(client, key, encoded(metrics, PROTOBUF, "metrics"), "metrics", PROTOBUF)
    assert ExportMetricsServiceResponse.FromString(answer.content).partial_success.rejected_data_points == 1


@pytest.mark.parametrize("signal", ["traces", "logs", "metrics"])
def test_telemetry_without_usage_is_taken_and_leaves_nothing(client: Client, key: str, signal: str) -> None:
    row = {
        "traces": otlp.span("GET /", {"http.request.method": "GET"}),
        "logs": otlp.log({"level": "info"}, "user logged in"),
        "metrics": otlp.total("http.server.requests", [(4.0, {})]),
    }[signal]
    for content in (otlp.document(signal, [row]), {}):
        answer = post(client, key, json.dumps(content).encode(), signal)
        assert (answer.status_code, answer.content) == (200, b"{}")
        body = encoded(content, PROTOBUF, signal) if content else b""
        answer = post(client, key, body, signal, PROTOBUF)
        assert (answer.status_code, answer.content) == (200, b"")
    assert ledger() == (0, 0, 0, 0, 0)


def test_another_signal_at_the_wrong_address_is_an_unknown_field(client: Client, key: str) -> None:
    assert post(client, key, json.dumps(GOOD).encode(), "logs").json() == {}
    assert event_count() == 0


@pytest.mark.parametrize(
    ("body", "content_type", "headers"),
    [
        (b"{", JSON, {}),
        (b"[]", JSON, {}),
        (b"\xff", JSON, {}),
        (b"[" * 5000, JSON, {}),
        (b"\x0a\xff", PROTOBUF, {}),
        (b"{}", PROTOBUF, {}),
        (b"no gzip", JSON, {"Content-Encoding": "gzip"}),
        (b"{}", JSON, {"Content-Encoding": "br"}),
        (b"", JSON, {}),
    ],
)
def test_a_body_that_cannot_be_decoded_is_400_in_the_encoding_of_the_request(
    client: Client, key: str, body: bytes, content_type: str, headers: dict[str, str]
) -> None:
    answer = post(client, key, body, "traces", content_type, **headers)
    code, message = status_of(answer)
    assert (answer.status_code, code) == (400, 3)
    assert message and answer["Content-Type"] == content_type


@pytest.mark.parametrize("content_type", [JSON, PROTOBUF])
def test_only_a_key_that_may_ingest_is_let_in(client: Client, content_type: str) -> None:
    gone, gone_secret = create_key("gone", "ingest")
    revoke_key(gone.pk)
    for secret in ("nope", gone_secret):
        answer = post(client, secret, b"", "traces", content_type)
        assert (answer.status_code, status_of(answer)[0]) == (401, 16)
        assert answer["WWW-Authenticate"] == "Bearer"
    reader = create_key("reader", ApiKey.Scope.READ)[1]
    answer = post(client, reader, b"", "traces", content_type)
    assert (answer.status_code, status_of(answer)[0]) == (403, 7)
    assert "ingest" in status_of(answer)[1]
    assert client.post("/v1/logs", b"{}", content_type=content_type).status_code == 401


def test_other_methods_types_and_sizes_are_refused_in_words(client: Client, key: str, settings: Any) -> None:
    answer = client.get("/v1/traces", headers={"Authorization": f"Bearer {key}"})
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    answer = post(client, key, b"x", "traces", "text/plain")
    assert answer.status_code == 415 and PROTOBUF in status_of(answer)[1]
    settings.INGEST_MAX_BODY_BYTES = 2048
    bomb = gzip.compress(b" " * 100_000)
    answer = post(client, key, bomb, "traces", JSON, **{"Content-Encoding": "gzip"})
    assert (answer.status_code, status_of(answer)[0]) == (413, 8)
    assert "2048" in status_of(answer)[1]


@pytest.mark.parametrize("where", ["ingest.otlp_api.accept", "ingest.auth.find_key"])
@pytest.mark.parametrize("content_type", [JSON, PROTOBUF])
def test_a_database_that_is_away_is_a_503_that_exporters_repeat(
    client: Client, key: str, monkeypatch: pytest.MonkeyPatch, where: str, content_type: str
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(where, fail)
    answer = post(client, key, encoded(GOOD, content_type), "traces", content_type)
    assert (answer.status_code, status_of(answer)[0]) == (503, 14)
    assert int(answer["Retry-After"]) > 0


def test_documents_go_through_the_log_call_as_well(client: Client, key: str) -> None:
    for name in ("otlp", "auto"):
        for body in (json.dumps(GOOD).encode(), encoded(GOOD, PROTOBUF)):
            answer = client.post(
                f"/api/v1/logs/{name}",
                body,
                content_type="application/octet-stream",
                headers={"Authorization": f"Bearer {key}"},
            )
            assert answer.status_code == 200, answer.content
    assert event_count() == 1


# ------------------------------------------------------------------------------------------------- counters


def usage(points: list[tuple[float, dict[str, Any]]], temporality: int = 1, until_s: float = 60) -> bytes:
    shared = {"session.id": "s-1", "model": "claude-sonnet-4-6", "user.email": "dev@example.org"}
    counted = [(number, {**shared, **pairs}) for number, pairs in points]
    metrics = [otlp.total("claude_code.token.usage", counted, temporality, until_s)]
    return json.dumps(otlp.document("metrics", metrics, "com.anthropic.claude_code")).encode()


def reported() -> list[tuple[Any, ...]]:
    return rows(
        "SELECT sum(uncached_input_tokens)::int, sum(output_tokens)::int, sum(cache_read_input_tokens)::int,"
        " sum(cache_write_unknown_ttl_input_tokens)::int, count(*)::int FROM reported_usage"
    )


def test_counters_of_claude_code_stand_beside_the_events(client: Client, key: str) -> None:
    body = usage([(120.0, {"type": "input"}), (45.0, {"type": "output"}), (9000.0, {"type": "cacheRead"})])
    writes = usage([(700.0, {"type": "cacheCreation"})])
    for _ in range(2):  # an export that is sent again
        for part in (body, writes):  # a collector may cut a metric in two
            assert post(client, key, part, "metrics").json() == {}
    assert reported() == [(120, 45, 9000, 700, 4)]
    assert rows("SELECT DISTINCT model, user_id, kind FROM reported_usage") == [
        ("claude-sonnet-4-6", "dev@example.org", "claude_code_metrics")
    ]
    later = usage([(5.0, {"type": "input"})])
    shifted = later.replace(otlp.nanos().encode(), otlp.nanos(seconds=60).encode())
    shifted = shifted.replace(
        b'"timeUnixNano": "%s"' % otlp.nanos(seconds=60).encode(),
        b'"timeUnixNano": "%s"' % otlp.nanos(seconds=120).encode(),
    )
    assert post(client, key, shifted, "metrics").json() == {}
    assert reported() == [(125, 45, 9000, 700, 5)]
    assert event_count() == 0


def test_a_cumulative_counter_is_one_row_that_only_a_later_sum_replaces(client: Client, key: str) -> None:
    for number, until_s in ((10.0, 60), (30.0, 180), (20.0, 120), (30.0, 180)):
        assert post(client, key, usage([(number, {"type": "output"})], 2, until_s), "metrics").json() == {}
    assert reported() == [(0, 30, 0, 0, 1)]


def test_cost_counters_are_estimates_in_dollars(client: Client, key: str) -> None:
    metric = otlp.total("claude_code.cost.usage", [(0.0421, {"model": "claude-sonnet-4-6"})])
    body = json.dumps(otlp.document("metrics", [metric])).encode()
    assert post(client, key, body, "metrics").json() == {}
    ((currency, amount, billed),) = rows("SELECT currency, estimated_cost, billed_cost FROM reported_cost")
    assert (currency, f"{amount.normalize():f}", billed) == ("USD", "0.0421", None)


def test_what_was_sent_is_in_the_costs(client: Client, key: str) -> None:
    post(client, key, json.dumps(GOOD).encode())
    fill_due()
    reader = create_key("reader", "read")[1]
    query = "start=2026-03-01&end=2026-03-03&grain=total&group_by=source&group_by=tag:service.name"
    answer = client.get(f"/api/v1/costs?{query}", headers={"Authorization": f"Bearer {reader}"})
    (row,) = answer.json()["rows"]
    assert (row["source"], row["tag:service.name"], row["requests"]) == ("exporter", "shop", 1)
    assert (row["uncached_input_tokens"], row["cache_read_input_tokens"], row["output_tokens"]) == (
        40,
        60,
        10,
    )
    # 40 x 3 + 60 x 0.30 + 10 x 15 dollars per million
    assert row["list_cost"] == "0.000288"
