"""Uploads: files spooled into the data folder by a web server, read by whichever process sees them, deleted afterwards.

The row of a job is its whole state: several web servers and workers share it, and a page shows it. Reading holds a
lease that it renews as it goes. A process that dies lets its lease run out; the next one goes on with the file that was
not finished, from its start, and says so. Rows count once anyway.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection, transaction
from django.db.models import Q

from ingest import formats, mappings
from ingest.core.errors import Rejection
from ingest.formats import BadBody
from ingest.importing import FileReport, Reading, import_stream, open_log
from ingest.models import ImportJob

logger = logging.getLogger("breakeven.uploads")

LEASE = timedelta(seconds=60)
TELL_EVERY_S = 0.5  # how often a job's row says how far it is
MOST_ATTEMPTS = 3  # a file that ends its process this often is given up
KEEP_ROWS = timedelta(days=30)
KEEP_FILES = timedelta(days=1)  # they hold what we do not keep: texts
TABLES = ("csv_rows", "parquet_rows")

State = ImportJob.State


@dataclass(frozen=True, slots=True)
class Spooled:
    """One file that has arrived: its name as the sender gave it, and its size; its place is its position."""

    name: str
    size: int


def folder_of(job_id: uuid.UUID) -> Path:
    """Where a job's files lie, named 0, 1, 2..."""
    folder: Path = settings.UPLOADS_DIR / str(job_id)
    return folder


def entry(file: Spooled) -> dict[str, Any]:
    """What a job's row keeps of one file; counts and rejections come when it has been read."""
    return {
        "name": file.name[:500],
        "size": file.size,
        "state": "waiting",  # waiting, reading, done
        "format": "",
        "received": 0,
        "stored": 0,
        "merged": 0,
        "duplicate": 0,
        "rejected": 0,
        "reasons": {},  # reason -> count
        "first": [],  # {line, reason, field, detail}
        "problem": "",
        "again": False,  # reading it was broken off once
        "mapping": None,  # of a table: what its columns mean, confirmed
    }


def create(
    job_id: uuid.UUID,
    files: Sequence[Spooled],
    *,
    by: str,
    source: str,
    format_name: str,
    at: datetime,
    now: datetime,
) -> ImportJob:
    """Take on files that lie in the job's folder. It waits for a worker, or for somebody to say what columns mean."""
    job = ImportJob(
        id=job_id,
        created_at=now,
        created_by=by[:150],
        source=source[:200],
        format=format_name,
        default_time=at,
        state=State.WAITING,
        total_bytes=sum(file.size for file in files),
        files=[entry(file) for file in files],
    )
    if any(asks_for_mapping(job, number) for number in range(len(files))):
        job.state = State.ASKING
    job.save(force_insert=True)
    return job


# Tables --------------------------------------------------------------------------------------------------------------


def asks_for_mapping(job: ImportJob, number: int) -> mappings.Preview | None:
    """What somebody has to confirm before this file can be read; None when there is nothing to confirm.

    A guess is shown even when it is sure: what columns mean is confirmed once for every source and header.
    """
    known = job.files[number]
    if known["mapping"] is not None or job.format not in ("auto", *TABLES):
        return None
    try:
        with folder_of(job.id).joinpath(str(number)).open("rb", buffering=0) as file:
            stream, head, _ = open_log(file, TABLES[0])
            if job.format == "auto" and not _is_table(head):
                return None
            preview = mappings.columns_of(stream)
    except (OSError, EOFError, BadBody):
        return None  # reading it will say what is wrong with it
    return None if mappings.load(job.source, preview.columns) else preview


def _is_table(head: bytes) -> bool:
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"", b"{", b"["):
        return False  # quickly: a folder of transcripts may hold thousands of files
    log_format = formats.detect(head)
    return log_format is not None and log_format.name in TABLES


def confirm(job: ImportJob, number: int, columns: Sequence[str], mapping: mappings.Mapping) -> None:
    """Keep what somebody confirmed for one file, for the source too; the job goes on when nothing else is asked.

    Raises MappingError when the mapping does not fit the columns.
    """
    mappings.save(job.source, columns, mapping.confirmed())
    with transaction.atomic():
        locked = ImportJob.objects.select_for_update().get(pk=job.pk)
        if locked.state != State.ASKING:
            return
        locked.files[number]["mapping"] = mapping.to_object()
        if not any(asks_for_mapping(locked, other) for other in range(len(locked.files))):
            locked.state = State.WAITING
        locked.save(update_fields=["files", "state"])


# Reading -------------------------------------------------------------------------------------------------------------


def run_due(between: Callable[[], None] = lambda: None, most_s: float = 20.0) -> int:
    """Read jobs whose files lie here until none is due or the time is up; returns how many were ended.

    `between` is called after every batch, for whoever has other duties.
    """
    started = time.monotonic()
    ended = 0
    while time.monotonic() - started < most_s and (job := claim(datetime.now(UTC))):
        run(job, between)
        ended += 1
    return ended


def claim(now: datetime, only: uuid.UUID | None = None) -> ImportJob | None:
    """The oldest job that waits, or whose reader died, and whose files this machine has; it is leased to the caller."""
    due = Q(state=State.WAITING) | Q(state=State.RUNNING, lease_until__lt=now)
    with transaction.atomic():
        for job in (
            ImportJob.objects.select_for_update(skip_locked=True)
            .filter(due, **({"pk": only} if only else {}))
            .order_by("created_at")
        ):
            if not folder_of(job.id).is_dir():
                continue  # spooled on another machine
            job.state, job.lease, job.lease_until = State.RUNNING, uuid.uuid4().hex, now + LEASE
            job.attempts += 1
            job.save(update_fields=["state", "lease", "lease_until", "attempts"])
            return job
    return None


class LostLease(Exception):
    """Another process has taken the job over."""


def run(job: ImportJob, between: Callable[[], None] = lambda: None) -> None:
    """Read a claimed job to its end. Raises DatabaseError when the database is away; the job then goes on later."""
    try:
        if job.attempts > MOST_ATTEMPTS:
            _end(
                job,
                f"Reading was broken off {MOST_ATTEMPTS} times, so it was given up. Rows read so far are kept.",
            )
            return
        for number, known in enumerate(job.files):
            if known["state"] == "done":
                continue
            _read(job, number, between)
        _end(job, "")
    except LostLease:
        logger.warning("upload %s was taken over by another process", job.pk)
    except DatabaseError:
        raise
    except Exception:
        logger.exception("upload %s failed", job.pk)
        _end(
            job,
            "Reading failed for a reason of ours; the server's log says which. Rows read so far are kept.",
        )


def _read(job: ImportJob, number: int, between: Callable[[], None]) -> None:
    known = job.files[number]
    known["again"] = known["state"] == "reading"
    known["state"] = "reading"
    before = sum(file["size"] for file in job.files if file["state"] == "done")
    rows_before = sum(file["received"] for file in job.files if file["state"] == "done")
    job.read_bytes, job.received = before, rows_before
    _tell(job, ("files", "read_bytes", "received"))
    told = time.monotonic()

    def progress() -> None:
        nonlocal told
        if time.monotonic() - told > TELL_EVERY_S:
            told = time.monotonic()
            _tell(job, ("read_bytes", "received"))

    def on_bytes(count: int) -> None:
        job.read_bytes = min(job.read_bytes + count, before + known["size"])
        progress()

    def on_rows(count: int) -> None:
        job.received += count
        progress()
        between()

    mapping = known["mapping"] and mappings.Mapping.from_object(known["mapping"])
    reading = Reading(job.format, job.source, job.default_time, mapping or None)
    path = folder_of(job.id) / str(number)
    try:
        with path.open("rb", buffering=0) as file:
            report = import_stream(file, Path(known["name"]), reading, on_bytes, on_rows)
    except OSError as error:
        report = FileReport(path, problem=f"The spooled file cannot be read: {error.strerror}.")
    known |= _outcome(report)
    job.read_bytes, job.received = before + known["size"], rows_before + known["received"]
    _tell(job, ("files", "read_bytes", "received"))
    path.unlink(missing_ok=True)


def _outcome(report: FileReport) -> dict[str, Any]:
    tally = report.tally
    return {
        "state": "done",
        "format": report.format,
        "received": tally.received,
        "stored": tally.stored,
        "merged": tally.merged,
        "duplicate": tally.duplicate,
        "rejected": tally.rejected,
        "reasons": dict(tally.reasons.most_common()),
        "first": [_shown(row) for row in tally.first],
        "problem": report.problem,
    }


def _shown(row: Rejection) -> dict[str, Any]:
    texts = {"reason": row.reason.value, "field": row.field, "detail": row.detail}
    # JSON of the database takes neither NUL nor lone surrogates.
    clean = {
        name: text.replace("\0", "").encode("utf-8", "replace").decode()[:500] for name, text in texts.items()
    }
    return {"line": row.index + 1, **clean}


def _tell(job: ImportJob, names: Sequence[str]) -> None:
    """Write how far the job is and renew its lease, if it is still ours."""
    until = datetime.now(UTC) + LEASE
    values = {name: getattr(job, name) for name in names}
    if not ImportJob.objects.filter(pk=job.pk, lease=job.lease).update(lease_until=until, **values):
        raise LostLease


def _end(job: ImportJob, problem: str) -> None:
    """Done, or failed with a reason; either way the files go away."""
    ImportJob.objects.filter(pk=job.pk, lease=job.lease).update(
        state=State.FAILED if problem else State.DONE,
        problem=problem,
        files=job.files,
        finished_at=datetime.now(UTC),
        lease="",
        lease_until=None,
    )
    shutil.rmtree(folder_of(job.id), ignore_errors=True)


def start_here(job_id: uuid.UUID) -> bool:
    """Read a job in a thread of this process, if it is due and its files are here: for machines without a worker."""
    job = claim(datetime.now(UTC), only=job_id)
    if job is None:
        return False

    def work() -> None:
        try:
            run(job)
        except DatabaseError:
            logger.warning("upload %s waits for the database", job_id)
        finally:
            connection.close()

    threading.Thread(target=work, name=f"upload-{job_id}", daemon=True).start()
    return True


# Housekeeping --------------------------------------------------------------------------------------------------------


def tidy(now: datetime) -> None:
    """Give up jobs that nobody confirmed or nobody could read, delete files nobody will read, forget old jobs."""
    late = ImportJob.objects.filter(created_at__lt=now - KEEP_FILES, finished_at=None).exclude(
        lease_until__gt=now
    )
    late.update(
        state=State.FAILED,
        finished_at=now,
        problem="It was not read within a day, so its files were deleted. Upload them again.",
    )
    ImportJob.objects.filter(created_at__lt=now - KEEP_ROWS).delete()
    if not settings.UPLOADS_DIR.is_dir():
        return
    for folder in settings.UPLOADS_DIR.iterdir():
        with contextlib.suppress(OSError, ValueError):
            old = folder.stat().st_mtime < (now - KEEP_FILES).timestamp()
            if old and not ImportJob.objects.filter(pk=uuid.UUID(folder.name), finished_at=None).exists():
                shutil.rmtree(folder, ignore_errors=True)
