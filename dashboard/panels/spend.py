"""Spend: one grouping, drawn and tabled from the same question."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from dashboard import numbers, pricebook, tables
from dashboard.filters import METER
from dashboard.panels import cost, shape
from dashboard.panels.base import Ask, Content, Panel
from dashboard.panels.words import HOW_COST
from dashboard.queries import spend

MOST_ROWS = 500  # on the page; the CSV has all of them
DEFAULT_SORT = "-list_cost"


def dimension_of(ask: Ask) -> str:
    return ask.filters.group_by[0] if ask.filters.group_by else "model"


def fetch_chart(ask: Ask) -> dict[str, Any]:
    return cost.fetch_cost(ask, dimension_of(ask))


def present_chart(data: dict[str, Any], ask: Ask) -> Content | None:
    content = cost.present_cost(data, ask)
    if content is None:
        return None
    return Content(
        **{**content.__dict__, "extra": {"title": f"List cost by {shape.word(data['dimension'])}"}}
    )


# --- the table -------------------------------------------------------------------------------------------------------


def fetch_table(ask: Ask) -> dict[str, Any]:
    dimension = dimension_of(ask)
    before = ask.filters.previous() if ask.filters.compare else None
    return {
        "dimension": dimension,
        "report": spend.report(ask.filters, (dimension,)),
        "before": shape.comparable(spend.report(before, (dimension,))) if before else None,
        "stable": shape.stable_models() if dimension == "model" else [],
    }


def present_table(data: dict[str, Any], ask: Ask, most: int | None = MOST_ROWS) -> Content | None:
    """The table, its first `most` rows of the order asked for; None = all of them."""
    report, dimension = data["report"], data["dimension"]
    if report.rows.empty:
        return None
    past = shape.by_name(data["before"], dimension) if data["before"] else None
    totals_past = data["before"].totals if data["before"] else None
    wanted = ask.knob("sort") or DEFAULT_SORT
    rows = _sorted(shape.records(report.rows), wanted, dimension, past)
    fields = _fields(dimension, past is not None)
    roles = cost.group_roles(shape.ranked(report.rows, dimension), dimension, data["stable"])

    def line(row: dict[str, Any]) -> tables.Row:
        name = shape.name_of(row[dimension])
        link = shape.filter_link(ask, dimension, name)
        before = past.get(name) if past is not None else None
        return tables.Row(
            (
                _name_cell(row, dimension, roles, link),
                *(field.cell(row, before, report.totals) for field in fields),
            ),
            href=link,
            current=name in ask.filters.values(dimension),
            unpriced=row["list_cost"] is None,
        )

    lines = tuple(line(row) for row in rows[:most])
    sums = (
        field.cell(report.totals, totals_past, report.totals) if field.in_total else tables.Cell()
        for field in fields
    )
    total = tables.Row((tables.Cell("total", "total"), *sums))
    columns = tuple(
        _column(ask, name, label, wanted, field) for name, label, field in _heads(dimension, fields)
    )
    hidden = len(rows) - len(lines)
    note = (
        f"The first {len(lines):,} rows are shown; the total and the CSV have all {len(rows):,}."
        if hidden
        else ""
    )
    return Content(
        sub="click a row to filter",
        table=tables.Table(f"Spend by {shape.word(dimension)}", columns, lines, total, _context(ask)),
        note=note,
        extra={"title": f"By {shape.word(dimension)}"},
    )


Fill = Callable[[dict[str, Any], dict[str, Any] | None, dict[str, Any]], tables.Cell]


@dataclass(frozen=True)
class _Field:
    """One column: its name, its head, and how a row, its row in the period before and the totals fill it."""

    name: str
    label: str
    cell: Fill
    sortable: bool = True
    in_total: bool = True
    hide_narrow: bool = False


def _tokens_field(name: str, label: str) -> _Field:
    return _Field(name, label, lambda row, _, __: tables.tokens_cell(row[name]), hide_narrow=True)


def _fields(dimension: str, compare: bool) -> list[_Field]:
    fields = [
        _Field("list_cost", "list cost", _cost),
        _Field("_share", "share", _share, sortable=False, in_total=False),
        *([_Field("change", "vs before", _change)] if compare else []),
    ]
    if dimension == METER:
        return [
            *fields,
            _Field(
                "quantity", "quantity", lambda row, _, __: tables.tokens_cell(row["quantity"]), in_total=False
            ),
            _Field("unit_price", "average unit price", _average_price, sortable=False, in_total=False),
        ]
    return [
        *fields,
        _Field("requests", "requests", lambda row, _, __: tables.count_cell(row["requests"])),
        _tokens_field("uncached_input_tokens", "uncached"),
        _tokens_field("cache_read_input_tokens", "cache read"),
        _tokens_field("cache_write_5m_input_tokens", "5m write"),
        _tokens_field("cache_write_1h_input_tokens", "1h write"),
        _tokens_field("output_tokens", "output"),
        _tokens_field("web_search_requests", "searches"),
        _tokens_field("unpriced_tokens", "unpriced"),
    ]


def _cost(row: dict[str, Any], _: Any, __: Any) -> tables.Cell:
    return tables.money_cell(row["list_cost"], unpriced=row["list_cost"] is None)


def _share(row: dict[str, Any], _: Any, totals: dict[str, Any]) -> tables.Cell:
    return tables.share_cell("accent", row["list_cost"], totals["list_cost"])


def _change(row: dict[str, Any], before: dict[str, Any] | None, _: dict[str, Any]) -> tables.Cell:
    then = before["list_cost"] if before else Decimal(0)
    return tables.change_cell(row["list_cost"], then, title=f"{numbers.money(then)} before")


def _average_price(row: dict[str, Any], _: Any, __: Any) -> tables.Cell:
    each = row["list_cost"] / row["quantity"] if row["list_cost"] is not None and row["quantity"] else None
    text = numbers.money(each) if row[METER] == "web_search_requests" else numbers.unit_price(each)
    return tables.Cell(text, each, title="An average where tiers, models or prices mix.")


def _name_cell(row: dict[str, Any], dimension: str, roles: dict[str, str], link: str) -> tables.Cell:
    name = shape.name_of(row[dimension])
    partly = row["list_cost"] is not None and row["unpriced_tokens"] > 0
    return tables.name_cell(
        name,
        text=shape.label(dimension, name),
        role=roles.get(name, "series:other"),
        href=link,
        badge="partly unpriced" if partly else "no price" if row["list_cost"] is None else "",
    )


def _heads(dimension: str, fields: list[_Field]) -> list[tuple[str, str, _Field | None]]:
    return [(dimension, shape.word(dimension), None), *((field.name, field.label, field) for field in fields)]


def _column(ask: Ask, name: str, label: str, wanted: str, field: _Field | None) -> tables.Column:
    sortable = field is None or field.sortable
    current = wanted.lstrip("-") == name
    # A second click turns the order round; figures begin with the largest, names with the first.
    down = not wanted.startswith("-") if current else field is not None
    turned = f"-{name}" if down else name
    return tables.Column(
        name,
        label,
        text=field is None,
        sortable=sortable,
        href=ask.link(sort=turned) if sortable else "",
        sorted=("descending" if wanted.startswith("-") else "ascending") if current else "",
        hide_narrow=bool(field and field.hide_narrow),
    )


def _sorted(
    rows: list[dict[str, Any]], wanted: str, dimension: str, past: dict[str, Any] | None
) -> list[dict[str, Any]]:
    """By a column; what has no value goes last in either direction; ties by name."""
    name, down = wanted.lstrip("-"), wanted.startswith("-")

    def value(row: dict[str, Any]) -> Any:
        if name == "change":
            before = (past or {}).get(shape.name_of(row[dimension]))
            then = before["list_cost"] if before else None
            return (row["list_cost"] - then) / then if then and row["list_cost"] is not None else None
        return row.get(name)

    rows = sorted(rows, key=lambda row: shape.name_of(row[dimension]))
    if name == dimension:
        return rows[::-1] if down else rows
    known = [row for row in rows if value(row) is not None]
    without = [row for row in rows if value(row) is None]
    return [*sorted(known, key=value, reverse=down), *without]


def _context(ask: Ask) -> dict[str, str]:
    """Where the figures come from, in every row: files stay meaningful when they are joined or cut."""
    start, end = ask.filters.instants(ask.zone)
    filters = "; ".join(f"{name}={shape.shown(value)}" for name, value in ask.filters.chips())
    return {
        "range_start": start.isoformat() if start else "",
        "range_end": end.isoformat() if end else "",
        "zone": ask.zone.key,
        "filters": filters,
        "price_version": pricebook.current().version,
    }


CHART = Panel(
    slug="spend-over-time",
    title="List cost",
    help=(
        *HOW_COST,
        "The groups that cost most have a colour, the rest is “other”; the table has all of them.",
    ),
    fetch=fetch_chart,
    present=present_chart,
    size="tall",
)
TABLE = Panel(
    slug="spend-table",
    title="Groups",
    help=(
        *HOW_COST,
        "The total is the list cost of the Overview. Groups without a price are named with their tokens, not added.",
        "The CSV holds these very rows with exact amounts, and in each the range, zone, filters and price version.",
    ),
    fetch=fetch_table,
    present=present_table,
    body="_table",
    size="short",
)

PANELS = (CHART, TABLE)
