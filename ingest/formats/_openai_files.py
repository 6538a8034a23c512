"""Files of response bodies of OpenAI's two APIs: the formats differ in what they recognise, not in the reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

from ingest.core.errors import Rejection
from ingest.formats._base import Item, ParseContext
from ingest.formats._lines import json_values
from ingest.formats._openai import items_of
from ingest.formats._peek import peek


def parse(stream: BinaryIO, context: ParseContext) -> Iterator[Item]:
    """One body, an array or JSON lines; a gateway's file may mix both APIs."""
    for index, raw in json_values(stream):
        if isinstance(raw, Rejection):
            yield raw
        else:
            yield from items_of(raw, index, context)


def sniffer(score: Callable[[Mapping[str, Any]], int]) -> Callable[[bytes], int]:
    """`Format.sniff` from a score of single values: the surest of the first few."""
    return lambda head: max((score(value) for value in peek(head, limit=5)), default=0)
