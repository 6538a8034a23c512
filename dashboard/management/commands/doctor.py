"""Check a running installation and say what to do about whatever is wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import Error, connection

from dashboard import preparation
from dashboard.management.commands._doctor_duties import gap_days, pulled_sources, reports, uploads
from dashboard.management.commands._finding import Finding

LATE_S = 60  # beat nudges every two seconds; a minute means that nobody fills
LITTLE_SPACE = 1_000_000_000


class Command(BaseCommand):
    help = (
        "Check the database, worker, broker, uploads, pulled sources, reports, ledger and disk, and say what to do."
        " Exit code 1 if anything is wrong."
    )
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        wrong = 0
        for check in CHECKS:
            for finding in outcome(check):
                wrong += bool(finding.advice)
                mark = "wrong" if finding.advice else "ok   "
                self.stdout.write(
                    f"{mark} {finding.text}" + (f"\n      -> {finding.advice}" if finding.advice else "")
                )
        if wrong:
            raise CommandError(f"{wrong} of these need attention.", returncode=1)
        self.stdout.write("All is well.")


def outcome(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """One check's findings; what a missing database or table makes impossible is a finding too."""
    try:
        yield from check()
    except Error as error:
        reason = str(error).strip().splitlines()[0]
        yield Finding(
            f"{check.__name__.replace('_', ' ')}: cannot be checked ({reason})", "Mend what is above first."
        )


def value(statement: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        found = cursor.fetchone()
    return found[0] if found else None


def database() -> Iterator[Finding]:
    where = (
        "embedded" if settings.EMBEDDED_DATABASE else settings.DATABASES["default"]["HOST"] or "local socket"
    )
    try:
        version = int(value("SHOW server_version_num")) // 10_000
    except Error as error:
        advice = (
            "Start `make up`."
            if settings.EMBEDDED_DATABASE
            else "Check DATABASE_URL and that the server runs."
        )
        yield Finding(f"database ({where}): does not answer: {str(error).strip().splitlines()[0]}", advice)
        return
    if version < preparation.OLDEST_POSTGRES:
        advice = f"Upgrade it to {preparation.OLDEST_POSTGRES} or newer."
        yield Finding(f"database ({where}): PostgreSQL {version}", advice)
    else:
        size = value("SELECT pg_size_pretty(pg_database_size(current_database()))")
        yield Finding(f"database ({where}): PostgreSQL {version}, {size}")
    if value("SHOW fsync") != "on":
        yield Finding(
            "database: fsync is off", "Turn it on, or a power cut can lose events that were acknowledged."
        )


def tables() -> Iterator[Finding]:
    pending = preparation.pending_migrations()
    if pending:
        yield Finding(
            f"tables: {len(pending)} migrations are not applied", "Run `manage.py migrate`, or `make up`."
        )
    else:
        yield Finding("tables: up to date")


def broker() -> Iterator[Finding]:
    from dashboard.celery import app

    name = "data folder" if settings.EMBEDDED_BROKER else settings.CELERY_BROKER_URL.partition(":")[0]
    try:
        with app.connection_for_read() as link:
            link.ensure_connection(max_retries=1, interval_start=0, timeout=3)
            if settings.EMBEDDED_BROKER:
                settings.BROKER_DIR.mkdir(parents=True, exist_ok=True)
    except Exception as error:  # every transport has errors of its own
        advice = "Check CELERY_BROKER_URL. No figure is lost: the worker catches up when the broker is back."
        yield Finding(f"broker ({name}): does not answer: {error}", advice)
        return
    waiting = len(list(settings.BROKER_DIR.glob("*.msg"))) if settings.EMBEDDED_BROKER else 0
    if waiting > 100:
        yield Finding(f"broker ({name}): {waiting} messages wait", "Is the worker running? Start `make up`.")
    else:
        yield Finding(f"broker ({name}): answers")


def worker() -> Iterator[Finding]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(DISTINCT bucket_start), extract(epoch FROM clock_timestamp() - min(marked_at))"
            " FROM dirty_bucket"
        )
        hours, age = cursor.fetchone()
    last = value("SELECT max(filled_at) FROM fill_state")
    if hours and age > LATE_S:
        yield Finding(
            f"worker: {hours} hours of events have waited for up to {age:.0f} s",
            "Is a worker running (`make up`)? Otherwise see logs/worker.log, or run `manage.py fill_rollups` now.",
        )
    elif last is None:
        yield Finding("worker: nothing to do yet; no event has arrived")
    else:
        yield Finding(f"worker: up to date, last fill {last:%Y-%m-%d %H:%M:%S} UTC")


def partitions() -> Iterator[Finding]:
    from ingest import partitions as store

    months = store.existing()
    keep = settings.EVENT_RETENTION_MONTHS
    today = datetime.now(UTC).date()
    # One month more than promised: the housekeeping runs every hour, but only while somebody runs it.
    overdue = [each for each in months if keep and (today - each).days > (keep + 2) * 31]
    if overdue:
        advice = "The hourly housekeeping does not run; is beat running (`make up`)?"
        yield Finding(f"partitions: {len(overdue)} months should be gone by EVENT_RETENTION_MONTHS", advice)
    else:
        yield Finding(f"partitions: {len(months)} months of events")


def ledger() -> Iterator[Finding]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(received), 0), coalesce(sum(stored), 0), coalesce(sum(merged), 0),"
            " coalesce(sum(duplicate), 0), coalesce(sum(rejected), 0) FROM ledger_entry"
        )
        received, stored, merged, duplicate, rejected = (int(each) for each in cursor.fetchone())
    text = f"{received} received = {stored} stored + {merged} merged + {duplicate} duplicate + {rejected} rejected"
    if received != stored + merged + duplicate + rejected:
        yield Finding(f"ledger: does not balance: {text}", "Please report this: it must not happen.")
    else:
        yield Finding(f"ledger: {text}")


def reporting_zone() -> Iterator[Finding]:
    from ingest import install_state

    filled_in = install_state.read("reporting_time_zone")
    now = settings.REPORTING_TIME_ZONE
    if filled_in and filled_in != now:
        yield Finding(
            f"reporting zone: days were built in {filled_in}, REPORTING_TIME_ZONE is {now}",
            f"Run `manage.py rebuild` to build them anew, or set REPORTING_TIME_ZONE={filled_in}.",
        )
    else:
        yield Finding(f"reporting zone: {now}")


def disk() -> Iterator[Finding]:
    free = shutil.disk_usage(settings.BREAKEVEN_HOME).free
    text = f"disk: {free / 1e9:.1f} GB free at {settings.BREAKEVEN_HOME}"
    if free < LITTLE_SPACE:
        yield Finding(text, "Make room, set EVENT_RETENTION_MONTHS, or move BREAKEVEN_HOME to a larger disk.")
    else:
        yield Finding(text)


CHECKS = (
    database,
    tables,
    broker,
    worker,
    gap_days,
    uploads,
    pulled_sources,
    reports,
    partitions,
    ledger,
    reporting_zone,
    disk,
)
