"""Cache: how much came from it, what that saved, and whether the writes paid."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pandas as pd

from dashboard import numbers, tables
from dashboard.figures import cache as figures
from dashboard.figures import theme
from dashboard.panels import overview, shape
from dashboard.panels.base import Ask, Content, KeyItem, Panel
from dashboard.panels.words import HOW_HIT, HOW_SAVING
from dashboard.queries import cache

HOW_BREAKEVEN = (
    "Reads per write = tokens read ÷ tokens written.",
    "Pays from: the reads a write needs to pay for itself = (write price − input price) ÷ (input price − read "
    "price), at the prices and TTLs in use. Below it caching costs money, above it caching saves.",
)


def breakeven(row: dict[str, Any]) -> Decimal | None:
    """Reads per write at which this group's writes pay; None where there is nothing to tell it from."""
    written = row["cache_write_5m_input_tokens"] + row["cache_write_1h_input_tokens"]
    read = row["cache_read_input_tokens"]
    if not written or not read or row["write_premium"] is None or not row["read_saving"]:
        return None
    reads: Decimal = (row["write_premium"] / written) / (row["read_saving"] / read)
    return reads


# --- headline --------------------------------------------------------------------------------------------------------


def fetch_headline(ask: Ask) -> dict[str, Any]:
    before = ask.filters.previous()
    return {
        "now": cache.total(ask.filters, shape.over_time(ask)),
        "before": cache.total(before, shape.over_time(ask, before)) if before else None,
    }


def present_headline(data: dict[str, Any], ask: Ask) -> Content | None:
    now, before = data["now"], data["before"]
    if not now["requests"]:
        return None
    known = before if before and before["requests"] else None
    return Content(
        extra={
            "stats": [
                _rate_stat(
                    "Token hit rate",
                    now,
                    known,
                    "token_hit_rate",
                    f"{numbers.tokens(now['cache_read_input_tokens'])} tokens read",
                ),
                _rate_stat(
                    "Request hit rate",
                    now,
                    known,
                    "request_hit_rate",
                    f"{numbers.count(now['requests_with_read'])} requests read",
                ),
                _reads_stat(now),
                {
                    "label": "Cache saving, net",
                    "value": numbers.money_round(now["cache_saving"]),
                    "title": tables.money_cell(now["cache_saving"]).title,
                    "negative": bool(now["cache_saving"] is not None and now["cache_saving"] < 0),
                    "foot": f"{numbers.money_round(now['no_cache_cost'])} without a cache",
                    "help": HOW_SAVING,
                    "facts": [
                        ("without cache", numbers.money(now["no_cache_cost"])),
                        ("observed", numbers.money(now["list_cost"])),
                    ],
                },
                {
                    "label": "Write premium",
                    "value": numbers.money_round(now["write_premium"]),
                    "title": tables.money_cell(now["write_premium"]).title,
                    "foot": f"reads saved {numbers.money_round(now['read_saving'])}",
                    "help": ("What cache writes cost above sending the same tokens as plain input.",),
                },
            ]
        }
    )


def _rate_stat(
    label: str, now: dict[str, Any], before: dict[str, Any] | None, name: str, foot: str
) -> dict[str, Any]:
    rate, then = now[name], before[name] if before else None
    delta = numbers.points(rate - then) if rate is not None and then is not None else ""
    return {
        "label": label,
        "value": numbers.percent(rate),
        "delta": delta,
        "tone": tables.tone(delta, False),
        "foot": foot,
        "help": HOW_HIT,
    }


def _reads_stat(now: dict[str, Any]) -> dict[str, Any]:
    edge = breakeven(now)
    return {
        "label": "Reads per write",
        "value": numbers.ratio(now["reads_per_write"]),
        "foot": f"pays from {numbers.ratio(edge, 2)}" if edge is not None else "nothing written and read",
        "help": HOW_BREAKEVEN,
    }


# --- saving over time ------------------------------------------------------------------------------------------------


def present_saving(data: dict[str, Any], ask: Ask) -> Content | None:
    rows, grain = data["rows"], data["grain"]
    if rows.empty:
        return None
    buckets = shape.timeline(ask, grain, rows)
    names = shape.labels(buckets, grain, ask)
    net = shape.along(rows, buckets, "cache_saving", Decimal(0))
    premium = shape.along(rows, buckets, "write_premium", Decimal(0))
    saved = shape.along(rows, buckets, "read_saving", Decimal(0))
    running = shape.unfinished(ask, grain, buckets)
    columns = (
        tables.Column("bucket", "bucket", text=True),
        tables.Column("read_saving", "saved by reads"),
        tables.Column("write_premium", "write premium"),
        tables.Column("cache_saving", "net"),
    )
    lines = tuple(
        tables.Row((tables.Cell(name, name), *map(tables.money_cell, amounts)))
        for name, amounts in zip(names, zip(saved, premium, net, strict=True), strict=True)
    )
    total = tables.Row(
        (
            tables.Cell("total", "total"),
            *(tables.money_cell(shape.money_sum(each)) for each in (saved, premium, net)),
        )
    )
    return Content(
        sub=f"per {grain}",
        figure=figures.saving_over_time(saved, premium, net, names, running),
        figure_label=f"Cache saving per {grain}: saved by reads, write premium, net",
        key=(
            KeyItem("saved by reads", "meter:read"),
            KeyItem("write premium", "meter:write-5m"),
            KeyItem("net", "line", "line"),
        ),
        table=tables.Table("Cache saving, net of the write premium", columns, lines, total),
    )


# --- hit rates over time ---------------------------------------------------------------------------------------------


def fetch_rates(ask: Ask) -> dict[str, Any]:
    grain, priced = shape.grain_for(ask), shape.over_time(ask)
    return {
        "grain": grain,
        "rows": cache.token_hit_rates(priced, grain),
        "models": cache.report(ask.filters, ("model",), priced=priced).rows,
        "stable": shape.stable_models(),
    }


def present_rates(data: dict[str, Any], ask: Ask) -> Content | None:
    rows, grain = data["rows"], data["grain"]
    if rows.empty:
        return None
    groups = [name for name in shape.ranked(data["models"], "model", keep=5) if name != shape.OTHER]
    roles = theme.assign(groups, [name for name in data["stable"] if name])
    buckets = shape.timeline(ask, grain, rows)
    names = shape.labels(buckets, grain, ask)
    cells = zip(rows["model"], rows[shape.BUCKET], rows["token_hit_rate"], strict=True)
    known = {(shape.name_of(model), at): rate for model, at, rate in cells}
    frame = pd.DataFrame(
        {shape.shown(name): [known.get((name, at)) for at in buckets] for name in groups}, dtype=object
    )
    columns = (
        tables.Column("bucket", "bucket", text=True),
        *(tables.Column(name, name) for name in frame.columns),
    )
    lines = tuple(
        tables.Row((tables.Cell(name, name), *map(tables.percent_cell, rates)))
        for name, rates in zip(names, frame.itertuples(index=False, name=None), strict=True)
    )
    drawn = {shape.shown(name): role for name, role in roles.items()}
    return Content(
        sub=f"per {grain}",
        figure=figures.hit_rates_over_time(frame, names, drawn, "token_hit_rate"),
        figure_label=f"Token hit rate per {grain} by model",
        key=tuple(
            KeyItem(shape.shown(name), roles[name], "swatch-line", shape.filter_link(ask, "model", name))
            for name in groups
        ),
        table=tables.Table("Token hit rate by model", columns, lines),
    )


# --- tables by group -------------------------------------------------------------------------------------------------

MOST_ROWS = 100
TALL = 20  # rows; a longer table scrolls within its panel


def fetch_models(ask: Ask) -> dict[str, Any]:
    before = ask.filters.previous() if ask.filters.compare else None
    past = cache.report(before, ("model",), priced=shape.over_time(ask, before)) if before else None
    return {
        "dimension": "model",
        "report": cache.report(ask.filters, ("model",), priced=shape.over_time(ask)),
        "before": shape.comparable(past),
        "stable": shape.stable_models(),
    }


def fetch_workspaces(ask: Ask) -> dict[str, Any]:
    return {**overview.fetch_top(ask), "stable": []}


def present_groups(data: dict[str, Any], ask: Ask) -> Content | None:
    report, dimension = data["report"], data["dimension"]
    if report.rows.empty:
        return None
    rows = shape.dearest_first(report, dimension)
    past = shape.by_name(data["before"], dimension) if data["before"] else None
    roles = (
        theme.assign(shape.ranked(report.rows, dimension), [name for name in data["stable"] if name])
        if dimension == "model"
        else {}
    )
    columns = (
        tables.Column(dimension, shape.word(dimension), text=True),
        tables.Column("token_hit_rate", "token hit rate"),
        *([tables.Column("change", "vs before")] if past is not None else []),
        tables.Column("request_hit_rate", "request hit rate", hide_narrow=True),
        tables.Column("reads_per_write", "reads per write"),
        tables.Column("pays_from", "pays from", hide_narrow=True),
        tables.Column("write_premium", "write premium", hide_narrow=True),
        tables.Column("cache_saving", "net saving"),
        tables.Column("_input_mix", "input mix"),
    )
    lines = []
    for row in rows[:MOST_ROWS]:
        name = shape.name_of(row[dimension])
        link = shape.filter_link(ask, dimension, name)
        cells = [
            tables.name_cell(
                name,
                href=link,
                role=roles.get(name, ""),
                badge="no price" if row["list_cost"] is None else "",
            )
        ]
        cells += _group_cells(row, past.get(name) if past is not None else None, past is not None)
        lines.append(tables.Row(tuple(cells), href=link, current=name in ask.filters.values(dimension)))
    total = (
        tables.Cell("total", "total"),
        *_group_cells(report.totals, data["before"].totals if past is not None else None, past is not None),
    )
    hidden = len(rows) - len(lines)
    return Content(
        sub="click a row to filter",
        table=tables.Table(f"Cache by {shape.word(dimension)}", columns, tuple(lines), tables.Row(total)),
        note=f"{len(lines)} of {len(rows):,} rows are shown, dearest first; the total has all."
        if hidden > 0
        else "",
        extra={"title": f"By {shape.word(dimension)}", "tall": len(lines) > TALL},
    )


def _group_cells(row: dict[str, Any], past: dict[str, Any] | None, compare: bool) -> list[tables.Cell]:
    cells = [tables.percent_cell(row["token_hit_rate"])]
    if compare:
        cells.append(tables.points_cell(row["token_hit_rate"], past["token_hit_rate"] if past else None))
    edge = breakeven(row)
    saving = tables.money_cell(row["cache_saving"], unpriced=row["cache_saving"] is None)
    if row["cache_saving"] is not None and row["cache_saving"] < 0:
        saving = tables.Cell(saving.text, saving.raw, saving.title, tone="worse")
    return [
        *cells,
        tables.percent_cell(row["request_hit_rate"]),
        tables.ratio_cell(row["reads_per_write"]),
        tables.Cell(numbers.ratio(edge, 2), edge),
        tables.money_cell(row["write_premium"]),
        saving,
        tables.bar_cell([(meter.role, meter.label, row[meter.column]) for meter in theme.INPUT_METERS]),
    ]


HEADLINE = Panel(
    slug="cache-headline",
    title="Cache headline",
    help=(*HOW_HIT, *HOW_BREAKEVEN, *HOW_SAVING),
    fetch=fetch_headline,
    present=present_headline,
    body="_stats",
    size="short",
    plain=True,
)
SAVING = Panel(
    slug="cache-saving",
    title="Cache saving, net",
    help=(*HOW_SAVING, "Bars up: saved by reads. Bars down: the write premium. Line: what remains."),
    fetch=overview.fetch_input,
    present=present_saving,
)
RATES = Panel(
    slug="hit-rates",
    title="Token hit rate by model",
    help=(*HOW_HIT, "The models that cost most; a gap means no input tokens in that bucket."),
    fetch=fetch_rates,
    present=present_rates,
)
MODELS = Panel(
    slug="cache-by-model",
    title="By model",
    help=(*HOW_HIT, *HOW_BREAKEVEN, *HOW_SAVING),
    fetch=fetch_models,
    present=present_groups,
    body="_table",
)
WORKSPACES = Panel(
    slug="cache-by-workspace",
    title="By workspace",
    help=(*HOW_HIT, *HOW_BREAKEVEN, *HOW_SAVING),
    fetch=fetch_workspaces,
    present=present_groups,
    body="_table",
)

PANELS = (HEADLINE, SAVING, RATES, MODELS, WORKSPACES)
