"""Single spans outside of OTLP: the flat map of their attributes, or the object that an SDK's console exporter prints.

One object, an array or JSON lines. A flat map has no time and often no id; then a hash of the whole map tells the
call from others, so that the same file imported again counts once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, BinaryIO

import msgspec
from msgspec import Raw

from ingest.core.errors import Reason, Rejection
from ingest.core.meter_fields import MeterError, keys_seen, kind_of
from ingest.formats import _genai_attributes, _openinference, _telemetry
from ingest.formats._base import Format, Item, ParseContext, quiet_decode, read_time, rejection
from ingest.formats._lines import json_values
from ingest.formats._otlp import Record
from ingest.formats._otlp_json import attributes_of
from ingest.formats._peek import peek

_START = ("start_time", "startTime", "startTimeUnixNano", "start_time_unix_nano")
_END = ("end_time", "endTime", "endTimeUnixNano", "end_time_unix_nano", "timestamp")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _parse(stream: BinaryIO, context: ParseContext) -> Iterator[Item]:
    for index, raw in json_values(stream):
        if isinstance(raw, Rejection):
            yield raw
            continue
        try:
            yield from _items(index, raw, context)
        except MeterError as error:
            yield rejection(index, error)


def _items(index: int, raw: bytes | Raw, context: ParseContext) -> Iterator[Item]:
    span = quiet_decode(raw)
    if not isinstance(span, Mapping):
        raise MeterError(Reason.NOT_AN_OBJECT, "", f"a span must be a JSON object, not {kind_of(span)}")
    attributes = _attributes(span)
    if not _is_span(attributes):
        detail = f"no attributes of a model call; keys seen: {keys_seen(span)}"
        raise MeterError(Reason.UNKNOWN_FORMAT, "", detail)
    context_ = span.get("context") if attributes is not span else None
    ids: Mapping[str, Any] = context_ if isinstance(context_, Mapping) else span
    record = Record(
        index=index,
        is_span=True,
        name=span["name"] if isinstance(span.get("name"), str) else "",
        scope="",
        resource=_attributes(span["resource"]) if isinstance(span.get("resource"), Mapping) else {},
        attributes=attributes,
        trace_id=_id(ids, "trace_id", "traceId", 32),
        span_id=_id(ids, "span_id", "spanId", 16),
        start=_nanos(span, _START),
        end=_nanos(span, _END),
    )
    canonical = msgspec.json.encode(span, order="deterministic")
    digest = hashlib.blake2b(canonical, digest_size=16).hexdigest()
    yield from _telemetry.items_of([record], context, own_id=f"span/{digest}")


def _attributes(holder: Mapping[str, Any]) -> Mapping[str, Any]:
    """A span's attributes: below `attributes` as a map or as OTLP's pairs, or the object itself."""
    inner = holder.get("attributes")
    if isinstance(inner, Mapping):
        return inner
    return attributes_of(holder) if isinstance(inner, list) else holder


def _is_span(attributes: Mapping[str, Any]) -> bool:
    return _genai_attributes.marks(attributes) or any(
        name == _openinference.KIND or name.startswith(("llm.token_count.", "traceloop."))
        for name in attributes
    )


def _id(holder: Mapping[str, Any], name: str, other: str, length: int) -> str:
    value = holder.get(name) or holder.get(other)
    text = value.lower().removeprefix("0x") if isinstance(value, str) else ""
    return text if len(text) == length and text.isalnum() and text.isascii() else ""


def _nanos(holder: Mapping[str, Any], names: tuple[str, ...]) -> int:
    """A time as RFC 3339 text or as nanoseconds since 1970; 0 when there is none."""
    name = next((name for name in names if holder.get(name) is not None), "")
    value = holder.get(name)
    if not name:
        return 0
    if isinstance(value, str) and len(value) <= 20 and value.isascii() and value.isdigit():
        return int(value)
    if type(value) is int:
        return value
    since = read_time(value, name) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000


def _sniff(head: bytes) -> int:
    return max((_score(value) for value in peek(head, limit=5)), default=0)


def _score(value: Mapping[str, Any]) -> int:
    if _is_span(value):
        return 75
    inner = value.get("attributes")
    if isinstance(inner, Mapping) and _is_span(inner):
        return 70
    if isinstance(inner, list) and "traceId" in value and _is_span(attributes_of(value)):
        return 70
    return 0


FORMAT = Format(
    "otel_span",
    "Attributes of single spans (GenAI, OpenInference; JSON or JSON lines)",
    False,
    _sniff,
    _parse,
)
