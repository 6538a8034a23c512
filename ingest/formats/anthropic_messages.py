"""Messages responses as the API, Bedrock, Vertex and Foundry return them: one object, an array or JSON lines.

The content of a message is kept as undecoded bytes and dropped; only a `fallback` block in it is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import msgspec
from msgspec import Raw, Struct

from ingest.core.errors import Reason
from ingest.core.events import FLAG_FINAL, FLAG_TIME_IMPUTED, UsageEvent
from ingest.core.meter_fields import MeterError, keys_seen, kind_of
from ingest.core.meters import read_usage
from ingest.formats._anthropic import call, model_of, served_by_content, stop_reason_of, text_of, time_of
from ingest.formats._base import Format, Item, ParseContext, events_of, quiet_decode, read_each
from ingest.formats._lines import json_values
from ingest.formats._peek import peek

_WRAPPERS = ("body", "response")


class Message(Struct, gc=False):
    """What is read of a response and of what recorders put around it; the content stays undecoded."""

    type: object = None
    id: object = None
    model: object = None
    usage: object = None
    stop_reason: object = None
    content: Raw = Raw(b"")
    created_at: object = None
    timestamp: object = None
    occurred_at: object = None
    request_id: object = None
    body: Raw = Raw(b"")
    response: Raw = Raw(b"")


_decode = msgspec.json.Decoder(Message).decode


def read_message(raw: bytes | Raw, context: ParseContext, outer: Sequence[Message] = ()) -> list[UsageEvent]:
    """The events of one value; [] for an error envelope, which is a call that was not billed.

    `outer` are the objects around it, outermost first: they may hold the time and the request id. Raises MeterError.
    """
    message = _typed(raw)
    if message.type == "error":
        return []
    if message.usage is None:
        for name in _WRAPPERS:
            inner: bytes = bytes(getattr(message, name)).strip()
            if inner.startswith(b'"') and not outer:
                text = quiet_decode(inner)  # recorders keep the body as a string
                inner = text.encode() if isinstance(text, str) else b""
            if inner.startswith(b"{") and len(outer) < 2:
                return read_message(inner, context, [*outer, message])
        if message.type == "message":
            raise MeterError(Reason.MISSING_FIELD, "usage", "usage is required")
        seen = quiet_decode(raw)
        keys = keys_seen(seen) if isinstance(seen, Mapping) else ""
        raise MeterError(Reason.UNKNOWN_FORMAT, "", f"not a Messages response; keys seen: {keys}")
    model = served_by_content(bytes(message.content)) or model_of(message.model, "model")
    holders = [
        {name: getattr(m, name) for name in ("created_at", "timestamp", "occurred_at")}
        for m in (message, *reversed(outer))
    ]
    moment, flags = time_of(holders, context)
    message_id = text_of(message.id, "id")
    if not message_id and flags & FLAG_TIME_IMPUTED:
        detail = "neither id nor time: the call could not be told apart when it is reported again"
        raise MeterError(Reason.UNATTRIBUTABLE, "id", detail)
    request_id = next(
        (text_of(m.request_id, "request_id") for m in (message, *outer) if m.request_id is not None), ""
    )
    stop_reason = stop_reason_of(message.stop_reason, "stop_reason")
    metered = read_usage(message.usage, model)  # type: ignore[arg-type]  # it checks that it is an object
    event = call(
        message_id, model, moment, flags | (FLAG_FINAL if stop_reason else 0), stop_reason, request_id
    )
    return [context.complete(part) for part in events_of(metered, event)]


def _typed(raw: bytes | Raw) -> Message:
    try:
        return _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = quiet_decode(raw)
    if isinstance(value, Mapping):  # cannot happen: every field is an object
        raise MeterError(Reason.INVALID_TYPE, "", "a field of the message has an unreadable value")
    raise MeterError(Reason.NOT_AN_OBJECT, "", f"a message must be a JSON object, not {kind_of(value)}")


def _parse(stream: BinaryIO, context: ParseContext) -> Iterator[Item]:
    return read_each(json_values(stream), lambda raw: read_message(raw, context), id_of)


def id_of(raw: bytes | Raw) -> str:
    """The id of a message that could not be read otherwise, '' if that is unreadable too."""
    try:
        value = msgspec.json.decode(raw, type=Message).id
        return text_of(value, "id") if isinstance(value, str) else ""
    except (MeterError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def _sniff(head: bytes) -> int:
    return max((_score(value) for value in peek(head, limit=5)), default=0)


def _score(value: Mapping[str, Any], nested: bool = False) -> int:
    if value.get("type") == "message" and ("usage" in value or "role" in value):
        return 80
    if value.get("type") == "error" and isinstance(value.get("error"), Mapping):
        return 50
    if (
        "model" in value
        and isinstance(value.get("usage"), Mapping)
        and "occurred_at" not in value
        and not nested
    ):
        usage = value["usage"]
        return (
            30
            if "input_tokens" in usage
            and "output_tokens" in usage
            and str(value.get("id", "")).startswith("msg_")
            else 0
        )
    if not nested:
        for name in _WRAPPERS:
            inner = value.get(name)
            if isinstance(inner, Mapping) and "custom_id" not in value:
                return max(0, _score(inner, nested=True) - 10)
    return 0


FORMAT = Format(
    "anthropic_messages", "Anthropic Messages responses (JSON, array or JSON lines)", False, _sniff, _parse
)
