"""A provider's own `usage` object -> disjoint meters, with the parts that are priced at a model of their own.

Null, missing and 0 mean the same. Sums that cannot be true are refused with both numbers, never clamped:
a clamped count would turn a broken exporter into a quietly wrong bill.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ingest.core.errors import Reason
from ingest.core.events import OUTCOME_OK, OUTCOME_REFUSED_BEFORE_OUTPUT
from ingest.core.meter_fields import Metered, MeterError, keys_seen, kind_of, split_writes
from ingest.core.meters_anthropic import is_anthropic, read_anthropic
from ingest.core.meters_bedrock import is_converse, read_converse
from ingest.core.meters_gemini import is_gemini, read_gemini
from ingest.core.meters_openai import is_chat, is_responses, read_chat, read_responses

__all__ = ["SHAPES", "Shape", "outcome_of", "read_usage", "split_writes"]

Usage = Mapping[str, Any]


class Shape(NamedTuple):
    """One provider's way to count: how it is told by its fields, and how it is read."""

    fits: Callable[[Usage], bool]
    read: Callable[[Usage, str, str], Metered]  # (usage, model, path); raises MeterError


# The first that fits is taken: a shape stands before those whose fields it also has.
SHAPES: tuple[Shape, ...] = (
    Shape(is_chat, read_chat),
    Shape(is_responses, read_responses),
    Shape(is_anthropic, read_anthropic),
    Shape(is_converse, read_converse),
    Shape(is_gemini, read_gemini),
)


def read_usage(usage: Usage, model: str, path: str = "usage") -> Metered:
    """Meter a usage object of any known shape; `model` is the response's own model. Raises MeterError."""
    if not isinstance(usage, Mapping):
        raise MeterError(Reason.INVALID_TYPE, path, f"{path} must be an object, not {kind_of(usage)}")
    for shape in SHAPES:
        if shape.fits(usage):
            return shape.read(usage, model, path)
    raise MeterError(
        Reason.UNKNOWN_USAGE_SHAPE, path, f"no known provider's token counts; keys seen: {keys_seen(usage)}"
    )


def outcome_of(stop_reason: str, output_tokens: int, media: str = "") -> str:
    """What a price can depend on beside the lane's words: a refusal that produced no output is priced differently
    from one that was cut off while answering, and audio or images differently from text.
    """
    if stop_reason == "refusal" and output_tokens == 0:
        return OUTCOME_REFUSED_BEFORE_OUTPUT
    return media or OUTCOME_OK
