"""OpenAI's usage objects, Chat Completions and Responses, and those of the many APIs that look like them.

Their input counts hold the cached tokens, read and written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ingest.core.errors import Reason
from ingest.core.events import FLAG_OUTPUT_INCOMPLETE
from ingest.core.meter_fields import (
    Metered,
    MeterError,
    Part,
    checked,
    count,
    first_count,
    media_of,
    nested,
    remainder,
    split_writes,
    word,
)
from ingest.core.meters_anthropic import OWN_KEYS

_READ_KEYS = ("cache_read_input_tokens", "prompt_cache_hit_tokens", "num_cached_tokens", "cached_tokens")
STANDARD_TIERS = frozenset({"", "default", "auto", "standard", "on_demand"})


class _Counts(NamedTuple):
    uncached: int
    read: int
    written: int
    output: int
    thinking: int


def is_chat(usage: Mapping[str, Any]) -> bool:
    """Whether this is a Chat Completions usage object, or one made like it."""
    return usage.get("prompt_tokens") is not None or (
        "completion_tokens" in usage and "input_tokens" not in usage
    )


def is_responses(usage: Mapping[str, Any]) -> bool:
    """OpenAI's Responses shape shares `input_tokens` with Anthropic's but means all input, cached too."""
    if usage.get("input_tokens_details") is not None:
        return True
    if any(usage.get(key) is not None for key in OWN_KEYS):
        return False
    details = usage.get("output_tokens_details")
    reasoning = isinstance(details, Mapping) and details.get("reasoning_tokens") is not None
    return usage.get("input_tokens") is not None and (usage.get("total_tokens") is not None or reasoning)


def service_tier(word_: str) -> str:
    """OpenAI's words for the ordinary tier -> ours; any other word stays."""
    return "standard" if word_.lower() in STANDARD_TIERS else word_


def read_chat(usage: Mapping[str, Any], model: str, path: str) -> Metered:
    """Chat Completions counts. A total above the parts is reasoning that the exporter left out of the output."""
    details, inner = nested(usage, "prompt_tokens_details", path), f"{path}.prompt_tokens_details"
    prompt = count(usage, "prompt_tokens", path)
    read = first_count([(details, "cached_tokens", inner)] + [(usage, key, path) for key in _READ_KEYS])
    written = first_count(
        [
            (details, "cache_write_tokens", inner),
            (details, "cache_creation_tokens", inner),
            (usage, "cache_creation_input_tokens", path),
        ]
    )
    output = count(usage, "completion_tokens", path)
    out, outer = nested(usage, "completion_tokens_details", path), f"{path}.completion_tokens_details"
    thinking = count(out, "reasoning_tokens", outer)
    flags = 0
    if usage.get("total_tokens") is not None:
        total = count(usage, "total_tokens", path)
        if total < prompt + output:
            raise _total_error(total, prompt + output, path)
        if thinking and total == prompt + output + thinking:
            output += thinking  # some providers report reasoning beside the answer instead of inside it
        elif total > prompt + output:
            flags = FLAG_OUTPUT_INCOMPLETE  # thinking that the exporter left out; the answer's count stands
    uncached = remainder(prompt, read, written, path, "prompt_tokens")
    media = media_of([(details, "{}_tokens", inner), (out, "{}_tokens", outer)])
    return _metered(usage, model, path, _Counts(uncached, read, written, output, thinking), flags, media)


def read_responses(usage: Mapping[str, Any], model: str, path: str) -> Metered:
    """Responses counts; the details may be missing."""
    details, inner = nested(usage, "input_tokens_details", path), f"{path}.input_tokens_details"
    prompt = count(usage, "input_tokens", path)
    read = count(details, "cached_tokens", inner)
    written = count(details, "cache_write_tokens", inner)
    output = count(usage, "output_tokens", path)
    out, outer = nested(usage, "output_tokens_details", path), f"{path}.output_tokens_details"
    thinking = count(out, "reasoning_tokens", outer)
    if usage.get("total_tokens") is not None:
        total = count(usage, "total_tokens", path)
        if total != prompt + output:
            raise _total_error(total, prompt + output, path)
    uncached = remainder(prompt, read, written, path, "input_tokens")
    media = media_of([(details, "{}_tokens", inner), (out, "{}_tokens", outer)])
    return _metered(usage, model, path, _Counts(uncached, read, written, output, thinking), 0, media)


def _metered(
    usage: Mapping[str, Any], model: str, path: str, counts: _Counts, flags: int, media: str
) -> Metered:
    in_5m, in_1h, ttl_flags = split_writes(counts.written, 0, 0, has_split=False)
    part = Part(
        model=model,
        uncached_input_tokens=counts.uncached,
        cache_read_input_tokens=counts.read,
        cache_write_5m_input_tokens=in_5m,
        cache_write_1h_input_tokens=in_1h,
        output_tokens=counts.output,
        prompt_step_tokens=counts.uncached + counts.read + counts.written,
        flags=flags | ttl_flags,
    )
    geo = word(usage, "inference_geo", path)
    searches = count(nested(usage, "server_tool_use", path), "web_search_requests", f"{path}.server_tool_use")
    metered = Metered(
        main=part,
        thinking_tokens=counts.thinking,
        web_search_requests=searches,
        service_tier=service_tier(word(usage, "service_tier", path)),
        speed=word(usage, "speed", path) or "standard",
        inference_geo="" if geo == "not_available" else geo,
        media=media,
    )
    return checked(metered, path)


def _total_error(total: int, parts: int, path: str) -> MeterError:
    where = f"{path}.total_tokens"
    return MeterError(
        Reason.CONTRADICTORY_COUNTS, where, f"{where} is {total} but input and output sum to {parts}"
    )
