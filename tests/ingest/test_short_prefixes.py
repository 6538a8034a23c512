"""Short prefixes: the ladder knows every published minimum, and its steps never call a long prefix short."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.core.short_prefixes import LADDER, needed, surely_below, undecided
from ingest.prices import load_pricebook

MINIMUMS = {int(each.amount) for model in load_pricebook().models for each in model.minimum_tokens}
PUBLISHED_GROWTHS = [Decimal(1), Decimal("1.3"), Decimal("0.77")]  # see dashboard/analysis/tokenizers.py


@pytest.mark.parametrize("growth", PUBLISHED_GROWTHS)
def test_every_minimum_of_the_price_files_is_a_step_at_every_published_growth(growth: Decimal) -> None:
    assert {needed(minimum, growth) for minimum in MINIMUMS} <= set(LADDER)
    assert [undecided(minimum, growth) for minimum in MINIMUMS] == [None] * len(MINIMUMS)


def test_the_ladder_has_no_step_that_nothing_needs() -> None:
    wanted = {needed(minimum, growth) for minimum in MINIMUMS for growth in PUBLISHED_GROWTHS}
    assert list(LADDER) == sorted(wanted)


@pytest.mark.parametrize(
    ("minimum", "growth", "steps", "unsure"),
    [
        (1024, "1", 5, None),
        (1024, "1.1", 4, (788, 931)),  # 930 × 1.1 = 1,023; 931 × 1.1 = 1,024.1
        (512, "2", 0, (1, 256)),
        (4096, "0.5", 12, (5320, 8192)),
        (4096, "0", 0, None),
    ],
)
def test_steps_and_what_they_leave_open(
    minimum: int, growth: str, steps: int, unsure: tuple[int, int] | None
) -> None:
    assert surely_below(minimum, Decimal(growth)) == steps
    assert undecided(minimum, Decimal(growth)) == unsure


@given(
    st.integers(1, 9000),
    st.sampled_from(sorted(MINIMUMS)),
    st.decimals("0.01", "5", places=3),
)
def test_a_prefix_is_called_short_only_if_it_is_and_else_it_is_long_or_undecided(
    prefix: int, minimum: int, growth: Decimal
) -> None:
    called_short = any(prefix < step for step in LADDER[: surely_below(minimum, growth)])
    open_ones = undecided(minimum, growth)
    is_open = open_ones is not None and open_ones[0] <= prefix < open_ones[1]
    assert (called_short or is_open) == (prefix * growth < minimum)
    assert not (called_short and is_open)
