"""Chat Completions responses of OpenAI, Azure, Foundry, OpenRouter and the like: one, an array or JSON lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.formats._base import Format
from ingest.formats._openai import score
from ingest.formats._openai_files import parse, sniffer

# Keys of other tools' records that hold such a usage object too.
_ELSEWHERE = ("occurred_at", "custom_id", "spend", "call_type", "request_created_at", "response_cost")


def _score(value: Mapping[str, Any]) -> int:
    said = max(score(value, "chat.completion"), score(value, "text_completion"))
    usage = value.get("usage")
    if said or not isinstance(usage, Mapping) or any(key in value for key in _ELSEWHERE):
        return said
    if "prompt_tokens" not in usage or "model" not in value:
        return 0
    return 60 if "choices" in value else 30


FORMAT = Format(
    "openai_chat",
    "OpenAI Chat Completions responses (JSON, array or JSON lines)",
    True,
    sniffer(_score),
    parse,
)
