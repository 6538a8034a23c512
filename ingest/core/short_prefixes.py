"""Which cached prefixes a model would be too choosy for: the steps by which rollups tell short prefixes apart."""

from __future__ import annotations

from bisect import bisect_right
from decimal import Decimal
from functools import lru_cache

# Where prefixes begin to be cacheable: the published minimums (512, 1024, 2048, 4096), and the prefixes that reach them
# after the published token growth (1.3) and on the way back (0.77). Rollups are stored by these steps: a new one needs
# `manage.py rebuild`.
LADDER = (394, 512, 665, 788, 1024, 1330, 1576, 2048, 2660, 3151, 4096, 5320)


def needed(minimum: int, growth: Decimal) -> int:
    """The shortest prefix, in tokens as logged, that reaches `minimum` tokens after growth."""
    if growth <= 0:
        return 0
    numerator, denominator = growth.as_integer_ratio()
    return -(-minimum * denominator // numerator)


@lru_cache(maxsize=1024)
def surely_below(minimum: int, growth: Decimal) -> int:
    """How many of LADDER's steps hold only prefixes that stay under `minimum` tokens after growth.

    A step that holds some that do and some that do not is not among them."""
    return bisect_right(LADDER, needed(minimum, growth))


def undecided(minimum: int, growth: Decimal) -> tuple[int, int] | None:
    """The prefixes [from, to) that would be too short and cannot be told from those that would not; None = there
    are none."""
    steps, end = surely_below(minimum, growth), needed(minimum, growth)
    start = LADDER[steps - 1] if steps else 1
    return (start, end) if start < end else None
