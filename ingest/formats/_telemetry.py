"""Spans, log records and points -> usage events and reported sums, whichever convention they follow.

A span counts when it is one call of a model: spans of agents, workflows and tools repeat what their children count.
Where a log record and a span report the same call, they carry the same response id, or else the same span id.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from ingest.core import model_ids
from ingest.core.errors import Reason, Rejection
from ingest.core.events import FLAG_FINAL, FLAG_TIME_IMPUTED, FLAG_TTL_UNKNOWN, UsageEvent
from ingest.core.meter_fields import MAX_MODEL, MAX_WORD, Metered, MeterError
from ingest.core.meters import read_usage
from ingest.formats import _claude_code_otel, _genai_attributes, _openinference, _vercel_ai
from ingest.formats._anthropic import platform_of, stop_reason_of
from ingest.formats._base import Item, ParseContext, events_of, rejection
from ingest.formats._by_total import Counts, metered
from ingest.formats._otlp import Attributes, Point, Record, moment_of
from ingest.formats._span_attributes import (
    as_tags,
    count_of,
    first,
    first_label,
    label,
    milliseconds,
    model_of,
    resource_tags,
    text_of,
)

# How a sender says what its input counts hold, in OTEL_RESOURCE_ATTRIBUTES or on a span; else it is found out.
CONVENTION = "breakeven.cached_input"  # "included" or "excluded"

# Makers whose own counts include cached tokens: of their models, a smaller input is a mistake and no other convention.
INCLUSIVE_MAKERS = {"openai", "google"}
# Makers that count thinking beside the answer: where it was left out, the total is larger than its parts.
THINKING_BESIDE = {"google", "x-ai"}

# Attributes under which a rejection names the call.
_IDS = (*_genai_attributes.RESPONSE_ID, "request_id")
# Words for sellers that only telemetry uses.
_SELLERS = {
    "aws": "bedrock",
    "gcp.gen_ai": "google",
    "mistral_ai": "mistral",
    "x_ai": "xai",
    "vertex_ai": "vertex",
}
# Frameworks that name themselves where the provider belongs.
_FRAMEWORKS = {
    "langchain",
    "llamaindex",
    "llama_index",
    "haystack",
    "crewai",
    "litellm",
    "unknown",
    "_other",
    "other",
}
# End of a host name -> the platform that answers there.
_HOSTS = (
    (".openai.azure.com", "azure"),
    (".services.ai.azure.com", "azure"),
    (".cognitiveservices.azure.com", "azure"),
    (".amazonaws.com", "bedrock"),
    ("aiplatform.googleapis.com", "vertex"),
    ("generativelanguage.googleapis.com", "gemini"),
    ("openrouter.ai", "openrouter"),
)


def items_of(
    rows: Iterable[Record | Point | Rejection], context: ParseContext, own_id: str = ""
) -> Iterator[Item]:
    """What the records say about usage; most say nothing. `own_id` stands in where a call has no id of any kind."""
    for row in rows:
        if isinstance(row, Rejection):
            yield row
            continue
        try:
            if isinstance(row, Point):
                yield from _claude_code_otel.reported(row)
            elif _claude_code_otel.is_own(row):
                yield from _claude_code_otel.events(row, context)
            else:
                yield from events(row, context, own_id)
        except MeterError as error:
            yield rejection(row.index, error, first_label((row.attributes,), _IDS))


def events(record: Record, context: ParseContext, own_id: str = "") -> list[UsageEvent]:
    """The call that a record reports; [] when it reports none. `own_id` stands in for a missing response id.

    Raises MeterError.
    """
    attributes = record.attributes
    counts = _counts(attributes)
    if counts is None:
        return []
    model = model_of(attributes, (*_genai_attributes.MODEL, *_openinference.MODEL))
    response_id = text_of(attributes, first(attributes, _genai_attributes.RESPONSE_ID))
    provider, platform, routing = _served(attributes, response_id)
    usage = _usage(record, counts, model, provider)
    moment, flags = _time(record, context)
    span_id = f"{record.trace_id}/{record.span_id}" if record.trace_id and record.span_id else ""
    event_id = response_id or span_id or own_id
    if not event_id and flags & FLAG_TIME_IMPUTED:
        detail = (
            "no response id, no span id and no time: the call could not be told apart when it is sent again"
        )
        raise MeterError(Reason.UNATTRIBUTABLE, "gen_ai.response.id", detail)
    if not usage.main.flags & FLAG_TTL_UNKNOWN:
        flags |= FLAG_FINAL  # without the time to live, a source that knows it has to win
    holders = (attributes, record.resource)
    event = UsageEvent(
        id=event_id,
        occurred_at=moment,
        model=model,
        provider=provider,
        platform=platform,
        routing=routing,
        request_id=text_of(attributes, first(attributes, _genai_attributes.REQUEST_ID)),
        session_id=first_label(holders, _genai_attributes.SESSION),
        user_id=first_label(holders, _genai_attributes.USER),
        tags=_tags(record),
        latency_ms=_latency(record),
        ttft_ms=_first_token(attributes),
        stop_reason=stop_reason_of(
            _genai_attributes.finish_reason(attributes), "gen_ai.response.finish_reasons"
        ),
        flags=flags,
    )
    return [context.complete(part) for part in events_of(usage, event)]


def _counts(attributes: Attributes) -> Counts | None:
    """By OpenInference's names where a span has them, else by those of the GenAI conventions."""
    kind = _openinference.is_call(attributes)
    if kind is False:
        return None
    if counts := _openinference.counts_of(attributes):
        return counts
    return _genai_attributes.counts_of(attributes, surely_a_call=kind is True)


def _usage(record: Record, counts: Counts, model: str, provider: str) -> Metered:
    """The meters of a call, by the provider's own usage object where the span has it."""
    attributes = record.attributes
    maker = model_ids.guess_maker(model_ids.take_apart(model).name) or provider
    declared = first_label((attributes, record.resource), (CONVENTION,))
    native = _vercel_ai.provider_usage(attributes)
    if native is not None:
        usage = read_usage(native, model, _vercel_ai.PROVIDER_USAGE)
    else:
        usage = _metered(counts, model, maker, declared or _vercel_ai.convention(attributes, maker))
    searches = count_of(attributes, first(attributes, _genai_attributes.WEB_SEARCHES))
    usage.web_search_requests = usage.web_search_requests or searches
    tier = text_of(attributes, first(attributes, _genai_attributes.TIER), MAX_WORD)
    if tier not in ("", "default", "auto"):
        usage.service_tier = tier
    return usage


def _metered(counts: Counts, model: str, maker: str, convention: str) -> Metered:
    """The meters. The conventions want cached tokens inside the input; what a sender declares, a total, or an input too
    small to hold them says otherwise."""
    declared = {"included": True, "excluded": False}.get(convention)
    if declared is not None:  # a total that was summed under the other convention must not overrule it
        return metered(replace(counts, total=None), model, included=declared)
    by_maker = maker in INCLUSIVE_MAKERS and counts.total is None
    return metered(
        counts,
        model,
        included=True if by_maker else None,
        unless_told=True,
        thinking_may_be_beside=True,
        total_may_hold_more=maker in THINKING_BESIDE,
    )


def _served(attributes: Attributes, response_id: str) -> tuple[str, str, str]:
    """(provider, platform, routing): by the response's id, the address, the requested model, the provider's name."""
    names = (*_genai_attributes.PROVIDER, *_openinference.PROVIDER)
    word = label(attributes.get(first(attributes, names)), MAX_WORD).lower()
    word = _SELLERS.get(word) or model_ids.platform_name(word)
    if word not in model_ids.PLATFORMS.values():
        known = model_ids.platform_name(word.partition(".")[0])  # "anthropic.messages"
        word = known if known in model_ids.PLATFORMS.values() else word
    word = "" if word in _FRAMEWORKS else word
    host = label(attributes.get("server.address")).lower()
    asked = model_ids.take_apart(text_of(attributes, _genai_attributes.REQUEST_MODEL, MAX_MODEL))
    seller = "" if word in model_ids.MAKERS or word not in model_ids.PLATFORMS.values() else word
    platform = (
        platform_of(response_id)
        or next((platform for end, platform in _HOSTS if host.endswith(end)), "")
        or asked.platform
        or seller
    )
    return ("" if word == seller else word), platform, asked.routing


def _time(record: Record, context: ParseContext) -> tuple[datetime, int]:
    """When the call ended, which is when most other sources say it happened."""
    if nanos := record.end or record.start:
        return moment_of(nanos, "endTimeUnixNano" if record.is_span else "timeUnixNano"), 0
    return context.default_time, FLAG_TIME_IMPUTED


def _latency(record: Record) -> int | None:
    if not record.is_span or not 0 < record.start <= record.end:
        return None
    return min((record.end - record.start) // 1_000_000, 2_000_000_000)


def _first_token(attributes: Attributes) -> int | None:
    name = first(attributes, _genai_attributes.FIRST_TOKEN)
    return milliseconds(attributes, name, _genai_attributes.FIRST_TOKEN[name]) if name else None


def _tags(record: Record) -> tuple[tuple[str, str], ...]:
    own = _genai_attributes.named_tags(
        record.attributes, _genai_attributes.TAGS, _genai_attributes.TAG_PREFIXES
    ) | _openinference.tags_of(record.attributes)
    read_elsewhere = {
        name.rpartition(".")[2] for name in (*_genai_attributes.SESSION, *_genai_attributes.USER)
    }
    kept = {name: label(value) for name, value in own.items() if name not in read_elsewhere}
    return as_tags({**kept, **resource_tags(record.resource)})
