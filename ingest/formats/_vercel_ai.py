"""What the Vercel AI SDK writes: an outer span that sums up, and an inner one for each call of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.core.meter_fields import MeterError
from ingest.formats._base import quiet_decode
from ingest.formats._otlp import Attributes

INPUT = ("ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens")  # the last is an embedding's
OUTPUT = ("ai.usage.outputTokens", "ai.usage.completionTokens")
TOTAL = ("ai.usage.totalTokens",)
READ = ("ai.usage.inputTokenDetails.cacheReadTokens", "ai.usage.cachedInputTokens")
WRITTEN = ("ai.usage.inputTokenDetails.cacheWriteTokens",)
THINKING = ("ai.usage.outputTokenDetails.reasoningTokens", "ai.usage.reasoningTokens")
MODEL = ("ai.response.model", "ai.model.id")
RESPONSE_ID = ("ai.response.id",)
PROVIDER = ("ai.model.provider",)
FIRST_TOKEN = {"ai.response.msToFirstChunk": 1, "ai.stream.msToFirstChunk": 1}
_METADATA = "ai.telemetry.metadata."
SESSION = tuple(f"{_METADATA}{name}" for name in ("sessionId", "session_id", "threadId", "thread_id"))
USER = tuple(f"{_METADATA}{name}" for name in ("userId", "user_id"))
TAGS = {"ai.telemetry.functionId": "function"}
TAG_PREFIXES = (_METADATA,)

PROVIDER_USAGE = "ai.response.providerMetadata.anthropic.usage"
_PROVIDER_METADATA = "ai.response.providerMetadata"
_DETAILS = "ai.usage.inputTokenDetails."
_CALLS = (".doGenerate", ".doStream", ".doEmbed")


def is_call(attributes: Attributes) -> bool | None:
    """Whether this is an inner span; None when it is no span of this SDK."""
    operation = attributes.get("ai.operationId")
    if not isinstance(operation, str) or not operation.startswith("ai."):
        return None
    return operation.endswith(_CALLS)


def provider_usage(attributes: Attributes) -> Mapping[str, Any] | None:
    """Anthropic's own usage object, which the SDK keeps in the provider's metadata; it knows the times to live."""
    text = attributes.get(_PROVIDER_METADATA)
    if not isinstance(text, str) or not text.startswith("{"):
        return None
    try:
        metadata = quiet_decode(text.encode("utf-8", "replace"))
    except MeterError:
        return None
    anthropic = metadata.get("anthropic") if isinstance(metadata, Mapping) else None
    usage = anthropic.get("usage") if isinstance(anthropic, Mapping) else None
    return usage if isinstance(usage, Mapping) and "input_tokens" in usage else None


def convention(attributes: Attributes, maker: str) -> str:
    """Up to version 5, which knows no details, Anthropic's counts were passed on: without cached tokens."""
    old = "ai.usage.cachedInputTokens" in attributes and not any(
        name.startswith(_DETAILS) for name in attributes
    )
    return "excluded" if old and maker == "anthropic" else ""
