"""How CloudWatch wraps log records: envelopes of log events, packed for functions, run together by Firehose."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ingest.core.errors import Reason
from ingest.core.meter_fields import MeterError, kind_of
from ingest.formats._base import quiet_decode

MAX_UNPACKED = 64 * 1024 * 1024  # AWS packs at most 1 MB into one message
_ENVELOPES = (b'"logEvents"', b'"awslogs"', b'"@message"', b'"ingestionTime"')
_decoder = json.JSONDecoder()
_check = msgspec.json.Decoder(msgspec.Raw).decode


def json_objects(text: bytes) -> Iterator[bytes]:
    """The JSON values that stand one after the other in a line: Firehose puts nothing between them."""
    try:
        _check(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        decoded = text.decode("utf-8", "surrogateescape")
    else:
        yield text
        return
    at = 0
    while at < len(decoded):
        try:
            _, end = _decoder.raw_decode(decoded, at)
        except (ValueError, RecursionError):
            end = len(decoded)  # from here on it is broken: its refusal says so
        yield decoded[at:end].encode("utf-8", "surrogateescape")
        at = end
        while at < len(decoded) and decoded[at].isspace():
            at += 1


def records_of(text: bytes, *, unpacked: bool = False) -> Iterator[bytes | MeterError]:
    """The log records in one JSON value: itself, or what its envelope holds. Control messages hold none."""
    if not any(mark in text for mark in _ENVELOPES):
        yield text
        return
    try:
        value = quiet_decode(text)
        if not isinstance(value, Mapping):
            yield text
            return
        yield from _opened(value, text, unpacked)
    except MeterError as error:
        yield error


def _opened(value: Mapping[str, Any], text: bytes, unpacked: bool) -> Iterator[bytes | MeterError]:
    packed = value.get("awslogs")
    if isinstance(packed, Mapping):
        if unpacked:
            raise MeterError(Reason.INVALID_VALUE, "awslogs", "awslogs holds another awslogs")
        for found in json_objects(_unpacked(packed.get("data"))):
            yield from records_of(found, unpacked=True)
        return
    if value.get("messageType") == "CONTROL_MESSAGE":
        return
    events = value.get("logEvents", value.get("events"))
    if isinstance(events, list):
        for event in events:
            yield _message(event, "message")
    elif "@message" in value:
        yield _message(value, "@message")
    else:
        yield text


def _message(event: object, key: str) -> bytes | MeterError:
    """The record in a log event: JSON in a string, or, in exports of queries, as it is."""
    message = event.get(key) if isinstance(event, Mapping) else None
    if isinstance(message, str):
        return message.encode("utf-8", "surrogatepass")
    if isinstance(message, Mapping):
        return json.dumps(message).encode()
    return MeterError(Reason.INVALID_TYPE, key, f"{key} must be a string of JSON, not {kind_of(message)}")


def _unpacked(data: object) -> bytes:
    """The envelope behind base64 and gzip. Raises MeterError."""
    where = "awslogs.data"
    if not isinstance(data, str):
        raise MeterError(
            Reason.INVALID_TYPE, where, f"{where} must be a string of base64, not {kind_of(data)}"
        )
    try:
        packed = base64.b64decode(data, validate=True)
        unpacker = zlib.decompressobj(wbits=31)
        unpacked = unpacker.decompress(packed, MAX_UNPACKED)
    except (binascii.Error, ValueError, zlib.error):
        raise MeterError(Reason.INVALID_VALUE, where, f"{where} is not gzip in base64") from None
    if unpacker.unconsumed_tail:
        detail = f"{where} holds more than {MAX_UNPACKED} bytes"
        raise MeterError(Reason.INVALID_VALUE, where, detail)
    if not unpacker.eof:
        raise MeterError(Reason.TRUNCATED, where, f"{where} ends in the middle of its gzip data")
    return unpacked
