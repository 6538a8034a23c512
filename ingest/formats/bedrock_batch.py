"""Amazon Bedrock batch inference output: JSON lines of `modelInput` and `modelOutput`, at the batch rate.

Records with an error were not billed. The manifest beside the output sums it up and is read past: it is no call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import BinaryIO

import msgspec
from msgspec import Raw, Struct

from ingest.core.errors import Reason
from ingest.core.events import UsageEvent
from ingest.core.meter_fields import MeterError, keys_seen, kind_of
from ingest.core.meters_bedrock import is_converse
from ingest.formats._anthropic import text_of
from ingest.formats._base import Format, Item, ParseContext, quiet_decode, read_each
from ingest.formats._bedrock import UNREADABLE, read_answer
from ingest.formats._lines import json_values
from ingest.formats._peek import peek
from ingest.formats.anthropic_batches import BATCH_TIER
from ingest.formats.anthropic_messages import Message, id_of, read_message
from ingest.formats.bedrock_converse import ConverseReader

_MANIFEST = {"totalRecordCount", "processedRecordCount"}


class _Record(Struct, gc=False):
    recordId: object = None
    modelOutput: Raw = Raw(b"")
    error: object = None
    timestamp: object = None  # the time is a recorder's: Bedrock writes none
    totalRecordCount: object = None
    processedRecordCount: object = None


_decode = msgspec.json.Decoder(_Record).decode


def _read(raw: bytes | Raw, context: ParseContext) -> list[UsageEvent]:
    record = _typed(raw)
    output = bytes(record.modelOutput).strip()
    if record.totalRecordCount is not None and record.processedRecordCount is not None and not output:
        return []
    if record.error is not None and not output.startswith(b"{"):
        return []
    if not output.startswith(b"{"):
        raise MeterError(
            Reason.MISSING_FIELD, "modelOutput", "modelOutput is required where there is no error"
        )
    usage = read_answer(output).usage
    if usage is None:
        seen = quiet_decode(output)
        keys = keys_seen(seen) if isinstance(seen, Mapping) else ""
        detail = f"modelOutput has no token counts of a known shape; keys seen: {keys}"
        raise MeterError(Reason.UNKNOWN_USAGE_SHAPE, "modelOutput.usage", detail)
    record_id = text_of(record.recordId, "recordId")
    tags = (("record_id", record_id),) if record_id else ()
    if is_converse(usage):
        events = ConverseReader(context).read(output)
    else:
        events = read_message(output, context, [Message(timestamp=record.timestamp)])
    return [replace(event, service_tier=BATCH_TIER, platform="bedrock", tags=tags) for event in events]


def _typed(raw: bytes | Raw) -> _Record:
    try:
        return _decode(raw)
    except UNREADABLE:
        value = quiet_decode(raw)
    raise MeterError(Reason.NOT_AN_OBJECT, "", f"a record must be a JSON object, not {kind_of(value)}")


def _parse(stream: BinaryIO, context: ParseContext) -> Iterator[Item]:
    return read_each(json_values(stream), lambda raw: _read(raw, context), _id_of)


def _id_of(raw: bytes | Raw) -> str:
    try:
        return id_of(_decode(raw).modelOutput)
    except UNREADABLE:
        return ""


def _sniff(head: bytes) -> int:
    found = peek(head, limit=3)
    if any("modelOutput" in value and ("recordId" in value or "modelInput" in value) for value in found):
        return 90
    if any("modelInput" in value and ("recordId" in value or "error" in value) for value in found):
        return 80
    return 60 if any(value.keys() >= _MANIFEST for value in found) else 0


FORMAT = Format("bedrock_batch", "Amazon Bedrock batch inference output (JSON lines)", False, _sniff, _parse)
