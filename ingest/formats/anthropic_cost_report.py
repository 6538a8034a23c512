"""Anthropic's Admin cost report: billed amounts a day and line, in fractional cents, stored as reported cost.

Priority Tier cost is not in it, nor is speed: fast mode can only be told by the line's words.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from ingest.core.reported import Reported, ReportedCost
from ingest.formats._base import Format, Item, ParseContext
from ingest.formats._reports import (
    CENTS,
    MAX_LINE_ITEM,
    Row,
    anthropic_dimensions,
    bucket,
    currency_of,
    grouped,
    optional_amount,
    read_rows,
    sniff_page,
    some_of,
    word_of,
)

NAME = "anthropic_cost_report"


def _read(row: Row) -> Iterator[Reported]:
    start, end = bucket(row)
    some_of(row, ("amount",))
    yield ReportedCost(
        kind=NAME,
        provider="anthropic",
        platform="anthropic",
        start=start,
        end=end,
        currency=currency_of(row.get("currency")),
        billed_cost=optional_amount(row, "amount", per=CENTS),
        line_item=word_of(row, "description", MAX_LINE_ITEM),
        cost_type=word_of(row, "cost_type"),
        token_type=word_of(row, "token_type"),
        **anthropic_dimensions(row),
    )


def _parse(stream: BinaryIO, context: ParseContext) -> Iterator[Item]:
    yield from grouped(read_rows(stream, _read), context)


def _sniff(head: bytes) -> int:
    return sniff_page(head, b"amount", analytics=False)


FORMAT = Format(NAME, "Anthropic Admin API: cost report", True, _sniff, _parse)
