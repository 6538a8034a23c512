"""The canonical usage event: what every wire format becomes before anything is stored.

One event is one billed model call (or one separately priced part of it). The five token meters are disjoint;
`thinking_tokens` is a subset of `output_tokens`. No field can hold prompt or answer text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

# Bits of UsageEvent.flags: what is known to be less than perfect about a row.
FLAG_FINAL = 1  # the call is known to have ended: its counts are the provider's last word
FLAG_TTL_UNKNOWN = 2  # cache writes came without a TTL split and are priced at 5 minutes
FLAG_TIME_IMPUTED = 4  # the source carries no time; the time of import (or --at) stands in
FLAG_OUTPUT_INCOMPLETE = 8  # the source kept a streaming placeholder instead of the final output count
FLAG_SPLIT_EXCEEDS_TOTAL = 16  # the TTL split summed to more than the flat total; the split was trusted

# The part of a request that a price can depend on, beside the model and the day. A call that is known to hold more than
# text has the names of the media instead: "audio", "image", "video", joined by "+".
OUTCOME_OK = "ok"
OUTCOME_REFUSED_BEFORE_OUTPUT = "refused_before_output"


class PrefixBlock(NamedTuple):
    """One cacheable prefix: a chained hash standing for everything up to and including its block."""

    id: str
    tokens: int  # cumulative


@dataclass(slots=True)
class UsageEvent:
    """One billed call. Times are aware UTC; counts are non-negative integers.

    `id` is the identity that makes a re-sent event count once; `request_id` is a second identity (the provider's
    request id) under which another source may know the same call. An empty `id` is derived from the content.
    `requests` is 1, or 0 for a part of another event that is priced at a model of its own.
    """

    id: str
    occurred_at: datetime
    model: str  # as the source wrote it; resolved to a price-book model when it is stored
    uncached_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_write_5m_input_tokens: int = 0
    cache_write_1h_input_tokens: int = 0
    output_tokens: int = 0
    thinking_tokens: int = 0
    web_search_requests: int = 0
    prompt_step_tokens: int = 0  # largest single prompt of the call: decides the prompt-size price step
    provider: str = ""
    platform: str = ""
    service_tier: str = "standard"
    speed: str = "standard"
    inference_geo: str = ""
    routing: str = ""  # "", "global" or "regional"; "" = read it from the model id
    outcome: str = OUTCOME_OK
    workspace_id: str = ""
    api_key_id: str = ""
    user_id: str = ""
    session_id: str = ""
    tags: tuple[tuple[str, str], ...] = ()  # sorted by name, names unique
    request_id: str = ""
    latency_ms: int | None = None
    ttft_ms: int | None = None
    stop_reason: str = ""
    flags: int = 0
    requests: int = 1
    prefix: tuple[PrefixBlock, ...] = field(default=())
