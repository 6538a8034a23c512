"""What Bedrock's logs, responses and batch output share: an answer's body of any kind, without its text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Raw, Struct

from ingest.core.meter_fields import MAX_COUNT, MAX_MODEL
from ingest.core.meters_anthropic import is_anthropic
from ingest.core.meters_bedrock import is_converse
from ingest.formats._anthropic import served_by_content, stop_reason_of, text_of
from ingest.formats._base import quiet_decode
from ingest.formats.anthropic_sse import StreamCall, advance, note_latency, start_call

# Only items of a logged stream that name one of these are decoded.
_WANTED = (
    b"message_start",
    b"message_delta",
    b"message_stop",
    b'"fallback"',
    b'"metadata"',
    b'"messageStop"',
    b'"usage"',
    b"invocationMetrics",
)
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@dataclass(slots=True)
class Answer:
    """What a body says about its call. `usage` is None where it has no counts of a shape that Bedrock's logs use."""

    message_id: str = ""
    model: str = ""
    usage: Mapping[str, Any] | None = None
    stop_reason: str = ""
    tier: str = ""
    latency_ms: int | None = None
    ttft_ms: int | None = None


class _Body(Struct, gc=False):
    """A Messages body or a Converse response; everything else in it stays undecoded."""

    id: object = None
    model: object = None
    usage: object = None
    stop_reason: object = None
    stopReason: object = None  # names are the wire's own
    serviceTier: object = None
    metrics: object = None
    content: Raw = Raw(b"")


_decode_body = msgspec.json.Decoder(_Body).decode
_decode_items = msgspec.json.Decoder(list[Raw]).decode


def read_answer(body: bytes) -> Answer:
    """The answer in a body's bytes: an object, or the list of a stream's events. Raises MeterError.

    A body that is kept elsewhere, cut off or of no known kind gives an empty answer: the log has counts of its own.
    """
    try:
        if body.startswith(b"{"):
            return _of_object(_decode_body(body))
        if body.startswith(b"["):
            return _of_stream(_decode_items(body))
    except UNREADABLE:
        pass
    return Answer()


def milliseconds(value: object) -> int | None:
    """A latency; anything but a count of milliseconds is left out, since nothing is billed by it."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_COUNT:
        return None
    return round(value)


def tier_of(value: object) -> str:
    """The service tier of `{"type": ...}`; what Bedrock calls default is the standard tier."""
    tier = text_of(value.get("type"), "serviceTier.type", 64) if isinstance(value, Mapping) else ""
    return "" if tier == "default" else tier


def known_usage(value: object) -> Mapping[str, Any] | None:
    """The usage object if it counts tokens as Anthropic or Converse does."""
    if isinstance(value, Mapping) and (is_anthropic(value) or is_converse(value)):
        return value
    return None


def _of_object(body: _Body) -> Answer:
    metrics = body.metrics if isinstance(body.metrics, Mapping) else {}
    stop_reason = body.stop_reason if body.stop_reason is not None else body.stopReason
    return Answer(
        message_id=text_of(body.id, "id") if isinstance(body.id, str) else "",
        model=served_by_content(bytes(body.content)) or _model_of(body.model),
        usage=known_usage(body.usage),
        stop_reason=stop_reason_of(stop_reason, "stop_reason"),
        tier=tier_of(body.serviceTier),
        latency_ms=milliseconds(metrics.get("latencyMs")),
    )


def _model_of(value: object) -> str:
    return text_of(value, "model", MAX_MODEL) if isinstance(value, str) else ""


def _of_stream(items: list[Raw]) -> Answer:
    answer = Answer()
    call: StreamCall | None = None
    for item in items:  # some are plain strings, such as "[DONE]"
        raw = bytes(item)
        if not raw.startswith(b"{") or not any(word in raw for word in _WANTED):
            continue
        payload = quiet_decode(raw)
        if not isinstance(payload, Mapping):
            continue
        if payload.get("type") == "message_start":
            call = start_call(0, payload)
        elif call is not None and payload.get("type") == "message_stop":
            note_latency(call, payload)
        elif call is not None:
            advance(call, payload)
        take_converse_event(answer, payload)
    if call is None:
        return answer
    if call.error is not None:
        raise call.error
    model = call.message.get("model")
    return Answer(
        message_id=text_of(call.message.get("id"), "id"),
        model=call.served_by or _model_of(model),
        usage=known_usage(call.usage),
        stop_reason=call.stop_reason,
        latency_ms=call.latency_ms,
        ttft_ms=call.ttft_ms,
    )


def take_converse_event(answer: Answer, payload: Mapping[str, Any]) -> bool:
    """Take in one event of a Converse stream; True when it is the one with the counts, which ends the stream."""
    stop = payload.get("messageStop")
    if isinstance(stop, Mapping):
        answer.stop_reason = stop_reason_of(stop.get("stopReason"), "stopReason")
    metadata = payload.get("metadata")
    if not isinstance(metadata, Mapping):
        return False
    usage = known_usage(metadata.get("usage"))
    if usage is None:
        return False
    answer.usage = usage
    metrics = metadata.get("metrics")
    if isinstance(metrics, Mapping):
        answer.latency_ms = milliseconds(metrics.get("latencyMs"))
    answer.tier = tier_of(metadata.get("serviceTier"))
    return True
