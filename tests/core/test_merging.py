"""Two reports of one call: which counts stand."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from ingest.core.events import FLAG_FINAL, FLAG_TIME_IMPUTED, FLAG_TTL_UNKNOWN
from ingest.core.merging import Row, merge

BASE = Row(1, 1_000, 5, 1, 1, 0, 10, 20, 30, 0, 5, 0, 0, -1, -1, 0, FLAG_FINAL, 1)


def lane_rank(lane_id: int) -> tuple[object, ...]:
    return (lane_id,)


def test_the_larger_output_of_a_streamed_message_wins() -> None:
    first, last = replace(BASE, output_tokens=1, flags=0), replace(BASE, output_tokens=173, flags=0)
    assert merge(first, last, lane_rank).output_tokens == 173
    assert merge(last, first, lane_rank) == last


def test_a_finished_report_beats_a_partial_one_even_when_smaller() -> None:
    partial, final = replace(BASE, output_tokens=612, flags=0), replace(BASE, output_tokens=28)
    assert merge(partial, final, lane_rank).output_tokens == 28


def test_a_known_ttl_split_beats_the_same_total_without_one() -> None:
    split = replace(BASE, cache_write_5m_input_tokens=10, cache_write_1h_input_tokens=20)
    flat = replace(BASE, flags=FLAG_FINAL | FLAG_TTL_UNKNOWN)
    for merged in (merge(split, flat, lane_rank), merge(flat, split, lane_rank)):
        assert (merged.cache_write_5m_input_tokens, merged.cache_write_1h_input_tokens) == (10, 20)
        assert not merged.flags & FLAG_TTL_UNKNOWN


def test_a_real_time_beats_an_imputed_one() -> None:
    imputed = replace(BASE, occurred_at=1, flags=FLAG_FINAL | FLAG_TIME_IMPUTED)
    assert merge(imputed, BASE, lane_rank).occurred_at == BASE.occurred_at


def test_counts_of_two_reports_are_never_added() -> None:
    assert merge(BASE, replace(BASE, event_key=2), lane_rank) == BASE


counts = st.integers(0, 5)
reports = st.builds(
    Row,
    event_key=st.just(1),
    occurred_at=st.integers(0, 3),
    received_at=st.just(0),
    lane_id=counts,
    label_set_id=st.just(1),
    session_key=st.just(1),
    uncached_input_tokens=counts,
    cache_read_input_tokens=counts,
    cache_write_5m_input_tokens=counts,
    cache_write_1h_input_tokens=counts,
    output_tokens=counts,
    thinking_tokens=counts,
    web_search_requests=counts,
    latency_ms=counts,
    ttft_ms=counts,
    stop_reason_id=st.just(1),
    flags=st.sampled_from(
        [0, FLAG_FINAL, FLAG_TTL_UNKNOWN, FLAG_FINAL | FLAG_TTL_UNKNOWN, FLAG_TIME_IMPUTED]
    ),
    requests=st.just(1),
)


@given(reports, reports, reports)
def test_the_order_of_reports_does_not_matter(a: Row, b: Row, c: Row) -> None:
    outcomes = {
        tuple(
            getattr(merge(merge(x, y, lane_rank), z, lane_rank), name)
            for name in Row.__slots__
            if name != "flags"
        )
        for x, y, z in permutations([a, b, c])
    }
    assert len(outcomes) == 1
