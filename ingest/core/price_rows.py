"""What price files hold once they are checked: models, dated rows, tiers and surcharges."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from ingest.core.pricing import EXACT, PriceVector


@dataclass(frozen=True, slots=True)
class PriceRow:
    """One published price of one model: USD per million tokens on UTC days [effective_from, effective_to)."""

    model: str
    speed: str
    prompt_over: int  # the row is for prompts larger than this; one of PROMPT_STEPS, or 0 for any
    effective_from: date | None
    effective_to: date | None
    uncached_input: Decimal
    output: Decimal
    cache_write_5m: Decimal
    cache_write_1h: Decimal
    cache_read: Decimal
    source: str
    checked_on: date | None  # None: the source does not say
    uncertain: bool = False
    note: str = ""
    open_to_past: bool = False  # a model's first price also covers earlier days: it never had another

    def covers(self, day: date) -> bool:
        started = self.open_to_past or self.effective_from is None or self.effective_from <= day
        return started and (self.effective_to is None or day < self.effective_to)

    def per_unit(self, web_search: Decimal) -> PriceVector:
        """USD per token, and per search, before any lane multiplier."""
        return PriceVector(
            uncached_input_tokens=EXACT.scaleb(self.uncached_input, -6),
            cache_read_input_tokens=EXACT.scaleb(self.cache_read, -6),
            cache_write_5m_input_tokens=EXACT.scaleb(self.cache_write_5m, -6),
            cache_write_1h_input_tokens=EXACT.scaleb(self.cache_write_1h, -6),
            output_tokens=EXACT.scaleb(self.output, -6),
            web_search_requests=web_search,
        )


@dataclass(frozen=True, slots=True)
class DatedAmount:
    """A number that holds from a day on: a fee per unit, or a minimum prefix length."""

    amount: Decimal
    effective_from: date | None = None
    uncertain: bool = False
    note: str = ""
    source: str = ""
    checked_on: date | None = None


@dataclass(frozen=True, slots=True)
class Tier:
    """A service tier: what it multiplies token prices with, or that its tokens were paid for in advance."""

    name: str
    also: tuple[str, ...]
    factor: Decimal
    prepaid: bool
    note: str
    not_on: tuple[str, ...]
    not_with_speed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Surcharge:
    """A multiplier on the token prices of models flagged with its name, on some platforms and places only."""

    name: str
    factor: Decimal
    platforms: tuple[str, ...]
    inference_geo: str
    routing: str


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the price list, under the id the provider's own API uses for it."""

    id: str
    name: str
    provider: str
    ids: tuple[str, ...]  # every exact id: API id, aliases, Bedrock and Vertex ids
    surcharges: tuple[str, ...]
    context_window: int | None
    minimum_tokens: tuple[DatedAmount, ...]
    launched_on: date | None
    retired_on: date | None
    note: str
    rows: tuple[PriceRow, ...] = field(repr=False, default=())

    def min_cacheable_tokens(self, day: date) -> int | None:
        """The shortest prefix the provider caches on that day; None = not published."""
        held = latest(self.minimum_tokens, day)
        return None if held is None else int(held.amount)


@dataclass(frozen=True, slots=True)
class PriceFile:
    """One parsed file: one provider's models, tiers, surcharges and fees."""

    name: str
    provider: str
    models: tuple[Model, ...]
    tiers: tuple[Tier, ...]
    surcharges: tuple[Surcharge, ...]
    web_search: tuple[DatedAmount, ...]
    refusal_free_from: date | None


def latest(amounts: tuple[DatedAmount, ...], day: date) -> DatedAmount | None:
    """The amount that holds on a day. The first one is open to the past."""
    held: DatedAmount | None = None
    for amount in amounts:
        if held is None or amount.effective_from is None or amount.effective_from <= day:
            held = amount
    return held
