"""What OpenLLMetry (Traceloop) writes beside the GenAI conventions, and what it wrote before them."""

from __future__ import annotations

from ingest.formats._otlp import Attributes

INPUT = ("llm.usage.prompt_tokens",)
OUTPUT = ("llm.usage.completion_tokens",)
TOTAL = ("llm.usage.total_tokens",)
_PROPERTIES = "traceloop.association.properties."
SESSION = tuple(f"{_PROPERTIES}{name}" for name in ("session_id", "conversation_id", "thread_id", "chat_id"))
USER = (f"{_PROPERTIES}user_id",)
TAGS = {"traceloop.workflow.name": "workflow", "traceloop.entity.name": "entity"}
TAG_PREFIXES = (_PROPERTIES,)
CALLS = {"completion", "embedding", "rerank"}  # values of llm.request.type, with the conventions' own

_PARENTS = {"workflow", "task", "agent", "tool"}


def is_call(attributes: Attributes) -> bool | None:
    """Whether `llm.request.type` and `traceloop.span.kind` make this a model call; None when they do not say."""
    kind = attributes.get("traceloop.span.kind")
    if isinstance(kind, str) and kind in _PARENTS:
        return False
    request_type = attributes.get("llm.request.type")
    if isinstance(request_type, str) and request_type in {"chat", *CALLS}:
        return True
    return None
