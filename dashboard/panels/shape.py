"""From query rows to what figures and tables want: complete time axes, a few named groups, links."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
from django.db.models import Min

from dashboard import numbers
from dashboard.figures import theme
from dashboard.filters import METER, TAG_PREFIX, Filters
from dashboard.panels.base import Ask
from dashboard.queries import costing, spend
from ingest.core.pricing import EXACT, total
from ingest.core.timegrain import local_day_start
from ingest.models import Lane

OTHER = "other"
BUCKET = "bucket_start"
# Singular and plural of every dimension as people call it.
DIMENSION_WORDS = {
    "model": ("model", "models"),
    "provider": ("provider", "providers"),
    "platform": ("platform", "platforms"),
    "service_tier": ("service tier", "service tiers"),
    "speed": ("speed", "speeds"),
    "inference_geo": ("inference geo", "inference geos"),
    "workspace_id": ("workspace", "workspaces"),
    "api_key_id": ("API key", "API keys"),
    "user_id": ("user", "users"),
    "source": ("source", "sources"),
    "session_id": ("session", "sessions"),
    "meter": ("meter", "meters"),
}


def word(dimension: str, plural: bool = False) -> str:
    """The dimension as people call it; a tag by its own name."""
    if dimension.startswith(TAG_PREFIX):
        return f"tag {dimension.removeprefix(TAG_PREFIX)}"
    return DIMENSION_WORDS[dimension][1 if plural else 0]


def grain_for(ask: Ask) -> str:
    """The grain asked for, else one that gives a readable number of marks."""
    if ask.filters.grain in {"hour", "day", "month"}:
        return ask.filters.grain
    days = ask.filters.days(ask.zone)
    if days is None:  # an open range is as long as its data
        priced = costing.read(ask.filters, ("model",), "month")
        months = spend.by(ask.filters, (), "month", priced)[BUCKET]
        days = (months.max() - months.min()).days + 31 if len(months) else 31
    return "hour" if days <= 2 else "day" if days <= 100 else "month"


def over_time(ask: Ask, filters: Filters | None = None) -> costing.Priced:
    """The page's question, or one like it about other days, by model and bucket: read once, and most panels of a page
    are sums of it."""
    return costing.read(filters or ask.filters, ("model",), grain_for(ask))


def timeline(ask: Ask, grain: str, rows: pd.DataFrame) -> list[pd.Timestamp]:
    """Every bucket of the range in order, those without rows too; never beyond the bucket that holds now."""
    start, end = ask.filters.instants(ask.zone)
    if start is None:
        start = rows[BUCKET].min().to_pydatetime() if len(rows) else ask.now
    if end is None and len(rows):
        last = rows[BUCKET].max().to_pydatetime()
    else:
        last = min(end - timedelta(microseconds=1), ask.now) if end is not None else ask.now
    if len(rows):  # a clock ahead of ours may have sent events "from the future": show what is there
        last = max(last, rows[BUCKET].max().to_pydatetime())
    if last < start:
        last = start
    if grain == "hour":
        first = start.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return [
            pd.Timestamp(first + timedelta(hours=at))
            for at in range(int((last - first) / timedelta(hours=1)) + 1)
        ]
    first_day, last_day = start.astimezone(ask.zone).date(), last.astimezone(ask.zone).date()
    if grain == "day":
        days = [first_day + timedelta(days=at) for at in range((last_day - first_day).days + 1)]
    else:
        months = (last_day.year - first_day.year) * 12 + last_day.month - first_day.month
        days = [_month_after(first_day, at) for at in range(months + 1)]
    return [pd.Timestamp(local_day_start(day, ask.zone)).tz_convert(ask.zone) for day in days]


def _month_after(day: date, months: int) -> date:
    month = day.month - 1 + months
    return date(day.year + month // 12, month % 12 + 1, 1)


def labels(buckets: Sequence[pd.Timestamp], grain: str, ask: Ask) -> list[str]:
    """A name for each bucket, all different: the year is told as soon as there are two."""
    local = [at.tz_convert(ask.zone) for at in buckets]
    names = [numbers.bucket(at, grain) for at in local]
    if grain == "hour" and len({at.date() for at in local}) == 1:
        names = [f"{at:%H:%M}" for at in local]
    # Where clocks go back an hour comes twice; the axis needs its names to differ.
    names = [
        f"{name} ({at:%Z})" if names.count(name) > 1 else name for name, at in zip(names, local, strict=True)
    ]
    if grain == "day" and len({at.year for at in local}) > 1:
        names = [f"{name} {at.year}" for name, at in zip(names, local, strict=True)]
    return names


def unfinished(ask: Ask, grain: str, buckets: Sequence[pd.Timestamp]) -> bool:
    """Whether the last bucket still runs."""
    if not buckets:
        return False
    last = buckets[-1].tz_convert(ask.zone)
    now = pd.Timestamp(ask.now).tz_convert(ask.zone)
    if grain == "hour":
        return bool(last <= now < last + timedelta(hours=1))
    return bool(
        (last.year, last.month) == (now.year, now.month) and (grain == "month" or last.day == now.day)
    )


def money_sum(values: Any) -> Decimal | None:
    """Exact sum of what has a price; None when nothing has."""
    known = [value for value in values if not numbers.is_missing(value)]
    return total(known) if known else None


def ranked(rows: pd.DataFrame, dimension: str, keep: int = 7) -> list[str]:
    """Names of the groups with the highest cost, then "other" if there are more. A missing name is ""."""
    if rows.empty:
        return []
    names = rows[dimension].map(name_of)
    costs = {
        name: money_sum(group) or Decimal(0) for name, group in rows.groupby(names, sort=True)["list_cost"]
    }
    order = sorted(costs, key=lambda name: (-costs[name], name))
    return order if len(order) <= keep + 1 else [*order[:keep], OTHER]


def pivot(
    rows: pd.DataFrame,
    dimension: str,
    groups: Sequence[str],
    buckets: Sequence[pd.Timestamp],
    column: str = "list_cost",
) -> pd.DataFrame:
    """One row a bucket, one column a group: exact sums, 0 where nothing happened. What is no group is "other"."""
    named = set(groups)
    sums: dict[tuple[Any, str], Decimal] = {}
    for at, raw, value in zip(rows[BUCKET], rows[dimension], rows[column], strict=True):
        if numbers.is_missing(value):
            continue
        name = name_of(raw)
        key = (at, name if name in named else OTHER)
        sums[key] = EXACT.add(sums.get(key, Decimal(0)), Decimal(value))
    columns = {name: [sums.get((at, name), Decimal(0)) for at in buckets] for name in groups}
    return pd.DataFrame(columns, dtype=object, index=range(len(buckets)))


def along(rows: pd.DataFrame, buckets: Sequence[pd.Timestamp], column: str, missing: Any) -> list[Any]:
    """A column bucket by bucket."""
    known = dict(zip(rows[BUCKET], rows[column], strict=True))
    return [known.get(at, missing) for at in buckets]


def name_of(value: Any) -> str:
    """A group's name as text; no label is ""."""
    return "" if value is None or numbers.is_missing(value) else str(value)


def label(dimension: str, name: str) -> str:
    """A group's name as people read it; meters by their short names."""
    if dimension == METER:
        return {meter.column: meter.label for meter in theme.METERS}.get(name, shown(name))
    return shown(name)


def comparable(report: Any) -> Any:
    """The report of a period before, or None where nothing happened then: a column of dashes says nothing."""
    return None if report is None or report.rows.empty else report


def by_name(report: Any, dimension: str) -> dict[str, dict[str, Any]]:
    """A report's rows by the name of their group."""
    return {name_of(row[dimension]): row for row in records(report.rows)}


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dicts of Python's own types; a few times as quick as pandas' way for the short tables of pages."""
    names = list(rows.columns)
    columns = (rows[name].tolist() for name in names)
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def dearest_first(report: Any, dimension: str) -> list[dict[str, Any]]:
    """A report's rows, those without a price last."""
    return sorted(
        records(report.rows),
        key=lambda row: (
            row["list_cost"] is None,
            -(row["list_cost"] or Decimal(0)),
            name_of(row[dimension]),
        ),
    )


def shown(name: str) -> str:
    return name or "(none)"


def stable_models() -> list[str]:
    """Every model in the order it was first seen: an order that only grows, so a model keeps its colour."""
    found = Lane.objects.values("model").annotate(first=Min("id")).order_by("first")
    return list(found.values_list("model", flat=True))


def filter_link(ask: Ask, dimension: str, name: str, page: str = "") -> str:
    """The address that filters by this group; the one that removes the filter when it is the only value already."""
    if ask.filters.values(dimension) == (name,):
        return ask.link(ask.filters.without(dimension, every=True), page=page)
    return ask.link(ask.filters.only(dimension, name), page=page)


def per_month(ask: Ask, amount: Decimal) -> Decimal:
    """An amount of the range as an amount per 30 days at the same rate."""
    start, end = ask.filters.instants(ask.zone)
    last = min(end or ask.now, ask.now)
    days = (
        Decimal((last - start).total_seconds()) / 86_400
        if start is not None and last > start
        else Decimal(30)
    )
    return amount / max(days, Decimal(1)) * 30


def range_text(
    start: datetime | date | None, end: datetime | date | None, ask: Ask, *, short: bool = False
) -> str:
    """A half-open range as people say it; short: without the year when it is this one."""
    if start is None and end is None:
        return "all time"
    first = _local_day(start, ask) if start is not None else None
    last = _local_day(end, ask, inclusive=True) if end is not None else None
    if first is None:
        return f"until {numbers.days(last, last)}" if last else "all time"
    if last is None:
        return f"since {numbers.days(first, first)}"
    text = numbers.days(first, last)
    return text.removesuffix(f" {ask.today.year}") if short else text


def _local_day(moment: datetime | date, ask: Ask, inclusive: bool = False) -> date:
    if isinstance(moment, datetime):
        return ((moment - timedelta(microseconds=1)) if inclusive else moment).astimezone(ask.zone).date()
    return moment - timedelta(days=1) if inclusive else moment


Presenter = Callable[[Any, Ask], Any]
