"""Uploads on their way in: files of a form go straight into the data folder, and ingest takes them from there."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import Any, BinaryIO

from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest

from ingest import formats
from ingest.import_jobs import Spooled, asks_for_mapping, confirm, create, folder_of, start_here
from ingest.mappings import DURATION_UNITS, TARGETS, THOUSANDS, TIME_FORMATS, Mapping, MappingError, Preview

__all__ = [
    "DURATION_UNITS",
    "TARGETS",
    "THOUSANDS",
    "TIME_FORMATS",
    "Mapping",
    "MappingError",
    "Preview",
    "Spool",
    "Spooled",
    "asks_for_mapping",
    "confirm",
    "create",
    "folder_of",
    "known_formats",
    "size_text",
    "start_here",
]

CHUNK_BYTES = 1 << 20


def known_formats() -> list[tuple[str, str]]:
    """(name, title) of every log format, for the form."""
    return [(each.name, each.title) for each in formats.all_formats().values()]


class Spool(FileUploadHandler):
    """Writes the files of one form into the folder of a job that does not exist yet, up to a limit in all.

    What lies beyond the limit is read and dropped, so that the browser gets to see the answer. `problem` then says what
    to do; `discard` removes what was written.
    """

    chunk_size = CHUNK_BYTES

    def __init__(self, request: HttpRequest, limit: int) -> None:
        super().__init__(request)
        self.job_id = uuid.uuid4()
        self.files: list[Spooled] = []
        self.problem = ""
        self.status = 422
        self._limit = limit
        self._received = 0
        self._file: BinaryIO | None = None

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self._close()
        if self.problem:
            return
        try:
            folder = folder_of(self.job_id)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = (folder / str(len(self.files))).open("wb")
        except OSError as error:
            self._fail(507, f"The data folder cannot be written ({error.strerror}). Nothing was stored.")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self._received += len(raw_data)
        if self._received > self._limit and not self.problem:
            self._fail(413, too_large(self._limit))
        if self._file is None:
            return
        try:
            self._file.write(raw_data)
        except OSError as error:
            self._fail(507, f"The data folder cannot hold the files ({error.strerror}). Nothing was stored.")

    def file_complete(self, file_size: int) -> UploadedFile[bytes]:
        self._close()
        name = self.file_name or "file"
        if not self.problem:
            self.files.append(Spooled(name, file_size))
        return UploadedFile(None, name, self.content_type, file_size)

    def upload_interrupted(self) -> None:
        self.discard()

    def discard(self) -> None:
        """Remove everything that was written."""
        self._close()
        shutil.rmtree(folder_of(self.job_id), ignore_errors=True)

    def path(self, number: int) -> Path:
        return folder_of(self.job_id) / str(number)

    def _fail(self, status: int, problem: str) -> None:
        self.status, self.problem = status, problem
        self.discard()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def too_large(limit: int) -> str:
    return (
        f"The files are larger than {size_text(limit)} together, the most one upload may hold. Upload them in parts,"
        " gzip them, use manage.py import_logs, or raise UPLOAD_MAX_BYTES."
    )


def size_text(size: int) -> str:
    """A file's size for people, in decimal units: '12.3 MB'."""
    amount = float(size)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            break
        amount /= 1000
    return f"{size:,} {unit}" if unit == "bytes" else f"{amount:,.1f} {unit}"
