"""OTLP documents: traces, logs and metrics as a collector's file exporter or an SDK writes them.

JSON: one document, or one a line. Protobuf: a serialised export request, read one resource at a time.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import BinaryIO

from msgspec import Raw

from ingest.core.errors import Reason, Rejection
from ingest.core.meter_fields import MeterError, keys_seen
from ingest.formats import _protobuf_wire
from ingest.formats._base import Format, Item, ParseContext, quiet_decode, rejection
from ingest.formats._lines import json_values
from ingest.formats._otlp import Point, Record
from ingest.formats._otlp_json import TOP_NAMES, read_document
from ingest.formats._otlp_protobuf import read_entry
from ingest.formats._peek import peek
from ingest.formats._telemetry import items_of

SURE = 96  # above every format whose text can stand inside an attribute


def _parse(stream: BinaryIO, context: ParseContext) -> Iterator[Item]:
    buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(stream)  # type: ignore[type-var]
    try:
        binary = buffered.peek(1)[:1] == _protobuf_wire.ENTRY_TAG and _protobuf_wire.sniff_signal(
            buffered.peek()
        )
        yield from items_of((_protobuf_rows if binary else _json_rows)(buffered), context)
    finally:
        if buffered is not stream:
            buffered.detach()  # closing it would close the caller's stream


def _json_rows(stream: BinaryIO) -> Iterator[Record | Point | Rejection]:
    """The rows of all documents: numbered by record in a single document, by line where there are several."""
    values = json_values(stream)
    head = [value for value in (next(values, None), next(values, None)) if value is not None]
    by_line = len(head) > 1
    for line, raw in chain(head, values):
        for row in _document_rows(line, raw):
            yield replace(row, index=line) if by_line else row


def _document_rows(line: int, raw: bytes | Raw | Rejection) -> Iterator[Record | Point | Rejection]:
    if isinstance(raw, Rejection):
        yield raw
        return
    try:
        document = quiet_decode(raw)
    except MeterError as error:
        yield rejection(line, error)
        return
    if isinstance(document, dict) and not document.keys() & TOP_NAMES.keys():
        if document:
            detail = f"not an OTLP document; keys seen: {keys_seen(document)}"
            yield Rejection(line, Reason.UNKNOWN_FORMAT, "", detail)
        return
    yield from read_document(document)


def _protobuf_rows(stream: BinaryIO) -> Iterator[Record | Point | Rejection]:
    index = 0
    for entry in _protobuf_wire.entries(stream):
        if entry is None:
            yield Rejection(
                index, Reason.TRUNCATED, "", "the protobuf ends or breaks in the middle of an entry"
            )
            return
        if signal := _protobuf_wire.signal_of(entry):
            for row in read_entry(signal, entry, index):
                index = row.index + 1
                yield row
        elif entry and not _protobuf_wire.is_empty(entry):
            detail = "an entry is neither of traces nor of logs nor of metrics"
            yield Rejection(index, Reason.UNKNOWN_FORMAT, "", detail)
            index += 1


def _sniff(head: bytes) -> int:
    if _protobuf_wire.sniff_signal(head):
        return SURE
    for value in peek(head, limit=3):
        if any(name in value and isinstance(value[name], list | None) for name in TOP_NAMES):
            return SURE
    return 0


FORMAT = Format(
    "otlp", "OpenTelemetry traces, logs and metrics (OTLP, JSON or protobuf)", True, _sniff, _parse
)
