"""Gemini's `usageMetadata`, as REST and gRPC write it (camelCase) and as Vertex AI logs it (snake_case).

The prompt holds the cached content; thinking stands beside the answer, and prompts of tools beside the prompt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.core.errors import Reason
from ingest.core.events import FLAG_OUTPUT_INCOMPLETE
from ingest.core.meter_fields import (
    MAX_WORD,
    Metered,
    MeterError,
    Part,
    checked,
    clean_text,
    count,
    kind_of,
    remainder,
)

# Our word for a count -> its two spellings, in one order everywhere.
_SPELLINGS = {
    "prompt": ("promptTokenCount", "prompt_token_count"),
    "cached": ("cachedContentTokenCount", "cached_content_token_count"),
    "answer": (
        "candidatesTokenCount",
        "candidates_token_count",
        "responseTokenCount",
        "response_token_count",
    ),
    "thoughts": ("thoughtsTokenCount", "thoughts_token_count"),
    "tools": ("toolUsePromptTokenCount", "tool_use_prompt_token_count"),
    "total": ("totalTokenCount", "total_token_count"),
}
_DETAILS = (
    ("promptTokensDetails", "prompt_tokens_details"),
    ("candidatesTokensDetails", "candidates_tokens_details"),
    ("cacheTokensDetails", "cache_tokens_details"),
    ("toolUsePromptTokensDetails", "tool_use_prompt_tokens_details"),
)
# Names and, in JSON made from gRPC, numbers of modalities that can be priced apart from text.
_MODALITIES = {"IMAGE": "image", "VIDEO": "video", "AUDIO": "audio", 2: "image", 3: "video", 4: "audio"}
# Traffic types of Vertex AI and service tiers of the Gemini API -> service tier.
_TIERS = {
    "": "standard",
    "standard": "standard",
    "unspecified": "standard",
    "service_tier_unspecified": "standard",
    "traffic_type_unspecified": "standard",
    "on_demand": "standard",
    "on_demand_flex": "flex",
    "on_demand_priority": "priority",
}
_TRAFFIC_NUMBERS = {0: "", 1: "on_demand", 2: "provisioned_throughput"}


def is_gemini(usage: Mapping[str, Any]) -> bool:
    """Whether any of Gemini's counts is there."""
    return any(name in usage for names in _SPELLINGS.values() for name in names)


def read_gemini(usage: Mapping[str, Any], model: str, path: str) -> Metered:
    """One response's counts; a chunk of a stream holds those of the stream so far."""
    prompt, cached, answer, thoughts, tools = (
        _count(usage, name, path) for name in ("prompt", "cached", "answer", "thoughts", "tools")
    )
    output, flags = answer + thoughts, 0
    if any(usage.get(name) is not None for name in _SPELLINGS["total"]):
        total, parts = _count(usage, "total", path), prompt + tools + output
        no_answer = all(usage.get(name) is None for name in _SPELLINGS["answer"])
        if total > parts and no_answer:
            flags = (
                FLAG_OUTPUT_INCOMPLETE  # the answer's count was left out; the total tells that there was one
            )
        elif total != parts:
            where = f"{path}.{_spelling(usage, 'total')}"
            raise MeterError(
                Reason.CONTRADICTORY_COUNTS, where, f"{where} is {total} but its parts sum to {parts}"
            )
    # Only the prompt itself can come from a cache, not what tools add to it.
    uncached = remainder(prompt, cached, 0, path, _spelling(usage, "prompt")) + tools
    part = Part(
        model=model,
        uncached_input_tokens=uncached,
        cache_read_input_tokens=cached,
        output_tokens=output,
        prompt_step_tokens=uncached + cached,
        flags=flags,
    )
    return checked(
        Metered(
            main=part, thinking_tokens=thoughts, service_tier=_tier(usage, path), media=_media(usage, path)
        ),
        path,
    )


def _spelling(usage: Mapping[str, Any], name: str) -> str:
    names = _SPELLINGS[name]
    return next((spelling for spelling in names if usage.get(spelling) is not None), names[0])


def _count(usage: Mapping[str, Any], name: str, path: str) -> int:
    return count(usage, _spelling(usage, name), path)


def _tier(usage: Mapping[str, Any], path: str) -> str:
    """The service tier; Vertex AI says it as the traffic type. Enums can be numbers."""
    said = ""
    for key in ("serviceTier", "service_tier", "trafficType", "traffic_type"):
        value = usage.get(key)
        if type(value) is int:
            value = _TRAFFIC_NUMBERS.get(value, f"traffic_type_{value}")
        if value is not None and not isinstance(value, str):
            where = f"{path}.{key}"
            raise MeterError(Reason.INVALID_TYPE, where, f"{where} must be a string, not {kind_of(value)}")
        said = said or clean_text(value or "", f"{path}.{key}", MAX_WORD).lower()
    return _TIERS.get(said, said)


def _media(usage: Mapping[str, Any], path: str) -> str:
    found = set()
    for names in _DETAILS:
        for name in names:
            entries = usage.get(name)
            if entries is None:
                continue
            if not isinstance(entries, list):
                where = f"{path}.{name}"
                raise MeterError(
                    Reason.INVALID_TYPE, where, f"{where} must be a list, not {kind_of(entries)}"
                )
            found |= {_modality(entry) for entry in entries}
    return "+".join(sorted(found - {""}))


def _modality(entry: object) -> str:
    """The medium of one entry of a split by modality, if it counts anything."""
    if not isinstance(entry, Mapping):
        return ""
    modality = entry.get("modality")
    counted = entry.get("tokenCount", entry.get("token_count"))
    if not counted or not isinstance(modality, str | int):
        return ""
    return _MODALITIES.get(modality, "")
