"""What OpenAI's formats share, and their look-alikes: one call from a response body, its identity, time and platform.

The text of a body is skipped, not decoded: of `choices` only how they ended is read, of `output` only the kinds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
from msgspec import Raw, Struct

from ingest.core.errors import Reason
from ingest.core.events import FLAG_FINAL, FLAG_TIME_IMPUTED, UsageEvent
from ingest.core.meter_fields import MAX_WORD, MeterError, keys_seen, kind_of
from ingest.core.meters import read_usage
from ingest.core.meters_openai import service_tier
from ingest.formats._anthropic import model_of, stop_reason_of, text_of
from ingest.formats._base import (
    EARLIEST_YEAR,
    LATEST_YEAR,
    Item,
    ParseContext,
    events_of,
    quiet_decode,
    read_time,
    rejection,
)
from ingest.formats._lines import UNREADABLE

_WRAPPERS = ("body", "response")
_EARLIEST = datetime(EARLIEST_YEAR, 1, 1, tzinfo=UTC).timestamp()
_END = datetime(LATEST_YEAR + 1, 1, 1, tzinfo=UTC).timestamp()
# A Responses body in one of these states has no usage, and nothing that is known to be billed.
_UNBILLED = ("queued", "in_progress", "failed", "cancelled")


class Body(Struct, gc=False, rename={"kind": "object"}):
    """One response body of either API, or what a recorder wrapped around one."""

    id: object = None
    kind: object = None
    model: object = None
    usage: object = None
    created: object = None
    created_at: object = None
    timestamp: object = None
    occurred_at: object = None
    service_tier: object = None
    status: object = None
    error: object = None
    request_id: object = None
    incomplete_details: object = None
    choices: Raw = Raw(b"")
    output: Raw = Raw(b"")
    prompt_filter_results: Raw = Raw(b"")
    content_filters: Raw = Raw(b"")
    x_groq: object = None
    body: Raw = Raw(b"")
    response: Raw = Raw(b"")


class _Choice(Struct, gc=False):
    finish_reason: object = None
    native_finish_reason: object = None
    content_filter_results: Raw = Raw(b"")


class _Output(Struct, gc=False):
    type: object = None


@dataclass(slots=True)
class Call:
    """What is known of one call before its usage is metered; values are as they were read."""

    id: str
    model: object
    usage: object
    times: Sequence[tuple[str, object]]
    service_tier: object = None
    stop_reason: str = ""
    ended: bool = True
    platform: str = ""
    web_searches: int = 0
    request_id: str = ""
    tags: tuple[tuple[str, str], ...] = ()


decode = msgspec.json.Decoder(Body).decode
_decode_choices = msgspec.json.Decoder(list[_Choice]).decode
_decode_output = msgspec.json.Decoder(list[_Output]).decode


def items_of(raw: bytes | Raw, index: int, context: ParseContext) -> list[Item]:
    """The events of one value of a file, or its one rejection."""
    try:
        return list(read_body(raw, context))
    except MeterError as error:
        return [rejection(index, error, id_of(raw))]


def read_body(
    raw: bytes | Raw,
    context: ParseContext,
    outer: Sequence[Body] = (),
    tier: str = "",
    tags: tuple[tuple[str, str], ...] = (),
) -> Sequence[Item]:
    """The events of one body; none for an error, which is not billed. Raises MeterError.

    `tier` and `tags` are what the format knows beside the body: a batch's price, a request's own name.
    """
    body = _typed(raw)
    if body.usage is None:
        for name in _WRAPPERS:
            inner: bytes = bytes(getattr(body, name)).strip()
            if inner.startswith(b'"') and not outer:
                text = quiet_decode(inner)  # recorders keep the body as a string
                inner = text.encode() if isinstance(text, str) else b""
            if inner.startswith(b"{") and len(outer) < 2:
                return read_body(inner, context, [*outer, body], tier, tags)
        return _without_usage(raw, body)
    choices, kinds = _choices(body), _output_kinds(body)
    call = Call(
        id=text_of(body.id, "id"),
        model=body.model,
        usage=body.usage,
        times=[
            (name, getattr(holder, name))
            for holder in (body, *reversed(outer))
            for name in ("created", "created_at", "timestamp", "occurred_at")
        ],
        service_tier=tier or body.service_tier,
        stop_reason=_stop_reason(body, choices),
        ended=body.status != "in_progress",
        platform=platform_of(
            body.id,
            body.usage,
            azure=bool(bytes(body.prompt_filter_results) or bytes(body.content_filters))
            or any(bytes(choice.content_filter_results) for choice in choices),
            groq=body.x_groq is not None,
        ),
        web_searches=kinds.count("web_search_call"),
        request_id=next(
            (text_of(b.request_id, "request_id") for b in (body, *outer) if b.request_id is not None), ""
        ),
        tags=tags,
    )
    return events(call, context)


def events(call: Call, context: ParseContext) -> list[UsageEvent]:
    """The call with its meters. Raises MeterError."""
    model = model_of(call.model, "model")
    moment, flags = _time(call.times, context)
    if not call.id and flags & FLAG_TIME_IMPUTED:
        detail = "neither id nor time: the call could not be told apart when it is reported again"
        raise MeterError(Reason.UNATTRIBUTABLE, "id", detail)
    metered = read_usage(call.usage, model)  # type: ignore[arg-type]  # it checks that it is an object
    said = text_of(call.service_tier, "service_tier", MAX_WORD)
    if service_tier(said) != "standard":
        metered.service_tier = said
    metered.web_search_requests = metered.web_search_requests or call.web_searches
    event = UsageEvent(
        id=call.id,
        occurred_at=moment,
        model=model,
        platform=call.platform,
        stop_reason=call.stop_reason,
        request_id=call.request_id,
        tags=call.tags,
        flags=flags | (FLAG_FINAL if call.ended else 0),
    )
    return [context.complete(part) for part in events_of(metered, event)]


def platform_of(identity: object, usage: object, azure: bool = False, groq: bool = False) -> str:
    """Who served the call, where the body tells; '' = it may be the maker of the model."""
    if isinstance(identity, str) and identity.startswith("gen-"):
        return "openrouter"
    if isinstance(usage, Mapping):
        if "is_byok" in usage or "cost_details" in usage:
            return "openrouter"
        if "prompt_cache_hit_tokens" in usage:
            return "deepseek"
    return "azure" if azure else "groq" if groq else ""


def read_epoch(value: object, where: str) -> datetime:
    """A time in seconds since 1970, or an RFC 3339 text, as UTC. Raises MeterError."""
    if isinstance(value, str):
        return read_time(value, where)
    if isinstance(value, bool) or not isinstance(value, int | float):
        detail = f"{where} must be seconds since 1970, not {kind_of(value)}"
        raise MeterError(Reason.INVALID_TYPE, where, detail)
    if not math.isfinite(value) or not _EARLIEST <= value < _END:
        detail = f"{where} is no time between {EARLIEST_YEAR} and {LATEST_YEAR} in seconds since 1970"
        raise MeterError(Reason.INVALID_TIME, where, detail)
    return datetime.fromtimestamp(value, UTC)


def id_of(raw: bytes | Raw) -> str:
    """The id of a value that is refused, if it can be read."""
    try:
        value = decode(raw).id
        return text_of(value, "id") if isinstance(value, str) else ""
    except (MeterError, *UNREADABLE):
        return ""


def score(value: Mapping[str, object], kind: str, nested: bool = False) -> int:
    """How surely a peeked value is a body of this `object` kind, by its own words only."""
    if value.get("object") == kind and ("usage" in value or "id" in value):
        return 85
    if nested or "custom_id" in value:
        return 0
    inner = [value.get(name) for name in _WRAPPERS]
    return max((score(each, kind, True) - 10 for each in inner if isinstance(each, Mapping)), default=0)


def _time(times: Sequence[tuple[str, object]], context: ParseContext) -> tuple[datetime, int]:
    """(time, flags): the first that is given; gateways write 0 where they do not know."""
    for name, value in times:
        if value is not None and (isinstance(value, bool) or value not in (0, "")):
            return read_epoch(value, name), 0
    return context.default_time, FLAG_TIME_IMPUTED


def _without_usage(raw: bytes | Raw, body: Body) -> Sequence[Item]:
    if body.error is not None or body.status in _UNBILLED:
        return []
    if body.kind in ("chat.completion", "response", "text_completion"):
        raise MeterError(Reason.MISSING_FIELD, "usage", "usage is required")
    seen = quiet_decode(raw)
    keys = keys_seen(seen) if isinstance(seen, Mapping) else ""
    raise MeterError(Reason.UNKNOWN_FORMAT, "", f"not a response of OpenAI's APIs; keys seen: {keys}")


def _typed(raw: bytes | Raw) -> Body:
    try:
        return decode(raw)
    except UNREADABLE:
        value = quiet_decode(raw)
    if isinstance(value, Mapping):  # cannot happen: every field is an object
        raise MeterError(Reason.INVALID_TYPE, "", "a field of the response has an unreadable value")
    raise MeterError(Reason.NOT_AN_OBJECT, "", f"a response must be a JSON object, not {kind_of(value)}")


def _choices(body: Body) -> list[_Choice]:
    try:
        return _decode_choices(body.choices) if bytes(body.choices) else []
    except UNREADABLE:
        return []  # nothing is counted by it


def _output_kinds(body: Body) -> list[object]:
    try:
        return [item.type for item in _decode_output(body.output)] if bytes(body.output) else []
    except UNREADABLE as error:
        if bytes(body.output).strip() == b"null":
            return []
        detail = "output must be a list of objects: web searches are counted in it"
        raise MeterError(Reason.INVALID_TYPE, "output", detail) from error


def _stop_reason(body: Body, choices: Sequence[_Choice]) -> str:
    if choices:
        return stop_reason_of(choices[0].finish_reason, "finish_reason")
    if body.status == "incomplete" and isinstance(body.incomplete_details, Mapping):
        return (
            stop_reason_of(body.incomplete_details.get("reason"), "incomplete_details.reason") or "incomplete"
        )
    return stop_reason_of(body.status, "status")
