"""Output and error files of OpenAI's Batch API (JSON lines): what failed is not billed, the rest at the batch tier."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import msgspec
from msgspec import Raw, Struct

from ingest.core.errors import Reason
from ingest.core.meter_fields import MeterError, kind_of
from ingest.formats._base import Format, Item, ParseContext, quiet_decode, read_each
from ingest.formats._limits import MAX_TAG_VALUE
from ingest.formats._lines import UNREADABLE, json_values
from ingest.formats._openai import Body, id_of, read_body
from ingest.formats._openai_files import sniffer

BATCH = "batch"


class _Response(Struct, gc=False):
    status_code: object = None
    request_id: object = None
    body: Raw = Raw(b"")


class _Line(Struct, gc=False):
    custom_id: object = None
    response: _Response | None = None
    error: object = None


_decode = msgspec.json.Decoder(_Line).decode


def _line(raw: bytes | Raw, context: ParseContext) -> list[Item]:
    line = _typed(raw)
    response = line.response
    if response is None:
        if line.error is None and line.custom_id is None:
            raise MeterError(
                Reason.MISSING_FIELD, "response", "a batch line needs a custom_id and a response or an error"
            )
        return []
    status = response.status_code
    if status is not None and (type(status) is not int or not 100 <= status <= 599):
        raise MeterError(
            Reason.INVALID_VALUE, "response.status_code", "response.status_code must be an HTTP status"
        )
    if line.error is not None or (status is not None and status >= 400):
        return []
    body = bytes(response.body).strip()
    if not body.startswith(b"{"):
        raise MeterError(Reason.INVALID_TYPE, "response.body", "response.body must be an object")
    holder = Body(request_id=response.request_id)
    return list(read_body(body, context, [holder], BATCH, _tags(line.custom_id)))


def _tags(custom_id: object) -> tuple[tuple[str, str], ...]:
    """The request's own name as a tag; one that no tag can hold is left out, since nothing is counted by it."""
    fits = isinstance(custom_id, str) and 0 < len(custom_id) <= MAX_TAG_VALUE and custom_id.isprintable()
    return (("custom_id", str(custom_id)),) if fits else ()


def _typed(raw: bytes | Raw) -> _Line:
    try:
        return _decode(raw)
    except UNREADABLE:
        value = quiet_decode(raw)
    if isinstance(value, Mapping):
        kind = kind_of(value.get("response"))
        raise MeterError(Reason.INVALID_TYPE, "response", f"response must be an object, not {kind}")
    raise MeterError(Reason.NOT_AN_OBJECT, "", f"a batch line must be a JSON object, not {kind_of(value)}")


def _parse(stream: BinaryIO, context: ParseContext) -> Iterator[Item]:
    return read_each(json_values(stream), lambda raw: _line(raw, context), id_of)


def _score(value: Mapping[str, Any]) -> int:
    if "custom_id" not in value or "result" in value:
        return 0
    if str(value.get("id", "")).startswith("batch_req_") and ("response" in value or "error" in value):
        return 95
    response = value.get("response")
    return 80 if isinstance(response, Mapping) and "status_code" in response else 0


FORMAT = Format("openai_batch", "OpenAI Batch API output (JSON lines)", True, sniffer(_score), _parse)
