"""Storing reported usage and cost: a row reported again takes the place of the older one, so nothing doubles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from django.db import connection

from ingest import models
from ingest.core.reported import (
    COST_AMOUNTS,
    USAGE_METERS,
    Reported,
    ReportedCost,
    ReportedUsage,
    natural_key,
)
from ingest.storage import Counts

_LOCK = 0x5245504F  # reports are few: they are written one batch at a time
_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class _Table:
    """One table, its row type, and the columns that a newer report of the same row may change."""

    model: type[models.ReportedUsage] | type[models.ReportedCost]
    row: type[ReportedUsage] | type[ReportedCost]
    numbers: tuple[str, ...]


_TABLES = (
    _Table(models.ReportedUsage, ReportedUsage, USAGE_METERS),
    _Table(models.ReportedCost, ReportedCost, COST_AMOUNTS),
)


def store(rows: Sequence[Reported], source_id: int) -> Counts:
    """Store the rows in the caller's transaction: new ones are stored, changed ones merged, the rest duplicates."""
    counts = Counts()
    if not rows:
        return counts
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    now = datetime.now(UTC)
    for table in _TABLES:
        own = [row for row in rows if isinstance(row, table.row)]
        for at in range(0, len(own), _AT_ONCE):
            _store(table, own[at : at + _AT_ONCE], source_id, now, counts)
    return counts


def replaces(refreshed_at: datetime | None, before: datetime | None) -> bool:
    """Whether a row is the later word: always, unless both say how fresh they are and it is the older one."""
    return refreshed_at is None or before is None or refreshed_at >= before


def _store(table: _Table, rows: Sequence[Reported], source_id: int, now: datetime, counts: Counts) -> None:
    keyed = [(natural_key(row, source_id), row) for row in rows]
    manager: Any = table.model._default_manager
    known = {bytes(old.natural_key): old for old in manager.filter(natural_key__in=[key for key, _ in keyed])}
    numbers = attrgetter(*table.numbers)
    new: dict[bytes, Any] = {}
    changed: dict[bytes, Any] = {}
    for key, row in keyed:
        old = new.get(key) or known.get(key)
        if old is None:
            new[key] = table.model(**_columns(row), natural_key=key, source_id=source_id, received_at=now)
            counts.stored += 1
            continue
        later = replaces(row.refreshed_at, old.refreshed_at)
        if later and numbers(row) != numbers(old):
            counts.merged += 1
        else:
            counts.duplicate += 1
        if later:
            for name in table.numbers:
                setattr(old, name, getattr(row, name))
            old.refreshed_at = row.refreshed_at or old.refreshed_at
            old.received_at = now
            if key in known:
                changed[key] = old
    manager.bulk_create(new.values())
    manager.bulk_update(changed.values(), [*table.numbers, "refreshed_at", "received_at"])


def _columns(row: Reported) -> dict[str, Any]:
    """The row's fields under the names of the table's columns."""
    values = asdict(row)
    values["bucket_start"], values["bucket_end"] = values.pop("start"), values.pop("end")
    values["dimensions"] = dict(row.dimensions)
    return values
