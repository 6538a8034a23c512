"""Captured Messages streams (server-sent events), one or several in a file.

A `message_delta` repeats counts instead of adding to them: the last non-null value of each field wins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from ingest.core.errors import Reason
from ingest.core.events import FLAG_FINAL, FLAG_OUTPUT_INCOMPLETE
from ingest.core.meter_fields import MeterError, kind_of
from ingest.core.meters import read_usage
from ingest.formats._anthropic import call, model_of, served_by, stop_reason_of, text_of, time_of
from ingest.formats._base import Format, Item, ParseContext, events_of, quiet_decode, rejection
from ingest.formats._lines import BOM, numbered_lines

# Only lines naming one of these are decoded; the text of an answer streams past untouched.
_WANTED = (b'"message_start"', b'"message_delta"', b'"message_stop"', b'"fallback"')
_MAX_PIECES = 64  # an event's data may be spread over several `data:` lines


@dataclass(slots=True)
class StreamCall:
    """One stream while it is read."""

    line: int
    message: Mapping[str, Any]
    usage: dict[str, Any] = field(default_factory=dict)
    served_by: str = ""
    stop_reason: str = ""
    deltas: int = 0
    stopped: bool = False
    damaged: bool = False
    latency_ms: int | None = None
    ttft_ms: int | None = None
    error: MeterError | None = None

    def merge(self, usage: Mapping[str, Any]) -> None:
        """Overwrite what is present and not null."""
        self.usage.update((key, value) for key, value in usage.items() if value is not None)
        written, split = self.usage.get("cache_creation_input_tokens"), self.usage.get("cache_creation")
        if "cache_creation" in usage or not isinstance(split, Mapping) or type(written) is not int:
            return
        parts = [split.get("ephemeral_5m_input_tokens") or 0, split.get("ephemeral_1h_input_tokens") or 0]
        if all(type(part) is int for part in parts) and written < sum(parts):
            # The start's split is stale: its single time to live still holds, a mixed one does not.
            only_1h = parts[0] == 0
            self.usage["cache_creation"] = (
                {"ephemeral_1h_input_tokens": written, "ephemeral_5m_input_tokens": 0} if only_1h else None
            )

    def finish(self, context: ParseContext) -> list[Item]:
        """The events of the stream, or its one rejection."""
        message_id = ""
        try:
            message_id = text_of(self.message.get("id"), "message.id")
            if self.error is not None:
                raise self.error
            if not message_id:
                raise MeterError(
                    Reason.UNATTRIBUTABLE,
                    "message.id",
                    "message_start has no message id to count the call by",
                )
            model = self.served_by or model_of(self.message.get("model"), "message.model")
            moment, flags = time_of([self.message], context)
            metered = read_usage(self.usage, model)
            if self.deltas and not self.damaged and (self.stop_reason or self.stopped):
                flags |= FLAG_FINAL
            if not self.deltas or self.damaged:
                flags |= FLAG_OUTPUT_INCOMPLETE  # message_start holds a placeholder of one to three tokens
            request_id = text_of(self.message.get("request_id"), "message.request_id")
            event = call(message_id, model, moment, flags, self.stop_reason, request_id)
            event.latency_ms, event.ttft_ms = self.latency_ms, self.ttft_ms
            return [context.complete(part) for part in events_of(metered, event)]
        except MeterError as error:
            return [rejection(self.line, error, message_id)]


def _parse(stream: BinaryIO, context: ParseContext) -> Iterator[Item]:
    current: StreamCall | None = None
    for line, payload in _payloads(stream):
        if isinstance(payload, MeterError):
            if current is None:
                yield rejection(line, payload)
            else:
                current.damaged = True  # a cut capture still tells what was billed at least
            continue
        kind = payload.get("type")
        if kind == "message_start":
            if current is not None:
                yield from current.finish(context)
            current = start_call(line, payload)
        elif current is None:
            if kind == "message_delta":
                detail = "message_delta without a message_start before it: the call has neither id nor model"
                yield rejection(line, MeterError(Reason.UNATTRIBUTABLE, "message", detail))
        elif kind == "message_stop":
            note_latency(current, payload)
            current.stopped = True
            yield from current.finish(context)
            current = None
        else:
            advance(current, payload)
    if current is not None:
        yield from current.finish(context)


def start_call(line: int, payload: Mapping[str, Any]) -> StreamCall:
    """The call that a `message_start` begins."""
    message = payload.get("message")
    if not isinstance(message, Mapping):
        error = MeterError(
            Reason.INVALID_TYPE, "message", f"message must be an object, not {kind_of(message)}"
        )
        return StreamCall(line, {}, error=error)
    started = StreamCall(
        line, {key: message.get(key) for key in ("id", "model", "request_id", "created_at", "timestamp")}
    )
    usage = message.get("usage")
    if isinstance(usage, Mapping):
        started.merge(usage)
    elif usage is not None:
        started.error = MeterError(
            Reason.INVALID_TYPE, "usage", f"usage must be an object, not {kind_of(usage)}"
        )
    return started


def advance(current: StreamCall, payload: Mapping[str, Any]) -> None:
    """Take in a later event of the stream."""
    try:
        if payload.get("type") == "content_block_start":
            current.served_by = served_by(payload.get("content_block")) or current.served_by
        elif payload.get("type") == "message_delta":
            delta, usage = payload.get("delta"), payload.get("usage")
            if isinstance(delta, Mapping):
                current.stop_reason = (
                    stop_reason_of(delta.get("stop_reason"), "stop_reason") or current.stop_reason
                )
            if isinstance(usage, Mapping):
                current.merge(usage)
                current.deltas += 1
            elif usage is not None:
                raise MeterError(
                    Reason.INVALID_TYPE, "usage", f"usage must be an object, not {kind_of(usage)}"
                )
    except MeterError as error:
        current.error = current.error or error


def note_latency(current: StreamCall, payload: Mapping[str, Any]) -> None:
    """Bedrock adds its own timing to the last event."""
    metrics = payload.get("amazon-bedrock-invocationMetrics")
    if isinstance(metrics, Mapping):
        latency, first = metrics.get("invocationLatency"), metrics.get("firstByteLatency")
        current.latency_ms = latency if type(latency) is int and 0 <= latency < 2**31 else None
        current.ttft_ms = first if type(first) is int and 0 <= first < 2**31 else None


def _payloads(stream: BinaryIO) -> Iterator[tuple[int, Mapping[str, Any] | MeterError]]:
    """(line, decoded data) of every event that matters, or what is wrong with it."""
    pieces: list[bytes] = []
    start = last = -1
    problem: MeterError | None = None
    for number, line in numbered_lines(stream):
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        # A piece continues the event before it only on the very next line: a blank line ends an event.
        if pieces and (number != last + 1 or data.startswith(b'{"type"') or len(pieces) >= _MAX_PIECES):
            yield start, problem or _cut()
            pieces = []
        if not pieces and not any(word in data for word in _WANTED):
            continue
        if not pieces:
            start = number
        pieces.append(data)
        last = number
        try:
            value = quiet_decode(b"\n".join(pieces))
        except MeterError as error:
            problem = error
            continue
        pieces = []
        if isinstance(value, Mapping):
            yield start, value
        else:
            yield (
                start,
                MeterError(
                    Reason.NOT_AN_OBJECT, "", f"an event's data must be a JSON object, not {kind_of(value)}"
                ),
            )
    if pieces:
        yield start, _cut()


def _cut() -> MeterError:
    return MeterError(Reason.TRUNCATED, "", "the stream ends in the middle of an event's data")


def _sniff(head: bytes) -> int:
    text = head.removeprefix(BOM).lstrip()
    if not text.startswith((b"event:", b"data:", b":", b"id:", b"retry:")):
        return 0
    if b"message_start" in head:
        return 95
    return 40 if b"message_delta" in head or b"content_block_" in head else 0


FORMAT = Format("anthropic_sse", "Anthropic Messages streams (server-sent events)", False, _sniff, _parse)
