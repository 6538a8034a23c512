"""The careful reading of one canonical event: every rule of the contract, and a reason for every refusal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Raw

from ingest.core.errors import Reason
from ingest.core.events import FLAG_FINAL, PrefixBlock, UsageEvent
from ingest.core.meter_fields import MAX_COUNT, MAX_MODEL, MAX_WORD, MeterError, clean_text, count, kind_of
from ingest.core.meters import read_usage
from ingest.formats._base import Item, events_of, quiet_decode, read_time, rejection
from ingest.formats._limits import MAX_ID, MAX_PREFIX, MAX_PREFIX_ID, MAX_TAG_NAME, MAX_TAG_VALUE, MAX_TAGS

ROUTINGS = ("", "global", "regional")


def read_row(raw: bytes | Raw | object, index: int) -> list[Item]:
    """The event (and its parts) of one row given as bytes or as decoded JSON, or its one rejection."""
    event_id = ""
    try:
        row = quiet_decode(raw) if isinstance(raw, bytes | Raw) else raw
        if not isinstance(row, Mapping):
            raise MeterError(Reason.NOT_AN_OBJECT, "", f"an event must be a JSON object, not {kind_of(row)}")
        event_id = _text(row, "id", MAX_ID)
        return list(_read(row, event_id))
    except MeterError as error:
        return [rejection(index, error, event_id)]


def _read(row: Mapping[str, Any], event_id: str) -> list[UsageEvent]:
    for name in ("occurred_at", "model", "usage"):
        if row.get(name) is None:
            raise MeterError(Reason.MISSING_FIELD, name, f"{name} is required")
    occurred_at = read_time(row["occurred_at"], "occurred_at")
    model = _text(row, "model", MAX_MODEL)
    if not model.strip():
        raise MeterError(Reason.INVALID_VALUE, "model", "model is empty")
    routing = _text(row, "routing", MAX_WORD)
    if routing not in ROUTINGS:
        raise MeterError(
            Reason.INVALID_VALUE, "routing", "routing must be global or regional, or be left out"
        )
    metered = read_usage(row["usage"], model)
    event = UsageEvent(
        id=event_id,
        occurred_at=occurred_at,
        model=model,
        provider=_text(row, "provider", MAX_WORD),
        platform=_text(row, "platform", MAX_WORD),
        routing=routing,
        workspace_id=_text(row, "workspace_id", MAX_ID),
        api_key_id=_text(row, "api_key_id", MAX_ID),
        user_id=_text(row, "user_id", MAX_ID),
        session_id=_text(row, "session_id", MAX_ID),
        tags=tags_of(row.get("tags")),
        request_id=_text(row, "request_id", MAX_ID),
        latency_ms=_milliseconds(row, "latency_ms"),
        ttft_ms=_milliseconds(row, "ttft_ms"),
        stop_reason=_text(row, "stop_reason", MAX_WORD),
        flags=FLAG_FINAL,  # an event is posted after its call
        prefix=_prefix(row.get("prefix")),
    )
    return events_of(metered, event)


def _text(row: Mapping[str, Any], name: str, limit: int) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MeterError(Reason.INVALID_TYPE, name, f"{name} must be a string, not {kind_of(value)}")
    return clean_text(value, name, limit)


def _milliseconds(row: Mapping[str, Any], name: str) -> int | None:
    """A duration, unlike a count, is often measured as a decimal number."""
    value = row.get(name)
    if value is None:
        return None
    if type(value) is float:
        if not 0 <= value <= MAX_COUNT:
            raise MeterError(Reason.INVALID_VALUE, name, f"{name} must lie between 0 and {MAX_COUNT}")
        return round(value)
    return count(row, name, "")


def tags_of(value: object) -> tuple[tuple[str, str], ...]:
    """Checked tags, sorted by name. Raises MeterError."""
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        raise MeterError(Reason.INVALID_TYPE, "tags", f"tags must be an object, not {kind_of(value)}")
    if len(value) > MAX_TAGS:
        raise MeterError(Reason.INVALID_VALUE, "tags", f"{len(value)} tags, at most {MAX_TAGS} are allowed")
    pairs = []
    for name, content in value.items():
        clean_text(name, "tags", MAX_TAG_NAME)
        if not name:
            raise MeterError(Reason.INVALID_VALUE, "tags", "a tag's name is empty")
        if content is None:
            continue
        if isinstance(content, bool):
            content = "true" if content else "false"
        elif isinstance(content, int | float):
            content = _number_text(content)
        elif not isinstance(content, str):
            detail = f"a tag's value must be a string, a number or a boolean, not {kind_of(content)}"
            raise MeterError(Reason.INVALID_TYPE, "tags", detail)
        pairs.append((name, clean_text(content, "tags", MAX_TAG_VALUE)))
    return tuple(sorted(pairs))


def _number_text(number: float) -> str:
    try:
        return str(number)
    except ValueError:  # Python refuses to print integers of thousands of digits
        raise MeterError(Reason.INVALID_VALUE, "tags", "a tag's number has too many digits") from None


def _prefix(value: object) -> tuple[PrefixBlock, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise MeterError(Reason.INVALID_TYPE, "prefix", f"prefix must be a list, not {kind_of(value)}")
    if len(value) > MAX_PREFIX:
        raise MeterError(
            Reason.INVALID_VALUE, "prefix", f"{len(value)} prefix entries, at most {MAX_PREFIX} are allowed"
        )
    blocks: list[PrefixBlock] = []
    for n, entry in enumerate(value):
        where = f"prefix[{n}]"
        if not isinstance(entry, Mapping):
            raise MeterError(Reason.INVALID_TYPE, where, f"{where} must be an object, not {kind_of(entry)}")
        for name in ("id", "tokens"):
            if entry.get(name) is None:
                raise MeterError(Reason.MISSING_FIELD, f"{where}.{name}", f"{where}.{name} is required")
        if not isinstance(entry["id"], str):
            raise MeterError(
                Reason.INVALID_TYPE, f"{where}.id", f"{where}.id must be a string, not {kind_of(entry['id'])}"
            )
        if not entry["id"]:
            raise MeterError(Reason.INVALID_VALUE, f"{where}.id", f"{where}.id is empty")
        block = PrefixBlock(
            clean_text(entry["id"], f"{where}.id", MAX_PREFIX_ID), count(entry, "tokens", where)
        )
        if blocks and block.tokens < blocks[-1].tokens:
            detail = f"prefix counts are cumulative: {where} has {block.tokens} after {blocks[-1].tokens}"
            raise MeterError(Reason.CONTRADICTORY_COUNTS, f"{where}.tokens", detail)
        blocks.append(block)
    return tuple(blocks)
