"""OpenInference (Arize Phoenix): counts, and attribution in attributes that hold JSON text."""

from __future__ import annotations

from collections.abc import Mapping

from ingest.core.meter_fields import MeterError
from ingest.formats._base import quiet_decode
from ingest.formats._by_total import Counts
from ingest.formats._otlp import Attributes
from ingest.formats._span_attributes import count_of, first

KIND = "openinference.span.kind"
MODEL = ("llm.model_name", "embedding.model_name")
PROVIDER = ("llm.provider", "llm.system")

_INPUT, _OUTPUT, _TOTAL = (f"llm.token_count.{name}" for name in ("prompt", "completion", "total"))
_READ = "llm.token_count.prompt_details.cache_read"
_WRITTEN = "llm.token_count.prompt_details.cache_write"
_THINKING = "llm.token_count.completion_details.reasoning"
_CALLS = {"LLM", "EMBEDDING"}
_LONGEST_METADATA, _LONGEST_VALUE = 8_192, 64  # longer ones are documents, not labels
# What frameworks put into the metadata by themselves: ids of single steps.
_NO_LABELS = ("langgraph_", "ls_", "lc_", "checkpoint", "run_id", "thread_id", "__pregel")


def is_call(attributes: Attributes) -> bool | None:
    """Whether the span is one call of a model; None when it has no kind."""
    kind = attributes.get(KIND)
    return kind.upper() in _CALLS if isinstance(kind, str) else None


def counts_of(attributes: Attributes) -> Counts | None:
    """The counts of a model call; None for any other span, and for a call without usage. Raises MeterError."""
    if not is_call(attributes) or not first(attributes, (_INPUT, _OUTPUT)):
        return None
    return Counts(
        given_input=count_of(attributes, _INPUT),
        output=count_of(attributes, _OUTPUT),
        read=count_of(attributes, _READ),
        written=count_of(attributes, _WRITTEN),
        thinking=count_of(attributes, _THINKING),
        total=count_of(attributes, _TOTAL) if attributes.get(_TOTAL) is not None else None,
        input_field=_INPUT,
        output_field=_OUTPUT,
        total_field=_TOTAL,
    )


def tags_of(attributes: Attributes) -> dict[str, object]:
    """`tag.tags` ("team:search" is a name and a value, a bare word is true) and the short values of `metadata`."""
    found: dict[str, object] = {}
    listed = attributes.get("tag.tags")
    for entry in listed if isinstance(listed, list) else ():
        if isinstance(entry, str):
            word, colon, rest = entry.partition(":")
            found[word.strip()] = rest if colon else "true"
    for name, value in _metadata(attributes.get("metadata")).items():
        short = not isinstance(value, str) or len(value) <= _LONGEST_VALUE
        if isinstance(name, str) and short and not name.startswith(_NO_LABELS):
            found.setdefault(name, value)
    return found


def _metadata(value: object) -> Mapping[object, object]:
    if isinstance(value, str) and value.startswith("{") and len(value) <= _LONGEST_METADATA:
        try:
            value = quiet_decode(value.encode("utf-8", "replace"))
        except MeterError:
            return {}
    return value if isinstance(value, Mapping) else {}
