"""Prices of the models that no price file here knows: the genai-prices package, as it was installed, offline.

Read when first needed, and only its list of models: nothing in it is asked to look for newer prices. Claude models are
priced by our own file alone, wherever they are served.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from functools import cached_property, lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple

from ingest.core import model_ids
from ingest.core.meter_fields import MEDIA
from ingest.core.price_rows import PriceRow
from ingest.core.pricebook import OtherName, Quote
from ingest.core.pricing import Lane

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider

PACKAGE = "genai-prices"
# Our word for who serves a model, or who made it -> the package's price list. Others have no list that could be used.
SELLERS = {
    "openai": "openai",
    "azure": "azure",
    "foundry": "azure",
    "google": "google",
    "gemini": "google",
    "vertex": "google",
    "bedrock": "aws",
    "amazon": "aws",
    "openrouter": "openrouter",
    "cerebras": "cerebras",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "fireworks": "fireworks",
    "groq": "groq",
    "minimax": "minimax",
    "mistral": "mistral",
    "moonshotai": "moonshotai",
    "perplexity": "perplexity",
    "together": "together",
    "voyageai": "voyageai",
    "x-ai": "x-ai",
    "zai": "zai",
}
# OpenRouter's path for a maker where it is not our word.
_ROUTER_PATHS = {"mistral": "mistralai", "zai": "z-ai"}
_DATED = re.compile(r"[-@](20\d{2}-\d{2}-\d{2}|20\d{6})$")
_DOTTED = re.compile(r"(?<=\d)\.(?=\d)")


class _Listed(NamedTuple):
    """A model of the package and the list it was found in."""

    seller: str
    model: ModelInfo
    own: bool  # in the seller's own list, not only in that of the model's maker


class OtherPrices:
    """The package behind the price book. Safe to share between threads; answers are cached."""

    def __init__(self) -> None:
        self._listed = lru_cache(maxsize=16_384)(self._look_up)

    @cached_property
    def version(self) -> str:
        """The package and its version, which decide every figure."""
        return f"{PACKAGE}-{version(PACKAGE)}"

    @cached_property
    def _sellers(self) -> dict[str, Provider]:
        from genai_prices.data import providers

        return {provider.id: provider for provider in providers}

    @cached_property
    def boundaries(self) -> frozenset[date]:
        """Every day on which a price of one of the lists in use begins."""
        from ingest.prices.other_rows import start_days

        return frozenset(day for model in self._models() for day in start_days(model))

    def boundaries_of(self, model: str, provider: str, platform: str) -> frozenset[date]:
        """The same for one model, wherever its lanes are routed."""
        from ingest.prices.other_rows import start_days

        maker = provider or model_ids.guess_maker(model)
        places = ("", "global", "regional")
        found = [self._listed(model.strip().lower(), maker, platform.lower(), place) for place in places]
        return frozenset(day for listed in found if listed for day in start_days(listed.model))

    @cached_property
    def models(self) -> int:
        """How many models the lists in use have, Claude aside."""
        return sum(1 for _ in self._models())

    def find(self, name: str, maker: str, platform: str) -> OtherName | None:
        """The one name of a model that the lists know; None if they do not."""
        plain = name.strip().lower()
        listed = self._listed(plain, maker, platform, "")
        if listed is None:
            return None
        return OtherName(self._canonical(plain, maker, platform, listed), maker or _maker(listed.seller))

    def quote(self, lane: Lane, day: date) -> Quote:
        """The price of a lane that no price file knows, or why it has none."""
        from ingest.prices.other_rows import STANDARD, Unpriced, amounts, period

        name = lane.model
        maker = lane.provider or model_ids.guess_maker(name)
        listed = self._listed(name.strip().lower(), maker, lane.platform.lower(), lane.routing)
        if listed is None:
            return _unpriced(self._why_unknown(name, maker, lane.platform))
        if lane.speed.lower() not in {"", "standard", "normal"}:
            return _unpriced(f"No price is published for {name} at {lane.speed} speed.")
        tier = lane.service_tier.lower()
        if not listed.own and tier not in STANDARD:
            return _unpriced(
                f"No price is published for the service tier '{tier}' of {name} on {lane.platform}."
            )
        media = tuple(medium for medium in lane.outcome.split("+") if medium in MEDIA)
        try:
            found = amounts(listed.model, name, day, tier, lane.prompt_step, media)
        except Unpriced as reason:
            return _unpriced(str(reason))
        start, end = period(listed.model, day, tier)
        row = PriceRow(
            model=name,
            speed="standard",
            prompt_over=found.prompt_over,
            effective_from=start,
            effective_to=end,
            uncached_input=found.uncached_input,
            output=found.output,
            cache_write_5m=found.cache_write_5m,
            cache_write_1h=found.cache_write_1h,
            cache_read=found.cache_read,
            source=f"{self.version}: {self._sellers[listed.seller].name}",
            checked_on=None,
            note=" ".join(found.notes),
            open_to_past=start is None,
        )
        return Quote(row, (), row.per_unit(found.web_search), "", row.note)

    def _models(self) -> Iterator[ModelInfo]:
        for seller in sorted({*SELLERS.values()}):
            yield from (model for model in self._sellers[seller].models if "claude" not in model.id.lower())

    def _look_up(self, name: str, maker: str, platform: str, routing: str) -> _Listed | None:
        """A served model is priced by the list of who serves it, and by its maker's when that has none at all."""
        if not name or "claude" in name:
            return None
        seller = SELLERS.get(platform) or SELLERS.get(maker) or SELLERS.get(model_ids.guess_maker(name))
        if seller is None:
            return None
        everybody = list(self._sellers.values())
        for reference in _references(name, maker, seller, routing):
            model = self._sellers[seller].find_model(reference, all_providers=everybody)
            if model is not None:
                return _Listed(seller, model, any(model is own for own in self._sellers[seller].models))
        return None

    def _canonical(self, name: str, maker: str, platform: str, listed: _Listed) -> str:
        """The name without its date where both cost the same, and in the list's own spelling of a version."""
        undated = _DATED.sub("", name)
        if undated != name and self._listed(undated, maker, platform, "") == listed:
            name = undated
        own = listed.model.id.lower()
        return own if _DOTTED.sub("-", own) == _DOTTED.sub("-", name) else name

    def _why_unknown(self, name: str, maker: str, platform: str) -> str:
        seller = SELLERS.get(platform.lower()) or SELLERS.get(maker)
        if seller is None or "claude" in name.lower():
            return f"The price files do not know the model '{name}'."
        return f"Neither the price files nor {PACKAGE} know the model '{name}' on {platform or maker}."


def _references(name: str, maker: str, seller: str, routing: str) -> Iterator[str]:
    """The names under which a list could have the model, most literal first."""
    if seller == "openrouter" and maker and "/" not in name:
        yield f"{_ROUTER_PATHS.get(maker, maker)}/{name}"
    if seller == "aws":
        place = "global." if routing == "global" else ""
        if maker and not name.startswith(f"{maker}."):
            yield f"{place}{maker}.{name}"
        yield f"{place}{name}"
    yield name
    without_variant = model_ids.ROUTER_VARIANT.sub("", name)
    if without_variant != name:
        yield from _references(without_variant, maker, seller, routing)


def _maker(seller: str) -> str:
    """Who made a model that is only known from this list."""
    return next((word for word, name in SELLERS.items() if name == seller and word in model_ids.MAKERS), "")


def _unpriced(reason: str) -> Quote:
    return Quote(None, (), None, reason, "")
