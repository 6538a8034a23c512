"""The gap histogram of a question, from its rollup: token hit rate and cost at any TTL without touching events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
from psycopg import sql

from dashboard import pricebook
from dashboard.filters import METER, SESSION, FilterError, Filters
from dashboard.pricebook import Lane
from dashboard.queries import database, quantities
from dashboard.queries.remembering import Memory
from ingest.core.cache.bill import ESTIMATED_BASIS, EXACT_BASIS
from ingest.core.cache.curve import BUCKETS, GapHistogram
from ingest.core.cache.log import InputPrices, input_prices

FIRST_USE, NO_PREFIX = -1, -2


@dataclass(frozen=True)
class Gaps:
    """A histogram of what has a price, and of which days.

    histogram        each model at its price for short prompts, as policies are: no TTL changes the size of a prompt
    billed           the same tokens at the prices they had, long prompts included, as causes are
    start, end       the whole UTC days it covers: [start, end); None where the question is open
    exact_tokens     how many of its tokens rest on prefix lists; the others are estimated from counters
    unpriced_tokens  input tokens that are left out for want of a price
    pending_days     days whose gaps are still to be worked out
    """

    histogram: GapHistogram
    billed: GapHistogram
    start: date | None
    end: date | None
    exact_tokens: int
    unpriced_tokens: int
    pending_days: int


_gaps: Memory[Gaps] = Memory(32)


def histogram(filters: Filters) -> Gaps:
    """The gaps of a question, each token at the prices of its lane and day.

    Gaps are kept by UTC day: a range that begins or ends within one is widened to whole days. FilterError for
    questions about sessions and meters.
    """
    for name in (SESSION, METER):
        if filters.values(name):
            raise FilterError(
                name, f"the gap histogram is kept by day and labels: it cannot be filtered by {name}"
            )
    # Gaps are worked out after the figures that the memory knows of: how far they are belongs to the question.
    return _gaps.answer(filters, _worked_out(), lambda: _histogram(filters))


def _histogram(filters: Filters) -> Gaps:
    lanes = quantities.lanes(filters)
    plan = quantities.Plan(
        filters,
        (),
        "total",
        database.reporting_zone(),
        lanes["lane_id"].tolist(),
        quantities.models_of(lanes),
    )
    start, end = _whole_days(plan.start, plan.end)
    conditions: list[sql.Composable] = [plan.row_conditions()]
    for day, sign in ((start, ">="), (end, "<")):
        if day is not None:
            conditions.append(sql.SQL("facts.utc_day {} {}").format(sql.SQL(sign), plan.parameter(day)))
    query = database.statement(
        "gap_histogram",
        table=sql.Identifier("rollup_gap" if plan.uses_labels else "rollup_lane_gap"),
        price_period=plan.price_period(sql.SQL("facts.utc_day::timestamp AT TIME ZONE 'UTC'")),
        conditions=sql.SQL(" AND ").join(conditions),
    )
    found = database.columns(query, plan.parameters)
    return _assembled(found, lanes.to_dict("records"), plan, start, end)


def _assembled(
    found: Mapping[str, Sequence[Any]],
    lanes: list[dict[Any, Any]],
    plan: quantities.Plan,
    start: date | None,
    end: date | None,
) -> Gaps:
    by_id = {row["lane_id"]: Lane(*(row[name] for name in Lane._fields)) for row in lanes}
    short = {number: lane._replace(prompt_step=0) for number, lane in by_id.items()}
    histogram, exact, unpriced = _histogram_of(found, short, plan)
    billed, _, _ = _histogram_of(found, by_id, plan)
    return Gaps(histogram, billed, start, end, exact, unpriced, _pending(start, end))


def _histogram_of(
    found: Mapping[str, Sequence[Any]], lanes: Mapping[int, Lane], plan: quantities.Plan
) -> tuple[GapHistogram, int, int]:
    """The histogram at the prices of these lanes, its tokens on prefix lists, and the tokens without a price."""
    book = pricebook.current()
    numbers: dict[InputPrices, int] = {}
    pairs = list(zip(found["lane_id"], found["price_period"], strict=True))
    classes: dict[tuple[int, int], int] = {}  # -1 = no price
    for pair in dict.fromkeys(pairs):
        vector = book.vector(lanes[pair[0]], plan.price_days[pair[1]])
        classes[pair] = -1 if vector is None else numbers.setdefault(input_prices(vector), len(numbers))
    price = np.array([classes[pair] for pair in pairs], dtype=np.int64)
    tokens = np.array(found["tokens"], dtype=np.int64)
    bucket = np.array(found["gap_bucket"], dtype=np.int64)
    priced = price >= 0
    counts = np.zeros((BUCKETS - NO_PREFIX, len(numbers)), dtype=np.int64)
    np.add.at(counts, (bucket[priced] - NO_PREFIX, price[priced]), tokens[priced])
    exact = int(tokens[priced & np.array(found["exact"], dtype=np.bool_)].sum())
    made = GapHistogram(
        reused=counts[-NO_PREFIX:],
        first=counts[FIRST_USE - NO_PREFIX],
        uncached=counts[0],
        prices=tuple(numbers),
        basis=EXACT_BASIS if exact == int(counts.sum()) else ESTIMATED_BASIS,
    )
    return made, exact, int(tokens[~priced].sum())


def _whole_days(start: datetime | None, end: datetime | None) -> tuple[date | None, date | None]:
    first = start.astimezone(UTC).date() if start else None
    if end is None:
        return first, None
    last = end.astimezone(UTC)
    return first, last.date() if last.time() == time() else last.date() + timedelta(days=1)


def _worked_out() -> object:
    query = sql.SQL("SELECT count(*) AS days, max(filled_at) AS latest FROM gap_state WHERE fills >= 0")
    return tuple(database.row(query, small=True).values())


def _pending(start: date | None, end: date | None) -> int:
    query = sql.SQL(
        "SELECT count(*) AS days FROM fill_state LEFT JOIN gap_state USING (utc_day) WHERE fill_state.fills > 0"
        " AND (gap_state.fills IS NULL OR gap_state.fills < 0)"
        " AND (%(start)s::date IS NULL OR utc_day >= %(start)s) AND (%(end)s::date IS NULL OR utc_day < %(end)s)"
    )
    return int(database.row(query, {"start": start, "end": end})["days"])
