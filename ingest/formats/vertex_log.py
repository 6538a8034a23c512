"""Vertex AI request-response logging: rows of the BigQuery table, as JSON lines or an array.

A Claude row holds a Messages body, a Gemini row `usage_metadata`; a stream is logged as one merged response.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, BinaryIO

import msgspec
from msgspec import Raw, Struct

from ingest.core import model_ids
from ingest.core.errors import Reason
from ingest.core.events import FLAG_FINAL, UsageEvent
from ingest.core.meter_fields import MAX_MODEL, MeterError, keys_seen, kind_of, shown
from ingest.core.meters import read_usage
from ingest.formats._anthropic import model_of, text_of
from ingest.formats._base import Format, Item, ParseContext, events_of, quiet_decode, read_each, read_time
from ingest.formats._bedrock import UNREADABLE, milliseconds
from ingest.formats._lines import json_values
from ingest.formats._peek import peek
from ingest.formats.anthropic_messages import Message, read_message

_BIGQUERY_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d(?:\.\d{1,6})?)\d*(?: ?UTC|Z|\+00(?::00)?)?"
)
_LOCATION = re.compile(r"locations/([a-z0-9-]+)/", re.IGNORECASE)


class _Row(Struct, gc=False):
    """One row of the table; requests are not looked at, responses stay undecoded."""

    logging_time: object = None
    request_id: object = None
    endpoint: object = None
    model: object = None
    metadata: object = None
    full_response: Raw = Raw(b"")
    response_payload: Raw = Raw(b"")


class _Gemini(Struct, gc=False):
    usage_metadata: object = None
    usageMetadata: object = None
    response_id: object = None
    responseId: object = None
    model_version: object = None
    modelVersion: object = None


_decode = msgspec.json.Decoder(_Row).decode
_decode_gemini = msgspec.json.Decoder(_Gemini).decode


def _read(raw: bytes | Raw, context: ParseContext) -> list[UsageEvent]:
    row = _typed(raw)
    moment = _time(row.logging_time)
    response = _response(row)
    if not response:
        return []  # logged without its response: an error, or a sampling of requests alone
    gemini = _gemini(response)
    if gemini is not None:
        events = _gemini_events(row, gemini, moment)
    else:
        events = _claude_events(row, response, moment, context)
    metadata = (
        quiet_decode(row.metadata.encode())
        if isinstance(row.metadata, str) and row.metadata
        else row.metadata
    )
    latency = milliseconds(metadata.get("request_latency")) if isinstance(metadata, Mapping) else None
    for event in events:
        event.platform = "vertex"
        event.routing = _routing(row, event.model)
        if event.requests:
            event.latency_ms = latency
    return [context.complete(event) for event in events]


def _typed(raw: bytes | Raw) -> _Row:
    try:
        row = _decode(raw)
    except UNREADABLE:
        value = quiet_decode(raw)
        raise MeterError(
            Reason.NOT_AN_OBJECT, "", f"a row must be a JSON object, not {kind_of(value)}"
        ) from None
    if row.logging_time is None:
        value = quiet_decode(raw)
        keys = keys_seen(value) if isinstance(value, Mapping) else ""
        raise MeterError(Reason.MISSING_FIELD, "logging_time", f"logging_time is required; keys seen: {keys}")
    return row


def _response(row: _Row) -> bytes:
    """The response's JSON: from its own column, else from the payload, which can be cut into chunks."""
    whole = _text(bytes(row.full_response).strip())
    if whole:
        return whole
    chunks = quiet_decode(row.response_payload) if bytes(row.response_payload).strip() else None
    if not isinstance(chunks, list) or not all(isinstance(chunk, str) for chunk in chunks):
        return b""
    joined = "".join(chunks).encode("utf-8", "surrogatepass").strip()
    return joined if joined.startswith(b"{") else b""


def _text(value: bytes) -> bytes:
    """A JSON column: exports write it as an object or as a string of one."""
    if value.startswith(b'"'):
        inner = quiet_decode(value)
        value = inner.encode("utf-8", "surrogatepass").strip() if isinstance(inner, str) else b""
    return value if value.startswith(b"{") and value != b"{}" else b""


def _gemini(response: bytes) -> _Gemini | None:
    try:
        found = _decode_gemini(response)
    except UNREADABLE:
        quiet_decode(response)
        return None
    return found if found.usage_metadata is not None or found.usageMetadata is not None else None


def _gemini_events(row: _Row, answer: _Gemini, moment: datetime) -> list[UsageEvent]:
    usage: Any = answer.usage_metadata if answer.usage_metadata is not None else answer.usageMetadata
    version = answer.model_version or answer.modelVersion
    model = text_of(version, "model_version", MAX_MODEL) or model_of(row.model, "model")
    own_id = text_of(answer.response_id or answer.responseId, "response_id")
    logged = _logged_id(row)
    if not own_id and not logged:
        raise MeterError(
            Reason.UNATTRIBUTABLE, "request_id", "request_id is missing: the call cannot be counted once"
        )
    event = UsageEvent(
        id=own_id or logged,
        request_id=logged if own_id else "",
        occurred_at=moment,
        model=model,
        provider="google",
        flags=FLAG_FINAL,
    )
    return events_of(read_usage(usage, model, "full_response.usage_metadata"), event)


def _claude_events(row: _Row, response: bytes, moment: datetime, context: ParseContext) -> list[UsageEvent]:
    holder = Message(timestamp=moment.isoformat())
    logged = _logged_id(row)
    events = read_message(response, context, [holder])
    for event in events:
        if event.requests and logged:
            event.id, event.request_id = event.id or logged, event.request_id or (logged if event.id else "")
    return events


def _routing(row: _Row, model: str) -> str:
    """Global or regional, by the location in the endpoint or the model's path; Claude is logged in regions only."""
    for value, where in ((row.endpoint, "endpoint"), (row.model, "model")):
        found = _LOCATION.search(text_of(value, where, 1024))
        if found:
            return "global" if found[1].lower() == "global" else "regional"
    return "regional" if model_ids.guess_maker(model_ids.take_apart(model).name) == "anthropic" else ""


def _logged_id(row: _Row) -> str:
    """The row's own id. A NUMERIC: exports write it as a string or as a number."""
    value = shown(row.request_id) if type(row.request_id) is int else row.request_id
    text = text_of(value, "request_id", 200)
    return f"vertex-{text}" if text else ""


def _time(value: object) -> datetime:
    if isinstance(value, str) and (match := _BIGQUERY_TIME.fullmatch(value.strip())):
        value = f"{match[1]}T{match[2]}Z"
    return read_time(value, "logging_time")


def _parse(stream: BinaryIO, context: ParseContext) -> Iterator[Item]:
    return read_each(json_values(stream), lambda raw: _read(raw, context))


def _sniff(head: bytes) -> int:
    keys = {"logging_time", "full_response", "response_payload", "api_method", "full_request"}
    return (
        90
        if any("logging_time" in value and len(keys & value.keys()) > 1 for value in peek(head, limit=3))
        else 0
    )


FORMAT = Format("vertex_log", "Vertex AI request-response logging (BigQuery rows)", True, _sniff, _parse)
