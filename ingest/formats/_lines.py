"""Reading files of JSON: line by line in constant memory where that is possible."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from ingest.core.errors import Reason, Rejection

MAX_LINE_BYTES = 256 * 1024 * 1024  # a longer line is read in pieces, which then fail to parse one by one
BOM = b"\xef\xbb\xbf"
# What the parser raises for bytes that are no JSON, or not of the type that was asked for.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_split_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_check = msgspec.json.Decoder(msgspec.Raw).decode


def numbered_lines(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """(line number from 0, line without its line end) for every line that is not blank."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES):
        if number == 0:
            line = line.removeprefix(BOM)
        if line := line.strip():
            yield number, line
        number += 1


def is_one_value(text: bytes) -> bool:
    """Whether the bytes are exactly one JSON value."""
    try:
        _check(text)
    except UNREADABLE:
        return False
    return True


def lenient_array(text: bytes) -> list[object] | None:
    """The elements of an array that the strict parser refuses: one bad surrogate need not cost the rest."""
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) else None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def problem_of(error: Exception) -> str:
    """What is wrong with unreadable bytes, in words of our own where the parser's mislead."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def json_values(stream: BinaryIO) -> Iterator[tuple[int, bytes | msgspec.Raw | Rejection]]:
    """(index, value) for JSON lines, the elements of one array, or one object written over several lines.

    Lines stream; an array or a pretty-printed object is read whole, and gives one rejection if it is no JSON.
    """
    lines = numbered_lines(stream)
    start, first = next(lines, (0, b""))
    if not first:
        return
    if not first.startswith(b"[") and is_one_value(first):
        yield start, first
        yield from lines
        return
    rest = list(lines)
    whole = b"\n".join([first, *(line for _, line in rest)])
    try:
        if first.startswith(b"["):
            yield from enumerate(_split_array(whole))
            return
        _check(whole)
    except UNREADABLE as error:
        problem = problem_of(error)
    else:
        yield start, whole
        return
    elements = lenient_array(whole)
    if elements is not None:
        yield from ((index, json.dumps(element).encode()) for index, element in enumerate(elements))
    elif (
        sum(is_one_value(line) for _, line in rest) >= (len(rest) + 1) // 2
    ):  # lines, the first of which is broken
        yield start, first
        yield from rest
    else:
        yield start, Rejection(start, Reason.INVALID_JSON, "", f"the file is not valid JSON: {problem}")
