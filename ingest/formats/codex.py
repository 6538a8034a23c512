"""Codex session files: JSON lines in which `token_count` events carry the last call's usage and a running total.

The last usage is the call; the total tells repeats (it did not move) and stands in where the last is missing, as the
difference to the one before. A forked or sub-agent session begins with a copy of its parent's lines under new times:
those keep the parent's identity, so that they count once whichever files are imported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import PurePath, PureWindowsPath
from typing import Any, BinaryIO

import msgspec
from msgspec import Raw, Struct

from ingest.core.errors import Reason, Rejection
from ingest.core.events import FLAG_FINAL, UsageEvent
from ingest.core.meter_fields import MeterError, count, kind_of, nested
from ingest.formats import _gateway as gateway
from ingest.formats._base import Format, Item, ParseContext, events_of, quiet_decode, read_time, rejection
from ingest.formats._by_total import Counts, metered
from ingest.formats._lines import UNREADABLE, numbered_lines
from ingest.formats._peek import peek

UNNAMED = "unknown Codex model"  # without a price, so it is shown by this name
_METERS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
)
_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_WANTED = ("session_meta", "turn_context", "event_msg")

Vector = tuple[int, ...]  # the counts of _METERS


class _Line(Struct, gc=False):
    timestamp: object = None
    type: object = None
    payload: Raw = gateway.NO_RAW


class _Kind(Struct, gc=False):
    type: object = None


_decode_line = msgspec.json.Decoder(_Line).decode
_decode_kind = msgspec.json.Decoder(_Kind).decode


class _Session:
    """One file while it is read."""

    def __init__(self, context: ParseContext) -> None:
        self.context = context
        path = (
            PureWindowsPath(context.file_name) if "\\" in context.file_name else PurePath(context.file_name)
        )
        self.id = path.stem  # until the file names itself
        self.named = False
        self.owner = (
            self.id
        )  # whose lines are being read: the session's, or those of the one it was forked from
        self.copied = False
        self.started: datetime | None = None
        self.turn = ""
        self.model = ""
        self.provider = self.platform = ""
        self.tags: tuple[tuple[str, str], ...] = ()
        self.total: Vector = ()

    def read(self, number: int, line: _Line) -> Iterator[Item]:
        if line.type not in _WANTED:
            return
        try:
            if line.type == "session_meta":
                self._meta(_payload(line.payload))
            elif line.type == "turn_context":
                payload = _payload(line.payload)
                self.model = gateway.label(payload.get("model"), limit=200) or self.model
                self._turn(payload.get("turn_id"))
            elif (kind := _kind(line.payload)) == "task_started":
                self._turn(_payload(line.payload).get("turn_id"))
            elif kind == "token_count":
                yield from self._usage(line, _payload(line.payload))
        except MeterError as error:
            yield rejection(number, error)

    def _meta(self, payload: Mapping[str, Any]) -> None:
        name = gateway.label(payload.get("id"), payload.get("session_id"), limit=128)
        if self.named:  # the copied head of a session that this one was forked from
            if self.copied and name:
                self.owner = name
            return
        self.named = True
        self.id = self.owner = name or self.id
        parent = gateway.label(payload.get("forked_from_id"), _spawned_by(payload), limit=128)
        if parent:
            self.copied, self.owner = True, parent
        self.started = _minted(self.id) or _time(payload.get("timestamp"))
        self.model = gateway.label(payload.get("model"), limit=200) or self.model
        self.provider, self.platform = gateway.served_by(payload.get("model_provider"))
        git = gateway.loose_holder(payload.get("git"))
        self.tags = gateway.tags_of(
            {
                "project": payload.get("cwd"),
                "git_branch": git.get("branch"),
                "codex_version": payload.get("cli_version"),
            }
        )

    def _turn(self, turn_id: object) -> None:
        """A new turn. Turn ids are made when a turn first runs, so a copied one is older than the session."""
        self.turn = gateway.label(turn_id, limit=64)
        if not self.copied:
            return
        minted = _minted(self.turn)
        if minted is None or self.started is None or minted >= self.started:
            self.copied, self.owner = False, self.id

    def _usage(self, line: _Line, payload: Mapping[str, Any]) -> Iterator[Item]:
        info = nested(payload, "info", "payload")
        path = "payload.info"
        last = _vector(nested(info, "last_token_usage", path), f"{path}.last_token_usage")
        total = _vector(nested(info, "total_token_usage", path), f"{path}.total_token_usage")
        if total:
            before, self.total = self.total, total
            if total == before:
                return  # a repeat, when limits were refreshed or a session was resumed
            call = last or _difference(total, before)
        else:
            call = last
        if not any(call):
            return
        moment = self._time(line.timestamp)
        event = UsageEvent(
            id=self._identity(line.timestamp, last, total),
            occurred_at=moment,
            model=gateway.label(info.get("model"), limit=200) or self.model or UNNAMED,
            provider=self.provider,
            platform=self.platform,
            session_id=self.owner,
            tags=self.tags,
            flags=FLAG_FINAL,
        )
        whole, cached, written, output, reasoning = call
        counts = Counts(
            whole,
            output,
            read=cached,
            written=written,
            thinking=reasoning,
            input_field=f"{path}.last_token_usage.input_tokens"
            if last
            else f"{path}.total_token_usage.input_tokens",
            output_field=f"{path}.last_token_usage.output_tokens"
            if last
            else f"{path}.total_token_usage.output_tokens",
        )
        for part in events_of(metered(counts, event.model, included=True), event):
            yield self.context.complete(part)

    def _time(self, value: object) -> datetime:
        if value is None:
            raise MeterError(
                Reason.UNATTRIBUTABLE,
                "timestamp",
                "timestamp is missing: the usage has no day to be priced at",
            )
        return read_time(value, "timestamp")

    def _identity(self, timestamp: object, last: Vector, total: Vector) -> str:
        """The running total names a call within its turn; a call without one is named by its time.

        So is one of a file that names neither turn nor session: its file's name is not known to every way in.
        """
        place = self.turn or (self.owner if self.named else timestamp)
        if total:
            return f"codex:{place}:{_text(total)}/{_text(last)}"
        return f"codex:{place}:{timestamp}/{_text(last)}"


def _vector(usage: Mapping[str, Any], path: str) -> Vector:
    """The counts of a usage object, () when there is none. Its total must be its parts; some add reasoning again."""
    if not usage:
        return ()
    counts = tuple(count(usage, name, path) for name in _METERS)
    if usage.get("total_tokens") is not None:
        total = count(usage, "total_tokens", path)
        parts = counts[0] + counts[3]
        if total not in (parts, parts + counts[4]):
            detail = f"{path}.total_tokens is {total} but input and output sum to {parts}"
            raise MeterError(Reason.CONTRADICTORY_COUNTS, f"{path}.total_tokens", detail)
    return counts


def _difference(total: Vector, before: Vector) -> Vector:
    """What was added to the running total; a total that went down began anew."""
    if not before or any(new < old for new, old in zip(total, before, strict=True)):
        return total
    return tuple(new - old for new, old in zip(total, before, strict=True))


def _text(vector: Vector) -> str:
    return ".".join(map(str, vector))


def _spawned_by(payload: Mapping[str, Any]) -> object:
    """The session that started this one as a sub-agent."""
    source = gateway.loose_holder(payload.get("source"))
    spawn = gateway.loose_holder(gateway.loose_holder(source.get("subagent")).get("thread_spawn"))
    return spawn.get("parent_thread_id")


def _minted(name: str) -> datetime | None:
    """When an id was made: version 7 UUIDs begin with the milliseconds since 1970."""
    if not _UUID7.fullmatch(name):
        return None
    try:
        return gateway.moment(float(int(name[:8] + name[9:13], 16)), "")
    except MeterError:
        return None


def _time(value: object) -> datetime | None:
    try:
        return read_time(value, "timestamp").astimezone(UTC)
    except MeterError:
        return None


def _kind(raw: Raw) -> object:
    try:
        return _decode_kind(raw).type
    except UNREADABLE:
        return None


def _payload(raw: Raw) -> Mapping[str, Any]:
    value = quiet_decode(raw) if bytes(raw) else {}
    if not isinstance(value, Mapping):
        raise MeterError(Reason.INVALID_TYPE, "payload", f"payload must be an object, not {kind_of(value)}")
    return value


def _parse(stream: BinaryIO, context: ParseContext) -> Iterator[Item]:
    session = _Session(context)
    for number, line in numbered_lines(stream):
        try:
            decoded = _decode_line(line)
        except UNREADABLE:
            yield _broken(number, line)
            continue
        yield from session.read(number, decoded)


def _broken(number: int, line: bytes) -> Rejection:
    try:
        value = quiet_decode(line)
    except MeterError as error:
        return rejection(number, error)
    return Rejection(
        number, Reason.NOT_AN_OBJECT, "", f"a session line must be a JSON object, not {kind_of(value)}"
    )


def _sniff(head: bytes) -> int:
    return max((_score(value) for value in peek(head)), default=0)


def _score(value: Mapping[str, Any]) -> int:
    if "payload" not in value or "timestamp" not in value:
        return 0
    return 90 if value.get("type") in (*_WANTED, "response_item", "compacted", "world_state") else 0


FORMAT = Format("codex", "Codex session (JSON lines)", True, _sniff, _parse)
