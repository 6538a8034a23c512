"""Anthropic's Admin usage report: token sums a bucket and group, stored as reported usage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from ingest.core.reported import Reported, ReportedUsage
from ingest.formats._base import Format, Item, ParseContext
from ingest.formats._reports import (
    Row,
    anthropic_dimensions,
    anthropic_meters,
    bucket,
    grouped,
    read_rows,
    sniff_page,
)

NAME = "anthropic_usage_report"


def _read(row: Row) -> Iterator[Reported]:
    start, end = bucket(row)
    yield ReportedUsage(
        kind=NAME,
        provider="anthropic",
        platform="anthropic",
        start=start,
        end=end,
        **anthropic_dimensions(row),
        **anthropic_meters(row),
    )


def _parse(stream: BinaryIO, context: ParseContext) -> Iterator[Item]:
    yield from grouped(read_rows(stream, _read), context)


def _sniff(head: bytes) -> int:
    return sniff_page(head, b"uncached_input_tokens", analytics=False) or (
        20 if b'"uncached_input_tokens"' not in head and sniff_page(head, b"results", analytics=False) else 0
    )


FORMAT = Format(NAME, "Anthropic Admin API: usage report", True, _sniff, _parse)
