"""Message Batches results: JSON lines of `custom_id` and `result`, in any order.

Only what succeeded was billed, at the batch rate; errored, canceled and expired requests are no events.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import BinaryIO

import msgspec
from msgspec import Raw, Struct

from ingest.core.errors import Reason
from ingest.core.events import UsageEvent
from ingest.core.meter_fields import MeterError, kind_of
from ingest.formats._anthropic import text_of
from ingest.formats._base import Format, Item, ParseContext, quiet_decode, read_each
from ingest.formats._lines import json_values
from ingest.formats._peek import peek
from ingest.formats.anthropic_messages import Message, id_of, read_message

BATCH_TIER = "batch"
_NOT_BILLED = ("errored", "canceled", "expired")


class _Result(Struct, gc=False):
    type: object = None
    message: Raw = Raw(b"")


class _Line(Struct, gc=False):
    result: _Result | None = None
    custom_id: object = None
    ended_at: object = None  # the three times are a recorder's: the API sends none
    created_at: object = None
    timestamp: object = None


_decode = msgspec.json.Decoder(_Line).decode


def _read(raw: bytes | Raw, context: ParseContext) -> list[UsageEvent]:
    line = _typed(raw)
    if line.result is None:
        raise MeterError(Reason.MISSING_FIELD, "result", "result is required")
    if line.result.type in _NOT_BILLED:
        return []
    if line.result.type != "succeeded":
        detail = f"result.type must be succeeded, {', '.join(_NOT_BILLED)}"
        raise MeterError(Reason.INVALID_VALUE, "result.type", detail)
    if not bytes(line.result.message).startswith(b"{"):
        raise MeterError(Reason.MISSING_FIELD, "result.message", "result.message is required: it succeeded")
    times = Message(created_at=line.ended_at or line.created_at, timestamp=line.timestamp)
    custom_id = text_of(line.custom_id, "custom_id")
    tags = (("custom_id", custom_id),) if custom_id else ()
    events = read_message(line.result.message, context, [times])
    return [replace(event, service_tier=BATCH_TIER, tags=tags) for event in events]


def _typed(raw: bytes | Raw) -> _Line:
    try:
        return _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = quiet_decode(raw)
    if not isinstance(value, Mapping):
        raise MeterError(Reason.NOT_AN_OBJECT, "", f"a result must be a JSON object, not {kind_of(value)}")
    detail = f"result must be an object, not {kind_of(value.get('result'))}"
    raise MeterError(Reason.INVALID_TYPE, "result", detail)


def _parse(stream: BinaryIO, context: ParseContext) -> Iterator[Item]:
    return read_each(json_values(stream), lambda raw: _read(raw, context), _id_of)


def _id_of(raw: bytes | Raw) -> str:
    try:
        line = _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return id_of(line.result.message) if line.result else ""


def _sniff(head: bytes) -> int:
    found = peek(head, limit=3)
    return (
        90 if any("custom_id" in value and isinstance(value.get("result"), Mapping) for value in found) else 0
    )


FORMAT = Format("anthropic_batches", "Anthropic Message Batches results (JSON lines)", False, _sniff, _parse)
