"""OTLP as protobuf. The message classes are imported at first use: most processes never see a protobuf."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ingest.core.errors import Reason, Rejection
from ingest.formats._otlp import Point, Record, event_name

_DEEPEST = 8  # nesting of attribute values that is followed


def read_request(signal: str, body: bytes) -> Iterator[Record | Point]:
    """The records of a whole export request. Raises ValueError when the bytes are none."""
    message = _decoded(request_class(signal), body)
    if message is None:
        raise ValueError(f"the body is not a serialised export request for {signal}")
    holders = getattr(message, f"resource_{'spans' if signal == 'traces' else signal}")
    return _numbered(_READERS[signal](holders))


def read_entry(signal: str, entry: bytes, index: int) -> Iterator[Record | Point | Rejection]:
    """The records of one resource entry of an export request; one rejection if it cannot be decoded."""
    message = _decoded(_entry_class(signal), entry)
    if message is None:
        yield Rejection(index, Reason.INVALID_TYPE, "", f"an entry is not the protobuf message of {signal}")
        return
    yield from _numbered(_READERS[signal]([message]), index)


def _decoded(message_class: Any, data: bytes) -> Any:
    """The message, or None when the bytes are none of its kind."""
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    message = message_class()
    try:
        message.ParseFromString(data)
    except DecodeError:
        return None
    return message


def request_class(signal: str) -> Any:
    """The class of an export request."""
    if signal == "traces":
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        return ExportTraceServiceRequest
    if signal == "logs":
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

        return ExportLogsServiceRequest
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

    return ExportMetricsServiceRequest


def response(signal: str, rejected: int, reasons: str) -> bytes:
    """The serialised answer to an export request of which some records were rejected."""
    if signal == "traces":
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace

        spans = trace.ExportTracePartialSuccess(rejected_spans=rejected, error_message=reasons)
        return bytes(trace.ExportTraceServiceResponse(partial_success=spans).SerializeToString())
    if signal == "logs":
        from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs

        records = logs.ExportLogsPartialSuccess(rejected_log_records=rejected, error_message=reasons)
        return bytes(logs.ExportLogsServiceResponse(partial_success=records).SerializeToString())
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics

    points = metrics.ExportMetricsPartialSuccess(rejected_data_points=rejected, error_message=reasons)
    return bytes(metrics.ExportMetricsServiceResponse(partial_success=points).SerializeToString())


def _entry_class(signal: str) -> Any:
    if signal == "traces":
        from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

        return ResourceSpans
    if signal == "logs":
        from opentelemetry.proto.logs.v1.logs_pb2 import ResourceLogs

        return ResourceLogs
    from opentelemetry.proto.metrics.v1.metrics_pb2 import ResourceMetrics

    return ResourceMetrics


def _numbered(rows: Iterable[dict[str, Any]], index: int = 0) -> Iterator[Record | Point]:
    for number, row in enumerate(rows, index):
        yield Point(index=number, **row) if "metric" in row else Record(index=number, **row)


def _spans(holders: Iterable[Any]) -> Iterator[dict[str, Any]]:
    for holder in holders:
        resource = _attributes(holder.resource.attributes)
        for scoped in holder.scope_spans:
            for span in scoped.spans:
                yield {
                    "is_span": True,
                    "name": span.name,
                    "scope": scoped.scope.name,
                    "resource": resource,
                    "attributes": _attributes(span.attributes),
                    "trace_id": _hex(span.trace_id, 16),
                    "span_id": _hex(span.span_id, 8),
                    "start": span.start_time_unix_nano,
                    "end": span.end_time_unix_nano,
                }


def _logs(holders: Iterable[Any]) -> Iterator[dict[str, Any]]:
    for holder in holders:
        resource = _attributes(holder.resource.attributes)
        for scoped in holder.scope_logs:
            for record in scoped.log_records:
                yield {
                    "is_span": False,
                    "name": record.event_name,
                    "scope": scoped.scope.name,
                    "resource": resource,
                    "attributes": _attributes(record.attributes),
                    "trace_id": _hex(record.trace_id, 16),
                    "span_id": _hex(record.span_id, 8),
                    "start": record.observed_time_unix_nano,
                    "end": record.time_unix_nano,
                    "body": event_name(record.body.string_value),
                }


def _points(holders: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """The points of sums. Gauges and histograms hold no counts that could be kept."""
    for holder in holders:
        resource = _attributes(holder.resource.attributes)
        for scoped in holder.scope_metrics:
            for metric in scoped.metrics:
                for point in metric.sum.data_points:
                    kind = point.WhichOneof("value")
                    yield {
                        "metric": metric.name,
                        "scope": scoped.scope.name,
                        "resource": resource,
                        "attributes": _attributes(point.attributes),
                        "temporality": metric.sum.aggregation_temporality,
                        "start": point.start_time_unix_nano,
                        "end": point.time_unix_nano,
                        "value": getattr(point, kind) if kind else None,
                    }


_READERS = {"traces": _spans, "logs": _logs, "metrics": _points}


def _attributes(pairs: Iterable[Any]) -> dict[str, object]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any, depth: int = 0) -> object:
    kind = value.WhichOneof("value")
    if kind is None or depth > _DEEPEST:
        return None
    found = getattr(value, kind)
    if kind == "array_value":
        return [_value(entry, depth + 1) for entry in found.values]
    if kind == "kvlist_value":
        return {pair.key: _value(pair.value, depth + 1) for pair in found.values}
    return None if kind == "bytes_value" else found


def _hex(raw: bytes, length: int) -> str:
    return raw.hex() if len(raw) == length and any(raw) else ""
