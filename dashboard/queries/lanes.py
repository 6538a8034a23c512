"""Quantities by lane and price period: what a what-if prices again, kept in memory while a slider moves."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Any

import pandas as pd

from dashboard import pricebook
from dashboard.analysis.log import Log
from dashboard.filters import METER, FilterError, Filters
from dashboard.pricebook import METERS
from dashboard.queries import database, freshness
from dashboard.queries import quantities as facts

# In each web worker: the questions that people are turning knobs on. A row takes about 150 bytes.
KEPT_LOGS = 12
KEPT_ROWS = 250_000

_kept: OrderedDict[tuple[Any, ...], Log] = OrderedDict()
_lock = Lock()


def quantities(filters: Filters, dimensions: Sequence[str] = ()) -> pd.DataFrame:
    """Everything in the question, one row a lane, price period and combination of these label dimensions (lanes that
    differ only in the raw model name stay apart).

    Columns: provider, platform, model, service_tier, speed, inference_geo, routing, outcome (text, "" = not
    known), prompt_step (tokens), day (a UTC date whose prices hold for the whole row), each of `dimensions` (text,
    "" = none), requests, the five token meters and web_search_requests (int64)."""
    if filters.values(METER):
        raise FilterError(METER, "a scenario prices whole requests: it cannot be limited to single meters")
    lanes = facts.lanes(filters)
    plan = facts.Plan(
        filters,
        tuple(dimensions),
        "total",
        database.reporting_zone(),
        lanes["lane_id"].tolist(),
        facts.models_of(lanes),
    )
    names, joins = plan.names()
    found = database.frame(
        plan.query(database.statement("answer_classes", names=names, name_joins=joins)), plan.parameters
    )
    if len(found) > facts.MAX_GROUPS:
        raise facts.TooManyRows(facts.MAX_GROUPS)
    found = found.astype(dict.fromkeys(facts.QUANTITIES, "int64")).rename(columns=plan.label_names)
    found = found.merge(lanes, on="lane_id", sort=False)
    found["day"] = pd.Series([plan.price_days[period] for period in found["price_period"]], dtype=object)
    keys = [*facts.LANE_COLUMNS, "day", *dimensions]
    return found.sort_values(keys, ignore_index=True)[[*keys, "requests", *METERS]]


def log(filters: Filters, dimensions: Sequence[str] = ()) -> Log:
    """The same as a Log, read once as long as neither the data nor the prices change."""
    fresh = freshness.state()
    key = (
        filters.start,
        filters.end,
        filters.where,
        tuple(dimensions),
        fresh.data_version,
        fresh.last_fill_at,
        pricebook.current().version,
    )
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    found = Log.of(quantities(filters, dimensions), dimensions)
    with _lock:
        _kept[key] = found
        while len(_kept) > KEPT_LOGS or (
            len(_kept) > 1 and sum(len(each.key) for each in _kept.values()) > KEPT_ROWS
        ):
            _kept.popitem(last=False)
    return found
