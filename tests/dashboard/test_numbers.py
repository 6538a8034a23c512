"""Amounts as text: exact where it matters, short where it does not, never a lie by rounding."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import numbers

amounts = st.decimals(
    allow_nan=False, allow_infinity=False, min_value=Decimal("-1e12"), max_value=Decimal("1e12"), places=12
)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("18412.07", "$18,412.07"),
        ("18412.0749", "$18,412.07"),
        ("0", "$0.00"),
        ("1", "$1.00"),
        ("0.5", "$0.50"),
        ("0.0544", "$0.0544"),
        ("0.00000125", "$0.00000125"),
        ("0.9999", "$1.00"),
        ("-5.2", "−$5.20"),
    ],
)
def test_money_has_cents_and_below_a_dollar_three_digits(amount: str, text: str) -> None:
    assert numbers.money(Decimal(amount)) == text


def test_money_that_is_not_known_is_a_dash_and_not_zero() -> None:
    assert numbers.money(None) == numbers.NONE
    assert numbers.money_round(None) == numbers.NONE
    assert numbers.tokens(float("nan")) == numbers.NONE


@given(amounts)
def test_no_amount_but_zero_reads_as_zero(amount: Decimal) -> None:
    assert (numbers.money(amount) == "$0.00") == (amount == 0)


@given(amounts.filter(lambda amount: abs(amount) >= 1))
def test_money_text_is_within_half_a_cent(amount: Decimal) -> None:
    text = numbers.money(amount).replace("$", "").replace(",", "").replace(numbers.MINUS, "-")
    assert abs(Decimal(text) - amount) <= Decimal("0.005")


def test_whole_dollars_are_for_large_amounts_only() -> None:
    assert numbers.money_round(Decimal("61930.4")) == "$61,930"
    assert numbers.money_round(Decimal("99.994")) == "$99.99"


def test_a_difference_has_its_sign() -> None:
    assert numbers.money_signed(Decimal(12)) == "+$12.00"
    assert numbers.money_signed(Decimal(-12)) == "−$12.00"
    assert numbers.money_signed(Decimal(0)) == "$0.00"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (980, "980"),
        (1000, "1.00 k"),
        (12_345, "12.3 k"),
        (999_499, "999 k"),
        (999_950, "1.00 M"),
        (83_400_000, "83.4 M"),
        (1_314_159_265, "1.31 B"),
        (10**12, "1.00 T"),
    ],
)
def test_tokens_read_in_three_digits(number: int, text: str) -> None:
    assert numbers.tokens(number) == text


@given(st.integers(min_value=1, max_value=10**15))
def test_tokens_text_is_within_half_a_percent_and_never_four_digits(number: int) -> None:
    value, _, unit = numbers.tokens(number).partition(" ")
    factor = {"": 1, "k": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}[unit]
    assert abs(Decimal(value) * factor - number) <= Decimal(number) / 200
    assert Decimal(value) < 1000 or unit == "T"


def test_a_share_reads_all_or_nothing_only_when_it_is() -> None:
    assert numbers.percent(Decimal("0.834")) == "83.4 %"
    assert numbers.percent(1) == "100.0 %"
    assert numbers.percent(Decimal("0.99999")) == "99.9 %"
    assert numbers.percent(0) == "0.0 %"
    assert numbers.percent(Decimal("0.00001")) == "< 0.1 %"


def test_changes_have_a_sign_and_nothing_before_is_new() -> None:
    assert numbers.change(Decimal("106.1"), Decimal(100)) == "+6.1 %"
    assert numbers.change(Decimal("93.9"), Decimal(100)) == "−6.1 %"
    assert numbers.change(Decimal(100), Decimal("100.01")) == "0.0 %"
    assert numbers.change(Decimal(5), Decimal(0)) == "new"
    assert numbers.change(Decimal(0), Decimal(0)) == numbers.NONE
    assert numbers.change(Decimal(5), None) == numbers.NONE


def test_points_are_the_difference_of_two_shares() -> None:
    assert numbers.points(Decimal("0.048")) == "+4.8 pt"
    assert numbers.points(Decimal("-0.2")) == "−20.0 pt"
    assert numbers.points(Decimal("-0.0001")) == "0.0 pt"


def test_axis_labels_are_short() -> None:
    assert [numbers.money_tick(value) for value in (0, 0.002, 500, 1500, 2_500_000.0)] == [
        "$0",
        "$0.002",
        "$500",
        "$1.5k",
        "$2.5M",
    ]
    assert [numbers.tokens_tick(value) for value in (0, 500, 250_000, 1_500_000_000)] == [
        "0",
        "500",
        "250k",
        "1.5B",
    ]


def test_unit_prices_read_as_price_lists_write_them() -> None:
    assert numbers.unit_price(Decimal("0.000003")) == "$3.00 / M"
    assert numbers.multiplier(Decimal("0.1")) == "0.10×"
    assert numbers.multiplier(Decimal("0.075")) == "0.075×"


def test_ages_use_the_largest_unit_that_fits() -> None:
    assert numbers.ago(timedelta(seconds=4)) == "4 s ago"
    assert numbers.ago(timedelta(minutes=3, seconds=59)) == "3 min ago"
    assert numbers.ago(timedelta(days=1)) == "1 day ago"
    assert numbers.ago(None) == "never"


@pytest.mark.parametrize(
    ("first", "last", "text"),
    [
        (date(2026, 11, 1), date(2026, 11, 22), "1–22 Nov 2026"),
        (date(2026, 11, 1), date(2026, 11, 1), "1 Nov 2026"),
        (date(2026, 10, 28), date(2026, 11, 3), "28 Oct – 3 Nov 2026"),
        (date(2025, 12, 28), date(2026, 1, 3), "28 Dec 2025 – 3 Jan 2026"),
    ],
)
def test_ranges_of_days_are_as_short_as_they_can_be(first: date, last: date, text: str) -> None:
    assert numbers.days(first, last) == text
