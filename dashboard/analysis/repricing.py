"""What a quantity costs under a scenario: price vectors of lanes as they would be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal

import numpy as np

from dashboard.analysis.log import Numbers
from dashboard.analysis.scenario import ANY, ONE, Rates, Scenario, Shares
from ingest.core.pricebook import PriceBook
from ingest.core.pricing import EXACT, METERS, TOKEN_METERS, ZERO, Lane, PriceVector, scale

STANDARD_TIERS = frozenset({"", "standard", "default", "auto", "standard_only"})
STANDARD_SPEEDS = frozenset({"", "standard", "normal"})
PRIORITY_TIERS = frozenset({"priority", "priority_on_demand"})
BATCH, FAST, PRIORITY = "batch", "fast", "priority"
TOKENS = len(TOKEN_METERS)
# Tokens that one token of each meter takes from a priority commitment; searches are not part of one.
BURN_DOWN = dict(
    zip(METERS, map(Decimal, ("1", "0.1", "1.25", "2", "1", "0")), strict=True),
)


Listed = dict[tuple[Lane, date], PriceVector | None]


class Prices:
    """Price vectors of one scenario. `listed` remembers what the list (or contract) says, and may be shared between
    scenarios with the same contract and day."""

    def __init__(self, book: PriceBook, scenario: Scenario, listed: Listed | None = None) -> None:
        self.book = book
        self.scenario = scenario
        self._contract = {rates.model: rates for rates in scenario.contract}
        self._listed: Listed = {} if listed is None else listed

    def listed(self, lane: Lane, day: date) -> PriceVector | None:
        """USD for one unit of each meter before the scenario's own factors; None where the lane has no price."""
        key = (lane, day)
        if key not in self._listed:
            self._listed[key] = self._looked_up(lane, self.scenario.price_date or day)
        return self._listed[key]

    def matrix(self, keys: Sequence[tuple[Lane, date]], otherwise: Callable[[int], PriceVector]) -> Numbers:
        """Rows x METERS: USD for one unit on each of these lanes. `otherwise` prices a row that has none."""
        scenario = self.scenario
        rows = [self.listed(*key) or otherwise(at) for at, key in enumerate(keys)]
        prices = np.array(rows, dtype=object).reshape(len(keys), len(METERS))
        if scenario.batch_discount is not None:
            batch = {lane: lane._replace(service_tier="standard") for lane, _ in keys if is_batch(lane)}
            for at, (lane, day) in enumerate(keys):
                if lane in batch and (standard := self.listed(batch[lane], day)) is not None:
                    prices[at] = standard
                    prices[at, :TOKENS] *= ONE - scenario.batch_discount
        for place, factor in self._multipliers:
            prices[:, place] = prices[:, 0] * factor
        if scenario.priority_rate is not None:
            for at, (lane, day) in enumerate(keys):
                if lane.service_tier.lower() in PRIORITY_TIERS:
                    prices[at] = self._burned(
                        lane, scenario.price_date or day, rows[at], scenario.priority_rate
                    )
        if scenario.discounts:
            off = [ONE - of_model(scenario.discounts, lane.model, ZERO) for lane, _ in keys]
            prices[:, :TOKENS] *= np.array(off, dtype=object)[:, None]
        return prices

    @property
    def _multipliers(self) -> list[tuple[int, Decimal]]:
        """Cache prices as multiples of the lane's own uncached price, so that batch, geo and regions still apply."""
        scenario = self.scenario
        given = (scenario.read_multiplier, scenario.write_5m_multiplier, scenario.write_1h_multiplier)
        return [(place, factor) for place, factor in enumerate(given, start=1) if factor is not None]

    def _looked_up(self, lane: Lane, day: date) -> PriceVector | None:
        """The list's price, or the contract's in its place: at standard speed and any prompt size the list does not
        charge more for."""
        quote = self.book.quote(lane, day)
        rates = self._contract.get(lane.model)
        row = quote.row
        if rates is None or row is None or quote.vector is None:
            return quote.vector
        if row.speed != "standard" or row.prompt_over:
            return quote.vector
        vector = _negotiated(rates, row.per_unit(quote.vector.web_search_requests))
        for _, factor in quote.factors:
            vector = scale(vector, factor)
        return vector

    def _burned(self, lane: Lane, day: date, vector: PriceVector, rate: Decimal) -> PriceVector:
        """Tokens as a commitment counts them, at the rate that was given for them."""
        place = self.book.quote(lane._replace(service_tier="standard"), day)
        usd = EXACT.scaleb(rate, -6)
        for _, factor in place.factors:
            usd = EXACT.multiply(usd, factor)
        weighted = {meter: EXACT.multiply(usd, weight) for meter, weight in BURN_DOWN.items()}
        return PriceVector(**{**weighted, "web_search_requests": vector.web_search_requests})


def of_model(given: Shares, model: str, default: Decimal) -> Decimal:
    """The number of this model, else that of "*"."""
    for of, number in given:  # most particular first
        if of.dimension == ANY or of.value == model:
            return number
    return default


def is_batch(lane: Lane) -> bool:
    return lane.service_tier.lower() == BATCH


def can_move(lane: Lane) -> bool:
    """Whether batch, fast mode or a priority commitment could take it: standard tier at standard speed."""
    return lane.service_tier.lower() in STANDARD_TIERS and lane.speed.lower() in STANDARD_SPEEDS


def moved_to(lane: Lane, model: str, book: PriceBook) -> Lane:
    """The lane of the same request at another model. At another maker it runs on that maker's own platform."""
    there = book.resolve(model)
    provider = there.provider or lane.provider
    if provider == lane.provider or not lane.provider:
        return lane._replace(model=model, provider=provider)
    return lane._replace(model=model, provider=provider, platform=there.platform, routing="")


def _negotiated(rates: Rates, listed: PriceVector) -> PriceVector:
    """USD per unit; cache columns that the draft leaves out keep the multiple that the list has for them."""

    def rate(given: Decimal | None, published: Decimal) -> Decimal:
        if given is not None:
            return EXACT.scaleb(given, -6)
        if not listed.uncached_input_tokens:
            return published
        return _multiple(published, listed.uncached_input_tokens, EXACT.scaleb(rates.uncached_input, -6))

    return PriceVector(
        uncached_input_tokens=EXACT.scaleb(rates.uncached_input, -6),
        cache_read_input_tokens=rate(rates.cache_read, listed.cache_read_input_tokens),
        cache_write_5m_input_tokens=rate(rates.cache_write_5m, listed.cache_write_5m_input_tokens),
        cache_write_1h_input_tokens=rate(rates.cache_write_1h, listed.cache_write_1h_input_tokens),
        output_tokens=EXACT.scaleb(rates.output, -6),
        web_search_requests=listed.web_search_requests,
    )


def _multiple(part: Decimal, whole: Decimal, of: Decimal) -> Decimal:
    """part / whole x of, where the quotient is kept to 12 places: published multiples have at most three."""
    return EXACT.multiply((part / whole).quantize(Decimal("1e-12")).normalize(), of)
