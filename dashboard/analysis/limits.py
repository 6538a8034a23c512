"""Published rate limits of the provider's own API, by tier and model class; defaults that an installation edits.

Both tier systems stand here: Tier 1 to 4 until 2026-06-25, Start, Build and Scale from 2026-06-26. What a provider
grants an organisation is the truth; these are where its own numbers are not known. Checked on 2026-11-22.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import NamedTuple


class Limits(NamedTuple):
    """Of one model class, a minute: requests, input tokens that count, output tokens. None = none known."""

    requests: int | None
    input: int | None
    output: int | None


NO_LIMITS = Limits(None, None, None)


@dataclass(frozen=True, slots=True)
class Tier:
    """One tier: its monthly cap in USD (None = none) and the limits of the model classes it names."""

    name: str
    system: str
    cap: Decimal | None
    classes: Mapping[str, Limits]
    note: str = ""

    def of(self, model_class: str) -> Limits:
        return self.classes.get(model_class, NO_LIMITS)

    def with_own(self, own: Mapping[str, Mapping[str, int]], cap: Decimal | None) -> Tier:
        """The tier as an organisation has it: its own numbers instead of the published ones."""
        classes = dict(self.classes)
        for name, numbers in own.items():
            known = classes.get(name, NO_LIMITS)
            classes[name] = known._replace(**{key: numbers[key] for key in Limits._fields if key in numbers})
        return replace(self, classes=classes, cap=self.cap if cap is None else cap)


OLD, NEW = "Tier 1 to 4 (until 25 Jun 2026)", "Start, Build, Scale (from 26 Jun 2026)"
READS_COUNT = frozenset({"Haiku 3.5 and 3", "Claude 3"})
_SAME_NEW = (
    "Opus 5.5",
    "Opus 5",
    "Opus 4.x",
    "Sonnet 5.5",
    "Sonnet 5",
    "Sonnet 4.x",
    "Haiku 4.5",
    "Haiku 5.5",
)


def _old(
    name: str, cap: str, big: Limits, haiku: Limits, small: Limits, tiny: Limits, note: str = ""
) -> Tier:
    classes = {
        "Opus 4.x": big,
        "Sonnet 4.x": big,
        "Haiku 4.5": haiku,
        "Sonnet 3.7": small,
        "Haiku 3.5 and 3": tiny,
    }
    return Tier(name, OLD, Decimal(cap), classes, note)


def _new(name: str, cap: str, same: Limits, fable: Limits, tiny: Limits) -> Tier:
    classes = {**dict.fromkeys(_SAME_NEW, same), "Fable 5.x": fable, "Haiku 3.5 and 3": tiny}
    return Tier(name, NEW, Decimal(cap), classes, "Haiku 5.5's limits are taken to be those of Haiku 4.5.")


TIERS: tuple[Tier, ...] = (
    _old(
        "Tier 1",
        "100",
        Limits(50, 30_000, 8_000),
        Limits(50, 50_000, 10_000),
        Limits(50, 20_000, 8_000),
        Limits(50, 50_000, 10_000),
    ),
    _old(
        "Tier 2",
        "500",
        Limits(1_000, 450_000, 90_000),
        Limits(1_000, 450_000, 90_000),
        Limits(1_000, 40_000, 16_000),
        Limits(1_000, 100_000, 20_000),
    ),
    _old(
        "Tier 3",
        "1000",
        Limits(2_000, 800_000, 160_000),
        Limits(2_000, 1_000_000, 200_000),
        Limits(2_000, 80_000, 32_000),
        Limits(2_000, 200_000, 40_000),
    ),
    _old(
        "Tier 4",
        "200000",
        Limits(4_000, 2_000_000, 400_000),
        Limits(4_000, 4_000_000, 800_000),
        Limits(4_000, 200_000, 80_000),
        Limits(4_000, 400_000, 80_000),
        "The cap was $5,000 until February 2026. Opus limits were raised around May 2026, to what is uncertain.",
    ),
    _new(
        "Start",
        "500",
        Limits(1_000, 2_000_000, 400_000),
        Limits(1_000, 500_000, 100_000),
        Limits(1_000, 100_000, 20_000),
    ),
    _new(
        "Build",
        "1000",
        Limits(5_000, 5_000_000, 1_000_000),
        Limits(2_000, 1_500_000, 300_000),
        Limits(2_000, 200_000, 40_000),
    ),
    _new(
        "Scale",
        "200000",
        Limits(10_000, 10_000_000, 2_000_000),
        Limits(4_000, 4_000_000, 800_000),
        Limits(4_000, 400_000, 80_000),
    ),
)
DEFAULT_TIER = "Scale"
_VERSION = re.compile(r"claude-(opus|sonnet|haiku|fable|mythos)-(\d{1,2})(?:-(\d{1,2}))?(?:-|$)")


def tier(name: str) -> Tier:
    """The tier of this name, the highest current one when there is none."""
    return next((each for each in TIERS if each.name == name), TIERS[-1])


def class_of(model: str) -> str:
    """The class in whose limits a model's calls count together; a model of no published class is its own."""
    found = _VERSION.match(model)
    if found is None:
        return _older(model)
    family, major, minor = found[1].capitalize(), int(found[2]), int(found[3] or 0)
    if family in ("Fable", "Mythos"):
        return f"{family} {major}.x"
    if family in ("Opus", "Sonnet") and major == 4:
        return f"{family} 4.x"
    return f"{family} {major}.{minor}" if minor else f"{family} {major}"


def counts_reads(model_class: str) -> bool:
    """Whether cache reads count as input there: only for the oldest models."""
    return model_class in READS_COUNT


def _older(model: str) -> str:
    if model.startswith(("claude-3-5-haiku", "claude-3-haiku")):
        return "Haiku 3.5 and 3"
    if model.startswith("claude-3-7-sonnet"):
        return "Sonnet 3.7"
    return "Claude 3" if model.startswith("claude-3-") else model
