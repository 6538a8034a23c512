"""The what-if page as CSV and XLSX: the tables on the screen under a block that says what they are about."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from dashboard import numbers, pricebook, tables
from dashboard.analysis.assumptions import assumptions
from dashboard.analysis.scenario_json import to_json
from dashboard.panels import shape, what_if_tables
from dashboard.panels.base import Ask
from dashboard.panels.what_if import Turned, compared
from dashboard.queries import freshness


@dataclass(frozen=True)
class Sheet:
    name: str
    lines: tuple[tuple[str, ...], ...]  # text lines, or a table
    table: tables.Table | None = None


def sheets(data: Turned, ask: Ask) -> tuple[Sheet, ...]:
    """What is exported: the header block, then the tables in the order of the page."""
    result = compared(data)
    start, end = ask.filters.start, ask.filters.end
    about = [
        ("what-if", shape.range_text(start, end, ask)),
        ("start", _moment(start)),
        ("end (not included)", _moment(end)),
        ("zone", ask.zone.key),
        *(
            (f"filter {shape.word(name)}", ", ".join(map(shape.shown, values)))
            for name, values in ask.filters.where
        ),
        ("scenario", json.dumps(to_json(data.scenario), ensure_ascii=False, sort_keys=True)),
        ("price version", pricebook.current().version),
        ("data version", str(freshness.version().data_version)),
        ("models", str(len(result.models))),
        ("observed USD", f"{result.observed:f}"),
        ("scenario USD", f"{result.scenario:f}"),
    ]
    sentences = assumptions(data.scenario, result, pricebook.current(), data.replayed)
    said = [("assumes", sentence) for sentence in sentences]
    return (
        Sheet("About", (*about, *said)),
        Sheet("By model", (), what_if_tables.by_model(ask, data.scenario, result, data.replayed)),
        Sheet("By meter", (), what_if_tables.by_meter(result)),
        Sheet("Steps", (), what_if_tables.steps(result)),
    )


def csv_lines(found: tuple[Sheet, ...]) -> Iterator[str]:
    """One file: the header block, then each table under its name, an empty line between."""
    for at, sheet in enumerate(found):
        if at:
            yield "\r\n"
            yield tables.csv_line([sheet.name])
        for line in sheet.lines:
            yield tables.csv_line([tables.csv_text(text) for text in line])
        if sheet.table is not None:
            yield from sheet.table.csv_lines()


def xlsx(found: tuple[Sheet, ...]) -> bytes:
    """One workbook, a sheet each. Amounts are numbers to the 15 digits that a spreadsheet keeps; the CSV has all."""
    import xlsxwriter

    memory = io.BytesIO()
    with xlsxwriter.Workbook(
        memory,
        {
            "in_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        },
    ) as book:
        bold, money = book.add_format({"bold": True}), book.add_format({"num_format": "#,##0.00########"})
        for sheet in found:
            page = book.add_worksheet(sheet.name)
            for row, line in enumerate(sheet.lines):
                for column, text in enumerate(line):
                    page.write_string(row, column, text, bold if column == 0 else None)
            if sheet.table is None:
                page.set_column(0, 0, 20)
                page.set_column(1, 1, 90)
                continue
            page.freeze_panes(1, 1)
            page.set_column(0, 0, 34)
            page.set_column(1, len(sheet.table.columns), 20)
            for column, head in enumerate(sheet.table.columns):
                page.write_string(0, column, head.label, bold)
            last = [sheet.table.total] if sheet.table.total else []
            for row, each in enumerate((*sheet.table.rows, *last), start=1):
                for column, cell in enumerate(each.cells):
                    if isinstance(cell.raw, (int, Decimal)) and not numbers.is_missing(cell.raw):
                        page.write_number(row, column, float(cell.raw), money)
                    elif cell.raw is not None:
                        page.write_string(
                            row, column, str(cell.raw), bold if each is sheet.table.total else None
                        )
    return memory.getvalue()


def span(ask: Ask) -> str:
    """The range as part of a file's name."""
    names = [
        _moment(moment)[:10] or open_end
        for moment, open_end in ((ask.filters.start, "all"), (ask.filters.end, "now"))
    ]
    return "_".join(names)


def _moment(moment: object) -> str:
    if moment is None:
        return ""
    return moment.isoformat().replace("+00:00", "Z") if isinstance(moment, datetime) else str(moment)
