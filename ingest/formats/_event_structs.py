"""The canonical event as typed structs: what an ordinary row looks like, so that one typed call decodes it.

An absent sub-object is an empty one, so that both readers of these structs can look inside without asking.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from ingest.core.events import PrefixBlock
from ingest.core.meter_fields import MAX_COUNT, MAX_MODEL, MAX_WORD
from ingest.formats._limits import (
    MAX_ID,
    MAX_PREFIX,
    MAX_PREFIX_ID,
    MAX_TAG_NAME,
    MAX_TAG_VALUE,
    MAX_TAGS,
)

ESCAPED_NUL = b"\\u0000"
Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)] | None
Id = Annotated[str, Meta(max_length=MAX_ID)] | None
Word = Annotated[str, Meta(max_length=MAX_WORD)] | None
Milliseconds = Annotated[int, Meta(ge=0, le=MAX_COUNT)] | Annotated[float, Meta(ge=0, le=MAX_COUNT)] | None
TagValue = Annotated[str, Meta(max_length=MAX_TAG_VALUE)] | bool | int | float | None


class Split(Struct, gc=False, frozen=True):
    ephemeral_5m_input_tokens: Count = None
    ephemeral_1h_input_tokens: Count = None


class Searches(Struct, gc=False, frozen=True):
    web_search_requests: Count = None


class Details(Struct, gc=False, frozen=True):
    thinking_tokens: Count = None
    reasoning_tokens: object = None


class Usage(Struct, gc=False):
    """Anthropic's shape; the `object` fields only tell whether the row is something less ordinary."""

    input_tokens: Count = None
    output_tokens: Count = None
    cache_read_input_tokens: Count = None
    cache_creation_input_tokens: Count = None
    cache_creation: Split | None = Split()
    server_tool_use: Searches | None = Searches()
    output_tokens_details: Details | None = Details()
    service_tier: Word = None
    inference_geo: Word = None
    speed: Word = None
    iterations: object = None
    total_tokens: object = None
    prompt_tokens: object = None
    input_tokens_details: object = None


class Block(Struct, gc=False):
    id: Annotated[str, Meta(min_length=1, max_length=MAX_PREFIX_ID)]
    tokens: Annotated[int, Meta(ge=0, le=MAX_COUNT)]


class Row(Struct, gc=False):
    occurred_at: Annotated[datetime, Meta(tz=True)]
    model: Annotated[str, Meta(min_length=1, max_length=MAX_MODEL)]
    usage: Usage
    id: Id = None
    provider: Word = None
    platform: Word = None
    routing: Word = None
    workspace_id: Id = None
    api_key_id: Id = None
    user_id: Id = None
    session_id: Id = None
    request_id: Id = None
    tags: (
        Annotated[
            dict[Annotated[str, Meta(min_length=1, max_length=MAX_TAG_NAME)], TagValue],
            Meta(max_length=MAX_TAGS),
        ]
        | None
    ) = None
    latency_ms: Milliseconds = None
    ttft_ms: Milliseconds = None
    stop_reason: Word = None
    prefix: Annotated[list[Block], Meta(max_length=MAX_PREFIX)] | None = None


def read_tags(tags: dict[str, str | bool | float | None]) -> tuple[tuple[str, str], ...]:
    if len(tags) == 1:
        ((name, value),) = tags.items()
        if type(value) is str:
            return ((name, value),)
    return tuple(
        (name, value if type(value) is str else str(value).lower() if type(value) is bool else str(value))
        for name, value in sorted(tags.items())
        if value is not None
    )


def read_prefix(blocks: list[Block]) -> tuple[PrefixBlock, ...] | None:
    """The prefix, or None when its cumulative counts fall."""
    counts = [block.tokens for block in blocks]
    if any(map(int.__gt__, counts, counts[1:])):
        return None
    return tuple(map(PrefixBlock, [block.id for block in blocks], counts))
