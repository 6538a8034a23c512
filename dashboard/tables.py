"""Tables as values: the page, its CSV and a figure's twin show one and the same object. No Django."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from dashboard import numbers


@dataclass(frozen=True)
class Column:
    """`name` is the word of the contract (CSV head, sort key), `label` what people read; `text` columns align left."""

    name: str
    label: str
    text: bool = False
    sortable: bool = False
    href: str = ""  # the address that sorts by it
    sorted: str = ""  # "ascending", "descending" or ""
    hide_narrow: bool = False

    @property
    def bar(self) -> bool:
        """A column of bars has no place in the CSV, nor on a telephone."""
        return self.name.startswith("_")


@dataclass(frozen=True)
class Segment:
    """One stretch of a meter bar, in percent of its width."""

    role: str
    start: float
    width: float
    title: str


@dataclass(frozen=True)
class Cell:
    """`text` for people, `raw` for machines. A bar cell has segments instead of text and no place in the CSV."""

    text: str = ""
    raw: Any = None
    title: str = ""
    tone: str = ""  # "better", "worse" or ""
    role: str = ""  # draws the swatch of this role before the text
    href: str = ""
    segments: tuple[Segment, ...] = ()
    badge: str = ""  # a short warning beside the text


@dataclass(frozen=True)
class Row:
    cells: tuple[Cell, ...]
    href: str = ""
    current: bool = False
    unpriced: bool = False


@dataclass(frozen=True)
class Table:
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...] = ()
    total: Row | None = None
    context: Mapping[str, str] = field(default_factory=dict)  # columns that say where the CSV came from

    def csv_lines(self) -> Iterator[str]:
        """The table line by line: exact values, the total as last row, context repeated so that files can be joined."""
        shown = [index for index, column in enumerate(self.columns) if not column.bar]
        yield csv_line([*(self.columns[index].name for index in shown), *self.context])
        for row in (*self.rows, *([self.total] if self.total else [])):
            yield csv_line([*(_csv_value(row.cells[index]) for index in shown), *self.context.values()])


def csv_line(values: Sequence[str]) -> str:
    """One line of a CSV file."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(values)
    return line.getvalue()


def _csv_value(cell: Cell) -> str:
    raw = cell.raw
    if isinstance(raw, str):  # first: a thing can be called NaN
        return csv_text(raw)
    if raw is None or numbers.is_missing(raw):
        return ""
    return f"{raw:f}" if isinstance(raw, Decimal) else str(raw)


def csv_text(text: str) -> str:
    """Text as a CSV may hold it: a spreadsheet runs what begins like a formula, and names are other people's input."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text


def name_cell(
    name: str, *, role: str = "", href: str = "", title: str = "", badge: str = "", text: str = ""
) -> Cell:
    """A group's name; the empty name is shown as what it is: no label."""
    return Cell(
        text=text or name or "(none)", raw=name, role=role, href=href, title=title or name, badge=badge
    )


def money_cell(amount: Decimal | None, title: str = "", unpriced: bool = False) -> Cell:
    if unpriced:
        return Cell(text="unpriced", raw=None, title=title or "No list price is known for this model.")
    return Cell(text=numbers.money(amount), raw=amount, title=title or _exact(amount))


def tokens_cell(number: Any) -> Cell:
    if numbers.is_missing(number):
        return Cell(text=numbers.NONE)
    return Cell(text=numbers.tokens(int(number)), raw=int(number), title=numbers.count(int(number)))


def count_cell(number: Any) -> Cell:
    return Cell(text=numbers.count(number), raw=None if numbers.is_missing(number) else int(number))


def percent_cell(share: Any, title: str = "", digits: int = 1) -> Cell:
    return Cell(
        text=numbers.percent(share, digits), raw=None if numbers.is_missing(share) else share, title=title
    )


def ratio_cell(value: Any, title: str = "") -> Cell:
    return Cell(text=numbers.ratio(value), raw=None if numbers.is_missing(value) else value, title=title)


def change_cell(now: Any, before: Any, *, dearer_is_worse: bool = True, title: str = "") -> Cell:
    """Relative change, toned by what it means: red for dearer, green for cheaper (or the reverse)."""
    text = numbers.change(now, before)
    return Cell(text=text, raw=_relative(now, before), tone=tone(text, dearer_is_worse), title=title)


def points_cell(now: Any, before: Any, *, title: str = "") -> Cell:
    """The change of a share in points; more is better (hit rates)."""
    if numbers.is_missing(now) or numbers.is_missing(before):
        return Cell(text=numbers.NONE)
    text = numbers.points(now - before)
    return Cell(text=text, raw=now - before, tone=tone(text, False), title=title)


def tone(text: str, more_is_worse: bool) -> str:
    """Better or worse, read off the sign that is shown, so that colour and text cannot disagree."""
    if text.startswith("+"):
        return "worse" if more_is_worse else "better"
    if text.startswith(numbers.MINUS):
        return "better" if more_is_worse else "worse"
    return ""


def bar_cell(parts: Sequence[tuple[str, str, Any]]) -> Cell:
    """A meter bar: (role, label, quantity) left to right, filling the width."""
    total = sum(int(quantity) for _, _, quantity in parts)
    if total <= 0:
        return Cell(text=numbers.NONE)
    segments, start = [], 0.0
    for role, label, quantity in parts:
        width = 100 * int(quantity) / total
        if width > 0:
            segments.append(
                Segment(
                    role,
                    round(start, 3),
                    round(width, 3),
                    f"{label} {numbers.percent(int(quantity) / total)}",
                )
            )
        start += width
    return Cell(segments=tuple(segments), title=", ".join(segment.title for segment in segments))


def share_cell(role: str, part: Any, whole: Any) -> Cell:
    """A single bar on its track: this row's part of the whole."""
    if numbers.is_missing(part) or not whole or part <= 0:
        return Cell()
    width = float(part / whole) * 100
    title = numbers.percent(part / whole)
    return Cell(segments=(Segment(role, 0.0, round(min(width, 100), 3), title),), title=title)


def _exact(amount: Decimal | None) -> str:
    if amount is None or numbers.is_missing(amount):
        return ""
    text = f"{amount:f}"
    return f"exactly ${text.rstrip('0').rstrip('.') if '.' in text else text}"


def _relative(now: Any, before: Any) -> Decimal | None:
    if numbers.is_missing(now) or numbers.is_missing(before) or not before:
        return None
    ratio = (Decimal(str(now)) - Decimal(str(before))) / abs(Decimal(str(before)))
    return ratio.quantize(Decimal("0.000001"))
