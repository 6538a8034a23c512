"""Monthly partitions of the event tables: they appear by themselves, and retention drops them whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from django.conf import settings
from django.db import connection, transaction
from psycopg import sql

# One advisory lock serialises partition DDL between processes; the number means nothing else.
PARTITION_LOCK = 0x62726B65


@dataclass(frozen=True, slots=True)
class Partitioned:
    """One time-partitioned table and how long its months are kept."""

    table: str
    keep_months_setting: str  # name of the setting; 0 = for ever


# Retention, in full: raw events in months that are dropped whole, rollups and identities for ever.
RETENTION = (
    Partitioned("event", "EVENT_RETENTION_MONTHS"),
    Partitioned("event_prefix", "EVENT_RETENTION_MONTHS"),
)

_known: set[tuple[str, date]] = set()  # (database name, month) seen to exist by this process


def month_of(day: date) -> date:
    return date(day.year, day.month, 1)


def next_month(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def partition_name(table: str, month: date) -> str:
    return f"{table}_{month:%Y_%m}"


def forget_known() -> None:
    """Drop what this process remembers of partitions (after a test database was replaced, or a drop)."""
    _known.clear()


def unseen(months: set[date]) -> set[date]:
    """Those of these months whose partition this process does not know to exist."""
    database = str(connection.settings_dict["NAME"])
    return {month for month in months if (database, month) not in _known}


def ensure(months: Iterable[date]) -> None:
    """Create the partitions of these months where they are missing. Commits by itself, before the caller's rows.

    A partition is built apart and then attached: ATTACH takes a lock that lets readers and writers of the other
    months go on, which CREATE ... PARTITION OF would not.
    """
    database = str(connection.settings_dict["NAME"])
    for month in sorted(unseen(set(months))):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [PARTITION_LOCK])
            for spec in RETENTION:
                _create(cursor, spec.table, month)
        _known.add((database, month))


def _create(cursor: object, table: str, month: date) -> None:
    name = partition_name(table, month)
    cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [name])  # type: ignore[attr-defined]
    if cursor.fetchone()[0]:  # type: ignore[attr-defined]
        return
    bounds = [
        sql.Literal(datetime(first.year, first.month, 1, tzinfo=UTC).isoformat())
        for first in (month, next_month(month))
    ]
    for statement in (
        sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)").format(
            sql.Identifier(name), sql.Identifier(table)
        ),
        sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
            sql.Identifier(table), sql.Identifier(name), *bounds
        ),
    ):
        cursor.execute(statement)  # type: ignore[attr-defined]


def existing(table: str = "event") -> list[date]:
    """The months that have a partition, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = %s::regclass ORDER BY 1",
            [table],
        )
        names = [row[0] for row in cursor.fetchall()]
    return [date(int(name[-7:-3]), int(name[-2:]), 1) for name in names]


def retired_months() -> set[date]:
    """Months whose events are gone; events of these are refused, because their rollups are final."""
    from ingest.models import RetiredMonth

    return set(RetiredMonth.objects.values_list("month", flat=True))


def drop_expired(today: date) -> list[str]:
    """Drop the partitions older than retention allows; returns the names of the tables dropped."""
    from ingest.models import RetiredMonth

    dropped = []
    for spec in RETENTION:
        keep = getattr(settings, spec.keep_months_setting, 0)
        if keep <= 0:
            continue
        oldest = month_of(today)
        for _ in range(keep):
            oldest = month_of(date.fromordinal(oldest.toordinal() - 1))
        for month in existing(spec.table):
            if month >= oldest or _has_due_buckets(month):
                continue
            with transaction.atomic(), connection.cursor() as cursor:
                RetiredMonth.objects.get_or_create(month=month)
                name = partition_name(spec.table, month)
                cursor.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))
                dropped.append(name)
    if dropped:
        forget_known()
    return dropped


def _has_due_buckets(month: date) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM dirty_bucket WHERE bucket_start >= %s AND bucket_start < %s)",
            [datetime(m.year, m.month, 1, tzinfo=UTC) for m in (month, next_month(month))],
        )
        return bool(cursor.fetchone()[0])
