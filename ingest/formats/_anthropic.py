"""What Messages bodies, streams and transcripts share: identity, platform, and the serving model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from ingest.core.errors import Reason
from ingest.core.events import FLAG_TIME_IMPUTED, FLAG_TTL_UNKNOWN, UsageEvent
from ingest.core.meter_fields import (
    MAX_COUNT,
    MAX_MODEL,
    MAX_WORD,
    Metered,
    MeterError,
    Part,
    clean_text,
    kind_of,
)
from ingest.formats._base import ParseContext, read_time
from ingest.formats._event_structs import ESCAPED_NUL, Usage
from ingest.formats._limits import MAX_ID
from ingest.formats._lines import UNREADABLE

_PLATFORM_BY_PREFIX = (("msg_bdrk_", "bedrock"), ("msg_vrtx_", "vertex"))
_NOTHING_FOREIGN = (None,) * 5
_TIME_KEYS = (
    "created_at",
    "timestamp",
    "occurred_at",
)  # extras that recorders add; the API itself sends no time


def platform_of(message_id: str) -> str:
    """Bedrock and Vertex mark their ids; a plain `msg_` is the API's or Foundry's, so it says nothing."""
    return next((platform for prefix, platform in _PLATFORM_BY_PREFIX if message_id.startswith(prefix)), "")


def text_of(value: object, where: str, limit: int = MAX_ID) -> str:
    """An optional text field that is stored; null and missing are ''."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MeterError(Reason.INVALID_TYPE, where, f"{where} must be a string, not {kind_of(value)}")
    return clean_text(value, where, limit)


def model_of(value: object, where: str) -> str:
    """The required model name."""
    model = text_of(value, where, MAX_MODEL)
    if not model.strip():
        raise MeterError(
            Reason.UNATTRIBUTABLE, where, f"{where} is missing: without a model the usage has no price"
        )
    return model


def stop_reason_of(value: object, where: str) -> str:
    """The stop reason; one that is no short word is left out, since nothing is counted by it."""
    return (
        value
        if isinstance(value, str) and len(value) <= MAX_WORD and value.isascii() and value.isprintable()
        else ""
    )


def served_by(block: object) -> str:
    """The serving model of a `fallback` content block, '' for any other block."""
    if not isinstance(block, Mapping) or block.get("type") != "fallback":
        return ""
    to = block.get("to")
    if isinstance(to, Mapping):
        to = to.get("model")
    return text_of(to, "content.to", MAX_MODEL)


class _Block(msgspec.Struct, gc=False):
    type: object = None
    to: object = None


def served_by_content(content: bytes) -> str:
    """The same from a message's raw content; the text of the other blocks is skipped, not decoded."""
    if b'"fallback"' not in content:
        return ""
    try:
        blocks = msgspec.json.decode(content, type=list[_Block])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    served = [served_by({"type": block.type, "to": block.to}) for block in blocks]
    return next((model for model in reversed(served) if model), "")


def time_of(holders: Sequence[Mapping[str, Any]], context: ParseContext) -> tuple[datetime, int]:
    """(time, flags): one that a recorder added, else the context's, flagged as imputed."""
    for holder in holders:
        for key in _TIME_KEYS:
            if isinstance(holder.get(key), str):
                return read_time(holder[key], key), 0
    return context.default_time, FLAG_TIME_IMPUTED


def call(
    message_id: str, model: str, moment: datetime, flags: int, stop_reason: str, request_id: str
) -> UsageEvent:
    """A Claude call without its meters yet."""
    return UsageEvent(
        id=message_id,
        occurred_at=moment,
        model=model,
        provider="anthropic",
        platform=platform_of(message_id),
        stop_reason=stop_reason,
        request_id=request_id,
        flags=flags,
    )


_decode_usage = msgspec.json.Decoder(Usage).decode


def ordinary_usage(raw: bytes, model: str) -> Metered | None:
    """The meters of an ordinary usage object in one typed step; None for any other, which `read_usage` is for.

    It knows no rule of its own: a test holds it against `read_usage`.
    """
    if ESCAPED_NUL in raw:
        return None
    try:
        usage = _decode_usage(raw)
    except UNREADABLE:
        return None
    split, details, searches = usage.cache_creation, usage.output_tokens_details, usage.server_tool_use
    if split is None or details is None or searches is None:
        return None
    foreign = (
        usage.iterations,
        usage.total_tokens,
        usage.prompt_tokens,
        usage.input_tokens_details,
        details.reasoning_tokens,
    )
    if usage.input_tokens is None or usage.output_tokens is None or foreign != _NOTHING_FOREIGN:
        return None
    written, flags = usage.cache_creation_input_tokens or 0, 0
    in_5m, in_1h = split.ephemeral_5m_input_tokens, split.ephemeral_1h_input_tokens
    if in_5m is None and in_1h is None:
        in_5m, flags = written, FLAG_TTL_UNKNOWN if written else 0
    in_5m, in_1h = in_5m or 0, in_1h or 0
    read, thinking = usage.cache_read_input_tokens or 0, details.thinking_tokens or 0
    prompt = usage.input_tokens + read + in_5m + in_1h
    if in_5m + in_1h != written or prompt > MAX_COUNT or thinking > usage.output_tokens:
        return None
    main = Part(model, "", usage.input_tokens, read, in_5m, in_1h, usage.output_tokens, prompt, flags)
    geo = usage.inference_geo or ""
    return Metered(
        main=main,
        thinking_tokens=thinking,
        web_search_requests=searches.web_search_requests or 0,
        service_tier=usage.service_tier or "standard",
        speed=usage.speed or "standard",
        inference_geo="" if geo == "not_available" else geo,
    )
