"""Costs to the last digit: published test vectors, stacking rules and the laws of the arithmetic."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.core.pricebook import PriceBook
from ingest.core.pricing import EXACT, METERS, Lane, PriceVector, as_text, cost, prompt_step, scale, total
from ingest.prices import load_pricebook
from tests.support.price_vectors import MARCH, VECTORS

D = Decimal
SHORT = {
    "U": "uncached_input_tokens",
    "R": "cache_read_input_tokens",
    "W5": "cache_write_5m_input_tokens",
    "W1": "cache_write_1h_input_tokens",
    "O": "output_tokens",
    "S": "web_search_requests",
}
PROMPT = ("U", "R", "W5", "W1")


def price(model: str, day: date, lane: dict[str, Any], usage: dict[str, int]) -> Decimal:
    book = load_pricebook()
    step = prompt_step(sum(usage.get(part, 0) for part in PROMPT))
    vector = book.vector(Lane(model=book.resolve(model).model, prompt_step=step)._replace(**lane), day)
    assert vector is not None
    return cost({SHORT[name]: count for name, count in usage.items()}, vector)


@pytest.mark.parametrize("case", VECTORS)
def test_published_vectors_are_met_to_the_last_digit(case: str) -> None:
    model, day, lane, usage, expected = VECTORS[case]
    assert price(model, day, lane, usage) == D(expected)


BATCH_US = {"service_tier": "batch", "inference_geo": "us"}
STACKED: dict[str, tuple[str, dict[str, Any], dict[str, int], int, str]] = {
    "batch + read": ("claude-sonnet-4-6", {"service_tier": "batch"}, {"R": 1_000_000}, 0, "0.15"),
    "batch + 5m write": ("claude-sonnet-4-6", {"service_tier": "batch"}, {"W5": 1_000_000}, 0, "1.875"),
    "batch + 1h write": ("claude-sonnet-4-6", {"service_tier": "batch"}, {"W1": 1_000_000}, 0, "3"),
    "US read": ("claude-sonnet-4-6", {"inference_geo": "us"}, {"R": 1_000_000}, 0, "0.33"),
    "batch + US read": ("claude-sonnet-4-6", BATCH_US, {"R": 1_000_000}, 0, "0.165"),
    "premium + batch + read": (
        "claude-sonnet-4-5-20250929",
        {"service_tier": "batch"},
        {"R": 1_000_000},
        200_000,
        "0.30",
    ),
    "fast + US": (
        "claude-opus-4-6",
        {"speed": "fast", "inference_geo": "us"},
        {"O": 1_000_000, "R": 1_000_000},
        0,
        "168.3",
    ),
    "regional batch": (
        "claude-haiku-4-5-20251001",
        {"service_tier": "batch", "platform": "bedrock", "routing": "regional"},
        {"U": 1_000_000},
        0,
        "0.55",
    ),
    "searches are neither batch nor regional": ("claude-sonnet-4-6", BATCH_US, {"S": 100}, 0, "1"),
}


@pytest.mark.parametrize("case", STACKED)
def test_multipliers_stack_as_products(case: str) -> None:
    model, lane, usage, step, expected = STACKED[case]
    vector = load_pricebook().vector(Lane(model=model, prompt_step=step)._replace(**lane), MARCH)
    assert vector is not None
    assert cost({SHORT[name]: count for name, count in usage.items()}, vector) == D(expected)


def test_ten_calls_with_a_shared_prefix_cost_what_the_worked_example_says() -> None:
    """Sonnet 4.6, ten calls, 50,000 shared tokens, 500 new, 800 out: where every what-if starts."""
    day, tail = date(2026, 3, 20), {"U": 5000, "O": 8000}
    model, batch = "claude-sonnet-4-6", {"service_tier": "batch"}
    # Ten requests together pass 200,000 tokens, but this model has no step left on this day.
    assert price(model, day, {}, {"U": 505_000, "O": 8000}) == D("1.635")
    assert price(model, day, {}, {**tail, "W5": 50_000, "R": 450_000}) == D("0.4575")
    assert price(model, day, {}, {**tail, "W1": 50_000, "R": 450_000}) == D("0.57")
    assert price(model, day, batch, {"U": 505_000, "O": 8000}) == D("0.8175")
    assert price(model, day, batch, {**tail, "W5": 50_000, "R": 450_000}) == D("0.22875")


def test_a_second_call_with_cache_costs_more_than_its_uncached_tokens_alone() -> None:
    cached = price("claude-sonnet-4-6", MARCH, {}, {"U": 50, "R": 100_000})
    assert cached - price("claude-sonnet-4-6", MARCH, {}, {"U": 50}) == D("0.03")


# ---- laws

counts = st.fixed_dictionaries({meter: st.integers(0, 10**15) for meter in METERS})
lanes = st.builds(
    Lane,
    model=st.sampled_from([model.id for model in load_pricebook().models]),
    platform=st.sampled_from(["", "anthropic", "bedrock", "vertex", "foundry"]),
    service_tier=st.sampled_from(["standard", "batch", "priority"]),
    speed=st.sampled_from(["standard", "fast"]),
    inference_geo=st.sampled_from(["", "us", "global"]),
    routing=st.sampled_from(["", "global", "regional"]),
    prompt_step=st.sampled_from([0, 100_000, 200_000, 272_000]),
)
days = st.dates(date(2024, 1, 1), date(2027, 12, 31))


@given(counts, counts, lanes, days)
def test_pricing_a_sum_is_summing_prices(a: dict[str, int], b: dict[str, int], lane: Lane, day: date) -> None:
    vector = load_pricebook().vector(lane, day)
    if vector is not None:
        together = {meter: a[meter] + b[meter] for meter in METERS}
        assert cost(together, vector) == total([cost(a, vector), cost(b, vector)])


@given(lanes, days)
def test_no_price_is_negative_or_inexact(lane: Lane, day: date) -> None:
    vector = load_pricebook().vector(lane, day)
    if vector is not None:
        assert all(price >= 0 and price.is_finite() for price in vector)
        # Published prices have at most three decimals a million tokens; batch and a surcharge add one each.
        assert all(EXACT.scaleb(price, 11) % 1 == 0 for price in vector), "more than eleven decimals"


@given(lanes, days)
def test_a_lane_has_either_a_price_or_a_reason(lane: Lane, day: date) -> None:
    book = load_pricebook()
    assert (book.vector(lane, day) is None) == bool(book.why_unpriced(lane, day))


@given(st.decimals(min_value=0, max_value=10**12, places=10))
def test_amounts_survive_being_written_as_text(amount: Decimal) -> None:
    text = as_text(amount)
    assert D(text) == amount
    assert "E" not in text
    assert not ("." in text and text.endswith("0"))


# ---- arithmetic


UNIT = PriceVector(D("0.1"), D("0.2"), D("0.3"), D("0.4"), D("0.5"), D("0.6"))


def test_a_sum_longer_than_the_default_precision_keeps_every_digit() -> None:
    assert total([D(10) ** 25, D("1e-10")]) == D("10000000000000000000000000.0000000001")


def test_quantities_may_be_objects_with_the_meters_as_attributes() -> None:
    assert cost(PriceVector(*map(D, (1, 2, 3, 4, 5, 6))), UNIT) == D("9.1")


def test_numpy_integers_and_fractional_decimals_are_quantities() -> None:
    assert cost({"uncached_input_tokens": np.int64(7), "output_tokens": D("0.5")}, UNIT) == D("0.95")


def test_floats_are_refused_and_the_meter_named() -> None:
    with pytest.raises(TypeError, match="output_tokens must be a whole number or a Decimal, not float"):
        cost({"output_tokens": 1.5}, UNIT)


def test_scaling_leaves_searches_alone() -> None:
    assert scale(UNIT, D("0.5")) == PriceVector(D("0.05"), D("0.1"), D("0.15"), D("0.2"), D("0.25"), D("0.6"))


@pytest.mark.parametrize(
    ("tokens", "step"),
    [
        (0, 0),
        (100_000, 0),
        (100_001, 100_000),
        (128_000, 100_000),
        (128_001, 128_000),
        (199_999, 128_000),
        (200_000, 199_999),
        (200_001, 200_000),
        (256_001, 256_000),
        (272_000, 256_000),
        (272_001, 272_000),
        (512_001, 512_000),
        (524_289, 524_288),
        (10**9, 524_288),
    ],
)
def test_a_prompt_exactly_at_an_edge_has_not_passed_it(tokens: int, step: int) -> None:
    assert prompt_step(tokens) == step


def test_the_price_book_is_read_once() -> None:
    assert isinstance(load_pricebook(), PriceBook)
    assert load_pricebook() is load_pricebook()
