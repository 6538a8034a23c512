"""CSV tables, read by a column mapping: the one given, the one saved for this header, or a guess that is sure."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from ingest.core.errors import Rejection
from ingest.formats._base import BadBody, Format, Item, ParseContext
from ingest.formats._mapping_guess import guess
from ingest.formats._table_events import events
from ingest.formats._tables import UTF16, open_csv


def _parse(stream: BinaryIO, context: ParseContext) -> Iterator[Item]:
    with open_csv(stream) as (columns, rows):
        yield from events(columns, rows, context)


def _sniff(head: bytes) -> int:
    """Low scores, so that every format that knows its own marks wins over 'some table'."""
    first = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if not first or first in b"{[<" or (b"\0" in head and head[:2] not in UTF16):
        return 0
    try:
        with open_csv(io.BytesIO(head)) as (columns, rows):
            widths = [len(row[1]) for row in itertools.islice(rows, 5) if not isinstance(row, Rejection)]
    except BadBody:
        return 0
    return _score(columns, widths)


def _score(columns: Sequence[str], widths: Sequence[int]) -> int:
    found = guess(columns).columns
    if len(columns) < 3 or not found.keys() & {"model", "occurred_at"}:
        return 0
    if {"occurred_at", "model"} <= found.keys() and found.keys() & {"input_tokens", "output_tokens"}:
        return 40
    # A table of calls under names of its own: recognised, so that the answer says which columns need a mapping.
    return 5 if any(width == len(columns) for width in widths) else 0


FORMAT = Format("csv_rows", "CSV table with a column mapping", True, _sniff, _parse)
