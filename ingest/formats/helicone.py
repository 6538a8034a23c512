"""Helicone: exported requests, as JSON lines, an array or the answer of its API.

Whether prompt_tokens include cached tokens follows the provider; the total shows which. The costs are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import msgspec
from msgspec import Struct

from ingest.core.events import FLAG_FINAL, UsageEvent
from ingest.core.meter_fields import MeterError
from ingest.formats import _gateway as gateway
from ingest.formats._anthropic import model_of, text_of
from ingest.formats._base import Format, Item, ParseContext, events_of, rejection
from ingest.formats._by_total import Counts, metered

_BESIDE = {"anthropic", "bedrock", "aws", "vertex"}  # their own counts leave cached tokens out of the input
_SESSION = "helicone-session-id"


class _Row(Struct, gc=False):
    request_id: object = None
    response_id: object = None
    request_created_at: object = None
    response_status: object = None
    response_model: object = None
    request_model: object = None
    model_override: object = None
    model: object = None
    provider: object = None
    request_user_id: object = None
    helicone_user: object = None
    request_properties: object = None
    properties: object = None
    delay_ms: object = None
    time_to_first_token: object = None
    total_tokens: object = None
    prompt_tokens: object = None
    completion_tokens: object = None
    prompt_cache_read_tokens: object = None
    prompt_cache_write_tokens: object = None
    reasoning_tokens: object = None


_decode = msgspec.json.Decoder(_Row).decode


def _read(row: _Row, context: ParseContext, event_id: str) -> list[Item]:
    fields = msgspec.structs.asdict(row)
    status = _status(row.response_status)
    failed = status < 0 or status >= 400
    known = any(fields[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens"))
    if status < 0 and not known:
        return []  # pending or canceled: nothing is known to be billed
    moment = gateway.moment(row.request_created_at, "request_created_at")
    names = [row.response_model, row.model_override, row.request_model, row.model]
    name = next((value for value in names if value not in (None, "", "null")), None)
    if failed and not known and name is None:
        return []
    model = model_of(name, "response_model")
    provider, platform = gateway.served_by(row.provider)
    properties = {**gateway.loose_holder(row.properties), **gateway.loose_holder(row.request_properties)}
    session = next((value for key, value in properties.items() if key.lower() == _SESSION), None)
    tags = {key: value for key, value in properties.items() if not key.lower().startswith("helicone-")}
    event = UsageEvent(
        id=event_id,
        occurred_at=moment,
        model=model,
        provider=provider,
        platform=platform,
        user_id=gateway.label(row.request_user_id, row.helicone_user),
        session_id=gateway.label(session),
        tags=gateway.tags_of(tags),
        request_id=gateway.provider_id(row.response_id),
        latency_ms=gateway.duration(row.delay_ms),
        ttft_ms=gateway.duration(row.time_to_first_token),
        stop_reason="error" if failed else "",
        flags=FLAG_FINAL,
    )
    counts = Counts(
        given_input=gateway.counted(fields, "", "prompt_tokens"),
        output=gateway.counted(fields, "", "completion_tokens"),
        read=gateway.counted(fields, "", "prompt_cache_read_tokens"),
        written=gateway.counted(fields, "", "prompt_cache_write_tokens"),
        thinking=gateway.counted(fields, "", "reasoning_tokens"),
        total=gateway.count_or_none(fields, "total_tokens", ""),
        input_field="prompt_tokens",
        output_field="completion_tokens",
        total_field="total_tokens",
    )
    meters = metered(
        counts, model, included=None, unless_told=platform not in _BESIDE, thinking_may_be_beside=True
    )
    return [context.complete(part) for part in events_of(meters, event)]


def _status(value: object) -> int:
    """The HTTP status of the answer; negative ones are Helicone's own, for what has not ended or was given up."""
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,4}", value):
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else 200


def _parse(stream: BinaryIO, context: ParseContext) -> Iterator[Item]:
    def read(index: int, row: _Row) -> list[Item]:
        event_id = ""
        try:
            event_id = text_of(row.request_id, "request_id")
            return _read(row, context, event_id)
        except MeterError as error:
            return [rejection(index, error, event_id)]

    yield from gateway.read_rows(stream, _decode, read, _score)


def _sniff(head: bytes) -> int:
    return gateway.sniff(head, _score)


def _score(row: Mapping[str, Any]) -> int:
    if "request_created_at" in row and ("response_status" in row or "response_model" in row):
        return 88
    return 60 if "request_created_at" in row and "prompt_tokens" in row else 0


FORMAT = Format("helicone", "Helicone request exports", True, _sniff, _parse)
