"""One model of the genai-prices package on one day, in one tier, at one prompt size -> a published row, or why not.

What six meters and a lane cannot say is never guessed: a price by the hour, by the request, by the second of audio, or
by a prompt-size edge that lanes do not know makes the model unpriced, with a reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from genai_prices.types import (
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from ingest.core.meter_fields import MEDIA
from ingest.core.pricing import EXACT, PROMPT_STEPS

Price = Decimal | TieredPrices
BATCH = "batch"
STANDARD = frozenset({"", "standard", "default", "auto", "on_demand"})
TWO = Decimal(2)
# Keys that have no meter here and change no token's price.
_IGNORED = frozenset({"storage_searches_kcount"})
_TEXT_KEYS = frozenset(
    {
        "input_mtok",
        "output_mtok",
        "cache_read_mtok",
        "cache_write_mtok",
        "cache_write_1h_mtok",
        "web_searches_kcount",
    }
)


class Unpriced(Exception):
    """No price that could be used; the message is one sentence for a reader."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """USD per million tokens and per search, for one lane on one day."""

    uncached_input: Decimal
    output: Decimal
    cache_read: Decimal
    cache_write_5m: Decimal
    cache_write_1h: Decimal
    web_search: Decimal
    prompt_over: int
    notes: tuple[str, ...]


def amounts(model: ModelInfo, name: str, day: date, tier: str, step: int, media: tuple[str, ...]) -> Amounts:
    """What the package publishes for one lane. Raises Unpriced; `name` is how the reader knows the model."""
    notes: list[str] = []
    prices = dict(_standard(model, name, day))
    if tier not in STANDARD:
        prices |= _of_tier(model, name, day, tier, notes)
    _check_meters(prices, name, media, notes)
    edges: set[int] = {0}

    def at_step(key: str) -> Decimal | None:
        value = prices.get(key)
        return _at_step(value, name, step, edges) if isinstance(value, TieredPrices) else value

    plain = at_step("input_mtok")
    if plain is None:
        raise Unpriced(f"No price per token is published for {name}.")
    output = at_step("output_mtok")
    if output is None:
        if any(key.startswith("output_") for key in prices):
            raise Unpriced(f"The output of {name} is not priced by the text token.")
        notes.append("Only input has a price.")
    read, write, write_1h = (at_step(f"cache_{kind}_mtok") for kind in ("read", "write", "write_1h"))
    if read is None:
        notes.append("No cache price is published: cached tokens cost what others do.")
    searches = at_step("web_searches_kcount")
    if searches is None:
        notes.append("No price per web search is published.")
    write = plain if write is None else write
    return Amounts(
        uncached_input=plain,
        output=output or Decimal(0),
        cache_read=plain if read is None else read,
        cache_write_5m=write,
        cache_write_1h=write if write_1h is None else write_1h,
        web_search=EXACT.scaleb(searches or Decimal(0), -3),
        prompt_over=max(edges),
        notes=tuple(notes),
    )


def start_days(model: ModelInfo, tier: str | None = None) -> Iterator[date]:
    """The days on which any of the model's prices begins; of one tier or, without, of all."""
    conditions = [price.constraint for price in _conditional(model)]
    conditions += [
        variant.constraint
        for variant in model.price_variants or ()
        if tier is None or tier in variant.when.values()
    ]
    for condition in conditions:
        if isinstance(condition, StartDateConstraint):
            yield condition.start_date


def period(model: ModelInfo, day: date, tier: str) -> tuple[date | None, date | None]:
    """[first day, end) of the tier's prices that hold on this day; None = open."""
    days = sorted(set(start_days(model, tier)))
    return max((d for d in days if d <= day), default=None), min((d for d in days if d > day), default=None)


def _conditional(model: ModelInfo) -> list[ConditionalPrice]:
    return [ConditionalPrice(prices=model.prices)] if isinstance(model.prices, ModelPrice) else model.prices


def _standard(model: ModelInfo, name: str, day: date) -> Mapping[str, Price]:
    """The last price that has begun; the first one also covers earlier days."""
    prices = _conditional(model)
    if not prices:
        raise Unpriced(f"No price is published for {name}.")
    for conditional in reversed(prices):
        condition = conditional.constraint
        if isinstance(condition, TimeOfDateConstraint):
            raise Unpriced(
                f"The price of {name} depends on the hour of the day, which costs are not kept by."
            )
        if condition is None or condition.start_date <= day:
            return _set(conditional.prices)
    return _set(prices[0].prices)


def _of_tier(model: ModelInfo, name: str, day: date, tier: str, notes: list[str]) -> Mapping[str, Price]:
    """What a tier changes. Its list has a first day because nobody looked before, not because it began then.

    Batch has always been half price, so it is also applied to earlier days with the same standard prices.
    """
    when = {"processing": BATCH} if tier == BATCH else {"service_tier": tier}
    fitting = [variant for variant in model.price_variants or () if variant.when == when]
    if not fitting:
        raise Unpriced(f"No price is published for the service tier '{tier}' of {name}.")
    for variant in fitting:
        if variant.constraint is None or _begun(variant, day):
            return _set(variant.prices)
    first = min(fitting, key=_first_day)
    if tier == BATCH and _always_half(model, name, first, day):
        notes.append(f"The batch prices are those checked on {_first_day(first)}.")
        return _set(first.prices)
    raise Unpriced(
        f"The prices of the service tier '{tier}' of {name} are known from {_first_day(first)} on only."
    )


def _first_day(variant: PriceVariant) -> date:
    return variant.constraint.start_date if isinstance(variant.constraint, StartDateConstraint) else date.max


def _begun(variant: PriceVariant, day: date) -> bool:
    return isinstance(variant.constraint, StartDateConstraint) and variant.constraint.start_date <= day


def _always_half(model: ModelInfo, name: str, batch: PriceVariant, day: date) -> bool:
    """Whether batch is half the standard price, and that price already held on this day."""
    if not isinstance(batch.constraint, StartDateConstraint):
        return False
    standard, changed = _standard(model, name, day), _set(batch.prices)
    halves = all(
        key in changed and key in standard and _is_half(changed[key], standard[key])
        for key in ("input_mtok", "output_mtok")
        if key in standard
    )
    return halves and standard == _standard(model, name, batch.constraint.start_date)


def _is_half(less: Price, more: Price) -> bool:
    if isinstance(less, TieredPrices) and isinstance(more, TieredPrices):
        return (
            less.base * TWO == more.base
            and [tier.start for tier in less.tiers] == [tier.start for tier in more.tiers]
            and all(a.price * TWO == b.price for a, b in zip(less.tiers, more.tiers, strict=True))
        )
    return isinstance(less, Decimal) and isinstance(more, Decimal) and less * TWO == more


def _check_meters(prices: Mapping[str, Price], name: str, media: tuple[str, ...], notes: list[str]) -> None:
    """Refuse prices of quantities that no meter counts, unless this lane is known not to hold them."""
    apart: set[str] = set()
    for key in sorted(prices.keys() - _TEXT_KEYS - _IGNORED):
        medium = next((medium for medium in MEDIA if medium in key.split("_")), "")
        if not medium:
            what = key.rpartition("_")[0].replace("_", " ")
            raise Unpriced(f"{name} also charges for {what}, which the meters do not tell apart.")
        apart.add(medium)
    for medium in media:
        if medium in apart:
            raise Unpriced(f"The call holds {medium}, which {name} prices apart from text.")
    if apart:
        notes.append(f"A call that holds {' or '.join(sorted(apart))} is left unpriced.")


def _at_step(price: TieredPrices, name: str, step: int, edges: set[int]) -> Decimal:
    """The whole request is charged at the highest edge it exceeds."""
    held = price.base
    for tier in price.tiers:
        if tier.start not in PROMPT_STEPS:
            raise Unpriced(
                f"{name} changes its price at {tier.start:,} tokens, an edge that costs are not kept by."
            )
        if step >= tier.start:
            held = tier.price
            edges.add(tier.start)
    return held


def _set(prices: ModelPrice) -> dict[str, Price]:
    """The prices that are given."""
    return {key: value for key, value in vars(prices).items() if value is not None}
