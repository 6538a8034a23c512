"""Importing log files: paths in, batches through `accept`, one receipt out. Memory stays at one batch."""

from __future__ import annotations

import gzip
import io
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from ingest import formats
from ingest.accept import Receipt, accept
from ingest.core.errors import Reason, Rejection
from ingest.formats import BadBody, Format, ParseContext

ROWS_PER_BATCH = 5_000
GZIP_MAGIC = b"\x1f\x8b"


@dataclass(slots=True)
class FileReport:
    """What one file gave."""

    path: Path
    format: str  # '' when it was of no known format
    receipt: Receipt = field(default_factory=Receipt)


def find_files(paths: Iterable[Path]) -> list[Path]:
    """The files named, and those below the folders named, but no hidden ones. FileNotFoundError if absent."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(
                p
                for p in path.rglob("*")
                if p.is_file() and not any(part.startswith(".") for part in p.relative_to(path).parts)
            )
        elif path.is_file():
            found.append(path)
        else:
            raise FileNotFoundError(path)
    return list(dict.fromkeys(found))


def import_file(
    path: Path, format_name: str, source: str, default_time: datetime, on_bytes: Callable[[int], None]
) -> FileReport:
    """Import one file. `on_bytes` is told how many bytes of the file were read since the last call.

    A file that breaks in the middle keeps what came before the break. Raises OSError when it cannot be read.
    """
    with path.open("rb") as raw:
        counted = _Counting(raw, on_bytes)
        stream: BinaryIO = io.BufferedReader(counted, 1 << 18)
        if stream.peek(2)[:2] == GZIP_MAGIC:  # type: ignore[attr-defined]
            stream = io.BufferedReader(gzip.GzipFile(fileobj=stream), 1 << 18)
        try:
            log_format = _format(stream, format_name)
        except (EOFError, gzip.BadGzipFile) as error:
            return _refused(
                path, source, Reason.TRUNCATED, f"The gzip data is broken: {type(error).__name__}."
            )
        if log_format is None:
            return _refused(
                path, source, Reason.UNKNOWN_FORMAT, "No known log format; name one with --format."
            )
        context = ParseContext(default_time=default_time, file_name=_short_name(path))
        report = FileReport(path, log_format.name)
        for batch in _batches(_items(log_format, stream, context), ROWS_PER_BATCH):
            report.receipt.add(accept(batch, source))
        return report


def _format(stream: BinaryIO, name: str) -> Format | None:
    if name != "auto":
        return formats.get(name)
    # A buffered reader's peek may return less than was asked for, but never nothing before the end.
    head = stream.peek(formats.HEAD_BYTES)  # type: ignore[attr-defined]
    return formats.detect(head[: formats.HEAD_BYTES])


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
    except (EOFError, gzip.BadGzipFile, OSError) as error:
        yield Rejection(
            rows, Reason.TRUNCATED, "", f"The file cannot be read to its end: {type(error).__name__}."
        )


def _refused(path: Path, source: str, reason: Reason, detail: str) -> FileReport:
    return FileReport(path, "", accept([Rejection(0, reason, "", detail)], source))


def _batches(items: Iterable[formats.Item], size: int) -> Iterator[Sequence[formats.Item]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


def total(reports: Iterable[FileReport]) -> Receipt:
    """The sum of several receipts."""
    sum_ = Receipt()
    for report in reports:
        sum_.add(replace(report.receipt))
    return sum_


class _Counting(io.RawIOBase):
    """A raw file that tells how far it has been read, so that the progress bar is true for gzip as well."""

    def __init__(self, inner: BinaryIO, on_bytes: Callable[[int], None]) -> None:
        self._inner = inner
        self._on_bytes = on_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = self._inner.readinto(buffer)  # type: ignore[attr-defined]
        self._on_bytes(count)
        return int(count)
