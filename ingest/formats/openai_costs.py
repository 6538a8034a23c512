"""OpenAI's organization costs: billed dollars a day, project and line, stored as reported cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from ingest.core.reported import Reported, ReportedCost
from ingest.formats._base import Format, Item, ParseContext
from ingest.formats._openai_reports import bucket, dimensions, parse_with, sniff_report
from ingest.formats._reports import (
    MAX_LINE_ITEM,
    Row,
    currency_of,
    inside,
    optional_amount,
    some_of,
    word_of,
)

NAME = "openai_costs"


def _read(row: Row, context: ParseContext) -> Iterator[Reported]:
    start, end, imputed = bucket(row, context)
    some_of(row, ("amount",))
    amount = inside(row, "amount")
    some_of(amount, ("value",))
    yield ReportedCost(
        kind=NAME,
        provider="openai",
        platform="openai",
        start=start,
        end=end,
        currency=currency_of(amount.get("currency"), "amount.currency"),
        billed_cost=optional_amount(amount, "value", "amount"),
        line_item=word_of(row, "line_item", MAX_LINE_ITEM),
        quantity=optional_amount(row, "quantity"),
        unit=word_of(row, "quantity_unit"),
        dimensions=imputed,
        **dimensions(row),
    )


def _parse(stream: BinaryIO, context: ParseContext) -> Iterator[Item]:
    yield from parse_with(stream, context, _read)


def _sniff(head: bytes) -> int:
    return sniff_report(head, b"costs")


FORMAT = Format(NAME, "OpenAI organization costs", True, _sniff, _parse)
