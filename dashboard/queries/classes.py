"""Classes of calls: is someone waiting for them, or can they wait? Read from the data, overridden by people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from psycopg import sql

from dashboard.filters import TAG_PREFIX, Filters
from dashboard.models import CallClass
from dashboard.queries import database
from dashboard.queries.remembering import WHILE_TURNING_S, Memory

SAMPLE = 300_000  # events that are looked at: the latest whole days of the range up to so many
FOLLOWED = Decimal("0.05")  # more follow-ups than this, and somebody sits there
SCHEDULED = Decimal("0.9")  # of the calls in two hours of the day: a timer
FEWEST = 20
MOST_CLASSES = 60
_KEPT = 16


@dataclass(frozen=True, slots=True)
class Evidence:
    """One class of calls in the sample. `can_wait` is what the data say; `because` says why, in words."""

    value: str
    calls: int
    can_wait: bool
    because: str


@dataclass(frozen=True, slots=True)
class CallKind:
    """A class as people see it: what the data say, unless somebody said otherwise."""

    evidence: Evidence
    can_wait: bool
    overridden: bool


def kinds(filters: Filters, dimension: str) -> list[CallKind]:
    """The classes of a dimension in the filters' range, those with most calls first; at most MOST_CLASSES.

    Dimensions are model, workspace_id, api_key_id and tag:NAME. Other filters do not matter: a class is what it is.
    """
    said = dict(CallClass.objects.filter(dimension=dimension).values_list("value", "can_wait"))
    return [
        CallKind(each, said.get(each.value, each.can_wait), each.value in said)
        for each in evidence(filters, dimension)
    ]


def remember(dimension: str, marks: dict[str, bool]) -> None:
    """What people said about classes, kept for everybody."""
    for value, can_wait in marks.items():
        CallClass.objects.update_or_create(dimension=dimension, value=value, defaults={"can_wait": can_wait})


_evidences: Memory[list[Evidence]] = Memory(_KEPT)


def evidence(filters: Filters, dimension: str) -> list[Evidence]:
    """What the sample says about each class, remembered until the data change."""
    asked = Filters(start=filters.start, end=filters.end)  # other filters do not matter
    start, end = asked.instants(database.reporting_zone())
    return _evidences.answer(asked, dimension, lambda: _evidence(dimension, start, end), WHILE_TURNING_S)


def sample_days(start: datetime | None, end: datetime | None) -> tuple[datetime, datetime] | None:
    """The latest whole UTC days of the range that hold at most SAMPLE requests, at least one; None without any."""
    parameters: dict[str, Any] = {"start": start, "end": end}
    always = sql.SQL("TRUE")
    days = database.frame(
        database.statement(
            "calls_by_day",
            start_condition=always if start is None else sql.SQL("bucket_start >= %(start)s"),
            end_condition=always if end is None else sql.SQL("bucket_start < %(end)s"),
        ),
        parameters,
    )
    if days.empty:
        return None
    sizes = days["requests"].astype("int64").cumsum()
    kept = max(1, int((sizes <= SAMPLE).sum()))
    return days["day"].iloc[kept - 1], days["day"].iloc[0] + timedelta(days=1)


def _evidence(dimension: str, start: datetime | None, end: datetime | None) -> list[Evidence]:
    span = sample_days(start, end)
    if span is None:
        return []
    parameters: dict[str, Any] = {"zone": database.reporting_zone().key, "start": span[0], "end": span[1]}
    value: sql.Composable
    if dimension == "model":
        value = sql.SQL("lane.model")
    elif dimension.startswith(TAG_PREFIX):
        parameters["tag"] = dimension.removeprefix(TAG_PREFIX)
        value = sql.SQL("coalesce(label_set.tags ->> %(tag)s::text, '')")
    else:
        value = sql.SQL("label_set.{}").format(sql.Identifier(dimension))
    rows = database.frame(database.statement("call_classes", value=value), parameters)
    found = []
    for name, group in rows.groupby("value", sort=True):
        calls = group["calls"].astype("int64")
        hours = dict(zip(group["hour"], calls, strict=True))
        days = {day for each in group["days"] for day in each}
        found.append(
            _judged(str(name), hours, int(group["in_session"].sum()), int(group["followed"].sum()), len(days))
        )
    return sorted(found, key=lambda each: (-each.calls, each.value))[:MOST_CLASSES]


def _judged(value: str, hours: dict[int, int], in_session: int, followed: int, days: int) -> Evidence:
    calls = int(sum(hours.values()))
    if calls < FEWEST:
        return Evidence(value, calls, False, f"only {calls} calls: too few to tell")
    busiest = sorted(hours, key=lambda hour: -hours[hour])[:2]
    share = Decimal(int(sum(hours[hour] for hour in busiest))) / calls
    if days > 1 and share >= SCHEDULED:
        times = " and ".join(f"{hour:02d}:00" for hour in sorted(busiest))
        return Evidence(value, calls, True, f"{share:.0%} of calls around {times}, {days} days: a schedule")
    if in_session * 2 < calls:
        return Evidence(value, calls, False, "no session ids and no schedule: cannot be told")
    rate = Decimal(followed) / in_session
    told = f"{rate:.0%} followed up in the same session within an hour"
    return Evidence(value, calls, rate <= FOLLOWED, told)
