"""Reported by providers: their own sums beside what was counted for the same days, by model and never added up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from dashboard import numbers, pricebook, tables
from dashboard.filters import Filters
from dashboard.panels import shape
from dashboard.panels.base import Ask, Content, Empty, Panel
from dashboard.queries import reported, spend

MOST_ROWS = 200
TITLES = {
    "anthropic_usage_report": "usage report",
    "anthropic_cost_report": "cost report",
    "anthropic_claude_code_report": "Claude Code report",
    "anthropic_analytics_usage": "analytics usage",
    "anthropic_analytics_cost": "analytics cost",
    "claude_code_metrics": "Claude Code metrics",
    "focus_cost": "FOCUS export",
    "openai_costs": "organisation costs",
    "openai_usage": "organisation usage",
}
_TOKENS = (
    "uncached_input_tokens",
    "cache_read_input_tokens",
    "cache_write_5m_input_tokens",
    "cache_write_1h_input_tokens",
    "cache_write_unknown_ttl_input_tokens",
    "output_tokens",
)
_DOLLARS = "USD"


@dataclass(slots=True)
class Line:
    """One model of one report, and what was counted of it over the report's days (None = not known here)."""

    report: str
    source: str
    model: str  # as our own pages name it; '' = what the report puts to no model, or all of them
    first: datetime
    last: datetime
    tokens: dict[str, int] | None = None  # reported, by meter
    counted_tokens: int | None = None
    amount: Decimal | None = None  # reported
    amount_kind: str = ""
    currency: str = ""
    counted_cost: Decimal | None = None
    whole: bool = False  # the report was not split by model: this line is all of it


def fetch(ask: Ask) -> list[Line]:
    asked = Filters(start=ask.filters.start, end=ask.filters.end, range=ask.filters.range)
    if providers := ask.filters.values("provider"):
        asked = asked.only("provider", *providers)
    counted = _Counted()
    lines: dict[tuple[Any, ...], Line] = {}
    for row in shape.records(reported.usage_by_model(asked)):
        line = _line(lines, row, "")
        line.tokens = {name: (line.tokens or {}).get(name, 0) + int(row[name]) for name in _TOKENS}
        line.counted_tokens = counted.of(row, line.model, "tokens")
    for row in shape.records(reported.cost_by_model(asked)):
        line = _line(lines, row, row["currency"])
        line.currency = row["currency"]
        line.amount_kind, amount = _amount(row)
        if amount is not None:
            line.amount = (line.amount or Decimal(0)) + amount
        line.counted_cost = counted.of(row, line.model, "list_cost")
    _mark_whole(lines.values())
    wanted = ask.filters.values("model")
    return sorted(
        (line for line in lines.values() if not wanted or line.model in wanted),
        key=lambda line: (line.report, line.source, line.model),
    )


def _line(lines: dict[tuple[Any, ...], Line], row: Mapping[Any, Any], currency: str) -> Line:
    """The line of this row: names of one model, as different days write them, are one. Dollars stand beside tokens."""
    model = (
        pricebook.current().resolve(row["model"], row["platform"], row["provider"]).model
        if row["model"]
        else ""
    )
    key = (row["kind"], row["source"], row["provider"], model, currency if currency != _DOLLARS else "")
    if key not in lines:
        report = TITLES.get(row["kind"], row["kind"].replace("_", " "))
        lines[key] = Line(report, row["source"], model, row["first"], row["last"])
    return lines[key]


def _mark_whole(lines: Iterable[Line]) -> None:
    """Only a report without any model is compared with all models; else its nameless line is beside the tokens."""
    split = {(line.report, line.source) for line in lines if line.model}
    for line in lines:
        line.whole = not line.model and (line.report, line.source) not in split
        if not line.model and not line.whole:
            line.counted_tokens = line.counted_cost = None


def _amount(row: Mapping[Any, Any]) -> tuple[str, Decimal | None]:
    """What the report bills, or the nearest to that which it gives."""
    for name, kind in (
        ("billed_cost", "billed"),
        ("estimated_cost", "estimate"),
        ("list_cost", "at list price"),
    ):
        if row[name] is not None:
            return kind, row[name]
    return "", None


class _Counted:
    """Our own figures over the days of each report, asked for once a report."""

    def __init__(self) -> None:
        self._found: dict[tuple[Any, ...], dict[str, Mapping[Any, Any]]] = {}

    def of(self, row: Mapping[Any, Any], model: str, name: str) -> Any:
        key = (row["provider"], row["platform"], row["first"], row["last"])
        if key not in self._found:
            asked = Filters(start=row["first"], end=row["last"]).only("provider", row["provider"])
            if row["platform"]:
                asked = asked.only("platform", row["platform"])
            answer = spend.report(asked, ("model",))
            found: dict[str, Mapping[Any, Any]] = {
                str(each["model"] or ""): each for each in shape.records(answer.rows)
            }
            found[""] = answer.totals
            self._found[key] = found
        counted = self._found[key].get(model)
        if counted is None:
            return 0 if name == "tokens" else Decimal(0)
        if name == "tokens":
            return sum(int(counted[meter]) for meter in pricebook.TOKEN_METERS)
        return counted[name]


def present(lines: list[Line], ask: Ask) -> Content | None:
    if not lines:
        return None
    columns = (
        tables.Column("model", "model", text=True),
        tables.Column("report", "report", text=True, hide_narrow=True),
        tables.Column("reported_tokens", "reported tokens"),
        tables.Column("counted_tokens", "counted tokens", hide_narrow=True),
        tables.Column("tokens_difference", "difference", hide_narrow=True),
        tables.Column("reported_cost", "reported cost"),
        tables.Column("list_cost", "our list cost", hide_narrow=True),
        tables.Column("cost_difference", "difference", hide_narrow=True),
    )
    rows = tuple(tables.Row(_cells(line)) for line in lines[:MOST_ROWS])
    first, last = min(line.first for line in lines), max(line.last for line in lines)
    note = "Reports overlap, so they are not added up. Differences are counted against reported."
    if len(lines) > MOST_ROWS:
        note += f" The first {MOST_ROWS} of {len(lines)} rows are shown; the API has all."
    return Content(
        sub=f"beside what was counted, {first:%Y-%m-%d} to {last:%Y-%m-%d} UTC",
        table=tables.Table("Reported by providers, beside what was counted", columns, rows),
        note=note,
    )


def _cells(line: Line) -> tuple[tables.Cell, ...]:
    report = f"{line.report}, {line.amount_kind}" if line.amount is not None else line.report
    days = f"{report}, {line.source}: {line.first:%Y-%m-%d %H:%M} to {line.last:%Y-%m-%d %H:%M} UTC"
    return (
        tables.name_cell(line.model, text=line.model or ("(all models)" if line.whole else "(no model)")),
        tables.Cell(report, report, title=days),
        *_token_cells(line),
        *_cost_cells(line),
    )


def _token_cells(line: Line) -> tuple[tables.Cell, ...]:
    if line.tokens is None:
        return (tables.Cell(numbers.NONE),) * 3
    total = sum(line.tokens.values())
    split = ", ".join(f"{numbers.count(value)} {name}" for name, value in line.tokens.items() if value)
    shown = tables.tokens_cell(total)
    return (
        tables.Cell(shown.text, total, title=split or "0"),
        tables.tokens_cell(line.counted_tokens),
        _difference(line.counted_tokens, total),
    )


def _cost_cells(line: Line) -> tuple[tables.Cell, ...]:
    if line.amount is None:
        return (tables.Cell(numbers.NONE),) * 3
    if line.currency != _DOLLARS:  # there is no rate here: two currencies are not compared
        text = f"{numbers.money(line.amount).replace('$', '')} {line.currency}"
        return tables.Cell(text, line.amount), tables.money_cell(line.counted_cost), tables.Cell(numbers.NONE)
    return (
        tables.money_cell(line.amount),
        tables.money_cell(
            line.counted_cost, unpriced=line.counted_cost is None and (line.whole or bool(line.model))
        ),
        _difference(line.counted_cost, line.amount),
    )


def _difference(counted: Any, said: Any) -> tables.Cell:
    return tables.Cell(numbers.change(counted, said) if counted is not None else numbers.NONE)


PANEL = Panel(
    slug="reported",
    title="Reported by providers",
    help=(
        "What providers say in their own usage and cost reports, imported or pulled, by report and model. It is in no "
        "other figure of Breakeven, and the counted events are not in it.",
        "Counted tokens and our list cost are those of the same provider and platform over the report's own days, "
        "which are UTC days. Of the filters, the range, provider and model apply.",
        "Counted less than reported: calls whose logs did not arrive here, such as those of a console or another team. "
        "List cost above billed cost: a negotiated price; below it: charges that are no tokens.",
        "Reports of different kinds describe the same usage in other words, so there is no total.",
    ),
    fetch=fetch,
    present=present,
    body="_table",
    size="short",
    empty=Empty(
        what="Nothing was reported by a provider in this range.",
        why="No usage or cost report has a bucket that begins in it.",
        fix="Import one: manage.py import_logs report.json. Usage and cost reports of Anthropic and OpenAI, the Claude "
        "Code report and FOCUS exports are recognised; Anthropic's can also be pulled.",
    ),
)

PANELS = (PANEL,)
