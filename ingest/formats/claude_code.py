"""Claude Code transcripts: JSON lines of a session, read line by line in constant memory.

One response is written as several lines that repeat the same usage or let it grow. Every line whose usage says
something new becomes an event with the message's id, and storage keeps the most complete; a line that
repeats the usage of the answer before it only completes that event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from operator import attrgetter
from pathlib import PurePath, PureWindowsPath
from typing import Any, BinaryIO

import msgspec
from msgspec import Raw, Struct

from ingest.core.errors import Reason, Rejection
from ingest.core.events import FLAG_FINAL, FLAG_OUTPUT_INCOMPLETE, UsageEvent
from ingest.core.meter_fields import MeterError, kind_of
from ingest.core.meters import outcome_of, read_usage
from ingest.formats._anthropic import (
    call,
    model_of,
    ordinary_usage,
    served_by_content,
    stop_reason_of,
    text_of,
)
from ingest.formats._base import Format, Item, ParseContext, events_of, quiet_decode, read_time, rejection
from ingest.formats._limits import MAX_TAG_VALUE
from ingest.formats._lines import BOM, MAX_LINE_BYTES, UNREADABLE, problem_of
from ingest.formats._peek import peek

_EMPTY = Raw(b"")
_LEGACY = {
    "inputTokens": "input_tokens",
    "outputTokens": "output_tokens",
    "cacheCreationInputTokens": "cache_creation_input_tokens",
    "cacheReadInputTokens": "cache_read_input_tokens",
}
# Beside its message's id and usage, what tells one answer's lines from another's.
_setting = attrgetter("sessionId", "cwd", "gitBranch", "version", "isSidechain", "agentId")
_BYTES_PER_TOKEN = 4  # a rough lower bound of what visible content must have cost
_GENERIC_NAMES = {"chat", "conversation", "session", "transcript"}


class _Message(Struct, gc=False):
    id: object = None
    model: object = None
    stop_reason: object = None
    usage: Raw = _EMPTY
    content: Raw = _EMPTY


class _Line(Struct, gc=False):
    """A transcript line; the message is decoded only when the line turns out to be a model's answer."""

    type: object = None
    message: Raw = _EMPTY
    timestamp: object = None
    sessionId: object = None
    requestId: object = None
    uuid: object = None
    cwd: object = None
    gitBranch: object = None
    version: object = None
    isSidechain: object = None
    agentId: object = None
    isApiErrorMessage: object = None
    inputTokens: object = None
    outputTokens: object = None
    cacheCreationInputTokens: object = None
    cacheReadInputTokens: object = None


class _Visible(Struct, gc=False):
    """The parts of a content block that were output as tokens; a signature was not."""

    text: Raw = _EMPTY
    thinking: Raw = _EMPTY
    input: Raw = _EMPTY


_decode_line = msgspec.json.Decoder(_Line).decode
_decode_message = msgspec.json.Decoder(_Message).decode
_decode_blocks = msgspec.json.Decoder(list[_Visible]).decode


class _Transcript:
    """One file while it is read: what its path says, and the answer that was seen last."""

    def __init__(self, context: ParseContext) -> None:
        self.context = context
        path = _path(context.file_name)
        parts = path.parts
        self.session, self.project, self.agent = "", "", ""
        if "subagents" in parts[1:]:
            self.session = parts[parts.index("subagents", 1) - 1]
        elif path.stem.lower() in _GENERIC_NAMES and path.parent.name:
            self.session = path.parent.name
        elif not path.stem.startswith("agent-"):
            self.session = path.stem
        if path.stem.startswith("agent-"):
            self.agent = path.stem.removeprefix("agent-")
        # A project's folder is its working directory with the slashes turned into dashes.
        self.project = next((part for part in reversed(parts[:-1]) if part.startswith("-")), "")
        self.known: tuple[object, ...] = ()  # what a line must repeat to be about the answer before it
        self.pending: list[Item] = []  # that answer: lines that follow may complete it
        self.visible = 0
        self.setting: tuple[object, ...] = ()  # of the labels below
        self.labels: tuple[str, tuple[tuple[str, str], ...]] = ("", ())

    def read(self, number: int, line: _Line) -> list[Item]:
        """What is complete once this line has been read: earlier events, a rejection, or nothing."""
        event_id = ""
        try:
            message = _message(line.message)
            usage = _usage(line, message)
            if usage is None or message.model == "<synthetic>" or line.isApiErrorMessage is True:
                return []
            event_id = text_of(message.id, "message.id") or text_of(line.uuid, "uuid")
            return self._events(line, message, usage, event_id)
        except MeterError as error:
            return [*self.rest(), rejection(number, error, event_id)]

    def rest(self) -> list[Item]:
        """What nothing can complete any more."""
        done, self.pending, self.known = self.pending, [], ()
        return done

    def _events(
        self, line: _Line, message: _Message, usage: bytes | dict[str, Any], event_id: str
    ) -> list[Item]:
        content = bytes(message.content)
        stop_reason = stop_reason_of(message.stop_reason, "message.stop_reason")
        visible = 0 if stop_reason else _visible_bytes(content)
        served = served_by_content(content)
        # Compared as bytes: most repeats are then passed over before their usage is decoded.
        setting = _setting(line)
        known = (event_id, usage, message.model, served, line.requestId, setting)
        if (
            event_id
            and isinstance(usage, bytes)
            and known == self.known
            and self._complete(stop_reason, visible)
        ):
            return []
        model = served or model_of(message.model, "message.model")
        if not event_id:
            detail = "neither message.id nor uuid: the call could not be counted once"
            raise MeterError(Reason.UNATTRIBUTABLE, "message.id", detail)
        if line.timestamp is None:
            raise MeterError(
                Reason.UNATTRIBUTABLE,
                "timestamp",
                "timestamp is missing: the usage has no day to be priced at",
            )
        moment = read_time(line.timestamp, "timestamp")
        metered = ordinary_usage(usage, model) if isinstance(usage, bytes) else None
        if metered is None:
            metered = read_usage(_decoded(usage), model, "message.usage" if isinstance(usage, bytes) else "")
        request_id = text_of(line.requestId, "requestId")
        event = call(event_id, model, moment, FLAG_FINAL if stop_reason else 0, stop_reason, request_id)
        if visible > metered.main.output_tokens * _BYTES_PER_TOKEN:
            event.flags |= FLAG_OUTPUT_INCOMPLETE
        if setting != self.setting:  # it hardly ever changes within a file
            self.setting, self.labels = setting, (_short(line.sessionId) or self.session, self._tags(line))
        event.session_id, event.tags = self.labels
        done = self.rest()
        self.pending = [self.context.complete(part) for part in events_of(metered, event)]
        self.known, self.visible = known, visible
        return done

    def _complete(self, stop_reason: str, visible: int) -> bool:
        """Let another line of the same answer add what it knows: that the answer ended, or how much of it shows."""
        event = self.pending[0]
        assert isinstance(event, UsageEvent)
        if event.stop_reason:
            return stop_reason in ("", event.stop_reason)
        if stop_reason:
            if len(self.pending) > 1 or outcome_of(stop_reason, event.output_tokens) != event.outcome:
                return False
            event.stop_reason = stop_reason
            event.flags = (event.flags | FLAG_FINAL) & ~FLAG_OUTPUT_INCOMPLETE
        elif visible > max(self.visible, event.output_tokens * _BYTES_PER_TOKEN):
            event.flags |= FLAG_OUTPUT_INCOMPLETE
        self.visible = max(self.visible, visible)
        return True

    def _tags(self, line: _Line) -> tuple[tuple[str, str], ...]:
        tags = {
            "agent_id": _short(line.agentId) or self.agent,
            "cc_version": _short(line.version),
            "git_branch": _short(line.gitBranch),
            "project": _short(line.cwd) or self.project,
            "sidechain": "true" if line.isSidechain is True else "",
        }
        return tuple((name, value) for name, value in tags.items() if value)


def _path(name: str) -> PurePath:
    return PureWindowsPath(name) if "\\" in name else PurePath(name)


def _short(value: object) -> str:
    """A label is not worth losing a billed call over: an unusable one is dropped, a long one cut."""
    if not isinstance(value, str) or "\0" in value:
        return ""
    return value if len(value) <= MAX_TAG_VALUE else "…" + value[-(MAX_TAG_VALUE - 1) :]


def _message(raw: Raw) -> _Message:
    """The line's message; one that is a plain string holds no usage."""
    if not bytes(raw).startswith(b"{"):
        return _Message()
    try:
        return _decode_message(raw)
    except UNREADABLE as error:
        detail = f"the message cannot be read: {problem_of(error)}"
        raise MeterError(Reason.INVALID_JSON, "message", detail) from None


def _usage(line: _Line, message: _Message) -> bytes | dict[str, Any] | None:
    """The usage as bytes, or the flat counts that lines of 2024 carry themselves."""
    usage = bytes(message.usage)
    if usage and usage != b"null":
        return usage
    flat = {name: getattr(line, old) for old, name in _LEGACY.items() if getattr(line, old) is not None}
    return flat or None


def _decoded(usage: bytes | dict[str, Any]) -> dict[str, Any]:
    if isinstance(usage, dict):
        return usage
    value = quiet_decode(usage)
    if not isinstance(value, dict):
        detail = f"message.usage must be an object, not {kind_of(value)}"
        raise MeterError(Reason.INVALID_TYPE, "message.usage", detail)
    return value


def _visible_bytes(content: bytes) -> int:
    """Length of what the answer shows, in undecoded bytes: an estimate is enough to see a placeholder."""
    if not content.startswith(b"["):
        return max(0, len(content) - 2)
    try:
        blocks = _decode_blocks(content)
    except UNREADABLE:
        return 0
    return sum(
        max(0, len(bytes(raw)) - 2) for block in blocks for raw in (block.text, block.thinking, block.input)
    )


def _parse(stream: BinaryIO, context: ParseContext) -> Iterator[Item]:
    # No search for "usage" before decoding: skipping through JSON is as fast, and it finds broken lines.
    transcript = _Transcript(context)
    number = -1
    while line := stream.readline(MAX_LINE_BYTES):
        number += 1
        if number == 0:
            line = line.removeprefix(BOM)
        try:
            decoded = _decode_line(line)
        except UNREADABLE:
            if line.strip():
                yield _broken(number, line)
            continue
        if decoded.type == "assistant" or decoded.type is None:
            yield from transcript.read(number, decoded)
    yield from transcript.rest()


def _broken(number: int, line: bytes) -> Rejection:
    """Why a line could not be read; a last line that was cut while it was being written is told apart."""
    try:
        value = quiet_decode(line)
    except MeterError as error:
        if not line.endswith(b"\n") and line.lstrip().startswith(b"{"):
            return Rejection(number, Reason.TRUNCATED, "", "the file ends in the middle of a line")
        return rejection(number, error)
    return Rejection(
        number, Reason.NOT_AN_OBJECT, "", f"a transcript line must be a JSON object, not {kind_of(value)}"
    )


_LINE_TYPES = {
    "user", "assistant", "system", "summary", "progress", "attachment",
    "queue-operation", "file-history-snapshot", "last-prompt",
}  # fmt: skip
_MARKS = ("sessionId", "parentUuid", "leafUuid", "uuid", "messageId", "requestId", "isSidechain")


def _sniff(head: bytes) -> int:
    return max((_score(value) for value in peek(head)), default=0)


def _score(value: Mapping[str, Any]) -> int:
    kind, message = value.get("type"), value.get("message")
    if "payload" in value:  # a Codex rollout
        return 0
    if isinstance(kind, str) and kind in _LINE_TYPES and any(mark in value for mark in _MARKS):
        return 90
    if isinstance(message, Mapping) and isinstance(message.get("usage"), Mapping):
        return 90 if "sessionId" in value or "requestId" in value else 70 if kind == "assistant" else 0
    return 0


FORMAT = Format("claude_code", "Claude Code transcript (JSON lines)", True, _sniff, _parse)
