"""Money for quantities: amounts linear in the meters, priced by lane and price period, summed exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any, Self

import numpy as np
import pandas as pd
from psycopg import sql

from dashboard import pricebook
from dashboard.filters import LANE_DIMENSIONS, METER, SESSION, Filters
from dashboard.pricebook import METERS, Lane, PriceVector
from dashboard.queries import database, quantities
from dashboard.queries.quantities import LANE_COLUMNS, QUANTITIES, Plan, TooManyRows
from dashboard.queries.remembering import Memory
from ingest.core.pricing import EXACT, TOKEN_METERS, ZERO

# An amount is its coefficients: USD for one unit of each meter, made from the lane's price vector.
Amount = Callable[[PriceVector], Sequence[Decimal]]
ONE = Decimal(1)
_NOTHING = (ZERO,) * len(METERS)
_SUMS = (*QUANTITIES, "unpriced_requests", "unpriced_tokens", *(f"unpriced_{meter}" for meter in METERS))
# What may stand in an answer; more is refused, never cut.
MAX_ROWS = 100_000
# In each web worker: the pages that people have open. A row takes some 400 bytes.
KEPT_READS = 32
KEPT_ROWS = 20_000


def list_cost(vector: PriceVector) -> Sequence[Decimal]:
    """What it cost."""
    return vector


def read_saving(vector: PriceVector) -> Sequence[Decimal]:
    """What reads saved against sending the same tokens uncached."""
    saved = EXACT.subtract(vector.uncached_input_tokens, vector.cache_read_input_tokens)
    return (ZERO, saved, ZERO, ZERO, ZERO, ZERO)


def write_premium(vector: PriceVector) -> Sequence[Decimal]:
    """What writes cost above sending the same tokens uncached."""
    plain = vector.uncached_input_tokens
    short = EXACT.subtract(vector.cache_write_5m_input_tokens, plain)
    long = EXACT.subtract(vector.cache_write_1h_input_tokens, plain)
    return (ZERO, ZERO, short, long, ZERO, ZERO)


# What the spend and the cache figures of a page need.
OF_PAGES: Mapping[str, Amount] = {
    "list_cost": list_cost,
    "read_saving": read_saving,
    "write_premium": write_premium,
}


@cache
def of_meter(meter: str) -> Amount:
    """The part of the cost that one meter makes."""
    place = METERS.index(meter)
    return lambda vector: tuple(price if at == place else ZERO for at, price in enumerate(vector))


@dataclass(frozen=True)
class Priced:
    """The priced parts of a question, before they are added up to what was asked.

    columns  arrays of equal length, by name: every name of the question's dims but `meter` (text, "" = none);
             bucket_start (None, UTC time, or date of the reporting zone); QUANTITIES, unpriced_requests,
             unpriced_tokens and unpriced_ + each meter (int64: the part in rows without a price); priced (bool);
             unpriced_class (int, -1 = priced); one column an amount, in units of 10 ** -scale USD (Python
             integers, 0 where unpriced)
    scale    decimal places of those units
    classes  (model, provider, reason) by unpriced_class
    """

    columns: Mapping[str, np.ndarray]
    scale: int
    classes: Sequence[tuple[str, str, str]]

    def __len__(self) -> int:
        return len(self.columns["priced"])


def load(filters: Filters, dims: Sequence[str], grain: str, amounts: Mapping[str, Amount]) -> Priced:
    """Quantities of a question and its amounts, from one statement."""
    lanes = quantities.lanes(filters)
    asked = tuple(name for name in dims if name != METER)
    plan = Plan(
        filters,
        asked,
        grain,
        database.reporting_zone(),
        lanes["lane_id"].tolist(),
        quantities.models_of(lanes),
    )
    lane_dims = [name for name in asked if name in LANE_DIMENSIONS]
    groups = _Numbers()
    lane_groups = [groups.of(tuple(values)) for values in lanes[lane_dims].itertuples(index=False, name=None)]
    columns_of_lanes = [lanes[name] for name in ("lane_id", *LANE_COLUMNS)]
    prices = _Prices.of(
        tuple((number, Lane(*values)) for number, *values in zip(*columns_of_lanes, strict=True)),
        tuple(plan.price_days),
        tuple(amounts.items()),
        tuple(filters.values(METER) or METERS),
        pricebook.current().version,
    )
    found = database.columns(plan.query(prices.answer(plan, lane_groups)), plan.parameters)
    if len(found["requests"]) > quantities.MAX_GROUPS:
        raise TooManyRows(quantities.MAX_GROUPS)
    columns = {name: np.array(found[name], dtype=np.int64) for name in (*QUANTITIES, "unpriced_class")}
    columns["bucket_start"] = objects(found["bucket_start"])
    for alias, name in plan.label_names.items():
        columns[name] = objects(found[alias])
    if SESSION in asked:
        columns[SESSION] = objects(found[SESSION])
    for place, name in enumerate(lane_dims):
        columns[name] = objects([groups.keys[group][place] for group in found["lane_group"]])
    for alias, name in prices.amount_names.items():
        columns[name] = objects(list(map(int, found[alias])))
    if meters := filters.values(METER):
        _keep_meters(columns, meters)
    priced = columns["unpriced_class"] == -1
    for name in ("requests", *METERS):
        columns[f"unpriced_{name}"] = np.where(priced, 0, columns[name])
    columns["unpriced_tokens"] = np.sum([columns[f"unpriced_{name}"] for name in TOKEN_METERS], axis=0)
    return Priced({**columns, "priced": priced}, prices.scale, prices.classes)


_reads: Memory[Priced] = Memory(KEPT_READS, weigh=len, heaviest=KEPT_ROWS)


def read(filters: Filters, dims: Sequence[str], grain: str) -> Priced:
    """The parts of a question with the amounts `OF_PAGES`, remembered: the panels of a page are sums of a few reads."""
    return _reads.answer(filters, (tuple(dims), grain), lambda: load(filters, dims, grain, OF_PAGES))


def objects(values: Sequence[Any]) -> np.ndarray:
    """An array of Python objects, whatever numpy would make of them."""
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


class _Numbers:
    """Small consecutive numbers for keys, in order of first appearance."""

    def __init__(self) -> None:
        self.keys: list[Any] = []
        self._numbers: dict[Any, int] = {}

    def of(self, key: Any) -> int:
        number = self._numbers.setdefault(key, len(self.keys))
        if number == len(self.keys):
            self.keys.append(key)
        return number


@dataclass(frozen=True)
class _Prices:
    """Unit prices of every lane in every price period, as arrays that the statement unnests."""

    lane_ids: Sequence[int]
    periods: Sequence[int]
    unpriced: Sequence[int]
    columns: Mapping[tuple[str, str], Sequence[int]]  # (amount, meter) -> units of 10 ** -scale USD
    amounts: Sequence[str]
    scale: int
    classes: Sequence[tuple[str, str, str]]

    @classmethod
    @lru_cache(maxsize=64)
    def of(
        cls,
        lanes: tuple[tuple[int, Lane], ...],
        days: tuple[date, ...],
        amounts: tuple[tuple[str, Amount], ...],
        meters: tuple[str, ...],
        version: str,
    ) -> Self:
        """`version` is that of the price book: the same lanes on the same days are priced once."""
        book = pricebook.current()
        classes = _Numbers()
        lane_ids, periods, unpriced = [], [], []
        coefficients: list[list[Sequence[Decimal]]] = []  # by row, then by amount
        for lane_id, lane in lanes:
            for period, day in enumerate(days):
                vector = book.vector(lane, day)
                why = -1 if vector else classes.of((lane.model, lane.provider, book.why_unpriced(lane, day)))
                lane_ids.append(lane_id)
                periods.append(period)
                unpriced.append(why)
                coefficients.append([amount(vector) if vector else _NOTHING for _, amount in amounts])
        scale = max(
            (-int(usd.as_tuple().exponent) for row in coefficients for each in row for usd in each), default=0
        )
        units = {
            (name, meter): [int(EXACT.scaleb(row[number][place], max(scale, 0))) for row in coefficients]
            for number, (name, _) in enumerate(amounts)
            for place, meter in enumerate(METERS)
            if meter in meters
        }
        used = {key: column for key, column in units.items() if any(column)}
        names = [name for name, _ in amounts]
        return cls(lane_ids, periods, unpriced, used, names, max(scale, 0), classes.keys)

    @property
    def amount_names(self) -> dict[str, str]:
        """The statement's names of amounts, and ours."""
        return {f"amount_{number}": name for number, name in enumerate(self.amounts)}

    def answer(self, plan: Plan, lane_groups: Sequence[int]) -> sql.Composed:
        """The SELECT that prices and adds up; `lane_groups`: a number for each lane, in their order."""
        periods = len(plan.price_days)
        groups = [group for group in lane_groups for _ in range(periods)]
        arrays = [
            sql.SQL("{}::int[]").format(plan.parameter(list(column)))
            for column in (self.lane_ids, self.periods, groups, self.unpriced)
        ]
        arrays += [
            sql.SQL("{}::numeric[]").format(plan.parameter(list(column))) for column in self.columns.values()
        ]
        terms: dict[str, list[sql.Composable]] = {name: [] for name in self.amounts}
        price_names: list[sql.Composable] = []
        for number, (name, meter) in enumerate(self.columns):
            price = sql.Identifier(f"price_{number}")
            price_names.append(sql.SQL(", {}").format(price))
            terms[name].append(sql.SQL("grouped.{} * prices.{}").format(sql.Identifier(meter), price))
        sums = [
            sql.SQL(", sum({}) AS {}").format(
                sql.SQL(" + ").join(terms[name] or [sql.SQL("0")]), sql.Identifier(column)
            )
            for column, name in self.amount_names.items()
        ]
        names, name_joins = plan.names()
        return database.statement(
            "answer_costs",
            price_arrays=sql.SQL(", ").join(arrays),
            price_names=sql.SQL("").join(price_names),
            amounts=sql.SQL("").join(sums),
            names=names,
            name_joins=name_joins,
        )


Sums = dict[str, Any]  # columns of equal length: int64 and object arrays


def add_up(parts: Priced, keys: Sequence[str], amounts: Sequence[str]) -> Sums:
    """One row a combination of `keys`, in their order: int64 sums of quantities, Decimal sums of amounts.

    An amount is None where no request and no token of the row has a price; texts that are "" become None.
    """
    found = parts.columns
    codes = _codes(parts, keys)
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    if len(starts) > MAX_ROWS:
        raise TooManyRows(MAX_ROWS)
    firsts = order[starts]
    answer: Sums = {key: _nulls(found[key][firsts]) for key in keys}
    for name in _SUMS:
        answer[name] = np.add.reduceat(found[name][order], starts) if len(starts) else found[name]
    priced = np.logical_or.reduceat(found["priced"][order], starts) if len(starts) else found["priced"]
    for name in amounts:
        totals = np.add.reduceat(found[name][order], starts) if len(starts) else found[name]
        answer[name] = objects(
            [_usd(units, parts.scale) if known else None for units, known in zip(totals, priced, strict=True)]
        )
    return answer


def as_frame(columns: Sums) -> pd.DataFrame:
    """The columns as a frame. Objects stay objects, whatever pandas would make of them."""
    series = {
        name: pd.Series(column, dtype=object if column.dtype == object else None)
        for name, column in columns.items()
    }
    return pd.DataFrame(series)


def _codes(parts: Priced, keys: Sequence[str]) -> np.ndarray:
    """By row the number of its combination of keys, in their order."""
    codes = np.zeros(len(parts), dtype=np.int64)
    for key in keys:
        numbers, values = pd.factorize(parts.columns[key], sort=True)
        # Numbered anew each time: products of many keys would not fit.
        codes, _ = pd.factorize(codes * len(values) + numbers, sort=True)
    return codes


def unpriced(parts: Priced) -> pd.DataFrame:
    """What has no price, by model and provider, with the reason.

    Columns: model, provider, reason (text); requests, the five token meters, thinking_tokens,
    web_search_requests."""
    wanted = [name for name in QUANTITIES if not name.startswith("requests_with")]
    without = ~parts.columns["priced"]
    if not without.any():
        nothing = {name: pd.Series(dtype=object) for name in ("model", "provider", "reason")}
        return pd.DataFrame({**nothing, **{name: pd.Series(dtype="int64") for name in wanted}})
    frame = pd.DataFrame({name: parts.columns[name][without] for name in (*wanted, "unpriced_class")})
    summed = frame.groupby("unpriced_class")[wanted].sum()
    for place, name in enumerate(("model", "provider", "reason")):
        texts = objects([parts.classes[number][place] for number in summed.index])
        summed.insert(place, name, pd.Series(_nulls(texts), index=summed.index, dtype=object))
    return summed.sort_values(["model", "provider", "reason"], ignore_index=True)


def _keep_meters(columns: dict[str, np.ndarray], meters: Sequence[str]) -> None:
    """A filter on meters leaves the others out of every column; thinking is a part of output."""
    for name in METERS:
        if name not in meters:
            columns[name] = np.zeros_like(columns[name])
    if "output_tokens" not in meters:
        columns["thinking_tokens"] = np.zeros_like(columns["thinking_tokens"])


def _usd(units: int, scale: int) -> Decimal:
    """Without trailing zeros, and without an exponent either: 100, not 1E+2."""
    plain = EXACT.normalize(EXACT.scaleb(Decimal(int(units)), -scale))
    return EXACT.quantize(plain, ONE) if int(plain.as_tuple().exponent) > 0 else plain


def _nulls(values: np.ndarray) -> np.ndarray:
    return objects([None if value == "" else value for value in values])
