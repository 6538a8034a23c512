"""The price book: every known model's dated prices, and what one lane costs on one day."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import NamedTuple, Protocol

from ingest.core import model_ids
from ingest.core.events import OUTCOME_REFUSED_BEFORE_OUTPUT
from ingest.core.price_files import PriceFileError, parse_price_file
from ingest.core.price_rows import DatedAmount, Model, PriceFile, PriceRow, Surcharge, Tier, latest
from ingest.core.pricing import (
    PROMPT_STEPS,
    ZERO,
    Lane,
    PriceVector,
    prompt_step,
    scale,
)

__all__ = [
    "PROMPT_STEPS",
    "Model",
    "ModelIdentity",
    "OtherName",
    "OtherPrices",
    "PriceBook",
    "PriceFileError",
    "PriceRow",
    "Quote",
    "parse_pricebook",
    "prompt_step",
]

LONGEST_NAME = 512
FREE = PriceVector(ZERO, ZERO, ZERO, ZERO, ZERO, ZERO)


class ModelIdentity(NamedTuple):
    """What a raw model name stands for."""

    model: str  # the provider's own API id, or the cleaned raw name
    provider: str
    platform: str
    routing: str
    known: bool


class Quote(NamedTuple):
    """How one lane is priced on one day: the published row, what multiplies it, and the result."""

    row: PriceRow | None
    factors: tuple[tuple[str, Decimal], ...]
    vector: PriceVector | None  # None = unpriced
    reason: str  # why it is unpriced, or ''
    note: str  # what a reader should know about the price, or ''


class OtherName(NamedTuple):
    """A model that no price file knows, by its one name."""

    model: str
    maker: str


class OtherPrices(Protocol):
    """Prices of models beyond our own files; see `ingest.prices.others`."""

    @property
    def version(self) -> str: ...
    @property
    def boundaries(self) -> frozenset[date]: ...
    @property
    def models(self) -> int: ...
    def boundaries_of(self, model: str, provider: str, platform: str) -> frozenset[date]: ...
    def find(self, name: str, maker: str, platform: str) -> OtherName | None: ...
    def quote(self, lane: Lane, day: date) -> Quote: ...


class PriceBook:
    """Immutable, and safe to share between threads; answers are cached.

    `models` are those of our own files; where both know one, they win over `others`.
    """

    def __init__(self, files: Iterable[PriceFile], version: str, others: OtherPrices | None = None) -> None:
        self.version = f"{version}+{others.version}" if others else version
        self.others = others
        self._files = {file.provider: file for file in files}
        self.models: tuple[Model, ...] = tuple(
            model for file in self._files.values() for model in file.models
        )
        self._by_id: dict[str, Model] = {}
        for model in self.models:
            for name in model.ids:
                for spelling in (name, name.removeprefix("anthropic.")):
                    known = self._by_id.setdefault(spelling, model)
                    if known is not model:
                        raise PriceFileError(
                            f"model {model.id}: id '{spelling}' also belongs to {known.id}; remove one."
                        )
        self._tiers: dict[tuple[str, str], Tier] = {
            (file.provider, name): tier
            for file in self._files.values()
            for tier in file.tiers
            for name in (tier.name, *tier.also)
        }
        self.resolve = lru_cache(maxsize=16_384)(self._resolve)
        # Prices are constant between boundaries: periods times lanes is all there is to remember.
        self._quote_in_period = lru_cache(maxsize=65_536)(self._quote)

    @cached_property
    def boundaries(self) -> tuple[date, ...]:
        """The days on which any price changes, in order."""
        others = self.others.boundaries if self.others else frozenset()
        return tuple(sorted(self._own_days | others))

    def boundaries_of(self, models: Iterable[tuple[str, str, str]]) -> tuple[date, ...]:
        """The days on which a price of these (model, provider, platform) changes, in order; the lanes' own words."""
        days: set[date] = set()
        for model, provider, platform in models:
            if model.lower() in self._by_id:
                days |= self._own_days
            elif self.others is not None:
                days |= self.others.boundaries_of(model, provider, platform)
        return tuple(sorted(days))

    @cached_property
    def minimum_changes(self) -> tuple[date, ...]:
        """The days on which some model begins to cache from another length, in order."""
        changes = (_changes(model.minimum_tokens) for model in self.models)
        return tuple(sorted({day for days in changes for day in days if day is not None}))

    @cached_property
    def _own_days(self) -> frozenset[date]:
        return frozenset(self._change_days())

    # -- names

    def _resolve(self, model_raw: str, platform: str = "", provider: str = "") -> ModelIdentity:
        """What a log's names stand for. A given platform wins over what the model's name says."""
        parsed = model_ids.take_apart(model_raw[:LONGEST_NAME])
        platform = model_ids.platform_name(platform)
        hint = model_ids.platform_name(provider)
        if not platform and hint not in self._files:
            # Gateways call the seller "provider": bedrock, vertex_ai, openrouter.
            platform = hint if hint in model_ids.PLATFORMS.values() else ""
        model = self.model(parsed.name)
        platform = platform or parsed.platform
        known = model is not None
        if model is not None:
            name, maker = model.id, model.provider
        else:
            name = model_ids.clean(parsed.name)
            given = hint != platform or hint in model_ids.MAKERS | model_ids.HOSTS
            maker = parsed.maker or model_ids.guess_maker(parsed.name)
            maker = maker or (model_ids.maker_name(provider) if given else "")
            other = self.others.find(parsed.name, maker, platform) if self.others else None
            if other is not None:
                name, maker, known = other.model, other.maker, True
        if platform == "azure" and maker == "anthropic":
            platform = "foundry"
        return ModelIdentity(name, maker, platform or maker, parsed.routing, known)

    def model(self, name: str) -> Model | None:
        """The known model of this name or alias; None if there is none."""
        for candidate in model_ids.candidates(name):
            if candidate in self._by_id:
                return self._by_id[candidate]
        return None

    # -- prices

    def vector(self, lane: Lane, day: date) -> PriceVector | None:
        """USD per unit of each meter, all multipliers applied; None = unpriced."""
        return self.quote(lane, day).vector

    def why_unpriced(self, lane: Lane, day: date) -> str:
        """One sentence for a reader; '' when the lane has a price."""
        return self.quote(lane, day).reason

    def note(self, lane: Lane, day: date) -> str:
        """What a reader should know about this lane's price; mostly ''."""
        return self.quote(lane, day).note

    def base(self, lane: Lane, day: date) -> PriceRow | None:
        """The published row a lane starts from, before its multipliers."""
        return self.quote(lane, day).row

    def quote(self, lane: Lane, day: date) -> Quote:
        """All of the above at once."""
        period = bisect_right(self.boundaries, day)
        first_day = self.boundaries[period - 1] if period else date.min
        return self._quote_in_period(lane, first_day)

    @property
    def uncertain(self) -> tuple[PriceRow, ...]:
        """The rows whose figures or dates the sources leave in doubt; each has a note."""
        return tuple(row for model in self.models for row in model.rows if row.uncertain)

    def _quote(self, lane: Lane, day: date) -> Quote:
        model = self._by_id.get(lane.model.lower())
        if model is None:
            if self.others is not None:
                return self.others.quote(lane, day)
            return _unpriced(f"The price files do not know the model '{lane.model}'.")
        file = self._files[model.provider]
        platform = lane.platform.lower()
        speed = lane.speed.lower() if lane.speed.lower() not in {"", "normal"} else "standard"
        refusal_day = file.refusal_free_from
        if lane.outcome == OUTCOME_REFUSED_BEFORE_OUTPUT and refusal_day is not None and day >= refusal_day:
            row = _row(model, speed, lane.prompt_step, day)
            return Quote(row, ((lane.outcome, ZERO),), FREE, "", "A refusal before any output is not billed.")
        tier = self._tiers.get((model.provider, lane.service_tier.lower()))
        if tier is None:
            return _unpriced(
                f"No price is published for the service tier '{lane.service_tier}' of {model.name}."
            )
        if platform in tier.not_on:
            return _unpriced(
                f"No price is published for the service tier '{lane.service_tier}' on {platform}."
            )
        if speed in tier.not_with_speed:
            return _unpriced(f"{model.name} is never served in the {tier.name} tier at {speed} speed.")
        row = _row(model, speed, lane.prompt_step, day)
        if row is None:
            return _unpriced(f"{model.name} has no published price at {speed} speed on this day.")
        factors = [(tier.name, tier.factor)] if tier.factor != 1 else []
        for surcharge in file.surcharges:
            if surcharge.name in model.surcharges and _applies(surcharge, lane, platform or model.provider):
                factors.append((surcharge.name, surcharge.factor))
        fee = latest(file.web_search, day)
        vector = row.per_unit(fee.amount if fee else ZERO)
        for _, factor in factors:
            vector = scale(vector, factor)
        return Quote(
            row, tuple(factors), vector, "", " ".join(part for part in (tier.note, row.note) if part)
        )

    def _change_days(self) -> set[date]:
        days: set[date | None] = set()
        for file in self._files.values():
            days.add(file.refusal_free_from)
            days.update(_changes(file.web_search))
            for model in file.models:
                for row in model.rows:
                    days.add(row.effective_to)
                    if not row.open_to_past:
                        days.add(row.effective_from)
        return {day for day in days if day is not None}


def parse_pricebook(documents: Mapping[str, str], others: OtherPrices | None = None) -> PriceBook:
    """Price files (name -> TOML text) as one book. PriceFileError names what to change."""
    digest = hashlib.sha256()
    files: dict[str, PriceFile] = {}
    for name in sorted(documents):
        digest.update(f"{name}\0{documents[name]}\0".encode())
        file = parse_price_file(name, documents[name])
        if file.provider in files:
            first = files[file.provider].name
            raise PriceFileError(
                f"{name}: key 'provider': {file.provider} is already in {first}; merge the two files."
            )
        files[file.provider] = file
    return PriceBook(files.values(), digest.hexdigest()[:12], others)


def _unpriced(reason: str) -> Quote:
    return Quote(None, (), None, reason, "")


def _row(model: Model, speed: str, step: int, day: date) -> PriceRow | None:
    """The row with the highest prompt edge at or below the lane's; the whole request is charged at it."""
    fitting = (
        row for row in model.rows if row.speed == speed and row.prompt_over <= step and row.covers(day)
    )
    return max(fitting, key=lambda row: row.prompt_over, default=None)


def _applies(surcharge: Surcharge, lane: Lane, platform: str) -> bool:
    if platform not in surcharge.platforms:
        return False
    geo_fits = not surcharge.inference_geo or lane.inference_geo.lower() == surcharge.inference_geo
    return geo_fits and (not surcharge.routing or lane.routing == surcharge.routing)


def _changes(amounts: tuple[DatedAmount, ...]) -> set[date | None]:
    return {amount.effective_from for amount in amounts[1:]}
