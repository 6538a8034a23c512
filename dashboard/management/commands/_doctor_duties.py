"""What `manage.py doctor` says about work that is done in the background: uploads, pulled sources, gaps, reports."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.db import connection
from django.db.models import Q, QuerySet
from django.utils import timezone

from dashboard.management.commands._finding import Finding
from dashboard.models import StoredReport
from dashboard.reports import stored
from ingest.gaps import REST
from ingest.import_jobs import KEEP_FILES, LEASE
from ingest.models import ImportJob, PulledSource
from ingest.pulling import sources

# Beat nudges every few seconds, but one worker may be busy with a large upload or a large day for a while.
LATE = timedelta(minutes=15)
RECENT = timedelta(days=1)  # what failed longer ago is history
MOST_NAMED = 5


def uploads() -> Iterator[Finding]:
    """Import jobs that nobody reads, or that were given up."""
    now = timezone.now()
    state = ImportJob.State
    jobs = ImportJob.objects.order_by("created_at")
    open_jobs = jobs.filter(finished_at=None)
    stuck = open_jobs.filter(
        Q(state=state.WAITING, created_at__lt=now - LATE)
        | Q(state=state.RUNNING, lease_until__lt=now - LEASE)
    )
    failed = jobs.filter(state=state.FAILED, finished_at__gte=now - RECENT)
    asking = open_jobs.filter(state=state.ASKING, created_at__lt=now - LATE)
    found = False
    for job in stuck[:MOST_NAMED]:
        found = True
        yield Finding(
            f"uploads: one of {job.created_at:%Y-%m-%d %H:%M} UTC for source {job.source!r} is not being read",
            "Is a worker running (`make up`) on the machine that took it? It goes on by itself; after "
            f"{KEEP_FILES // timedelta(hours=1)} hours it is given up.",
        )
    for job in failed[:MOST_NAMED]:
        found = True
        yield Finding(
            f"uploads: one of {job.created_at:%Y-%m-%d %H:%M} UTC for source {job.source!r} was given up: "
            f"{job.problem}",
            "See logs/worker.log and logs/web.log, then upload the files again: no row counts twice.",
        )
    for job in asking[:MOST_NAMED]:
        found = True
        yield Finding(
            f"uploads: one of {job.created_at:%Y-%m-%d %H:%M} UTC for source {job.source!r} waits for an answer",
            "Say on the Upload page what its columns mean.",
        )
    if not found:
        waiting = open_jobs.count()
        yield Finding(f"uploads: {waiting} in work" if waiting else "uploads: none waits")


def pulled_sources() -> Iterator[Finding]:
    """Sources that are fetched on a schedule: those that fail, that are not fetched, or whose key cannot be read."""
    now = timezone.now()
    known = list(PulledSource.objects.all())
    active = [source for source in known if not source.paused]
    wrong = 0
    for source in active:
        finding = _pulled(source, overdue=source.due_at < now - LATE and not _leased(source))
        if finding is not None:
            wrong += 1
            yield finding
    if not wrong:
        paused = f", {len(known) - len(active)} paused" if len(active) < len(known) else ""
        yield Finding(
            f"pulled sources: {len(active)} in order{paused}" if known else "pulled sources: none set up"
        )


def _pulled(source: PulledSource, overdue: bool) -> Finding | None:
    name = f"pulled sources: {source.name}"
    if sources.needs_key(source):
        return Finding(
            f"{name}: its key cannot be read, because SECRET_KEY has changed",
            "Enter the key again under Settings, or put the former SECRET_KEY back.",
        )
    if source.last_error and _lasts(source):
        since = f" {source.failures} times in a row" if source.failures > 1 else ""
        return Finding(
            f"{name}: the last run failed{since}: {source.last_error}",
            "Mend what it says; it is tried again by itself. Settings can run it at once, or pause it.",
        )
    if overdue:
        return Finding(
            f"{name}: has been due since {source.due_at:%Y-%m-%d %H:%M} UTC",
            "Is a worker running (`make up`)? Otherwise see logs/worker.log.",
        )
    return None


def _lasts(source: PulledSource) -> bool:
    """Whether a problem is more than a wait: being asked to slow down now and then is no failure."""
    good, tried = source.last_success_at or source.created_at, source.last_run_at or source.created_at
    every = timedelta(minutes=source.every_minutes)
    return source.failures > 0 or source.due_at - tried > LATE or timezone.now() - good > every + LATE


def _leased(source: PulledSource) -> bool:
    return source.lease_until is not None and source.lease_until > timezone.now()


def gap_days() -> Iterator[Finding]:
    """Days whose gap rollups are behind. A day that is still being filled keeps starting to wait anew."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), min(utc_day), extract(epoch FROM clock_timestamp() - min(waiting_since)) FROM ("
            "  SELECT today.utc_day, greatest(today.filled_at, before.filled_at, gap_state.filled_at"
            "    + gap_state.seconds * %s * interval '1 second') AS waiting_since"
            "  FROM fill_state AS today LEFT JOIN gap_state ON gap_state.utc_day = today.utc_day"
            "  LEFT JOIN fill_state AS before ON before.utc_day = today.utc_day - 1"
            "  WHERE today.fills > 0 AND coalesce(gap_state.fills, -1) < today.fills + coalesce(before.fills, 0)"
            "  AND NOT EXISTS (SELECT 1 FROM retired_month"
            "    WHERE month IN (date_trunc('month', today.utc_day)::date,"
            "     date_trunc('month', today.utc_day - 1)::date))) AS due",
            [REST],
        )
        days, first, seconds = cursor.fetchone()
    if days and seconds > LATE.total_seconds():
        yield Finding(
            f"gaps: {days} days, the first {first}, have waited for {seconds / 60:.0f} minutes",
            "Is a worker running (`make up`)? Otherwise see logs/worker.log."
            " Until then the curve over TTLs lacks them.",
        )
    else:
        yield Finding(f"gaps: {days} days in work" if days else "gaps: up to date")


def reports() -> Iterator[Finding]:
    """Reports of pages that failed for a reason of ours, or whose worker did not live to finish them."""
    now = timezone.now()
    asked = StoredReport.objects.filter(wanted_at__gte=now - RECENT)
    failed = asked.filter(problem=stored.FAILED)
    broken_off = asked.filter(claimed_at__lt=now - stored.LEASE)
    if count := failed.count():
        yield Finding(
            f"reports: {count} could not be made: {_kinds(failed)}",
            "See logs/worker.log, and please report it. They are tried again when the figures change.",
        )
    if count := broken_off.count():
        yield Finding(
            f"reports: {count} were begun and not finished: {_kinds(broken_off)}",
            "Is a worker running (`make up`)? If it stops again and again, see logs/worker.log: is memory short?",
        )
    if not failed and not broken_off:
        yield Finding(f"reports: {asked.exclude(body=None).count()} ready")


def _kinds(rows: QuerySet[StoredReport]) -> str:
    return ", ".join(sorted(set(rows.values_list("kind", flat=True))))
