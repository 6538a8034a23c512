"""LiteLLM: rows of its spend log and standard logging payloads, one, in an array or as JSON lines.

Its prompt_tokens include cache reads and writes for every provider; the split is in a usage object that hides in the
metadata or the response. What LiteLLM answered from its own cache was not billed and gives no event. The cost it
reports is not read: costs are computed from the meters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import msgspec
from msgspec import Raw, Struct

from ingest.core.errors import Reason
from ingest.core.events import FLAG_FINAL, UsageEvent
from ingest.core.meter_fields import MAX_COUNT, Metered, MeterError, media_of, nested
from ingest.formats import _gateway as gateway
from ingest.formats._anthropic import model_of, text_of
from ingest.formats._base import Format, Item, ParseContext, events_of, rejection
from ingest.formats._by_total import Counts, metered


class _Row(Struct, gc=False):
    """The wanted fields of a spend log (snake case) or of a logging payload; the texts are not among them."""

    request_id: object = None
    id: object = None
    session_id: object = None
    trace_id: object = None
    call_type: object = None
    status: object = None
    stream: object = None
    cache_hit: object = None
    startTime: object = None
    endTime: object = None
    completionStartTime: object = None
    model: object = None
    model_group: object = None
    custom_llm_provider: object = None
    prompt_tokens: object = None
    completion_tokens: object = None
    total_tokens: object = None
    metadata: object = None
    response: Raw = gateway.NO_RAW
    api_key: object = None
    user: object = None
    team_id: object = None
    end_user: object = None
    request_tags: object = None


class _Response(Struct, gc=False):
    id: object = None
    usage: object = None


_decode = msgspec.json.Decoder(_Row).decode
_decode_response = msgspec.json.Decoder(_Response).decode


def _read(row: _Row, context: ParseContext, event_id: str) -> list[Item]:
    if _is_true(row.cache_hit):
        return []
    moment = gateway.moment(row.startTime, "startTime")
    metadata = gateway.holder(row.metadata, "metadata")
    response = _response(row.response)
    failed = row.status == "failure"
    model = gateway.label(row.model, row.model_group, limit=200) if failed else model_of(row.model, "model")
    if not model:
        return []  # a call that failed before it had a model cost nothing
    provider, platform = gateway.served_by(row.custom_llm_provider)
    user, customer = (
        gateway.label(row.user, metadata.get("user_api_key_user_id")),
        gateway.label(row.end_user, metadata.get("user_api_key_end_user_id")),
    )
    tags = gateway.tag_words(row.request_tags)
    if user and customer:
        tags.setdefault("end_user", customer)
    tags.setdefault("model_group", gateway.label(row.model_group))
    latency = gateway.milliseconds(moment, row.endTime)
    first = gateway.milliseconds(moment, row.completionStartTime)
    event = UsageEvent(
        id=event_id,
        occurred_at=moment,
        model=model,
        provider=provider,
        platform=platform,
        workspace_id=gateway.label(
            metadata.get("user_api_key_team_alias"), row.team_id, metadata.get("user_api_key_team_id")
        ),
        api_key_id=gateway.label(
            metadata.get("user_api_key_alias"),
            row.api_key,
            metadata.get("user_api_key_hash"),
            metadata.get("user_api_key"),
        ),
        user_id=user or customer,
        session_id=gateway.label(row.session_id, row.trace_id),
        tags=gateway.tags_of(tags),
        # LiteLLM makes ids of its own; the provider's, where it kept it, is how others know the call.
        request_id=gateway.provider_id(response.id),
        latency_ms=latency,
        # Without streaming, the first token is noted when the last one came.
        ttft_ms=first if row.stream is True or (first is not None and first != latency) else None,
        stop_reason="error" if failed else "",
        flags=FLAG_FINAL,
    )
    usage = _usage(row, metadata, response)
    return [context.complete(part) for part in events_of(_metered(usage, model, failed), event)]


def _metered(usage: Mapping[str, Any], model: str, failed: bool) -> Metered:
    details = nested(usage, "prompt_tokens_details", "usage")
    split = nested(details, "cache_creation_token_details", "usage.prompt_tokens_details")
    split = split or nested(usage, "cache_creation", "usage")
    answer = nested(usage, "completion_tokens_details", "usage")
    whole = gateway.count_or_none(usage, "prompt_tokens", "")
    output = gateway.count_or_none(usage, "completion_tokens", "")
    total = gateway.count_or_none(usage, "total_tokens", "")
    if whole is None and output is None and not failed:
        raise MeterError(
            Reason.MISSING_FIELD, "prompt_tokens", "prompt_tokens and completion_tokens are both missing"
        )
    counts = Counts(
        given_input=whole or 0,
        output=output or 0,
        read=gateway.counted(usage, "usage", "cache_read_input_tokens")
        or gateway.counted(details, "usage.prompt_tokens_details", "cached_tokens"),
        written=gateway.counted(usage, "usage", "cache_creation_input_tokens")
        or gateway.counted(
            details, "usage.prompt_tokens_details", "cache_creation_tokens", "cache_write_tokens"
        ),
        written_5m=gateway.count_or_none(split, "ephemeral_5m_input_tokens", "usage"),
        written_1h=gateway.count_or_none(split, "ephemeral_1h_input_tokens", "usage"),
        thinking=gateway.counted(answer, "usage.completion_tokens_details", "reasoning_tokens"),
        total=total,
        input_field="prompt_tokens",
        output_field="completion_tokens",
        total_field="total_tokens",
    )
    found = metered(counts, model, included=True, total_may_hold_more=True)
    tools = nested(usage, "server_tool_use", "usage")
    found.web_search_requests = gateway.counted(tools, "usage.server_tool_use", "web_search_requests") or (
        gateway.counted(details, "usage.prompt_tokens_details", "web_search_requests")
    )
    found.media = media_of(
        [
            (details, "{}_tokens", "usage.prompt_tokens_details"),
            (answer, "{}_tokens", "usage.completion_tokens_details"),
        ]
    )
    found.service_tier = gateway.label(usage.get("service_tier"), limit=64) or "standard"
    if found.service_tier in ("default", "auto"):
        found.service_tier = "standard"
    found.speed = gateway.label(usage.get("speed"), limit=64) or "standard"
    geo = gateway.label(usage.get("inference_geo"), limit=64)
    found.inference_geo = "" if geo == "not_available" else geo
    return found


def _usage(row: _Row, metadata: Mapping[str, Any], response: _Response) -> dict[str, Any]:
    """The row's own counts with the details that its usage objects add. Where they disagree, the row is wrong."""
    usage: dict[str, Any] = {}
    for found, where in (
        (response.usage, "response.usage"),
        (metadata.get("additional_usage_values"), "metadata.additional_usage_values"),
        (metadata.get("usage_object"), "metadata.usage_object"),
    ):
        usage |= {key: value for key, value in gateway.holder(found, where).items() if value is not None}
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        own = gateway.count_or_none({name: getattr(row, name)}, name, "")
        inner = gateway.count_or_none(usage, name, "usage")
        if own is None:
            continue
        if inner is not None and inner != own and inner <= MAX_COUNT:
            detail = f"{name} is {own} but the usage object has {inner}"
            raise MeterError(Reason.CONTRADICTORY_COUNTS, name, detail)
        usage[name] = own
    return usage


def _response(raw: Raw) -> _Response:
    """Id and usage of the response, which is an object, or one in a string, or '{}' when responses are not kept."""
    content = bytes(raw).strip()
    if content.startswith(b'"'):
        try:
            content = msgspec.json.decode(content, type=str).encode("utf-8", "replace")
        except (msgspec.DecodeError, UnicodeDecodeError):
            return _Response()
    if not content.startswith(b"{"):
        return _Response()
    try:
        return _decode_response(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Response()


def _is_true(value: object) -> bool:
    return value is True or (isinstance(value, str) and value.lower() == "true")


def _parse(stream: BinaryIO, context: ParseContext) -> Iterator[Item]:
    def read(index: int, row: _Row) -> list[Item]:
        event_id = ""
        try:
            event_id = text_of(row.request_id if row.request_id is not None else row.id, "request_id")
            return _read(row, context, event_id)
        except MeterError as error:
            return [rejection(index, error, event_id)]

    yield from gateway.read_rows(stream, _decode, read, _score)


def _sniff(head: bytes) -> int:
    return gateway.sniff(head, _score)


def _score(row: Mapping[str, Any]) -> int:
    if "call_type" in row and ("spend" in row or "response_cost" in row or "request_tags" in row):
        return 88
    if "spend" in row and "request_id" in row and ("prompt_tokens" in row or "startTime" in row):
        return 85
    return 86 if "custom_llm_provider" in row and "startTime" in row else 0


FORMAT = Format("litellm", "LiteLLM spend logs and logging payloads", True, _sniff, _parse)
