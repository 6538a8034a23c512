"""What CSV and Parquet share: finding the mapping of a table, and its rows as events."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

from ingest.core.errors import Reason, Rejection
from ingest.formats._base import BadBody, Item, ParseContext
from ingest.formats._mapping import BY_NAME, Mapping
from ingest.formats._mapping_guess import guess
from ingest.formats._mapping_rows import Cells, apply
from ingest.formats._tables import SAMPLE_ROWS, ParquetRows, Row

_QUESTIONS = {
    "input_includes_cached": "whether the input count includes cached tokens",
    "time_format": "how the times are written",
    "zone": "the time zone of the times",
    "requests": "that every row is one call: there is a column of request counts, or there are days instead of times",
}


def events(columns: Sequence[str], rows: Iterator[Row], context: ParseContext) -> Iterator[Item]:
    """The events of a table. Raises BadBody when nobody has said what its columns mean and a guess is not sure."""
    mapping = context.mapping
    if mapping is None and context.saved_mapping is not None:
        mapping = context.saved_mapping(columns)
    if mapping is None:
        sample = list(itertools.islice(rows, SAMPLE_ROWS))
        mapping = guess(columns, [row[1] for row in sample if not isinstance(row, Rejection)])
        if not mapping.sure:
            raise BadBody(Reason.INVALID_VALUE, _needed(mapping), "mapping")
        rows = rows if isinstance(rows, ParquetRows) else itertools.chain(sample, rows)
    if isinstance(rows, ParquetRows):
        rows = rows.only(mapping.used_columns())
    broken: list[Rejection] = []
    yield from _interleaved(apply(mapping, columns, _good(rows, broken), context), broken)


def _good(rows: Iterable[Row], broken: list[Rejection]) -> Iterator[tuple[int, Cells]]:
    for row in rows:
        if isinstance(row, Rejection):
            broken.append(row)
        else:
            yield row


def _interleaved(items: Iterable[Item], broken: list[Rejection]) -> Iterator[Item]:
    """The items, and the rows that were no rows before the item that came after them."""
    for item in items:
        yield from broken
        broken.clear()
        yield item
    yield from broken


def _needed(mapping: Mapping) -> str:
    """What a person has to decide before this table can be read, in one sentence."""
    columns = [BY_NAME[name].label.lower() for name in mapping.unsure if name in BY_NAME]
    questions = [_QUESTIONS[name] for name in mapping.unsure if name in _QUESTIONS]
    needed = ([f"the column of: {', '.join(columns)}"] if columns else []) + questions
    return f"the columns need a mapping, confirmed on the upload page or given to import_logs: {'; '.join(needed)}"
