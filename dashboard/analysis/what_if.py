"""What the same traffic would have cost under other batch and cache terms. Pure: no database, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Self

import pandas as pd

from ingest.core.pricebook import PriceBook
from ingest.core.pricing import EXACT, METERS, ZERO, Lane, PriceVector, cost, scale, total

ONE = Decimal(1)
MAX_MULTIPLIER = Decimal(100)
MAX_PLACES = 12  # keeps every amount exact
STANDARD_TIERS = frozenset({"", "standard", "default", "auto", "standard_only"})
STANDARD_SPEEDS = frozenset({"", "standard", "normal"})
BATCH = "batch"


class ScenarioError(ValueError):
    """A knob outside what can be: which one, and its bounds."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


@dataclass(frozen=True, slots=True)
class Scenario:
    """One set of knobs; as made by `Scenario()` it is the identity.

    batch_share          share of standard-tier, standard-speed traffic that goes through the batch API
                         instead, 0 to 1
    batch_discount       what batch takes off the token prices of all batch traffic, 0 to 1; None = as
                         published
    read_multiplier      cache-read price as a multiple of the uncached input price; None = as published
    write_5m_multiplier  the same for 5-minute writes
    write_1h_multiplier  the same for 1-hour writes
    """

    batch_share: Decimal = ZERO
    batch_discount: Decimal | None = None
    read_multiplier: Decimal | None = None
    write_5m_multiplier: Decimal | None = None
    write_1h_multiplier: Decimal | None = None

    def __post_init__(self) -> None:
        for knob in fields(self):
            highest = ONE if knob.name.startswith("batch") else MAX_MULTIPLIER
            value = getattr(self, knob.name)
            if value is not None or knob.name == "batch_share":
                _check(knob.name, value, highest)

    @classmethod
    def from_texts(cls, texts: Mapping[str, str]) -> Self:
        """Knobs as a query string or form has them; blank or absent ones stay as they are, other names are
        not read.
        """
        knobs: dict[str, Decimal] = {}
        for knob in fields(cls):
            if text := texts.get(knob.name, "").strip():
                try:
                    knobs[knob.name] = Decimal(text)
                except InvalidOperation:
                    raise ScenarioError(knob.name, f"{knob.name} must be a number such as 0.5") from None
        return cls(**knobs)

    @property
    def is_identity(self) -> bool:
        """Whether nothing is changed."""
        return self == Scenario()


@dataclass(frozen=True)
class Comparison:
    """Observed and scenario cost, side by side and never in one column.

    models    one row a model and provider, dearest first: model, provider (text), requests (int),
              observed_cost, scenario_cost, difference (scenario - observed), movable_cost (the part of
              observed_cost that batch_share speaks of); USD as Decimals
    observed  USD; equals the sum of observed_cost
    scenario  USD; equals the sum of scenario_cost
    unpriced  what neither side contains: model, provider, reason (text), requests, the five token meters and
              web_search_requests (int)
    """

    models: pd.DataFrame
    observed: Decimal
    scenario: Decimal
    unpriced: pd.DataFrame


def apply(frame: pd.DataFrame, book: PriceBook, scenario: Scenario) -> Comparison:
    """Price the quantities twice: as they were, and under the scenario.

    `frame` has one row a lane and price period: the fields of Lane, day (a UTC date whose prices hold for the
    row), requests and METERS."""
    priced: dict[tuple[str, str], list[tuple[int, Decimal, Decimal, Decimal]]] = {}
    unpriced: dict[tuple[str, str, str], list[list[int]]] = {}
    columns = [*Lane._fields, "day", "requests", *METERS]
    for values in frame[columns].itertuples(index=False, name=None):
        lane, day = Lane(*values[: len(Lane._fields)]), values[len(Lane._fields)]
        requests, *counts = (int(value) for value in values[len(Lane._fields) + 1 :])
        vector = book.vector(lane, day)
        if vector is None:
            key = (lane.model, lane.provider, book.why_unpriced(lane, day))
            unpriced.setdefault(key, []).append([requests, *counts])
            continue
        quantities = dict(zip(METERS, counts, strict=True))
        outside, inside = _terms(lane, vector, _batch_vector(book, lane, day, scenario), scenario)
        observed = cost(quantities, vector)
        changed = EXACT.add(cost(quantities, outside), cost(quantities, inside))
        movable = observed if _can_move(lane) else ZERO
        priced.setdefault((lane.model, lane.provider), []).append((requests, observed, changed, movable))
    models = _models(priced)
    return Comparison(
        models, total(models["observed_cost"]), total(models["scenario_cost"]), _unpriced(unpriced)
    )


def _terms(
    lane: Lane, vector: PriceVector, batch: PriceVector | None, scenario: Scenario
) -> tuple[PriceVector, PriceVector]:
    """The lane's scenario prices, already weighted by share: outside batch, and inside."""
    nothing = PriceVector(*[ZERO] * len(METERS))
    if _is_batch(lane):
        return nothing, _with_multipliers(batch or vector, scenario)
    outside = _with_multipliers(vector, scenario)
    if batch is None or not _can_move(lane):  # a lane that has no batch price stays where it is
        return outside, nothing
    stays = EXACT.subtract(ONE, scenario.batch_share)
    return _weigh(outside, stays), _weigh(_with_multipliers(batch, scenario), scenario.batch_share)


def _batch_vector(book: PriceBook, lane: Lane, day: date, scenario: Scenario) -> PriceVector | None:
    """What the lane's traffic costs in batch; None where batch has no price."""
    published = book.vector(lane._replace(service_tier=BATCH), day)
    if scenario.batch_discount is None or published is None:
        return published
    standard = book.vector(lane._replace(service_tier="standard"), day)
    return standard and scale(standard, EXACT.subtract(ONE, scenario.batch_discount))


def _with_multipliers(vector: PriceVector, scenario: Scenario) -> PriceVector:
    """Multiples of the lane's own uncached price, so that its batch, geo and regional factors still apply."""
    changes = {
        "cache_read_input_tokens": scenario.read_multiplier,
        "cache_write_5m_input_tokens": scenario.write_5m_multiplier,
        "cache_write_1h_input_tokens": scenario.write_1h_multiplier,
    }
    plain = vector.uncached_input_tokens
    return vector._replace(
        **{meter: EXACT.multiply(plain, factor) for meter, factor in changes.items() if factor is not None}
    )


def _weigh(vector: PriceVector, share: Decimal) -> PriceVector:
    return PriceVector(*(EXACT.multiply(price, share) for price in vector))


def _is_batch(lane: Lane) -> bool:
    return lane.service_tier.lower() == BATCH


def _can_move(lane: Lane) -> bool:
    return lane.service_tier.lower() in STANDARD_TIERS and lane.speed.lower() in STANDARD_SPEEDS


def _models(priced: Mapping[tuple[str, str], list[tuple[int, Decimal, Decimal, Decimal]]]) -> pd.DataFrame:
    rows = []
    for (model, provider), parts in priced.items():
        requests, observed, changed, movable = zip(*parts, strict=True)
        before, after = total(observed), total(changed)
        rows.append(
            (model, provider, sum(requests), before, after, EXACT.subtract(after, before), total(movable))
        )
    rows.sort(key=lambda row: (-row[3], row[0], row[1]))
    names = ["model", "provider", "requests", "observed_cost", "scenario_cost", "difference", "movable_cost"]
    return pd.DataFrame(rows, columns=names, dtype=object)


def _unpriced(unpriced: Mapping[tuple[str, str, str], list[list[int]]]) -> pd.DataFrame:
    rows = [(*key, *map(sum, zip(*parts, strict=True))) for key, parts in sorted(unpriced.items())]
    return pd.DataFrame(rows, columns=["model", "provider", "reason", "requests", *METERS], dtype=object)


def _check(knob: str, value: object, highest: Decimal) -> None:
    if not isinstance(value, Decimal):
        raise ScenarioError(knob, f"{knob} must be a Decimal")
    if not value.is_finite() or not ZERO <= value <= highest:
        raise ScenarioError(knob, f"{knob} must be between 0 and {highest}")
    if -int(value.as_tuple().exponent) > MAX_PLACES:
        raise ScenarioError(knob, f"{knob} can have at most {MAX_PLACES} decimal places")
