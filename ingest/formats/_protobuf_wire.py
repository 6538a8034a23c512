"""Protobuf without its schema: enough to see whether bytes are OTLP, of which signal, and to read them in pieces.

A serialised export request is a repeated field 1: each entry is one resource with everything it reported. So a file
is read entry by entry, and what stands before a break is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

VARINT, I64, LEN, I32 = 0, 1, 2, 5
ENTRY_TAG = b"\x0a"  # field 1, length-delimited
MAX_ENTRY_BYTES = 256 * 1024 * 1024

_SCHEMA_URL, _DEPRECATED = 3, 1000  # fields of a resource entry beside its resource and its scopes
_METRIC_DATA = {5, 7, 9, 10, 11}  # gauge, sum, histogram, exponential histogram, summary


class WireError(ValueError):
    """Bytes that are no protobuf."""


class Field(NamedTuple):
    """One field: a length-delimited one as bytes (`cut` when the data ended in it), others as 0."""

    number: int
    wire: int
    value: bytes
    cut: bool


def fields(data: bytes) -> Iterator[Field]:
    """The fields of a message, up to its end or to where it is cut off. Raises WireError."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if at > len(data):
            return
        if not 1 <= number < 1 << 29:
            raise WireError
        if wire == VARINT:
            _, at = _varint(data, at)
            yield Field(number, wire, b"", at > len(data))
        elif wire in (I64, I32):
            at += 8 if wire == I64 else 4
            yield Field(number, wire, b"", at > len(data))
        elif wire == LEN:
            length, at = _varint(data, at)
            yield Field(number, wire, data[at : at + length], at + length > len(data))
            at += length
        else:
            raise WireError


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """(value, where the next byte is); past the end when it is cut off."""
    value = shift = 0
    while at < len(data):
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise WireError
    return value, len(data) + 1


def sniff_signal(head: bytes) -> str:
    """traces, logs or metrics for the first bytes of a serialised export request, else ''."""
    if not head.startswith(ENTRY_TAG):
        return ""
    try:
        for entry in fields(head):
            if entry.number != 1 or entry.wire != LEN:
                return ""
            if signal := signal_of(entry.value):
                return signal
    except WireError:
        pass
    return ""


def signal_of(entry: bytes) -> str:
    """The signal that a resource entry belongs to, by the fields of its first records; '' if it has none."""
    try:
        for field in fields(entry):
            if field.wire != LEN or field.number not in (1, 2, _SCHEMA_URL, _DEPRECATED):
                return ""
            if field.number == 1 and not field.cut and not _is_resource(field.value):
                return ""
            if field.number == 2:
                for inner in fields(field.value):
                    if inner.wire != LEN or inner.number not in (1, 2, 3):
                        return ""
                    if inner.number == 2 and (signal := _record_signal(inner.value)):
                        return signal
    except WireError:
        pass
    return ""


def is_empty(entry: bytes) -> bool:
    """Whether a resource entry holds no record at all, which is no fault."""
    try:
        return not any(
            inner.number == 2 for field in fields(entry) if field.number == 2 for inner in fields(field.value)
        )
    except WireError:
        return False


def _is_resource(data: bytes) -> bool:
    return all((f.number, f.wire) in ((1, LEN), (2, VARINT), (3, LEN)) for f in fields(data))


def _record_signal(data: bytes) -> str:
    """A span begins with ids of 16 and 8 bytes, a log record has fixed times, a metric a name and one data field."""
    seen: dict[int, Field] = {}
    for field in fields(data):
        seen.setdefault(field.number, field)
    first, second = seen.get(1), seen.get(2)
    ids = [len(f.value) for f in (first, second) if f is not None and f.wire == LEN]
    if ids == [16, 8] and (7 in seen or 8 in seen):
        return "traces" if all(seen[n].wire == I64 for n in (7, 8) if n in seen) else ""
    if any(n in seen and seen[n].wire == I64 for n in (1, 11)):
        return "logs" if first is None or first.wire == I64 else ""
    if first is not None and first.wire == LEN and first.value.isascii():
        data_fields = _METRIC_DATA & seen.keys()
        return "metrics" if data_fields and all(f.wire == LEN for f in seen.values()) else ""
    return ""


def entries(stream: BinaryIO) -> Iterator[bytes | None]:
    """The resource entries of a serialised export request; None, as the last one, where the bytes break."""
    while tag := stream.read(1):
        length = _stream_varint(stream) if tag == ENTRY_TAG else None
        if length is None or length > MAX_ENTRY_BYTES:
            yield None
            return
        entry = stream.read(length)
        if len(entry) < length:
            yield None
            return
        yield entry


def _stream_varint(stream: BinaryIO) -> int | None:
    value = 0
    for shift in range(0, 70, 7):
        byte = stream.read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    return None
