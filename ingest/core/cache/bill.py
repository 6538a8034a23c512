"""What the input side of a log costs: whole tokens per request and meter, and exact money from their sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ingest.core.cache.log import CacheLog, Floats, InputPrices, Ints
from ingest.core.pricing import EXACT, ZERO

EXACT_BASIS = "exact"  # replayed on prefix lists
ESTIMATED_BASIS = "estimated"  # worked out from counters
OBSERVED = "observed"
METERS = ("uncached", "read", "write_5m", "write_1h", "pings")


@dataclass(frozen=True)
class Bill:
    """Input tokens by meter, request by request; what was observed and what a policy would have made have one shape.

    policy  a policy's name, or "observed"
    basis   EXACT_BASIS or ESTIMATED_BASIS; observed counts are exact
    pings   tokens that keep-alive pings read, beside the request's own `read`
    """

    policy: str
    basis: str
    price: Ints
    prices: tuple[InputPrices, ...]
    uncached: Ints
    read: Ints
    write_5m: Ints
    write_1h: Ints
    pings: Ints

    @cached_property
    def sums(self) -> Ints:
        """Token sums [price class, meter]; meters are uncached, read, write_5m, write_1h, pings."""
        return np.stack(
            [
                sum_by(self.price, meter, len(self.prices))
                for meter in (self.uncached, self.read, self.write_5m, self.write_1h, self.pings)
            ],
            axis=1,
        )

    @cached_property
    def input_list_cost(self) -> Decimal:
        """USD, exact."""
        return cost_of(self.sums, self.prices)

    @property
    def token_hit_rate(self) -> float:
        """Read tokens over all input tokens of the requests themselves, pings left out; 0 without any input."""
        tokens = self.sums[:, :4].sum()
        return float(self.sums[:, 1].sum() / tokens) if tokens else 0.0

    @cached_property
    def costs(self) -> Floats:
        """USD per request, as floats: for choosing, resampling and charts, never for a total that is shown."""
        rates = rates_of(self.prices)[self.price]
        return (
            self.uncached * rates[:, 0]
            + (self.read + self.pings) * rates[:, 1]
            + self.write_5m * rates[:, 2]
            + self.write_1h * rates[:, 3]
        )

    def summed(self) -> Bill:
        """The same bill with one row a price class: its sums stay, single requests are forgotten."""
        uncached, read, write_5m, write_1h, pings = self.sums.T
        return replace(
            self,
            price=np.arange(len(self.prices), dtype=np.int64),
            uncached=uncached,
            read=read,
            write_5m=write_5m,
            write_1h=write_1h,
            pings=pings,
        )

    def costs_by(self, groups: Ints, count: int) -> Floats:
        """USD per group, as floats; `groups` has a number from 0 to count - 1 for each request."""
        return np.bincount(groups, weights=self.costs, minlength=count).astype(np.float64)


def observed(log: CacheLog) -> Bill:
    """The bill as the log has it."""
    return Bill(
        policy=OBSERVED,
        basis=EXACT_BASIS,
        price=log.price,
        prices=log.prices,
        uncached=log.uncached,
        read=log.read,
        write_5m=log.write_5m,
        write_1h=log.write_1h,
        pings=np.zeros(len(log), dtype=np.int64),
    )


def merged(bills: Sequence[Bill]) -> Bill:
    """One bill of several, of one policy and different requests."""
    sizes = np.cumsum([0, *(len(bill.prices) for bill in bills)])
    exact = all(bill.basis == EXACT_BASIS for bill in bills)
    meters: dict[str, Any] = {
        name: np.concatenate([getattr(bill, name) for bill in bills]) for name in METERS
    }
    return replace(
        bills[0],
        basis=EXACT_BASIS if exact else ESTIMATED_BASIS,
        price=np.concatenate([bill.price + size for bill, size in zip(bills, sizes[:-1], strict=True)]),
        prices=tuple(price for bill in bills for price in bill.prices),
        **meters,
    )


def cost_of(sums: Ints, prices: Sequence[InputPrices]) -> Decimal:
    """USD for token sums [price class, (uncached, read, write_5m, write_1h, and pings if there)], exact."""
    amount = ZERO
    for row, price in zip(sums.tolist(), prices, strict=True):
        for tokens, each in zip(row, (*price, price.read), strict=False):
            amount = EXACT.fma(Decimal(tokens), each, amount)
    return amount


def whole_units(prices: Sequence[InputPrices]) -> tuple[npt.NDArray[np.object_], int]:
    """Prices as Python's whole numbers of 10 ** -places USD [price class, meter], and those places: what is added up of
    products with them is exact."""
    places = max((_places(each) for price in prices for each in price), default=0)
    units = np.array(
        [[int(EXACT.scaleb(each, places)) for each in price] for price in prices], dtype=np.object_
    )
    return units.reshape(-1, len(InputPrices._fields)), places


def _places(price: Decimal) -> int:
    exponent = EXACT.normalize(price).as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0


def rates_of(prices: Sequence[InputPrices]) -> Floats:
    """Float prices [price class, (uncached, read, write_5m, write_1h)] for searching."""
    return np.array([[float(each) for each in price] for price in prices], dtype=np.float64).reshape(-1, 4)


def sum_by(groups: Ints, values: Ints, count: int) -> Ints:
    """Exact sums of whole numbers by group; bincount would go through floats."""
    sums = np.zeros(count, dtype=np.int64)
    np.add.at(sums, groups, values)
    return sums
