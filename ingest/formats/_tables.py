"""Tables as bytes -> a header and rows of cells: CSV through the csv module, Parquet through pyarrow, both streamed.

Every row comes with its position: the line number from 0 for CSV, the row number for Parquet.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module  # pyarrow is slow to import, and most installations never read Parquet
from typing import Any, BinaryIO

from ingest.core.errors import Reason, Rejection
from ingest.formats._base import BadBody
from ingest.formats._mapping import BY_NAME, Mapping
from ingest.formats._mapping_guess import guess
from ingest.formats._mapping_rows import Cells, is_empty, read_moment

MAX_CELL = 16 * 1024 * 1024  # characters of one CSV field; a longer one refuses its row
MAX_COLUMNS = 2_000
SAMPLE_ROWS = 200
BATCH_ROWS = 4_096
DELIMITERS = ",;\t|"
PARQUET_MAGIC = b"PAR1"
UTF16 = (b"\xff\xfe", b"\xfe\xff")

Row = tuple[int, Cells] | Rejection


@dataclass(frozen=True, slots=True)
class Preview:
    """What the page that asks for a mapping may show: names and kinds, and samples of harmless columns only."""

    format: str  # csv_rows or parquet_rows
    columns: tuple[str, ...]
    kinds: tuple[str, ...]  # by column: time, number, text, other or empty
    samples: tuple[tuple[str, ...], ...]  # by column: at most 3 values of times, numbers and models, else ()
    guess: Mapping


def columns_of(stream: BinaryIO) -> Preview:
    """Look at the first rows of a CSV or Parquet file. Raises BadBody when it is neither.

    Reads from where the stream stands; a stream that can seek is set back there.
    """
    start = stream.tell() if stream.seekable() else None
    head = stream.read(4)
    rest: BinaryIO = stream
    if start is not None:
        stream.seek(start)
    else:
        rest = joined(head, stream)
    name, opened = ("parquet_rows", open_parquet) if head == PARQUET_MAGIC else ("csv_rows", open_csv)
    try:
        with opened(rest) as (columns, rows):
            sample = [row[1] for row in itertools.islice(rows, SAMPLE_ROWS) if not isinstance(row, Rejection)]
    finally:
        if start is not None:
            stream.seek(start)
    sample = [cells for cells in sample if len(cells) == len(columns)]
    mapping = guess(columns, sample)
    values = [[cells[n] for cells in sample if not is_empty(cells[n])] for n in range(len(columns))]
    kinds = tuple(_kind(column, found, mapping) for column, found in zip(columns, values, strict=True))
    model = mapping.columns.get("model")
    samples = tuple(
        _distinct(found) if kind in ("time", "number") or column == model else ()
        for column, kind, found in zip(columns, kinds, values, strict=True)
    )
    return Preview(name, tuple(columns), kinds, samples, mapping)


def _kind(column: str, values: Sequence[object], mapping: Mapping) -> str:
    if not values:
        return "empty"
    if all(isinstance(value, datetime) for value in values):
        return "time"
    target = next((BY_NAME[name].kind for name, of in mapping.columns.items() if of == column), "text")
    if target == "time" and all(read_moment(value, mapping.time_format) for value in values):
        return "time"
    if all(_is_number(value) for value in values):
        return "number"
    if all(isinstance(value, str) and len(value) <= 40 and read_moment(value, "iso") for value in values):
        return "time"
    return "text" if any(isinstance(value, str) for value in values) else "other"


def _is_number(value: object) -> bool:
    if isinstance(value, str):
        return (
            len(value) <= 40
            and value.isascii()
            and not value.strip("+-0123456789.,_' ")
            and any(map(str.isdigit, value))
        )
    return isinstance(value, int | float) and not isinstance(value, bool)


def _distinct(values: Sequence[object]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(value)[:40] for value in values))[:3]


def joined(head: bytes, stream: BinaryIO) -> BinaryIO:
    """A stream whose first bytes were taken out, with them again."""
    return io.BufferedReader(_Joined(head, stream), 1 << 16)


class _Joined(io.RawIOBase):
    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head, self._stream = head, stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._head[: len(buffer)] or self._stream.read(len(buffer))
        self._head = self._head[len(piece) :]
        buffer[: len(piece)] = piece
        return len(piece)


# -------------------------------------------------------------------------------------------------------- CSV


@contextmanager
def open_csv(stream: BinaryIO) -> Iterator[tuple[list[str], Iterator[Row]]]:
    """The header and the rows of a CSV file. Raises BadBody when there is no header."""
    csv.field_size_limit(MAX_CELL)
    first = stream.read(4)
    encoding = "utf-16" if first[:2] in UTF16 else "utf-8-sig"
    text = io.TextIOWrapper(joined(first, stream), encoding, errors="surrogateescape", newline="")
    try:
        lines = _Lines(text)
        opening = list(itertools.islice(lines, 20))
        lines.again(opening)
        delimiter = sniff_delimiter("".join(opening))
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        header = _header(reader)
        yield header, _csv_rows(reader, lines)
    except UnicodeError:
        raise BadBody(Reason.TRUNCATED, "the text ends in the middle of a character") from None
    finally:
        text.detach()


class _Lines:
    """The lines of a text, none longer than a cell may be; it counts the line ends it has given out."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._waiting: list[str] = []
        self.given = 0

    def again(self, lines: list[str]) -> None:
        self._waiting, self.given = lines, 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._waiting.pop(0) if self._waiting else self._text.readline(MAX_CELL)
        if not line:
            raise StopIteration
        self.given += line.endswith(("\n", "\r"))
        return line


def _header(reader: Iterator[list[str]]) -> list[str]:
    try:
        header = [cell.strip() for cell in next((cells for cells in reader if any(cells)), [])]
    except csv.Error:
        raise BadBody(Reason.INVALID_VALUE, "the line of column names is not valid CSV") from None
    while header and not header[-1]:
        header.pop()
    if not header or len(header) > MAX_COLUMNS:
        raise BadBody(
            Reason.INVALID_VALUE,
            f"the first line names {len(header)} columns; 1 to {MAX_COLUMNS} can be read",
        )
    return [name or f"(column {number})" for number, name in enumerate(header, 1)]


def _csv_rows(reader: Iterator[list[str]], lines: _Lines) -> Iterator[Row]:
    while True:
        position = lines.given
        try:
            cells = next(reader, None)
        except csv.Error as error:
            detail = "a cell is too long" if "field limit" in str(error) else "the quotes do not match"
            cut = "end of data" in str(error)
            yield Rejection(
                position,
                Reason.TRUNCATED if cut else Reason.INVALID_VALUE,
                "",
                "the file ends inside a quoted cell" if cut else f"the row is not valid CSV: {detail}",
            )
            continue
        except UnicodeError:
            yield Rejection(position, Reason.TRUNCATED, "", "the text ends in the middle of a character")
            return
        if cells is None:
            return
        if cells:
            yield position, cells


def sniff_delimiter(text: str) -> str:
    """The delimiter that splits the first lines into the same number of cells, the most cells first."""
    lines = text.splitlines()[:20]

    def fit(delimiter: str) -> tuple[bool, int]:
        try:
            widths = [len(cells) for cells in csv.reader(lines, delimiter=delimiter) if cells]
        except csv.Error:
            return False, 0
        return len(set(widths[: max(1, len(widths) - 1)])) == 1, widths[0] if widths else 0

    fits = {delimiter: fit(delimiter) for delimiter in DELIMITERS}
    return max(DELIMITERS, key=lambda delimiter: (fits[delimiter][1] > 1, *fits[delimiter]))


# ---------------------------------------------------------------------------------------------------- Parquet


@contextmanager
def open_parquet(stream: BinaryIO) -> Iterator[tuple[list[str], Iterator[Row]]]:
    """The header and the rows of a Parquet file, which is read from its end: a stream that cannot seek is spooled."""
    with _seekable(stream) as file:
        pa, pq = import_module("pyarrow"), import_module("pyarrow.parquet")
        broken = (pa.ArrowException, OSError, ValueError, KeyError, OverflowError)
        try:
            # Without these two, a whole column of a row group is read in one piece.
            table = pq.ParquetFile(file, buffer_size=1 << 20, pre_buffer=False)
            columns = [str(name) for name in table.schema_arrow.names]
        except broken:
            detail = "the Parquet file cannot be read: it is cut off, damaged or encrypted"
            raise BadBody(Reason.TRUNCATED, detail) from None
        if not 0 < len(columns) <= MAX_COLUMNS:
            detail = f"the table has {len(columns)} columns; 1 to {MAX_COLUMNS} can be read"
            raise BadBody(Reason.INVALID_VALUE, detail)
        yield columns, ParquetRows(table, columns, broken)


class ParquetRows:
    """The rows of a Parquet file. `only` begins anew with some of the columns: prompts need not be unpacked."""

    def __init__(self, table: Any, columns: list[str], broken: tuple[type[Exception], ...]) -> None:
        self._table, self._columns, self._broken = table, columns, broken
        self._rows = self._read(None)

    def __iter__(self) -> Iterator[Row]:
        return self

    def __next__(self) -> Row:
        return next(self._rows)

    def only(self, columns: Sequence[str]) -> Iterator[Row]:
        """All rows from the first on; the cells of other columns are None."""
        # A name with a dot would be taken for a path into a nested column.
        return self._read(None if any("." in name for name in columns) else list(columns))

    def _read(self, columns: list[str] | None) -> Iterator[Row]:
        position = 0
        try:
            for group in range(self._table.num_row_groups):
                for batch in self._table.iter_batches(BATCH_ROWS, row_groups=[group], columns=columns):
                    nothing = [None] * batch.num_rows
                    place = (
                        {name: at for at, name in enumerate(batch.schema.names)}
                        if columns is not None
                        else {}
                    )
                    wanted = [
                        _cells(batch.column(place.get(name, at)))
                        if columns is None or name in place
                        else nothing
                        for at, name in enumerate(self._columns)
                    ]
                    for cells in zip(*wanted, strict=True):
                        yield position, cells
                        position += 1
        except self._broken:
            yield Rejection(position, Reason.TRUNCATED, "", "the Parquet file is damaged from this row on")


def _cells(column: Any) -> list[object]:
    """A column's values as Python's; times to the microsecond, one that Python cannot hold is no time."""
    pa = import_module("pyarrow")
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        values: list[object] = column.to_pylist()
    except (ValueError, OverflowError):
        values = [_one(value) for value in column]
    return values


def _one(value: Any) -> object:
    try:
        found: object = value.as_py()
    except (ValueError, OverflowError):
        return "out of range"
    return found


@contextmanager
def _seekable(stream: BinaryIO) -> Iterator[BinaryIO]:
    """The stream itself if it can seek to its end, else a copy in a temporary file that goes with it."""
    try:
        if isinstance(getattr(stream, "raw", stream), gzip.GzipFile):
            raise ValueError  # it could, by unpacking all of it again each time
        at = stream.tell()
        stream.seek(0, io.SEEK_END)
        stream.seek(at)
    except (OSError, ValueError):
        with tempfile.TemporaryFile() as file:
            shutil.copyfileobj(stream, file, 1 << 20)
            file.seek(0)
            yield file
    else:
        yield stream
