"""Parquet tables, read by a column mapping like CSV ones, a batch of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from ingest.formats._base import Format, Item, ParseContext
from ingest.formats._table_events import events
from ingest.formats._tables import PARQUET_MAGIC, open_parquet


def _parse(stream: BinaryIO, context: ParseContext) -> Iterator[Item]:
    with open_parquet(stream) as (columns, rows):
        yield from events(columns, rows, context)


def _sniff(head: bytes) -> int:
    return 100 if head.startswith(PARQUET_MAGIC) else 0


FORMAT = Format("parquet_rows", "Parquet table with a column mapping", True, _sniff, _parse)
