"""What OpenAI's organization reports share: their buckets, their dimensions, and how they are recognised."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, BinaryIO

from ingest.core.errors import Reason
from ingest.core.meter_fields import MeterError
from ingest.core.reported import Reported
from ingest.core.timegrain import floor_day
from ingest.formats._base import Item, ParseContext
from ingest.formats._openai import read_epoch
from ingest.formats._reports import Row, first_object, grouped, read_rows, word_of

DAY = timedelta(days=1)
# A result on its own, outside any bucket, says no time: it is put on the day the import was told.
IMPUTED = ("time", "imputed")
_OBJECT = re.compile(rb'"object"\s*:\s*"(page|bucket|organization\.(usage|costs)\.[a-z_.]+)"')


def parse_with(
    stream: BinaryIO, context: ParseContext, read: Callable[[Row, ParseContext], Iterator[Reported]]
) -> Iterator[Item]:
    """Pages, buckets or single results."""
    yield from grouped(read_rows(stream, lambda row: read(row, context)), context)


def bucket(row: Row, context: ParseContext) -> tuple[datetime, datetime, tuple[tuple[str, str], ...]]:
    """The row's [start, end), and a dimension that says so when they had to be imputed."""
    if row.get("start_time") is None and row.get("end_time") is None:
        start = floor_day(context.default_time)
        return start, start + DAY, (IMPUTED,)
    for name in ("start_time", "end_time"):
        if row.get(name) is None:
            raise MeterError(Reason.MISSING_FIELD, name, f"{name} is required")
    start, end = read_epoch(row["start_time"], "start_time"), read_epoch(row["end_time"], "end_time")
    if end <= start:
        raise MeterError(Reason.INVALID_TIME, "end_time", "end_time must be later than start_time")
    return start, end, ()


def dimensions(row: Row) -> dict[str, Any]:
    """What both reports can be split by; a project is OpenAI's workspace."""
    return {
        "workspace_id": word_of(row, "project_id", 256),
        "api_key_id": word_of(row, "api_key_id", 256),
        "user_id": word_of(row, "user_id", 256),
    }


def sniff_report(head: bytes, kind: bytes) -> int:
    """How surely the bytes are an organization report of this kind ("usage" or "costs")."""
    first = first_object(head)
    said = str(first.get("object", ""))
    if said.startswith(f"organization.{kind.decode()}."):
        return 95
    if said not in ("page", "bucket") or not _OBJECT.search(head):
        return 0
    if b'"organization.' + kind + b"." in head:
        return 95
    # A page with nothing in it is of either report; one of them has to take it.
    return 40 if kind == b"usage" and b'"organization.' not in head else 0
