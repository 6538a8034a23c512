"""List cost over time, and how it was computed: shared by the Overview and Spend."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pandas as pd

from dashboard import numbers, pricebook, tables
from dashboard.figures import spend as figures
from dashboard.figures import theme
from dashboard.filters import METER
from dashboard.panels import shape
from dashboard.panels.base import Ask, Content, KeyItem, Panel
from dashboard.panels.words import HOW_COST
from dashboard.queries import spend

# --- list cost over time ---------------------------------------------------------------------------------------------


def fetch_cost(ask: Ask, dimension: str = "model") -> dict[str, Any]:
    grain = shape.grain_for(ask)
    before = ask.filters.previous() if ask.filters.compare else None
    past = spend.by(before, (), grain, shape.over_time(ask, before)) if before else None
    priced = shape.over_time(ask) if dimension == "model" else None
    return {
        "grain": grain,
        "dimension": dimension,
        "rows": spend.by(ask.filters, (dimension,), grain, priced),
        "before": past if past is not None and len(past) else None,  # nothing then is no line at zero
        "before_filters": before,
        "stable": shape.stable_models() if dimension == "model" else [],
    }


def present_cost(data: dict[str, Any], ask: Ask) -> Content | None:
    rows, grain, dimension = data["rows"], data["grain"], data["dimension"]
    if rows.empty:
        return None
    priced, without = _apart(rows, dimension)
    groups = shape.ranked(priced, dimension)
    roles = group_roles(groups, dimension, data["stable"])
    shown = {name: shape.label(dimension, name) for name in groups}
    buckets = shape.timeline(ask, grain, rows)
    names = shape.labels(buckets, grain, ask)
    frame = shape.pivot(rows, dimension, groups, buckets)
    running = shape.unfinished(ask, grain, buckets)
    before = _before(data, ask, grain, buckets) if data["before"] is not None else None
    figure = figures.cost_over_time(
        frame.rename(columns=shown), names, {shown[name]: roles[name] for name in groups}, before, running
    )
    key = [
        KeyItem(
            shown[name],
            roles[name],
            href="" if name == shape.OTHER else shape.filter_link(ask, dimension, name),
        )
        for name in groups
    ]
    if before is not None:
        past = data["before_filters"]
        key.append(KeyItem(shape.range_text(past.start, past.end, ask, short=True), "previous", "dotted"))
    return Content(
        sub=f"per {grain}",
        figure=figure if groups else None,
        figure_label=f"List cost per {grain}, stacked by {shape.word(dimension)}",
        key=tuple(key),
        table=_cost_table(frame, names, groups, dimension, before, running),
        note=f"Not drawn, for it has no price: {', '.join(without[:5])}." if without else "",
    )


def _apart(rows: pd.DataFrame, dimension: str) -> tuple[pd.DataFrame, list[str]]:
    """Rows of the groups that have a price somewhere, and the names of those that have none."""
    names = rows[dimension].map(shape.name_of)
    known = set(names[[value is not None for value in rows["list_cost"]]])
    return rows[names.isin(known)], sorted(shape.label(dimension, name) for name in set(names) - known)


def group_roles(groups: Sequence[str], dimension: str, stable: Sequence[str]) -> dict[str, str]:
    """Meters have their own colours, models keep theirs, other groups are coloured by rank."""

    if dimension == METER:
        return {meter.column: meter.role for meter in theme.METERS}
    return theme.assign(groups, [name for name in stable if name])


def _before(data: dict[str, Any], ask: Ask, grain: str, buckets: list[pd.Timestamp]) -> list[Any]:
    """The period before, bucket by bucket; weekdays under weekdays, as a Sunday says nothing about a Monday."""
    past = Ask(filters=data["before_filters"], now=ask.now, zone=ask.zone)
    days = shape.timeline(past, grain, data["before"])
    values = [value or Decimal(0) for value in shape.along(data["before"], days, "list_cost", None)]
    if grain == "day" and len(days) > 7 and buckets:
        shift = (buckets[0].weekday() - days[0].weekday()) % 7
        values = [*values[shift:]] if shift <= 3 else [*([None] * (7 - shift)), *values]
    return values


def _cost_table(
    frame: pd.DataFrame,
    names: list[str],
    groups: list[str],
    dimension: str,
    before: list[Any] | None,
    running: bool,
) -> tables.Table:
    columns = [tables.Column("bucket", "bucket", text=True)]
    columns += [tables.Column(f"{dimension}={group}", shape.label(dimension, group)) for group in groups]
    columns.append(tables.Column("total", "total"))
    if before is not None:
        columns.append(tables.Column("previous", "period before, same weekday"))
    rows = []
    by_bucket = frame[groups].itertuples(index=False, name=None)
    for at, (name, amounts) in enumerate(zip(names, by_bucket, strict=True)):
        label = f"{name} (so far)" if running and at == len(names) - 1 else name
        cells = [
            tables.Cell(label, name),
            *map(tables.money_cell, amounts),
            tables.money_cell(shape.money_sum(amounts)),
        ]
        if before is not None:
            cells.append(tables.money_cell(before[at] if at < len(before) else None))
        rows.append(tables.Row(tuple(cells)))
    sums = [shape.money_sum(frame[group]) for group in groups]
    total = [
        tables.Cell("total", "total"),
        *map(tables.money_cell, sums),
        tables.money_cell(shape.money_sum(sums)),
    ]
    if before is not None:
        total.append(tables.Cell(numbers.NONE))
    return tables.Table(
        f"List cost by {shape.word(dimension)}", tuple(columns), tuple(rows), tables.Row(tuple(total))
    )


# --- how the list cost was computed ----------------------------------------------------------------------------------


def fetch_how(ask: Ask) -> pd.DataFrame:
    return spend.by(ask.filters, ("model", "meter"), "total")


def present_how(rows: pd.DataFrame, ask: Ask) -> Content | None:
    if rows.empty:
        return None
    names = {meter.column: meter.label for meter in theme.METERS}
    records = sorted(shape.records(rows), key=lambda row: -(row["list_cost"] or Decimal(0)))
    columns = (
        tables.Column("model", "model", text=True),
        tables.Column("meter", "meter", text=True),
        tables.Column("quantity", "quantity"),
        tables.Column("unit_price", "average unit price"),
        tables.Column("list_cost", "list cost"),
    )
    lines = []
    for row in records:
        searches = row["meter"] == "web_search_requests"
        each = (
            row["list_cost"] / row["quantity"] if row["list_cost"] is not None and row["quantity"] else None
        )
        price = tables.Cell(numbers.money(each) if searches else numbers.unit_price(each), each)
        quantity = tables.count_cell(row["quantity"])
        lines.append(
            tables.Row(
                (
                    tables.name_cell(shape.name_of(row["model"])),
                    tables.Cell(names.get(row["meter"], row["meter"]), row["meter"]),
                    quantity,
                    price,
                    tables.money_cell(row["list_cost"], unpriced=row["list_cost"] is None),
                )
            )
        )
    total = tables.Row(
        (
            tables.Cell("total", "total"),
            tables.Cell(),
            tables.Cell(),
            tables.Cell(),
            tables.money_cell(shape.money_sum(rows["list_cost"])),
        )
    )
    note = "A unit price is an average where tiers, regions, prompt sizes or price changes mix. Price book "
    return Content(
        table=tables.Table("Quantity × unit price = list cost", columns, tuple(lines), total),
        note=f"{note}{pricebook.current().version}.",
    )


COST = Panel(
    slug="cost-by-model",
    title="List cost by model",
    help=(
        *HOW_COST,
        "A bar that is still filling is drawn lighter. The dotted line is the period before, weekdays under weekdays.",
        "Click a name above the chart to filter by it.",
    ),
    fetch=fetch_cost,
    present=present_cost,
    size="tall",
)
HOW = Panel(
    slug="how-cost",
    live=False,
    title="How the list cost was computed",
    help=HOW_COST,
    fetch=fetch_how,
    present=present_how,
    body="_table",
    size="short",
    plain=True,
)

PANELS = (COST, HOW)
