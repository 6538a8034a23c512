"""Gemini responses of the Gemini API and Vertex AI: one, an array, JSON lines or a captured stream.

Chunks of one streamed response carry the same id and the counts so far: the last one stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import msgspec
from msgspec import Raw, Struct

from ingest.core.errors import Reason, Rejection
from ingest.core.events import FLAG_FINAL, FLAG_TIME_IMPUTED, UsageEvent
from ingest.core.meter_fields import MeterError, keys_seen, kind_of
from ingest.core.meters import read_usage
from ingest.formats._anthropic import model_of, stop_reason_of, text_of
from ingest.formats._base import Format, Item, ParseContext, events_of, quiet_decode, read_time, rejection
from ingest.formats._lines import UNREADABLE, json_values
from ingest.formats._peek import peek
from ingest.formats._sse import is_stream, payloads

_WRAPPERS = ("body", "response")
_TIMES = ("createTime", "create_time", "timestamp", "occurred_at", "created_at")
_VERTEX_TRAFFIC = ("trafficType", "traffic_type")


class _Response(Struct, gc=False):
    usageMetadata: object = None  # the names are the wire's
    usage_metadata: object = None
    modelVersion: object = None
    model_version: object = None
    model: object = None
    responseId: object = None
    response_id: object = None
    createTime: object = None
    create_time: object = None
    timestamp: object = None
    occurred_at: object = None
    created_at: object = None
    error: object = None
    candidates: Raw = Raw(b"")
    body: Raw = Raw(b"")
    response: Raw = Raw(b"")


class _Candidate(Struct, gc=False):
    finishReason: object = None
    finish_reason: object = None


_decode = msgspec.json.Decoder(_Response).decode
_decode_candidates = msgspec.json.Decoder(list[_Candidate]).decode


def _response(raw: bytes | Raw, context: ParseContext, outer: tuple[_Response, ...] = ()) -> list[UsageEvent]:
    """The event of one value; none for an error and for a chunk without counts."""
    response = _typed(raw)
    metadata = "usageMetadata" if response.usageMetadata is not None else "usage_metadata"
    usage = getattr(response, metadata)
    if usage is None:
        for name in _WRAPPERS:
            inner: bytes = bytes(getattr(response, name)).strip()
            if inner.startswith(b"{") and len(outer) < 2:
                return _response(inner, context, (*outer, response))
        if response.error is not None or bytes(response.candidates):
            return []
        seen = quiet_decode(raw)
        keys = keys_seen(seen) if isinstance(seen, Mapping) else ""
        raise MeterError(Reason.UNKNOWN_FORMAT, "", f"not a Gemini response; keys seen: {keys}")
    holders = (response, *reversed(outer))
    named = [(name, getattr(h, name)) for h in holders for name in ("modelVersion", "model_version", "model")]
    name, value = next((pair for pair in named if pair[1] is not None), ("modelVersion", None))
    model = model_of(value, name)
    moment, flags = _time(holders, context)
    response_id = _id(response)
    if not response_id and flags & FLAG_TIME_IMPUTED:
        detail = "neither responseId nor time: the call could not be told apart when it is reported again"
        raise MeterError(Reason.UNATTRIBUTABLE, "responseId", detail)
    metered = read_usage(usage, model, metadata)
    stop_reason = _stop_reason(response)
    event = UsageEvent(
        id=response_id,
        occurred_at=moment,
        model=model,
        platform=_platform(response, usage),
        stop_reason=stop_reason,
        flags=flags | (FLAG_FINAL if stop_reason else 0),
    )
    return [context.complete(part) for part in events_of(metered, event)]


def _time(holders: tuple[_Response, ...], context: ParseContext) -> tuple[Any, int]:
    for holder in holders:
        for name in _TIMES:
            if isinstance(getattr(holder, name), str):
                return read_time(getattr(holder, name), name), 0
    return context.default_time, FLAG_TIME_IMPUTED


def _id(response: _Response) -> str:
    return text_of(response.responseId, "responseId") or text_of(response.response_id, "response_id")


def _platform(response: _Response, usage: Mapping[str, Any]) -> str:
    """Only Vertex AI dates its responses and names the traffic; only the Gemini API names a service tier."""
    dated = response.createTime is not None or response.create_time is not None
    if dated or any(key in usage for key in _VERTEX_TRAFFIC):
        return "vertex"
    return "gemini" if "serviceTier" in usage else ""


def _stop_reason(response: _Response) -> str:
    try:
        candidates = _decode_candidates(response.candidates) if bytes(response.candidates) else []
    except UNREADABLE:
        return ""  # nothing is counted by it
    for candidate in candidates[:1]:
        said = candidate.finishReason if candidate.finishReason is not None else candidate.finish_reason
        return (
            f"finish_{said}"
            if type(said) is int and 0 <= said < 100
            else stop_reason_of(said, "finishReason")
        )
    return ""


def _typed(raw: bytes | Raw) -> _Response:
    try:
        return _decode(raw)
    except UNREADABLE:
        value = quiet_decode(raw)
    if isinstance(value, Mapping):  # cannot happen: every field is an object
        raise MeterError(Reason.INVALID_TYPE, "", "a field of the response has an unreadable value")
    raise MeterError(Reason.NOT_AN_OBJECT, "", f"a response must be a JSON object, not {kind_of(value)}")


def _values(stream: BinaryIO, head: bytes) -> Iterator[tuple[int, bytes | Raw | Rejection]]:
    if not is_stream(head):
        yield from json_values(stream)
        return
    for line, data, whole in payloads(stream):
        cut = MeterError(Reason.TRUNCATED, "", "the data of an event is cut")
        yield line, data if whole else rejection(line, cut)


def _parse(stream: BinaryIO, context: ParseContext) -> Iterator[Item]:
    """One event for a run of values with the same id; what is cut off behind one does not cost it."""
    head = stream.peek(16) if hasattr(stream, "peek") else b""
    if not head and stream.seekable():
        at = stream.tell()
        head = stream.read(16)
        stream.seek(at)
    held: list[UsageEvent] = []
    for index, raw in _values(stream, head):
        items: list[Item]
        if isinstance(raw, Rejection):
            items = [raw]
        else:
            try:
                items = list(_response(raw, context))
            except MeterError as error:
                items = [rejection(index, error, _id_text(raw))]
        for item in items:
            if not isinstance(item, UsageEvent):
                yield item
                continue
            if held and (not item.id or item.id != held[0].id):
                yield from held
            held = [item]
    yield from held


def _id_text(raw: bytes | Raw) -> str:
    try:
        return _id(_decode(raw))
    except (MeterError, *UNREADABLE):
        return ""


def _sniff(head: bytes) -> int:
    if is_stream(head):
        return 80 if b"usageMetadata" in head or b"usage_metadata" in head else 0
    return max((_score(value) for value in peek(head, limit=5)), default=0)


def _score(value: Mapping[str, Any], nested: bool = False) -> int:
    if "usageMetadata" in value or ("usage_metadata" in value and "candidates" in value):
        return 80
    if "candidates" in value and ("modelVersion" in value or "responseId" in value):
        return 60
    if nested or "full_response" in value:
        return 0
    inner = [value.get(name) for name in _WRAPPERS]
    return max((_score(each, True) - 10 for each in inner if isinstance(each, Mapping)), default=0)


FORMAT = Format("gemini", "Gemini responses and streams (Gemini API, Vertex AI)", False, _sniff, _parse)
