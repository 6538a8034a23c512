"""What a quantity costs: the six priced meters, a lane, a price vector, and exact Decimal arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import (
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
)
from operator import index
from typing import NamedTuple, SupportsIndex

from ingest.core.events import OUTCOME_OK

METERS = (
    "uncached_input_tokens",
    "cache_read_input_tokens",
    "cache_write_5m_input_tokens",
    "cache_write_1h_input_tokens",
    "output_tokens",
    "web_search_requests",
)
TOKEN_METERS = METERS[:5]

# Whole-request prompt-size edges any provider's price list steps at. A lane keeps the largest edge its prompt
# exceeds, so a new edge here needs the events aggregated again: that is why a price file may only use these.
PROMPT_STEPS = (100_000, 128_000, 199_999, 200_000, 256_000, 272_000, 512_000, 524_288)

# Every operation on money is exact or fails: 200 digits never round a real bill, and Inexact proves it.
EXACT = Context(prec=200, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
ZERO = Decimal(0)


class Lane(NamedTuple):
    """Every dimension of a request, beside its day, that a price can depend on. '' = not known."""

    provider: str = ""
    platform: str = ""
    model: str = ""
    service_tier: str = "standard"
    speed: str = "standard"
    inference_geo: str = ""
    routing: str = ""  # "global", "regional" or ""
    prompt_step: int = 0  # see prompt_step()
    outcome: str = OUTCOME_OK


class PriceVector(NamedTuple):
    """USD for one unit (token, search) of each meter, in the order of METERS."""

    uncached_input_tokens: Decimal
    cache_read_input_tokens: Decimal
    cache_write_5m_input_tokens: Decimal
    cache_write_1h_input_tokens: Decimal
    output_tokens: Decimal
    web_search_requests: Decimal


def prompt_step(prompt_tokens: int) -> int:
    """The largest price edge this prompt exceeds; 0 if none. Exactly at an edge is still below it."""
    return max((edge for edge in PROMPT_STEPS if prompt_tokens > edge), default=0)


def cost(quantities: Mapping[str, object] | object, vector: PriceVector) -> Decimal:
    """USD for these whole numbers or Decimals, exact. A missing meter is 0, a float an error."""
    amount = ZERO
    by_name = quantities if isinstance(quantities, Mapping) else None
    for meter, price in zip(METERS, vector, strict=True):
        quantity = getattr(quantities, meter, 0) if by_name is None else by_name.get(meter, 0)
        if quantity:
            amount = EXACT.fma(_as_decimal(quantity, meter), price, amount)
    return amount


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Exact sum, where the default context would round beyond 28 digits."""
    result = ZERO
    for amount in amounts:
        result = EXACT.add(result, amount)
    return result


def scale(vector: PriceVector, factor: Decimal) -> PriceVector:
    """The vector with its five token prices multiplied; searches are no tokens and keep their price."""
    return vector._replace(
        **{meter: EXACT.multiply(getattr(vector, meter), factor) for meter in TOKEN_METERS}
    )


def as_text(amount: Decimal) -> str:
    """The exact amount as plain digits: no exponent, no trailing zeros."""
    plain = EXACT.normalize(amount)
    return "0" if plain.is_zero() else format(plain, "f")


def _as_decimal(quantity: object, meter: str) -> Decimal:
    if type(quantity) is int:  # nearly always, and much quicker to ask than the protocol below
        return Decimal(quantity)
    if isinstance(quantity, Decimal):
        return quantity
    if isinstance(quantity, SupportsIndex):  # int and numpy's integers, but no float
        return Decimal(index(quantity))
    raise TypeError(f"{meter} must be a whole number or a Decimal, not {type(quantity).__name__}")
