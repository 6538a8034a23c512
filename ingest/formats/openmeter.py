"""CloudEvents, as OpenMeter takes them: one, an array (a batch) or JSON lines.

An event is a model's call when its data names a model and counts tokens. Any other event is valid and gives nothing.
Values can be strings. Counts of one kind per event (`{"tokens": 120, "type": "input"}`) are an event each; the one of
the input stands for the call.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import msgspec
from msgspec import Struct

from ingest.core.errors import Reason
from ingest.core.events import FLAG_FINAL, FLAG_TIME_IMPUTED, UsageEvent
from ingest.core.meter_fields import Metered, MeterError
from ingest.core.meters import read_usage
from ingest.formats import _gateway as gateway
from ingest.formats._anthropic import model_of, stop_reason_of, text_of
from ingest.formats._base import Format, Item, ParseContext, events_of, rejection
from ingest.formats._by_total import Counts, metered
from ingest.formats._peek import peek

_INPUT = ("input_tokens", "inputTokens", "tokens_in")
_UNCACHED = ("uncached_input_tokens",)
_OUTPUT = ("output_tokens", "outputTokens", "tokens_out")
_READ = (
    "cache_read_input_tokens",
    "cache_read_tokens",
    "cached_input_tokens",
    "cached_tokens",
    "cacheReadTokens",
)
_WRITTEN = (
    "cache_creation_input_tokens",
    "cache_write_input_tokens",
    "cache_write_tokens",
    "cacheWriteTokens",
)
_WRITTEN_5M = ("cache_write_5m_input_tokens", "cache_write_5m_tokens")
_WRITTEN_1H = ("cache_write_1h_input_tokens", "cache_write_1h_tokens")
_THINKING = ("thinking_tokens", "reasoning_tokens", "reasoningTokens")
_TOTAL = ("total_tokens", "totalTokens")
_METERS = (
    *_INPUT,
    *_UNCACHED,
    *_OUTPUT,
    *_READ,
    *_WRITTEN,
    *_WRITTEN_5M,
    *_WRITTEN_1H,
    "prompt_tokens",
    "completion_tokens",
)
_KINDS = {"input": "input", "prompt": "input", "system": "input", "user": "input", "output": "output",
          "completion": "output", "assistant": "output"}  # fmt: skip
_INCLUSIVE = {"openai", "azure", "google", "gemini", "vertex", "openrouter"}


class _CloudEvent(Struct, gc=False):
    specversion: object = None
    id: object = None
    source: object = None
    type: object = None
    subject: object = None
    time: object = None
    data: object = None
    data_base64: object = None


_decode = msgspec.json.Decoder(_CloudEvent).decode


def _read(event: _CloudEvent, context: ParseContext, event_id: str) -> list[Item]:
    if event.specversion is None and event.data is None:
        raise MeterError(Reason.UNKNOWN_FORMAT, "specversion", "no CloudEvent: neither specversion nor data")
    data = _data(event)
    usage = data.get("usage")
    counts_tokens = isinstance(usage, Mapping) or any(data.get(name) is not None for name in _METERS)
    per_kind = not counts_tokens and data.get("tokens") is not None and data.get("model") is not None
    if not counts_tokens and not per_kind:
        return []
    if not event_id:
        raise MeterError(Reason.UNATTRIBUTABLE, "id", "id is missing: the event could not be counted once")
    model = model_of(data.get("model"), "data.model")
    provider, platform = gateway.served_by(data.get("provider"))
    own_platform = gateway.served_by(data.get("platform"))[1]
    moment, flags = context.default_time, FLAG_TIME_IMPUTED
    if event.time is not None:
        moment, flags = gateway.moment(event.time, "time"), 0
    tags = {**gateway.loose_holder(data.get("tags")), "subject": gateway.label(event.subject)}
    usage_event = UsageEvent(
        id=event_id,
        occurred_at=moment,
        model=model,
        provider=provider,
        platform=own_platform or platform,
        workspace_id=gateway.label(data.get("workspace_id"), data.get("workspace"), data.get("project")),
        api_key_id=gateway.label(data.get("api_key_id"), data.get("api_key_name")),
        user_id=gateway.label(data.get("user_id"), data.get("user")),
        session_id=gateway.label(data.get("session_id"), data.get("session")),
        tags=gateway.tags_of(tags),
        request_id=gateway.provider_id(data.get("response_id"), data.get("id"), data.get("request_id")),
        latency_ms=gateway.duration(data.get("latency_ms")),
        ttft_ms=gateway.duration(data.get("ttft_ms")),
        stop_reason=stop_reason_of(data.get("stop_reason"), "data.stop_reason"),
        flags=flags | FLAG_FINAL,
    )
    if per_kind:
        usage_event.request_id = ""  # it is the call's, and one event is only a part of the call
        meters, usage_event.requests = _one_kind(data, model)
    else:
        meters = _meters(data, model, platform or provider)
    return [context.complete(part) for part in events_of(meters, usage_event)]


def _data(event: _CloudEvent) -> Mapping[str, Any]:
    """The event's data when that is an object; other kinds of data are no business of ours."""
    if isinstance(event.data_base64, str) and event.data is None:
        try:
            return gateway.loose_holder(
                b64decode(event.data_base64, validate=True).decode("utf-8", "replace")
            )
        except (binascii.Error, ValueError):
            raise MeterError(Reason.INVALID_VALUE, "data_base64", "data_base64 is not base64") from None
    return gateway.loose_holder(event.data)


def _meters(data: Mapping[str, Any], model: str, served: str) -> Metered:
    usage = data.get("usage")
    if isinstance(usage, Mapping):
        return read_usage(usage, model, "data.usage")
    if data.get("prompt_tokens") is not None or data.get("completion_tokens") is not None:
        numbers = {
            name: gateway.count_or_none(data, name, "data")
            for name, value in data.items()
            if name.endswith("_tokens") and not isinstance(value, Mapping)
        }
        return read_usage({**data, **numbers}, model, "data")
    written_5m, written_1h = _optional(data, _WRITTEN_5M), _optional(data, _WRITTEN_1H)
    uncached = _optional(data, _UNCACHED)
    counts = Counts(
        given_input=gateway.counted(data, "data", *_INPUT) if uncached is None else uncached,
        output=gateway.counted(data, "data", *_OUTPUT),
        read=gateway.counted(data, "data", *_READ),
        written=gateway.counted(data, "data", *_WRITTEN) or (written_5m or 0) + (written_1h or 0),
        written_5m=written_5m,
        written_1h=written_1h,
        thinking=gateway.counted(data, "data", *_THINKING),
        total=_optional(data, _TOTAL),
        input_field="data.input_tokens",
        output_field="data.output_tokens",
        total_field="data.total_tokens",
    )
    included = False if uncached is not None else None
    found = metered(counts, model, included=included, unless_told=served in _INCLUSIVE)
    found.web_search_requests = gateway.counted(data, "data", "web_search_requests")
    found.service_tier = gateway.label(data.get("service_tier"), limit=64) or "standard"
    return found


def _one_kind(data: Mapping[str, Any], model: str) -> tuple[Metered, int]:
    """(meters, requests) of an event that counts one kind of token."""
    tokens = gateway.counted(data, "data", "tokens")
    word = data.get("type", data.get("token_type"))
    kind = _KINDS.get(word.lower() if isinstance(word, str) else "")
    if kind is None:
        detail = "data.type must say whether data.tokens are input or output"
        raise MeterError(Reason.UNKNOWN_USAGE_SHAPE, "data.type", detail)
    counts = Counts(tokens, 0) if kind == "input" else Counts(0, tokens)
    return metered(counts, model, included=True), 1 if word in ("input", "prompt", "user") else 0


def _optional(data: Mapping[str, Any], keys: tuple[str, ...]) -> int | None:
    return next((gateway.count_or_none(data, key, "data") for key in keys if data.get(key) is not None), None)


def _identity(event: _CloudEvent) -> str:
    """An event is unique by source and id; an id that a provider gave is unique by itself."""
    own = text_of(event.id, "id")
    if not own or gateway.provider_id(own):
        return own
    source = gateway.label(event.source, limit=max(1, 255 - len(own)))
    return f"{source}#{own}" if source and len(own) < 250 else own


def _parse(stream: BinaryIO, context: ParseContext) -> Iterator[Item]:
    def read(index: int, event: _CloudEvent) -> list[Item]:
        event_id = ""
        try:
            event_id = _identity(event)
            return _read(event, context, event_id)
        except MeterError as error:
            return [rejection(index, error, event_id)]

    yield from gateway.read_rows(stream, _decode, read, pages=False)  # an event's own data can be a list


def _sniff(head: bytes) -> int:
    return max((_score(value) for value in peek(head, limit=5)), default=0)


def _score(value: Mapping[str, Any]) -> int:
    if "specversion" in value and "type" in value:
        return 90
    return 0


FORMAT = Format("openmeter", "CloudEvents, as OpenMeter takes them", False, _sniff, _parse)
