"""Quantities by lane and price period: what a what-if prices again, kept in memory while a slider moves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dashboard import pricebook
from dashboard.analysis.log import CACHED, Log, Short
from dashboard.filters import METER, FilterError, Filters
from dashboard.pricebook import METERS
from dashboard.queries import database
from dashboard.queries import quantities as facts
from dashboard.queries.remembering import Memory
from ingest.core.short_prefixes import LADDER

# In each web worker: the questions that people are turning knobs on. A row takes about 150 bytes.
KEPT_LOGS = 12
KEPT_ROWS = 250_000


def quantities(filters: Filters, dimensions: Sequence[str] = ()) -> pd.DataFrame:
    """Everything in the question, one row a lane, price period and combination of these label dimensions (lanes that
    differ only in the raw model name stay apart).

    Columns: provider, platform, model, service_tier, speed, inference_geo, routing, outcome (text, "" = not
    known), prompt_step (tokens), day (a UTC date whose prices hold for the whole row), each of `dimensions` (text,
    "" = none), requests, the five token meters and web_search_requests (int64)."""
    return _read(filters, dimensions)[0]


def _read(filters: Filters, dimensions: Sequence[str]) -> tuple[pd.DataFrame, Short]:
    """Those rows, and what of them belongs to requests with a short cached prefix."""
    if filters.values(METER):
        raise FilterError(METER, "a scenario prices whole requests: it cannot be limited to single meters")
    lanes = facts.lanes(filters)
    book = pricebook.current()
    plan = facts.Plan(
        filters,
        tuple(dimensions),
        "total",
        database.reporting_zone(),
        lanes["lane_id"].tolist(),
        facts.models_of(lanes),
        # A swap may take any row to any model: every day on which some price or minimum changes begins a period.
        (*book.boundaries, *book.minimum_changes),
    )
    names, joins = plan.names()
    found = database.frame(
        plan.query(
            database.statement(
                "answer_classes", short_prefixes=plan.short_prefixes(), names=names, name_joins=joins
            )
        ),
        plan.parameters,
    )
    if len(found) > facts.MAX_GROUPS:
        raise facts.TooManyRows(facts.MAX_GROUPS)
    found = found.astype(dict.fromkeys(facts.QUANTITIES, "int64")).rename(columns=plan.label_names)
    found = found.merge(lanes, on="lane_id", sort=False)
    found["day"] = pd.Series([plan.price_days[period] for period in found["price_period"]], dtype=object)
    keys = [*facts.LANE_COLUMNS, "day", *dimensions]
    is_whole = found["below"] == 0
    whole = found[is_whole].sort_values(keys, ignore_index=True)
    # A raw model name has a lane of its own, so rows of one combination are told apart by the lane's number.
    same = ["lane_id", "price_period", *dimensions]
    part = found[~is_whole].merge(whole[same].assign(row=whole.index), on=same, sort=False)
    short = Short(
        part["row"].to_numpy(dtype="int64"),
        np.searchsorted(LADDER, part["below"].to_numpy(dtype="int64")),
        part[["requests", *CACHED]].to_numpy(dtype="int64"),
    )
    return whole[[*keys, "requests", *METERS]], short


_logs: Memory[Log] = Memory(KEPT_LOGS, weigh=lambda each: len(each.key), heaviest=KEPT_ROWS)


def log(filters: Filters, dimensions: Sequence[str] = (), steady_s: float = 0.0) -> Log:
    """The same as a Log, remembered (see `Memory`)."""
    return _logs.answer(
        filters,
        tuple(dimensions),
        lambda: _log(filters, dimensions),
        steady_s,
    )


def _log(filters: Filters, dimensions: Sequence[str]) -> Log:
    whole, short = _read(filters, dimensions)
    return Log.of(whole, dimensions, short=short)
