"""Importing log files: bytes in, batches through `accept`, a report a file out. Memory stays at one batch."""

from __future__ import annotations

import gzip
import io
import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from ingest import formats, mappings
from ingest.accept import Receipt, accept
from ingest.bodies import GZIP_MAGIC
from ingest.core.errors import Reason, Rejection
from ingest.formats import BadBody, Format, ParseContext

ROWS_PER_BATCH = 5_000
FIRST_KEPT = 10  # rejections remembered with their line; all are counted, and 2 GB of nonsense must not fill the memory
BUFFER_BYTES = 1 << 18
# What people have at hand that is no log, by its first bytes.
ARCHIVES = {
    b"PK\x03\x04": "a zip archive",
    b"\x28\xb5\x2f\xfd": "zstandard data",
    b"BZh": "bzip2 data",
    b"\xfd7zXZ": "xz data",
    b"SQLite format 3": "a SQLite database",
}

EMPTY = "The file is empty."

Advance = Callable[[int], None]


def ignore(count: int) -> None:
    """For callers without a progress bar."""


@dataclass(slots=True)
class Tally:
    """What became of rows: received = stored + merged + duplicate + rejected; the first rejections with their line."""

    received: int = 0
    stored: int = 0
    merged: int = 0
    duplicate: int = 0
    rejected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    first: list[Rejection] = field(default_factory=list)

    def add(self, receipt: Receipt) -> None:
        self.received += receipt.received
        self.stored += receipt.stored
        self.merged += receipt.merged
        self.duplicate += receipt.duplicate
        self.refuse(receipt.rejected)

    def refuse(self, rejected: Sequence[Rejection]) -> None:
        """Count rejections; `received` is not touched."""
        self.rejected += len(rejected)
        self.reasons.update(row.reason.value for row in rejected)
        self.first += rejected[: FIRST_KEPT - len(self.first)]


@dataclass(slots=True)
class FileReport:
    """What one file gave."""

    path: Path
    format: str = ""  # '' when it was of no known format, or could not be read
    tally: Tally = field(default_factory=Tally)
    problem: str = ""  # why nothing of it was read, in a sentence


@dataclass(frozen=True, slots=True)
class Reading:
    """How files are to be read: which format or 'auto', under which source, at which time where they say none."""

    format: str
    source: str
    default_time: datetime
    mapping: mappings.Mapping | None = (
        None  # what a table's columns mean; None: as saved for the source, or as guessed
    )


def total(reports: Iterable[FileReport]) -> Tally:
    """The sum of several reports, without their rejections' lines."""
    return sum_of(report.tally for report in reports)


def sum_of(tallies: Iterable[Tally]) -> Tally:
    """The sum of several tallies, without their rejections' lines."""
    sum_ = Tally()
    for tally in tallies:
        for name in ("received", "stored", "merged", "duplicate", "rejected"):
            setattr(sum_, name, getattr(sum_, name) + getattr(tally, name))
        sum_.reasons.update(tally.reasons)
    return sum_


# One file ------------------------------------------------------------------------------------------------------------


def import_file(
    path: Path, format_name: str, source: str, default_time: datetime, on_bytes: Advance = ignore
) -> FileReport:
    """Import one file. `on_bytes` is told how many bytes of the file were read since the last call.

    A file that breaks in the middle keeps what came before the break. Raises OSError when it cannot be opened.
    """
    with path.open("rb", buffering=0) as file:
        return import_stream(file, path, Reading(format_name, source, default_time), on_bytes)


def import_stream(
    raw: BinaryIO | io.RawIOBase,
    path: Path,
    reading: Reading,
    on_bytes: Advance = ignore,
    on_rows: Advance = ignore,
) -> FileReport:
    """Import one open file, gzipped or not. `on_rows` is told how many rows each batch had, after its commit."""
    report, items = begin(raw, path, reading, on_bytes)
    for batch in _batches(items, ROWS_PER_BATCH):
        receipt = accept(batch, reading.source)
        report.tally.add(receipt)
        on_rows(receipt.received)
    return report


def begin(
    raw: BinaryIO | io.RawIOBase, path: Path, reading: Reading, on_bytes: Advance = ignore
) -> tuple[FileReport, Iterator[formats.Item]]:
    """A file's report, still without counts, and its items: one rejection when nothing in it can be read."""
    report = FileReport(path)
    try:
        stream, head, log_format = open_log(raw, reading.format, on_bytes)
    except (EOFError, OSError) as error:
        return _refuse(report, Reason.TRUNCATED, f"It cannot be read: {_kind(error)}.")
    if not head:
        report.problem = EMPTY
        return report, iter(())
    if log_format is None:
        return _refuse(report, Reason.UNKNOWN_FORMAT, unknown(head))
    report.format = log_format.name
    context = ParseContext(
        default_time=reading.default_time,
        file_name=_short_name(path),
        mapping=reading.mapping,
        saved_mapping=mappings.finder(reading.source),
    )
    return report, _items(log_format, stream, context)


def open_log(
    raw: BinaryIO | io.RawIOBase, format_name: str, on_bytes: Advance = ignore
) -> tuple[BinaryIO, bytes, Format | None]:
    """A file's bytes, decompressed; the first of them; its format, if known. Raises OSError or EOFError when broken."""
    stream: BinaryIO = io.BufferedReader(_Counting(raw, on_bytes), BUFFER_BYTES)
    if _head(stream, 2) == GZIP_MAGIC:
        stream = io.BufferedReader(gzip.GzipFile(fileobj=stream), BUFFER_BYTES)
    head = _head(stream, formats.HEAD_BYTES)
    return stream, head, formats.detect(head) if format_name == "auto" else formats.get(format_name)


def unknown(head: bytes) -> str:
    """What to say of a file of no known format; nothing of its content."""
    for magic, name in ARCHIVES.items():
        if head.startswith(magic):
            return f"It is {name}: unpack it first, or export it to one of the known formats."
    return f"No known log format. Known are: {', '.join(formats.all_formats())}."


def _head(stream: BinaryIO, size: int) -> bytes:
    # A buffered reader's peek may return less than was asked for, but never nothing before the end.
    head: bytes = stream.peek(size)  # type: ignore[attr-defined]
    return head[:size]


def _short_name(path: Path) -> str:
    """The file's name with its two folders: what formats need to name a session, without the machine's layout."""
    return "/".join(path.parts[-3:])


def _items(log_format: Format, stream: BinaryIO, context: ParseContext) -> Iterator[formats.Item]:
    """The format's items; a break in the stream becomes one rejection after the rows before it."""
    rows = 0
    try:
        for item in log_format.parse(stream, context):
            rows += 1
            yield item
    except BadBody as bad:
        yield Rejection(rows, bad.reason, bad.field, bad.detail)
    except (EOFError, OSError) as error:
        yield Rejection(rows, Reason.TRUNCATED, "", f"The file cannot be read to its end: {_kind(error)}.")


def _kind(error: Exception) -> str:
    """What went wrong, without names of files."""
    if isinstance(error, EOFError):
        return "the gzip data ends in the middle"
    if isinstance(error, gzip.BadGzipFile):
        return "the gzip data is broken"
    return getattr(error, "strerror", None) or type(error).__name__


def _refuse(report: FileReport, reason: Reason, detail: str) -> tuple[FileReport, Iterator[formats.Item]]:
    report.problem = detail
    return report, iter([Rejection(0, reason, "", detail)])


def _batches(items: Iterable[formats.Item], size: int) -> Iterator[Sequence[formats.Item]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


class _Counting(io.RawIOBase):
    """A raw file that tells how far it has been read, so that the progress bar is true for gzip as well."""

    def __init__(self, inner: BinaryIO | io.RawIOBase, on_bytes: Advance) -> None:
        self._inner = inner
        self._on_bytes = on_bytes
        self._at = self._furthest = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._inner.seekable()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = self._inner.seek(offset, whence)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = self._inner.readinto(buffer) or 0  # type: ignore[union-attr]
        self._at += count
        if self._at > self._furthest:  # read again after a seek is not read further
            self._on_bytes(self._at - self._furthest)
            self._furthest = self._at
        return count
