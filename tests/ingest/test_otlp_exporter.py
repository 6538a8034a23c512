"""The real exporters of OpenTelemetry's Python SDK send to a running server: spans, log records and counters."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import Counter, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from ingest.auth import create_key
from ingest.fill import fill_due
from tests.support.tables import event_count, ledger, rows

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]
RESOURCE = Resource.create({"service.name": "planner", "deployment.environment.name": "prod"})


@pytest.fixture
def options(live_server: Any) -> dict[str, Any]:
    """What OTEL_EXPORTER_OTLP_HEADERS and OTEL_EXPORTER_OTLP_COMPRESSION set."""
    secret = create_key("otel-sdk", "ingest")[1]
    return {"headers": {"authorization": f"Bearer {secret}"}, "compression": Compression.Gzip, "timeout": 10}


@pytest.fixture
def traced(live_server: Any, options: dict[str, Any]) -> Iterator[TracerProvider]:
    provider = TracerProvider(resource=RESOURCE)
    exporter = OTLPSpanExporter(endpoint=f"{live_server.url}/v1/traces", **options)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    yield provider
    provider.shutdown()


def call(tracer: Any, response_id: str, tokens: int) -> None:
    with tracer.start_as_current_span(f"chat {response_id}") as span:
        span.set_attributes(
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "anthropic",
                "gen_ai.request.model": "claude-sonnet-4-6",
                "gen_ai.response.model": "claude-sonnet-4-6",
                "gen_ai.response.id": response_id,
                "gen_ai.response.finish_reasons": ("end_turn",),
                "gen_ai.usage.input_tokens": tokens,
                "gen_ai.usage.cache_read.input_tokens": 400,
                "gen_ai.usage.output_tokens": 20,
            }
        )


def test_spans_of_the_sdk_are_in_the_costs(traced: TracerProvider, client: Client) -> None:
    tracer = traced.get_tracer("planner")
    with tracer.start_as_current_span("invoke_agent planner") as agent:
        agent.set_attributes({"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 2000})
        call(tracer, "msg_sdk_1", 1000)
        call(tracer, "msg_sdk_2", 1000)
        call(tracer, "msg_sdk_bad", -1)
    assert traced.force_flush()
    assert ledger() == (3, 2, 0, 0, 1)
    fill_due()
    reader = create_key("reader", "read")[1]
    query = "start=2026-01-01&end=2100-01-01&grain=total&group_by=tag:service.name&group_by=source"
    answer = client.get(f"/api/v1/costs?{query}", headers={"Authorization": f"Bearer {reader}"})
    assert answer.status_code == 200, answer.content
    (row,) = answer.json()["rows"]
    assert (row["tag:service.name"], row["source"], row["requests"]) == ("planner", "otel-sdk", 2)
    assert (row["uncached_input_tokens"], row["cache_read_input_tokens"], row["output_tokens"]) == (
        1200,
        800,
        40,
    )
    # 1,200 x 3 + 800 x 0.30 + 40 x 15 dollars per million
    assert row["list_cost"] == "0.00444"


def test_log_records_of_the_sdk_are_stored(live_server: Any, options: dict[str, Any]) -> None:
    provider = LoggerProvider(resource=RESOURCE)
    exporter = OTLPLogExporter(endpoint=f"{live_server.url}/v1/logs", **options)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    provider.get_logger("com.anthropic.claude_code.events").emit(
        LogRecord(
            timestamp=time.time_ns(),
            severity_number=SeverityNumber.INFO,
            body="claude_code.api_request",
            attributes={
                "event.name": "api_request",
                "model": "claude-haiku-4-5-20251001",
                "input_tokens": 10,
                "output_tokens": 39,
                "cache_read_tokens": 17_536,
                "cache_creation_tokens": 8257,
                "request_id": "req_sdk_1",
                "session.id": "s-1",
            },
        )
    )
    assert provider.force_flush()
    provider.shutdown()
    counted = (
        "SELECT uncached_input_tokens, cache_read_input_tokens, cache_write_5m_input_tokens, output_tokens"
    )
    assert rows(f"{counted} FROM event") == [(10, 17_536, 8257, 39)]


@pytest.mark.parametrize("temporality", [AggregationTemporality.DELTA, AggregationTemporality.CUMULATIVE])
def test_counters_of_the_sdk_are_reported_usage(
    live_server: Any, options: dict[str, Any], temporality: AggregationTemporality
) -> None:
    exporter = OTLPMetricExporter(
        endpoint=f"{live_server.url}/v1/metrics", preferred_temporality={Counter: temporality}, **options
    )
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    provider = MeterProvider([reader], resource=RESOURCE)
    counter = provider.get_meter("com.anthropic.claude_code").create_counter("claude_code.token.usage")
    for _ in range(3):
        counter.add(100, {"type": "input", "model": "claude-sonnet-4-6", "session.id": "s-1"})
        counter.add(7, {"type": "output", "model": "claude-sonnet-4-6", "session.id": "s-1"})
        assert provider.force_flush()
    provider.shutdown()
    sums = "SELECT sum(uncached_input_tokens)::int, sum(output_tokens)::int FROM reported_usage"
    assert rows(sums) == [(300, 21)]
    assert event_count() == 0
