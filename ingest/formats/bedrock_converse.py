"""Amazon Bedrock Converse responses and captured streams, as the API or an SDK returns them.

A response has no id, model or time of its own. SDKs add the request's id and date; who captures responses can put
`modelId`, `requestId` and `timestamp` beside or around them. Without a request id a response is known by its bytes, and
without a model its tokens are kept under the name "unknown".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, BinaryIO

import msgspec
from msgspec import Raw, Struct

from ingest.core.errors import Reason
from ingest.core.events import FLAG_FINAL, FLAG_TIME_IMPUTED, UsageEvent
from ingest.core.meter_fields import MAX_MODEL, MeterError, keys_seen, kind_of
from ingest.core.meters import read_usage
from ingest.formats._anthropic import text_of, time_of
from ingest.formats._base import Format, Item, ParseContext, events_of, quiet_decode, read_each, read_time
from ingest.formats._bedrock import UNREADABLE, Answer, read_answer, take_converse_event
from ingest.formats._lines import json_values
from ingest.formats._peek import peek

UNKNOWN_MODEL = "unknown"
_WRAPPERS = ("body", "response")
_STREAM = (
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
    "metadata",
)


class _Outer(Struct, gc=False):
    """What stands around or beside a response: written by an SDK or by who captured it."""

    usage: Raw = Raw(b"")
    body: Raw = Raw(b"")
    response: Raw = Raw(b"")
    ResponseMetadata: object = None  # boto3's
    modelId: object = None
    model_id: object = None
    model: object = None
    requestId: object = None
    request_id: object = None
    timestamp: object = None
    created_at: object = None
    occurred_at: object = None


_decode = msgspec.json.Decoder(_Outer).decode
_decode_event = msgspec.json.Decoder(dict[str, Raw]).decode


class ConverseReader:
    """Reads the values of a file in order: whole responses, and the events of streams up to the one with the counts."""

    def __init__(self, context: ParseContext) -> None:
        self._context = context
        self._begin()

    def _begin(self) -> None:
        self._stream, self._hash = Answer(), hashlib.blake2b(digest_size=16)

    def read(self, raw: bytes) -> list[UsageEvent]:
        """The events that this value completes. Raises MeterError."""
        outer = _typed(raw)
        if bytes(outer.usage).startswith(b"{"):
            return self._call(read_answer(raw), [outer], _digest(raw))
        for name in _WRAPPERS:
            inner = _unquoted(bytes(getattr(outer, name)).strip())
            if inner.startswith(b"{"):
                answer, within = read_answer(inner), _typed(inner)
                if answer.usage is None:
                    answer = read_answer(b"[" + inner + b"]")
                return self._call(answer, [within, outer], _digest(inner))
        return self._event(raw, outer)

    def _event(self, raw: bytes, outer: _Outer) -> list[UsageEvent]:
        try:
            event = _decode_event(raw)
        except UNREADABLE:  # a key that is not UTF-8: what is skipped is not looked at, names are
            quiet_decode(raw)
            raise MeterError(Reason.INVALID_JSON, "", "the JSON cannot be read") from None
        if not any(name in event for name in _STREAM):
            keys = keys_seen(event)
            raise MeterError(Reason.UNKNOWN_FORMAT, "", f"not a Converse response; keys seen: {keys}")
        if "messageStart" in event:
            self._begin()
        self._hash.update(raw)
        if not ("metadata" in event or "messageStop" in event):
            return []
        payload = quiet_decode(raw)
        if not isinstance(payload, Mapping) or not take_converse_event(self._stream, payload):
            return []
        answer, digest = self._stream, self._hash.hexdigest()
        self._begin()
        return self._call(answer, [outer], f"converse-{digest}")

    def _call(self, answer: Answer, holders: list[_Outer], digest: str) -> list[UsageEvent]:
        if answer.usage is None:
            raise MeterError(
                Reason.MISSING_FIELD, "usage", "usage.inputTokens and usage.outputTokens are required"
            )
        models = (
            text_of(value, "modelId", MAX_MODEL)
            for h in holders
            for value in (h.modelId, h.model_id, h.model)
        )
        model = next(filter(None, models), "") or self._context.defaults.get("model", "") or UNKNOWN_MODEL
        metered = read_usage(answer.usage, model)
        moment, flags = _time(holders, self._context)
        event = UsageEvent(
            id=_request_id(holders) or digest,
            occurred_at=moment,
            model=model,
            platform="bedrock",
            latency_ms=answer.latency_ms,
            stop_reason=answer.stop_reason,
            flags=flags | FLAG_FINAL,
        )
        if answer.tier:
            metered.service_tier = answer.tier
        return [self._context.complete(part) for part in events_of(metered, event)]


def _typed(raw: bytes) -> _Outer:
    try:
        return _decode(raw)
    except UNREADABLE:
        value = quiet_decode(raw)
    raise MeterError(Reason.NOT_AN_OBJECT, "", f"a response must be a JSON object, not {kind_of(value)}")


def _unquoted(text: bytes) -> bytes:
    """A body that a recorder kept as a string."""
    inner = quiet_decode(text) if text.startswith(b'"') else None
    return inner.encode("utf-8", "surrogatepass") if isinstance(inner, str) else text


def _digest(raw: bytes) -> str:
    return f"converse-{hashlib.blake2b(raw, digest_size=16).hexdigest()}"


def _request_id(holders: list[_Outer]) -> str:
    for holder in holders:
        said = holder.ResponseMetadata
        sdk = said.get("RequestId") if isinstance(said, Mapping) else None
        for value, where in (
            (holder.requestId, "requestId"),
            (holder.request_id, "request_id"),
            (sdk, "ResponseMetadata.RequestId"),
        ):
            if value is not None:
                return text_of(value, where)
    return ""


def _time(holders: list[_Outer], context: ParseContext) -> tuple[datetime, int]:
    """(time, flags): one that was recorded, else the date header that an SDK kept, else the context's, flagged."""
    named = [{name: getattr(h, name) for name in ("created_at", "timestamp", "occurred_at")} for h in holders]
    moment, flags = time_of(named, context)
    if not flags & FLAG_TIME_IMPUTED:
        return moment, flags
    for holder in holders:
        said: Any = holder.ResponseMetadata if isinstance(holder.ResponseMetadata, Mapping) else {}
        headers = said.get("HTTPHeaders")
        date = headers.get("date") if isinstance(headers, Mapping) else None
        if isinstance(date, str) and (sent := _header_date(date)) is not None:
            return sent, 0
    return moment, flags


def _header_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
        return read_time(moment.replace(tzinfo=moment.tzinfo or UTC).isoformat(), "date")
    except (ValueError, TypeError, IndexError, OverflowError, MeterError):
        return None


def _parse(stream: BinaryIO, context: ParseContext) -> Iterator[Item]:
    reader = ConverseReader(context)
    return read_each(json_values(stream), lambda raw: reader.read(bytes(raw)))


def _sniff(head: bytes) -> int:
    return max((_score(value) for value in peek(head, limit=5)), default=0)


def _score(value: Mapping[str, Any], nested: bool = False) -> int:
    if {"custom_id", "recordId", "schemaType"} & value.keys():
        return 0
    usage = value.get("usage")
    if isinstance(usage, Mapping) and {"inputTokens", "outputTokens"} & usage.keys():
        return 75 if {"output", "stopReason", "metrics", "ResponseMetadata"} & value.keys() else 40
    if {"messageStart", "contentBlockDelta", "messageStop"} & value.keys():
        return 60
    metadata = value.get("metadata")
    if not nested and isinstance(metadata, Mapping) and isinstance(metadata.get("usage"), Mapping):
        return 60 if "inputTokens" in metadata["usage"] else 0
    if not nested:
        for name in _WRAPPERS:
            inner = value.get(name)
            if isinstance(inner, Mapping):
                return max(0, _score(inner, nested=True) - 10)
    return 0


FORMAT = Format("bedrock_converse", "Amazon Bedrock Converse responses and streams", False, _sniff, _parse)
