"""Pulling a watched folder: new files and grown ones are imported; a call counts once however often its file is read.

Only folders below the one that the operator allowed can be watched, links included: a page must not be a way to read
the machine's other files.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings

from ingest.bodies import GZIP_MAGIC
from ingest.finding import find_files
from ingest.importing import Reading, import_stream
from ingest.models import PulledFile, PulledSource
from ingest.pulling.steps import Step

SETTLED = timedelta(seconds=10)  # a file that nobody has touched for so long is whole
IMPATIENT = timedelta(
    minutes=10
)  # one that is written to all the time is read up to its last whole line this often
LAST_LINE_BYTES = 1 << 20
MAX_PATH = 600
OFF = "Watching folders is switched off on this server: BREAKEVEN_WATCH names no folder."


class NotAllowed(Exception):
    """This folder may not be watched; the text says why."""


def allowed(text: str) -> Path:
    """The folder of this name, absolute or below the allowed one. Raises NotAllowed.

    Of what lies elsewhere it is not even said whether it exists.
    """
    root: Path | None = settings.BREAKEVEN_WATCH
    if root is None:
        raise NotAllowed(OFF)
    try:
        path = (root / text).resolve()
        inside = path == root or root in path.parents
        there = inside and path.is_dir()
    except (OSError, ValueError, RuntimeError):  # a name too long, a NUL in it, a loop of links
        inside = there = False
    if not inside:
        raise NotAllowed(f"The folder must lie below {root}.")
    if not there:
        raise NotAllowed("There is no such folder.")
    return path


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A file that is new or has changed since it was imported."""

    path: Path
    name: str  # below the watched folder
    size: int
    modified_ns: int
    settled: bool


def step(
    source: PulledSource,
    *,
    every: timedelta,
    now: datetime,
    most_s: float,
    between: Callable[[], None] = lambda: None,
) -> Step:
    """Import what is new, for as long as the time allows."""
    state: dict[str, Any] = dict(source.state)
    try:
        root = allowed(str(source.settings.get("path", "")))
    except NotAllowed as error:
        return Step(state, now + every, str(error))
    problems: list[str] = []
    reading = Reading(str(source.settings.get("format", "auto")), source.name, now)
    started = time.monotonic()
    for candidate in _candidates(source, root, now, problems):
        if time.monotonic() - started > most_s:
            return Step(state, now, _words(problems))
        if problem := _import(candidate, reading, between):
            problems.append(f"{candidate.name}: {problem}")
        PulledFile.objects.update_or_create(
            source=source,
            path=candidate.name,
            defaults={"size": candidate.size, "modified_ns": candidate.modified_ns, "imported_at": now},
        )
    return Step(state, now + every, _words(problems), round_done=True)


def _candidates(source: PulledSource, root: Path, now: datetime, problems: list[str]) -> list[_Candidate]:
    known = {file.path: file for file in PulledFile.objects.filter(source=source)}
    files = find_files([root], lambda path, why: problems.append(f"{_below(path, root)}: {why}"))
    found = []
    for path in files:
        name = _below(path, root)
        try:
            real, status = path.resolve(), path.stat()
        except OSError as error:
            problems.append(f"{name}: {error.strerror}")
            continue
        if settings.BREAKEVEN_WATCH not in real.parents:
            problems.append(f"{name}: a link that leads out of the allowed folder")
            continue
        if len(name) > MAX_PATH:
            problems.append(f"{name[:60]}…: the name is longer than {MAX_PATH} characters")
            continue
        before = known.get(name)
        if before is not None and (before.size, before.modified_ns) == (status.st_size, status.st_mtime_ns):
            continue
        settled = now.timestamp() - status.st_mtime >= SETTLED.total_seconds()
        since = before.imported_at if before is not None else source.created_at
        if settled or now - since >= IMPATIENT:
            found.append(_Candidate(real, name, status.st_size, status.st_mtime_ns, settled))
    return found


def _below(path: Path, root: Path) -> str:
    name = path.relative_to(root).as_posix() if root in path.parents else "."
    return name.encode("utf-8", "replace").decode()


def _import(candidate: _Candidate, reading: Reading, between: Callable[[], None]) -> str:
    """Read one file up to where it ended when it was looked at; returns what was wrong with it as a whole."""
    try:
        # The path has been resolved, so that a link at its end was put there since.
        descriptor = os.open(candidate.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(descriptor, "rb", buffering=0) as file:
            end = candidate.size if candidate.settled else _last_line(file, candidate.size)
            if end:
                report = import_stream(
                    _Until(file, end), candidate.path, reading, on_rows=lambda rows: between()
                )
                return report.problem
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    return ""


def _last_line(file: BinaryIO | io.RawIOBase, size: int) -> int:
    """Where the last whole line ends, for a file that is still being written; a compressed one is left for later."""
    if file.read(2) == GZIP_MAGIC:
        return 0
    begin = max(0, size - LAST_LINE_BYTES)
    file.seek(begin)
    tail = file.read(size - begin) or b""
    file.seek(0)
    return begin + tail.rfind(b"\n") + 1 if b"\n" in tail else 0


def _words(problems: list[str]) -> str:
    if not problems:
        return ""
    more = f" (and {len(problems) - 1} more files)" if len(problems) > 1 else ""
    return f"{problems[0]}{more}"


class _Until(io.RawIOBase):
    """A file that ends where it is told to, though it may grow meanwhile."""

    def __init__(self, inner: BinaryIO | io.RawIOBase, end: int) -> None:
        self._inner = inner
        self._end = end
        self._at = 0
        inner.seek(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._end}[whence]
        self._at = self._inner.seek(max(0, start + offset))
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        data = self._inner.read(min(len(buffer), max(0, self._end - self._at))) or b""
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
