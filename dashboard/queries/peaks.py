"""Busy minutes: what each limit class used a minute in its busiest hours. Rollups find the hours, events the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from psycopg import sql

from dashboard.analysis import limits
from dashboard.filters import TAG_PREFIX, Filters
from dashboard.queries import database
from dashboard.queries import quantities as facts
from dashboard.queries.remembering import WHILE_TURNING_S, Memory
from ingest.core.pricing import METERS
from ingest.core.short_prefixes import LADDER
from ingest.core.timegrain import EPOCH
from ingest.models import LabelSet

DAYS, HOURS = 2, 3  # of each class and measure: its busiest days, and on those its busiest hours
MEASURES = ("requests", "input", "output")
# Batch has a queue of its own, fast mode and priority have buckets of their own.
COUNTED_TIERS = frozenset({"", "standard", "default", "auto", "standard_only"})
_KEPT, _KEPT_ROWS = 8, 100_000


@dataclass(frozen=True, slots=True)
class Minutes:
    """Counts by minute and lane in the busiest hours.

    frame  the fields of Lane, day (UTC date), minute (whole minutes since 1970), label dimensions (text), below (the
           step of LADDER that the cached prefixes of the row's requests stay under; 0 = longer or none), requests,
           METERS; the searches' column holds 0
    hours  which UTC hours were looked at
    """

    frame: pd.DataFrame
    hours: tuple[datetime, ...]


_busy: Memory[Minutes] = Memory(_KEPT, weigh=lambda each: len(each.frame), heaviest=_KEPT_ROWS)


def minutes(filters: Filters, dimensions: Sequence[str] = ()) -> Minutes:
    """The busy minutes of the provider's own API in the range, remembered until the data change.

    Other filters than those on models are not applied: limits are the organisation's."""
    start, end = filters.instants(database.reporting_zone())
    models = filters.values("model")
    asked = Filters(start=filters.start, end=filters.end, where=(("model", models),) if models else ())
    return _busy.answer(
        asked, tuple(dimensions), lambda: _minutes(asked, tuple(dimensions), start, end), WHILE_TURNING_S
    )


def _minutes(
    filters: Filters, dimensions: tuple[str, ...], start: datetime | None, end: datetime | None
) -> Minutes:
    amounts = ["below", "requests", *METERS]
    lanes = facts.lanes(filters)
    counted = [
        platform == "anthropic" and tier in COUNTED_TIERS and speed != "fast"
        for platform, tier, speed in zip(
            lanes["platform"], lanes["service_tier"], lanes["speed"], strict=True
        )
    ]
    lanes = lanes[np.array(counted, dtype=bool)].reset_index(drop=True)
    bounds: dict[str, Any] = {"start": start, "end": end, "lanes": lanes["lane_id"].tolist()}
    classes = {
        lane: limits.class_of(model) for lane, model in zip(lanes["lane_id"], lanes["model"], strict=True)
    }
    days = _busiest(_frame("busiest_days", "bucket_start", bounds), classes, DAYS)
    hours = (
        _busiest(_frame("busiest_hours", "bucket_start", {**bounds, "days": days}), classes, HOURS)
        if days
        else []
    )
    if not hours:
        return Minutes(
            pd.DataFrame(columns=[*facts.LANE_COLUMNS, "day", "minute", *dimensions, *amounts]), ()
        )
    # A reporting-zone midnight inside a UTC hour splits its rollup row: hours are whole UTC hours here.
    whole = sorted({at.astimezone(UTC).replace(minute=0, second=0, microsecond=0) for at in hours})
    label_set = sql.SQL("label_set_id" if dimensions else "0")
    found = _frame(
        "minutes",
        "occurred_at",
        {**bounds, "hours": whole},
        label_set=label_set,
        steps=sql.Literal(list(LADDER)),
        longest=sql.Literal(LADDER[-1]),
    )
    found = found.merge(lanes, on="lane_id", sort=False)
    days_of = {minute: (EPOCH + timedelta(minutes=minute)).date() for minute in set(found["minute"])}
    found["day"] = found["minute"].map(days_of)
    found["web_search_requests"] = 0
    for name, values in _labels(found["label_set_id"].tolist(), dimensions).items():
        found[name] = values
    counts = dict.fromkeys(["minute", *amounts], "int64")
    return Minutes(
        found.astype(counts)[[*facts.LANE_COLUMNS, "day", "minute", *dimensions, *amounts]],
        tuple(whole),
    )


def _frame(name: str, moment: str, bounds: dict[str, Any], **parts: sql.Composable) -> pd.DataFrame:
    always, column = sql.SQL("TRUE"), sql.Identifier(moment)
    return database.frame(
        database.statement(
            name,
            start_condition=always if bounds["start"] is None else sql.SQL("{} >= %(start)s").format(column),
            end_condition=always if bounds["end"] is None else sql.SQL("{} < %(end)s").format(column),
            **parts,
        ),
        bounds,
    )


def _busiest(rows: pd.DataFrame, classes: dict[int, str], most: int) -> list[datetime]:
    """The moments at which some class used most of something."""
    if rows.empty:
        return []
    rows = rows.astype(dict.fromkeys((*MEASURES, "reads"), "int64"))
    names = rows["lane_id"].map(classes)
    counted = names.map(limits.counts_reads)
    rows = rows.assign(model_class=names, input=rows["input"] + rows["reads"].where(counted, 0))
    sums = rows.groupby(["model_class", "moment"])[list(MEASURES)].sum().reset_index()
    found: set[datetime] = set()
    for _, group in sums.groupby("model_class"):
        for measure in MEASURES:
            top = group.sort_values([measure, "moment"], ascending=[False, True]).head(most)
            found.update(top["moment"])
    return sorted(found)


def _labels(ids: list[int], dimensions: tuple[str, ...]) -> dict[str, list[str]]:
    """The labels of label sets, dimension by dimension."""
    if not dimensions:
        return {}
    names = ("workspace_id", "api_key_id", "user_id", "tags", "source__name")
    known = {row["id"]: row for row in LabelSet.objects.filter(id__in=set(ids)).values("id", *names)}

    def label(number: int, dimension: str) -> str:
        row = known.get(number, {})
        if dimension.startswith(TAG_PREFIX):
            return str((row.get("tags") or {}).get(dimension.removeprefix(TAG_PREFIX), ""))
        return str(row.get("source__name" if dimension == "source" else dimension, ""))

    return {dimension: [label(number, dimension) for number in ids] for dimension in dimensions}
