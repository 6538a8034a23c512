"""A log holds together whatever it is made from."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from ingest.core.cache.log import LONGEST_WAIT_MS, input_prices, make_log
from ingest.core.pricing import Lane
from ingest.prices import load_pricebook
from tests.support.cache_logs import UNIT, log_of_paths, prefixes_of


def test_prices_come_from_the_price_book_with_its_factors() -> None:
    lane = Lane("anthropic", "anthropic", "claude-sonnet-4-6", service_tier="batch")
    vector = load_pricebook().vector(lane, date(2026, 3, 20))
    assert vector is not None
    assert [float(price * 10**6) for price in input_prices(vector)] == [1.5, 0.15, 1.875, 3.0]


def test_chains_are_sessions_within_a_domain() -> None:
    log = log_of_paths([(0, [])] * 4, domain=[0, 0, 1, 1], session=[5, 6, 5, 5])
    assert len(set(log.chain.tolist())) == 3
    assert log.chain[2] == log.chain[3]


def test_gaps_are_from_start_to_start_within_a_chain() -> None:
    log = log_of_paths([(50, []), (0, []), (7, []), (50, [])], session=[0, 0, 1, 0])
    assert log.previous.tolist() == [1, -1, -1, 0]
    assert log.gap_before.tolist() == [50_000_000, -1, -1, 0]
    assert log.gap_after.tolist() == [0, 50_000_000, -1, -1]


def test_a_wait_beyond_belief_is_cut() -> None:
    log = log_of_paths([(0, [])], ttft_ms=10**12)
    assert log.ready.tolist() == [LONGEST_WAIT_MS * 1000]


def test_a_prefix_larger_than_its_bill_is_scaled_down_to_it() -> None:
    log = log_of_paths([(0, [(1, 60), (2, 60)]), (1, [(1, 60), (2, 60)])], uncached=[100, 500])
    assert log.prefixes is not None
    assert log.prefixes.tokens.tolist() == [50, 100, 60, 120]
    assert log.prefix_tokens.tolist() == [100, 120]


def test_a_part_of_a_log_keeps_its_prefixes() -> None:
    log = log_of_paths([(0, [(1, 5)]), (1, []), (2, [(1, 5), (2, 6)])], session=[0, 0, 1])
    part = log.where(np.array([False, True, True]))
    assert part.prefixes is not None
    assert part.prefixes.ptr.tolist() == [0, 0, 2]
    assert part.prefixes.ids.tolist() == [1, 2]
    assert part.previous.tolist() == [-1, -1]


def test_columns_that_do_not_fit_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="session has"):
        make_log(start=[0, 1], domain=0, session=[0, 1, 2], prices=(UNIT,))
    with pytest.raises(ValueError, match="price must be from 0 to 0"):
        make_log(start=[0], domain=0, session=0, prices=(UNIT,), price=1)
    with pytest.raises(ValueError, match="ptr must start at 0"):
        make_log(start=[0, 1], domain=0, session=0, prices=(UNIT,), prefixes=prefixes_of([[(1, 1)]]))
