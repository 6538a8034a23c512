"""Captured streams of Chat Completions and of the Responses API (server-sent events), one or several in a file.

A chat stream tells its usage once, near its end, and only when it was asked to (`stream_options.include_usage`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import msgspec
from msgspec import Raw, Struct

from ingest.core.errors import Reason
from ingest.core.meter_fields import MeterError
from ingest.formats._anthropic import stop_reason_of, text_of
from ingest.formats._base import Format, Item, ParseContext, quiet_decode, rejection
from ingest.formats._lines import UNREADABLE
from ingest.formats._openai import Call, events, id_of, items_of, platform_of
from ingest.formats._sse import is_stream, payloads

_LAST = ("response.completed", "response.incomplete", "response.failed")
_DONE = b"[DONE]"


class _Choice(Struct, gc=False):
    finish_reason: object = None
    content_filter_results: Raw = Raw(b"")


class _Groq(Struct, gc=False):
    usage: object = None


class _Chunk(Struct, gc=False):
    """A chat chunk, or an event of a Responses stream; of the text nothing is decoded."""

    type: object = None
    response: Raw = Raw(b"")
    id: object = None
    model: object = None
    created: object = None
    service_tier: object = None
    usage: object = None
    error: object = None
    choices: Raw = Raw(b"")
    prompt_filter_results: Raw = Raw(b"")
    x_groq: _Groq | None = None


_decode = msgspec.json.Decoder(_Chunk).decode
_decode_choices = msgspec.json.Decoder(list[_Choice]).decode


@dataclass(slots=True)
class _Chat:
    """One chat stream while it is read; the last value of each field that is given stands."""

    line: int
    id: str = ""
    model: object = None
    created: object = None
    service_tier: object = None
    usage: object = None
    stop_reason: str = ""
    azure: bool = False
    groq: bool = False
    failed: bool = False
    damaged: bool = False
    error: MeterError | None = None

    def add(self, chunk: _Chunk) -> None:
        try:
            self.id = text_of(chunk.id, "id") or self.id
        except MeterError as error:
            self.error = self.error or error
        for name in ("model", "created", "service_tier"):
            value = getattr(chunk, name)
            if value not in (None, "", 0):
                setattr(self, name, value)
        usage = chunk.usage
        if usage is None and chunk.x_groq is not None:
            usage, self.groq = chunk.x_groq.usage, True
        self.usage = usage if usage is not None else self.usage
        self.failed |= chunk.error is not None
        self.azure |= bool(bytes(chunk.prompt_filter_results))
        try:
            choices = _decode_choices(chunk.choices) if bytes(chunk.choices) else []
        except UNREADABLE:
            choices = []
        for choice in choices[:1]:
            self.stop_reason = stop_reason_of(choice.finish_reason, "finish_reason") or self.stop_reason
            self.azure |= bool(bytes(choice.content_filter_results))

    def finish(self, context: ParseContext) -> list[Item]:
        """The events of the stream, or its one rejection."""
        if self.usage is None and self.failed:
            return []
        try:
            if self.error is not None:
                raise self.error
            if self.usage is None:
                raise self._no_usage()
            call = Call(
                id=self.id,
                model=self.model,
                usage=self.usage,
                times=[("created", self.created)],
                service_tier=self.service_tier,
                stop_reason=self.stop_reason,
                platform=platform_of(self.id, self.usage, self.azure, self.groq),
            )
            return list(events(call, context))
        except MeterError as error:
            return [rejection(self.line, error, self.id)]

    def _no_usage(self) -> MeterError:
        if self.damaged or not self.stop_reason:
            return MeterError(Reason.TRUNCATED, "usage", "the stream ends before its usage")
        detail = "the stream has no usage; ask for it with stream_options.include_usage"
        return MeterError(Reason.MISSING_FIELD, "usage", detail)


def _parse(stream: BinaryIO, context: ParseContext) -> Iterator[Item]:
    chat: _Chat | None = None
    opened: tuple[int, str] | None = None  # a Responses stream that has begun
    for line, data, whole in payloads(stream):
        if data == _DONE:
            if chat is not None:
                yield from chat.finish(context)
            chat = None
            continue
        if not whole:
            if chat is not None:
                chat.damaged = True  # a cut capture may still hold its usage
            elif opened is None:
                yield rejection(line, MeterError(Reason.TRUNCATED, "", "the data of an event is cut"))
            continue
        try:
            chunk = _decode(data)
        except UNREADABLE:
            yield from _unreadable(line, data)
            continue
        if isinstance(chunk.type, str) and chunk.type.startswith("response."):
            if chunk.type == "response.created":
                if opened is not None:
                    yield _cut(opened)
                opened = (line, id_of(chunk.response))
            elif chunk.type in _LAST:
                opened = None
                yield from items_of(chunk.response, line, context)
            continue
        if chunk.type is not None and not bytes(chunk.choices):
            continue  # another provider's event
        if chat is not None and chat.id and chunk.id and chunk.id != chat.id:
            yield from chat.finish(context)
            chat = None
        chat = chat or _Chat(line)
        chat.add(chunk)
    if chat is not None:
        yield from chat.finish(context)
    if opened is not None:
        yield _cut(opened)


def _cut(opened: tuple[int, str]) -> Item:
    line, response_id = opened
    error = MeterError(Reason.TRUNCATED, "response", "the stream ends before response.completed")
    return rejection(line, error, response_id)


def _unreadable(line: int, data: bytes) -> Iterator[Item]:
    """Data that is JSON of another type, or not JSON at all."""
    try:
        quiet_decode(data)
    except MeterError as error:
        yield rejection(line, error)
    else:
        yield rejection(
            line,
            MeterError(Reason.NOT_AN_OBJECT, "", "an event's data must be a JSON object of a known shape"),
        )


def _sniff(head: bytes) -> int:
    if not is_stream(head) or b"message_start" in head:
        return 0
    if b"chat.completion.chunk" in head or b'"response.created"' in head or b"event: response." in head:
        return 90
    if b'"choices"' in head or b'"response.' in head:
        return 50
    return 0


FORMAT = Format(
    "openai_sse", "OpenAI streams, Chat Completions and Responses (server-sent events)", True, _sniff, _parse
)
