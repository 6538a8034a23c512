"""Captured server-sent events: the data of each event, in one piece, and where it began."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from ingest.formats._lines import BOM, is_one_value, numbered_lines

_MAX_PIECES = 64  # an event's data may be spread over several `data:` lines
_STARTS = (b"data:", b"event:", b":", b"id:", b"retry:")


def payloads(stream: BinaryIO) -> Iterator[tuple[int, bytes, bool]]:
    """(line number from 0, data, whole) of every event that has data; `whole` is false for JSON that is cut.

    Data that is no JSON at all, such as [DONE], comes as it is.
    """
    pieces: list[bytes] = []
    start = last = -1
    for number, line in numbered_lines(stream):
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        # A piece continues the event before it only on the very next line: a blank line ends an event.
        if pieces and (number != last + 1 or len(pieces) >= _MAX_PIECES):
            yield start, b"\n".join(pieces), False
            pieces = []
        start = start if pieces else number
        pieces.append(data)
        last = number
        whole = b"\n".join(pieces)
        if not whole.startswith((b"{", b"[{")) or is_one_value(whole):
            yield start, whole, True
            pieces = []
    if pieces:
        yield start, b"\n".join(pieces), False


def is_stream(head: bytes) -> bool:
    """Whether the first bytes of a file are server-sent events."""
    return head.removeprefix(BOM).lstrip().startswith(_STARTS)
