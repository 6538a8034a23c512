"""The ledger of received rows: appended in the transaction that stores them, compacted later, always balanced."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction

from ingest.core.errors import Rejection
from ingest.models import RejectedRow, Source

# Every rejection is counted and answered; of one call at most this many are also written down.
MAX_REJECTIONS_KEPT = 100
KEEP_REJECTIONS = timedelta(days=30)

_source_ids: dict[tuple[str, str], int] = {}


def source_id(name: str) -> int:
    """The id of a source, created at its first use (by itself, outside the caller's transaction)."""
    key = (str(connection.settings_dict["NAME"]), name)
    if key not in _source_ids:
        if len(_source_ids) > 10_000:
            _source_ids.clear()
        _source_ids[key] = Source.objects.get_or_create(name=name[:200])[0].pk
    return _source_ids[key]


def forget_sources() -> None:
    """Drop what this process remembers of sources (after a test database was replaced)."""
    _source_ids.clear()


def enter(
    source: int, received: int, stored: int, merged: int, duplicate: int, rejected: Sequence[Rejection]
) -> None:
    """Append one entry and the reasons of its rejections; part of the caller's transaction."""
    now = datetime.now(UTC)
    with connection.cursor() as cursor:  # plain SQL: this is on the path of every batch
        cursor.execute(
            "INSERT INTO ledger_entry (received_at, source_id, received, stored, merged, duplicate, rejected)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [now, source, received, stored, merged, duplicate, len(rejected)],
        )
    if rejected:
        RejectedRow.objects.bulk_create(
            RejectedRow(
                received_at=now,
                source_id=source,
                position=row.index,
                reason=row.reason.value,
                field=_storable(row.field, 200),
                detail=_storable(row.detail, 500),
                event_id=_storable(row.event_id, 256),
            )
            for row in rejected[:MAX_REJECTIONS_KEPT]
        )


def _storable(text: str, size: int) -> str:
    """PostgreSQL text takes neither NUL nor lone surrogates."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()[:size]


def compact(now: datetime) -> int:
    """Fold the entries of finished hours into one an hour and source; returns how many rows went away."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "WITH old AS (DELETE FROM ledger_entry WHERE received_at < %s RETURNING *),"
            " folded AS (INSERT INTO ledger_entry"
            "  (received_at, source_id, received, stored, merged, duplicate, rejected)"
            "  SELECT max(received_at), source_id, sum(received), sum(stored), sum(merged), sum(duplicate),"
            "  sum(rejected) FROM old GROUP BY date_trunc('hour', received_at), source_id RETURNING 1)"
            " SELECT (SELECT count(*) FROM old) - (SELECT count(*) FROM folded)",
            [hour],
        )
        removed = int(cursor.fetchone()[0])
    RejectedRow.objects.filter(received_at__lt=now - KEEP_REJECTIONS).delete()
    return removed
