"""When the same call is reported twice: which counts stand.

The merge of two reports does not depend on their order, for counts, price lane and time: each part takes the larger
under a total order. A finished report beats a partial one; then the larger count wins; a known TTL split beats an
unknown one. Attribution keeps what was stored first and only fills gaps (see `ingest.storage`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ingest.core.events import FLAG_FINAL, FLAG_OUTPUT_INCOMPLETE, FLAG_TIME_IMPUTED, FLAG_TTL_UNKNOWN

OUTPUT_FLAGS = FLAG_OUTPUT_INCOMPLETE


@dataclass(slots=True)
class Row:
    """One event as it is stored: meters and interned ids. `occurred_at` is microseconds since the Unix epoch, UTC."""

    event_key: int
    occurred_at: int
    received_at: int
    lane_id: int
    label_set_id: int
    session_key: int
    uncached_input_tokens: int
    cache_read_input_tokens: int
    cache_write_5m_input_tokens: int
    cache_write_1h_input_tokens: int
    output_tokens: int
    thinking_tokens: int
    web_search_requests: int
    latency_ms: int  # -1: not known
    ttft_ms: int  # -1: not known
    stop_reason_id: int  # 0: not known
    flags: int
    requests: int


def merge(stored: Row, other: Row, lane_rank: Callable[[int], tuple[object, ...]]) -> Row:
    """The most complete account of one call reported as `stored` and as `other`; equal to `stored` if it already is.

    `lane_rank` orders price lanes by how much they say. Identity, label set and receipt time stay those of `stored`.
    """
    inputs = max(stored, other, key=lambda row: _input_rank(row, lane_rank))
    outputs = max(stored, other, key=_output_rank)
    timed = min(stored, other, key=lambda row: (row.flags & FLAG_TIME_IMPUTED, row.occurred_at))
    flags = (
        ((stored.flags | other.flags) & FLAG_FINAL)
        | (inputs.flags & ~(FLAG_FINAL | OUTPUT_FLAGS | FLAG_TIME_IMPUTED))
        | (outputs.flags & OUTPUT_FLAGS)
        | (timed.flags & FLAG_TIME_IMPUTED)
    )
    return replace(
        stored,
        occurred_at=timed.occurred_at,
        lane_id=inputs.lane_id,
        session_key=stored.session_key or other.session_key,
        uncached_input_tokens=inputs.uncached_input_tokens,
        cache_read_input_tokens=inputs.cache_read_input_tokens,
        cache_write_5m_input_tokens=inputs.cache_write_5m_input_tokens,
        cache_write_1h_input_tokens=inputs.cache_write_1h_input_tokens,
        output_tokens=outputs.output_tokens,
        thinking_tokens=outputs.thinking_tokens,
        web_search_requests=max(stored.web_search_requests, other.web_search_requests),
        latency_ms=max(stored.latency_ms, other.latency_ms),
        ttft_ms=max(stored.ttft_ms, other.ttft_ms),
        stop_reason_id=outputs.stop_reason_id or stored.stop_reason_id or other.stop_reason_id,
        flags=flags,
        requests=max(stored.requests, other.requests),
    )


def _input_rank(row: Row, lane_rank: Callable[[int], tuple[object, ...]]) -> tuple[object, ...]:
    return (
        row.flags & FLAG_FINAL,
        row.uncached_input_tokens
        + row.cache_read_input_tokens
        + row.cache_write_5m_input_tokens
        + row.cache_write_1h_input_tokens,
        not row.flags & FLAG_TTL_UNKNOWN,
        row.cache_write_1h_input_tokens,
        row.cache_write_5m_input_tokens,
        row.cache_read_input_tokens,
        lane_rank(row.lane_id),
    )


def _output_rank(row: Row) -> tuple[int, ...]:
    return (row.flags & FLAG_FINAL, row.output_tokens, row.thinking_tokens, row.stop_reason_id)
