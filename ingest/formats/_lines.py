"""Reading files of JSON in bounded memory: line by line, and the elements of an array one by one."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from ingest.core.errors import Reason, Rejection

MAX_LINE_BYTES = 256 * 1024 * 1024  # a longer line is read in pieces, which then fail to parse one by one
MAX_ELEMENT_CHARS = 64 * 1024 * 1024  # a longer element of an array ends the reading of it
WINDOW = 1 << 20  # how much of an array is looked at at once; a file that fits is split in one go
# As near to the end of what was read, a value may go on in what was not: the longest thing that cannot be told apart
# from its beginning is an escape pair such as \ud83d\ude00.
UNSURE_CHARS = 32
BOM = b"\xef\xbb\xbf"
BLANKS = b" \t\r\n"
NUMBER_CHARS = "0123456789+-.eE"
# What the parser raises for bytes that are no JSON, or not of the type that was asked for.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

Value = bytes | msgspec.Raw | Rejection

_split_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_check = msgspec.json.Decoder(msgspec.Raw).decode
# Finds where a value ends. It is more lenient than the formats, so that what is wrong inside a value costs that value
# alone; numbers stay text, since only their extent matters here.
_extent = json.JSONDecoder(parse_int=str, parse_float=str, strict=False).raw_decode


def numbered_lines(stream: BinaryIO, number: int = 0) -> Iterator[tuple[int, bytes]]:
    """(line number from 0, line without its line end) for every line that is not blank."""
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


def json_values(stream: BinaryIO) -> Iterator[tuple[int, Value]]:
    """(index, value) for JSON lines, the elements of one array, or one object written over several lines.

    The index is the line's number from 0, or the element's. Lines and elements stream; only a pretty-printed object is
    read whole. What comes before a break in an array is given; the break is one rejection.
    """
    number, first = _first_byte(stream)
    if first == b"[":
        yield from _elements(stream)
    elif first:
        yield from _lines_or_object(stream, number, first)


def _first_byte(stream: BinaryIO) -> tuple[int, bytes]:
    """The first byte that is neither blank nor of a byte order mark, and the number of its line."""
    number = 0
    byte = stream.read(1)
    if byte == BOM[:1]:
        byte += stream.read(2)
        byte = stream.read(1) if byte == BOM else byte
    while byte and byte in BLANKS:
        number += byte == b"\n"
        byte = stream.read(1)
    return number, byte


def _lines_or_object(stream: BinaryIO, start: int, begun: bytes) -> Iterator[tuple[int, Value]]:
    first = (begun + stream.readline(MAX_LINE_BYTES)).strip()
    lines = numbered_lines(stream, start + 1)
    if is_one_value(first):
        yield start, first
        yield from lines
        return
    # An object over several lines, or lines the first of which is broken: seen from the lines that follow.
    rest: list[tuple[int, bytes]] = []
    size = whole_values = 0
    looked = False
    for line in lines:
        rest.append(line)
        size += len(line[1])
        whole_values += not looked and is_one_value(line[1])
        if size > WINDOW and not looked:
            looked = True
            if whole_values >= (len(rest) + 1) // 2:
                yield start, first
                yield from rest
                yield from lines
                return
        if size > MAX_LINE_BYTES:
            detail = (
                f"an object over several lines, of more than {MAX_LINE_BYTES} bytes: send it in smaller parts"
            )
            yield start, Rejection(start, Reason.INVALID_JSON, "", detail)
            return
    whole = b"\n".join([first, *(line for _, line in rest)])
    try:
        _check(whole)
    except UNREADABLE as error:
        problem = problem_of(error)
    else:
        yield start, whole
        return
    if not looked and whole_values >= (len(rest) + 1) // 2:
        yield start, first
        yield from rest
    else:
        yield start, Rejection(start, Reason.INVALID_JSON, "", f"the file is not valid JSON: {problem}")


def _elements(stream: BinaryIO) -> Iterator[tuple[int, Value]]:
    """The elements of an array whose opening bracket has been read, and of arrays that follow it directly."""
    window = _Window(stream)
    if window.ended:  # all of it is here: the quick way, for as long as nothing is wrong with it
        try:
            yield from enumerate(_split_array(b"[" + window.text.encode("utf-8", "surrogateescape")))
            return
        except UNREADABLE:
            pass
    index = 0
    try:
        while True:
            more = window.next() != "]"
            if not more:
                window.at += 1
            while more:
                yield index, window.value()
                index += 1
                mark = window.next()
                window.at += 1
                if mark not in (",", "]"):
                    raise _Broken("a comma is missing after the element before" if mark else "")
                more = mark == ","
            mark = window.next()
            if not mark:
                return
            if mark != "[":
                raise _Broken("something other than an array follows the array")
            window.at += 1
    except _Broken as broken:
        if broken.problem:
            detail = f"the array is not valid JSON from element {index + 1} on: {broken.problem}"
            yield index, Rejection(index, Reason.INVALID_JSON, "", detail)
        else:
            detail = f"the array ends in the middle, after {index} whole elements"
            yield index, Rejection(index, Reason.TRUNCATED, "", detail)


class _Broken(Exception):
    """The array cannot be read further; `problem` is empty when it just ends."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class _Window:
    """The part of a stream of text that is being looked at: it moves on value by value and grows for a long one.

    Bytes that are not UTF-8 are carried along unchanged, for the format to refuse.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
        self.text, self.at, self.ended = "", 0, False
        while not self.ended and len(self.text) < WINDOW:
            self._grow()

    def _grow(self) -> None:
        """Drop what lies behind and read on: as much as is being looked at, so that a long value costs linear time."""
        wanted = max(WINDOW, len(self.text) - self.at)
        data = self._stream.read(wanted)
        self.ended = not data
        self.text = self.text[self.at :] + self._decode(data, self.ended)
        self.at = 0

    def next(self) -> str:
        """The next character that is not blank, which stays; '' at the end."""
        while True:
            while self.at < len(self.text):
                if self.text[self.at] not in " \t\r\n":
                    return self.text[self.at]
                self.at += 1
            if self.ended:
                return ""
            self._grow()

    def value(self) -> bytes:
        """The bytes of the JSON value that comes next. Raises _Broken."""
        while True:
            begin = self.next()
            if not begin:
                raise _Broken("")
            try:
                _, end = _extent(self.text, self.at)
                if self.ended and begin not in '"[{' and not self.text[end:].strip(NUMBER_CHARS):
                    raise _Broken("")  # a number that may have gone on: 1, or 1e, of 1e16
                if self.ended or end < len(self.text) - UNSURE_CHARS:
                    found = self.text[self.at : end].encode("utf-8", "surrogateescape")
                    self.at = end
                    return found
            except RecursionError:
                raise _Broken("it is nested too deeply") from None
            except json.JSONDecodeError as error:
                unsure = error.pos >= len(self.text) - UNSURE_CHARS or error.msg.startswith("Unterminated")
                if self.ended or not unsure:
                    raise _Broken("" if self.ended and self._cut_off(error) else error.msg) from None
            if len(self.text) - self.at > MAX_ELEMENT_CHARS:
                raise _Broken(f"it is longer than {MAX_ELEMENT_CHARS} characters")
            self._grow()

    def _cut_off(self, error: json.JSONDecodeError) -> bool:
        """Whether nothing is wrong but that the text ends here: in a string, an escape, a word or a number."""
        return error.msg.startswith("Unterminated") or not set(self.text[error.pos :]) & set('",:]}')
