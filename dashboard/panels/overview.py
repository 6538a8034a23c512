"""The first screen: what was spent and against what, where it goes, what is worth a look."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pandas as pd

from dashboard import numbers, pricebook, tables
from dashboard.figures import cache as figures
from dashboard.figures import theme
from dashboard.filters import METER, Filters
from dashboard.panels import shape
from dashboard.panels.base import Ask, Content, KeyItem, Panel
from dashboard.panels.words import HOW_COST, HOW_HIT, HOW_SAVING
from dashboard.queries import cache, costing, spend

# --- headline --------------------------------------------------------------------------------------------------------


def fetch_headline(ask: Ask) -> dict[str, Any]:
    with_cache = METER not in ask.filters.dimensions()  # hit rates span the meters
    now, before = shape.over_time(ask), ask.filters.previous()
    then = shape.over_time(ask, before) if before else None
    return {
        "spend": spend.total(ask.filters, now),
        "cache": cache.total(ask.filters, now) if with_cache else None,
        # Cache totals hold requests and list cost too.
        "before_totals": (cache.total if with_cache else spend.total)(before, then) if before else None,
        "before": before,
    }


def present_headline(data: dict[str, Any], ask: Ask) -> Content | None:
    now, use = data["spend"], data["cache"]
    if not now["requests"]:
        return None
    then = data["before_totals"]
    against = (
        shape.range_text(data["before"].start, data["before"].end, ask, short=True) if data["before"] else ""
    )
    known_before = bool(then and then["requests"])
    return Content(
        extra={
            "stats": [
                _cost_stat(ask, now, then if known_before else None, against),
                _requests_stat(now, then if known_before else None),
                *([_hit_stat(use, then if known_before else None), _saving_stat(use)] if use else []),
                _coverage_stat(now),
            ]
        }
    )


def _cost_stat(ask: Ask, now: dict[str, Any], then: dict[str, Any] | None, against: str) -> dict[str, Any]:
    delta = (
        numbers.change(now["list_cost"], then["list_cost"]) if then and then["list_cost"] is not None else ""
    )
    return {
        "label": "List cost",
        "value": numbers.money(now["list_cost"]),
        "title": f"${pricebook.as_text(now['list_cost'])} exactly" if now["list_cost"] is not None else "",
        "delta": delta if delta != numbers.NONE else "",
        "tone": tables.tone(delta, True),
        "joint": " ",
        "foot": f"vs {against}" if delta and delta != numbers.NONE else "nothing to compare with",
        "help": HOW_COST,
        "facts": [("price book", pricebook.current().version)],
        "door": ask.panel_url("how-cost"),
        "door_label": "tokens × unit price",
    }


def _requests_stat(now: dict[str, Any], then: dict[str, Any] | None) -> dict[str, Any]:
    each = now["list_cost"] / now["requests"] if now["requests"] and now["list_cost"] is not None else None
    delta = numbers.change(now["requests"], then["requests"]) if then else ""
    return {
        "label": "Requests",
        "value": numbers.tokens(now["requests"])
        if now["requests"] >= 10_000_000
        else numbers.count(now["requests"]),
        "title": numbers.count(now["requests"]),
        "delta": delta if delta != numbers.NONE else "",
        "tone": "",
        "foot": f"{numbers.money(each)} each" if each is not None else "",
        "help": ("Calls that passed the filters. Their average cost is list cost ÷ requests.",),
    }


def _hit_stat(use: dict[str, Any], then: dict[str, Any] | None) -> dict[str, Any]:
    rate = use["token_hit_rate"]
    before = then["token_hit_rate"] if then else None
    delta = numbers.points(rate - before) if rate is not None and before is not None else ""
    return {
        "label": "Token hit rate",
        "value": numbers.percent(rate),
        "delta": delta,
        "tone": tables.tone(delta, False),
        "foot": f"{numbers.percent(use['request_hit_rate'])} of requests read",
        "help": HOW_HIT,
        "facts": [
            ("read", numbers.count(use["cache_read_input_tokens"])),
            ("all input", numbers.count(sum(use[meter] for meter in cache.INPUT_METERS))),
        ],
    }


def _saving_stat(use: dict[str, Any]) -> dict[str, Any]:
    saving, premium = use["cache_saving"], use["write_premium"]
    back = use["read_saving"] / premium if premium else None
    foot = f"write premium {numbers.money_round(premium)}"
    if back is not None:
        foot += f" paid back {numbers.ratio(back)}"
    return {
        "label": "Cache saving, net",
        "value": numbers.money_round(saving),
        "title": tables.money_cell(saving).title,
        "foot": foot if not numbers.is_missing(saving) else "nothing has a price",
        "negative": bool(saving is not None and saving < 0),
        "help": HOW_SAVING,
        "facts": [
            ("without cache", numbers.money(use["no_cache_cost"])),
            ("observed", numbers.money(use["list_cost"])),
            ("write premium", numbers.money(premium)),
        ],
    }


def _coverage_stat(now: dict[str, Any]) -> dict[str, Any]:
    every = sum(now[meter] for meter in pricebook.TOKEN_METERS)
    share = Decimal(every - now["unpriced_tokens"]) / every if every else None
    return {
        "label": "Priced coverage",
        "value": numbers.percent(share),
        "foot": f"{numbers.tokens(now['unpriced_tokens'])} of {numbers.tokens(every)} tokens without a price",
        "warning": now["unpriced_tokens"] > 0,
        "help": (
            "The share of tokens that have a list price. What has none is left out of the dollars, never shown as $0.",
        ),
        "facts": [("unpriced requests", numbers.count(now["unpriced_requests"]))],
    }


# --- input mix over time ---------------------------------------------------------------------------------------------


def fetch_input(ask: Ask) -> dict[str, Any]:
    grain = shape.grain_for(ask)
    return {"grain": grain, "rows": cache.by(ask.filters, (), grain, shape.over_time(ask))}


def present_input(data: dict[str, Any], ask: Ask) -> Content | None:
    rows, grain = data["rows"], data["grain"]
    if rows.empty:
        return None
    buckets = shape.timeline(ask, grain, rows)
    names = shape.labels(buckets, grain, ask)
    columns = {meter.column: shape.along(rows, buckets, meter.column, 0) for meter in theme.INPUT_METERS}
    columns["token_hit_rate"] = shape.along(rows, buckets, "token_hit_rate", None)
    frame = pd.DataFrame(columns, dtype=object)
    running = shape.unfinished(ask, grain, buckets)
    key = [KeyItem(meter.label, meter.role) for meter in theme.INPUT_METERS]
    return Content(
        sub=f"per {grain}",
        figure=figures.input_by_outcome(frame, names, running),
        figure_label=f"Input tokens per {grain} by cache outcome, and the token hit rate",
        key=(*key, KeyItem("token hit rate, right", "line", "line")),
        table=_input_table(frame, names),
    )


def _input_table(frame: pd.DataFrame, names: list[str]) -> tables.Table:
    columns = [tables.Column("bucket", "bucket", text=True)]
    columns += [tables.Column(meter.column, meter.label) for meter in theme.INPUT_METERS]
    columns.append(tables.Column("token_hit_rate", "token hit rate"))
    rows = []
    wanted = frame[[column.name for column in columns[1:]]]
    for name, (*tokens, rate) in zip(names, wanted.itertuples(index=False, name=None), strict=True):
        rows.append(
            tables.Row((tables.Cell(name, name), *map(tables.tokens_cell, tokens), tables.percent_cell(rate)))
        )
    sums = [sum(frame[meter.column]) for meter in theme.INPUT_METERS]
    read = sums[[meter.column for meter in theme.INPUT_METERS].index(theme.READ.column)]
    rate = Decimal(read) / sum(sums) if sum(sums) else None
    total = tables.Row(
        (tables.Cell("total", "total"), *map(tables.tokens_cell, sums), tables.percent_cell(rate))
    )
    return tables.Table("Input tokens by cache outcome", tuple(columns), tuple(rows), total)


# --- top groups ------------------------------------------------------------------------------------------------------

TOP = 7
TOP_DIMENSIONS = ("workspace_id", "api_key_id", "user_id", "source")


def labelled_report(ask: Ask) -> tuple[str, cache.Report]:
    """By workspace; where nothing carries one, by the first label that tells rows apart."""
    for dimension in TOP_DIMENSIONS:
        report = labelled(ask.filters, dimension)
        if report.rows.empty or any(report.rows[dimension].map(shape.name_of)):
            break
    return dimension, report


def labelled(filters: Filters, dimension: str) -> cache.Report:
    """A question by one label, read once for the panels that show it."""
    return cache.report(filters, (dimension,), priced=costing.read(filters, (dimension,), "total"))


def fetch_top(ask: Ask) -> dict[str, Any]:
    dimension, report = labelled_report(ask)
    before = ask.filters.previous() if ask.filters.compare else None
    return {
        "dimension": dimension,
        "report": report,
        "before": shape.comparable(labelled(before, dimension)) if before else None,
    }


def present_top(data: dict[str, Any], ask: Ask) -> Content | None:
    dimension, report = data["dimension"], data["report"]
    if report.rows.empty:
        return None
    rows = shape.dearest_first(report, dimension)
    past = shape.by_name(data["before"], dimension) if data["before"] else None
    columns = [
        tables.Column(dimension, shape.word(dimension), text=True),
        tables.Column("list_cost", "list cost"),
        *([tables.Column("change", "vs before")] if past is not None else []),
        tables.Column("token_hit_rate", "token hit rate"),
        tables.Column("_input_mix", "input mix"),
    ]
    shown_rows = []
    for row in rows[:TOP]:
        name = shape.name_of(row[dimension])
        link = shape.filter_link(ask, dimension, name)
        cells = [
            tables.name_cell(name, href=link),
            *_top_cells(row, past.get(name) if past is not None else None, past is not None),
        ]
        shown_rows.append(tables.Row(tuple(cells), href=link, current=name in ask.filters.values(dimension)))
    total = tables.Row(
        (
            tables.Cell("total", "total"),
            *_top_cells(report.totals, data["before"].totals if past is not None else None, past is not None),
        )
    )
    more = len(rows) - TOP
    note = f"{more} more in Spend" if more > 0 else ""
    return Content(
        sub="click a row to filter",
        table=tables.Table(f"Top {shape.word(dimension, True)}", tuple(columns), tuple(shown_rows), total),
        note=note,
        extra={
            "title": f"Top {shape.word(dimension, True)}",
            "more_href": ask.link(ask.filters.with_(group_by=(dimension,)), page="spend"),
        },
    )


def _top_cells(row: dict[str, Any], past: dict[str, Any] | None, compare: bool) -> list[tables.Cell]:
    cells = [tables.money_cell(row["list_cost"], unpriced=row["list_cost"] is None)]
    if compare:
        before = past["list_cost"] if past else Decimal(0)
        cells.append(tables.change_cell(row["list_cost"], before, title=f"{numbers.money(before)} before"))
    cells.append(
        tables.percent_cell(
            row["token_hit_rate"], f"{numbers.percent(row['request_hit_rate'])} of requests read"
        )
    )
    cells.append(
        tables.bar_cell([(meter.role, meter.label, row[meter.column]) for meter in theme.INPUT_METERS])
    )
    return cells


HEADLINE = Panel(
    slug="headline",
    title="Headline",
    help=(*HOW_COST, *HOW_HIT, *HOW_SAVING),
    fetch=fetch_headline,
    present=present_headline,
    body="_stats",
    size="short",
    plain=True,
)
INPUT = Panel(
    slug="input-mix",
    title="Input tokens by cache outcome",
    help=(
        "Every input token is exactly one of: uncached, written to the cache (5 minutes or 1 hour), or read from it.",
        *HOW_HIT,
    ),
    fetch=fetch_input,
    present=present_input,
)
TOPS = Panel(
    slug="top-groups",
    title="Top workspaces",
    help=(*HOW_COST, "The bar shows where input tokens came from: uncached, 5m write, 1h write, read."),
    fetch=fetch_top,
    present=present_top,
    body="_table",
)

PANELS = (HEADLINE, INPUT, TOPS)
