"""Quantities by lane and price period: what a what-if prices again."""

from __future__ import annotations

import pandas as pd

from dashboard.filters import METER, FilterError, Filters
from dashboard.pricebook import METERS
from dashboard.queries import database
from dashboard.queries import quantities as facts


def quantities(filters: Filters) -> pd.DataFrame:
    """Everything in the question, one row a lane and price period (lanes that differ only in the raw model
    name stay apart).

    Columns: provider, platform, model, service_tier, speed, inference_geo, routing, outcome (text, "" = not
    known), prompt_step (tokens), day (a UTC date whose prices hold for the whole row), requests, the five
    token meters and web_search_requests (int64)."""
    if filters.values(METER):
        raise FilterError(METER, "a scenario prices whole requests: it cannot be limited to single meters")
    lanes = facts.lanes(filters)
    plan = facts.Plan(filters, (), "total", database.reporting_zone(), lanes["lane_id"].tolist())
    found = database.frame(plan.query(database.statement("answer_lanes")), plan.parameters)
    found = found.astype(dict.fromkeys(facts.QUANTITIES, "int64")).merge(lanes, on="lane_id", sort=False)
    found["day"] = pd.Series([plan.price_days[period] for period in found["price_period"]], dtype=object)
    keys = [*facts.LANE_COLUMNS, "day"]
    return found.sort_values(keys, ignore_index=True)[[*keys, "requests", *METERS]]
