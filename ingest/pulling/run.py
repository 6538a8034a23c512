"""Running pulled sources: which is due, who may run it, how long to wait after trouble."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import transaction
from django.db.models import Q

from ingest.models import PulledSource
from ingest.pulling import admin_reports, folder, vault
from ingest.pulling.http import Fetch, get
from ingest.pulling.steps import Step

logger = logging.getLogger("breakeven.pulling")

LEASE = timedelta(minutes=10)  # after a crash the source is free again this late
RENEW_S = 60.0  # a large file in a watched folder may take longer than the lease
FIRST_WAIT_S, LONGEST_WAIT_S = 60.0, 3600.0

Clock = Callable[[], datetime]


def pull_due(
    *,
    clock: Clock = lambda: datetime.now(UTC),
    fetch: Fetch = get,
    between: Callable[[], None] = lambda: None,
    most_s: float = 20.0,
) -> int:
    """Run steps of sources that are due, until none is or the time is up; returns how many.

    Nothing here sleeps: a source that has to wait for its next call is due again when the wait is over.
    """
    started = time.monotonic()
    steps = 0
    while time.monotonic() - started < most_s and (source := claim(clock())):
        run(source, clock=clock, fetch=fetch, between=between, most_s=most_s)
        steps += 1
    return steps


def claim(now: datetime) -> PulledSource | None:
    """The source that has been due longest and that nobody else runs; it is leased to the caller."""
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    with transaction.atomic():
        source = (
            PulledSource.objects.select_for_update(skip_locked=True)
            .filter(free, paused=False, due_at__lte=now)
            .order_by("due_at")
            .first()
        )
        if source is None:
            return None
        source.lease, source.lease_until, source.last_run_at = uuid.uuid4().hex, now + LEASE, now
        source.save(update_fields=["lease", "lease_until", "last_run_at"])
    return source


def run(
    source: PulledSource, *, clock: Clock, fetch: Fetch, between: Callable[[], None], most_s: float
) -> Step:
    """One step of a claimed source, and what it means for the next. Raises DatabaseError when the database is away."""
    now = clock()
    renewed = time.monotonic()

    def meanwhile() -> None:
        nonlocal renewed
        between()
        if time.monotonic() - renewed > RENEW_S:
            renewed = time.monotonic()
            PulledSource.objects.filter(pk=source.pk, lease=source.lease).update(lease_until=clock() + LEASE)

    try:
        step = _step(source, now, fetch, meanwhile, most_s)
    except vault.KeyUnreadable as error:
        step = Step(source.state, now + _every(source), str(error))
    except DatabaseError:
        raise  # the lease runs out and the source is run again
    except Exception as error:
        # The kind alone: the text of a foreign error might quote the key.
        logger.error("pulling %s failed: %s", source.pk, type(error).__name__)
        step = Step(
            source.state,
            now,
            "Pulling failed for a reason of ours; the server's log says which.",
            failed=True,
        )
    _release(source, step, clock())
    return step


def _step(
    source: PulledSource, now: datetime, fetch: Fetch, between: Callable[[], None], most_s: float
) -> Step:
    if source.kind == PulledSource.Kind.FOLDER:
        return folder.step(source, every=_every(source), now=now, most_s=most_s, between=between)
    return admin_reports.step(
        source.state,
        key=vault.unseal(source.secret),
        base_url=settings.BREAKEVEN_ANTHROPIC_URL,
        begin=str(source.settings.get("begin", "")),
        every=_every(source),
        source=source.name,
        now=now,
        fetch=fetch,
    )


def _every(source: PulledSource) -> timedelta:
    return timedelta(minutes=source.every_minutes)


def _release(source: PulledSource, step: Step, now: datetime) -> None:
    """Write down how the step ended, if the source is still ours; whether it is paused is left alone."""
    failures = source.failures + 1 if step.failed else 0
    due = step.due_at
    if step.failed:
        due = now + timedelta(seconds=min(FIRST_WAIT_S * 2 ** min(failures - 1, 10), LONGEST_WAIT_S))
    values: dict[str, object] = {
        "state": step.state,
        "due_at": due,
        "last_error": step.problem[:500],
        "failures": failures,
        "lease": "",
        "lease_until": None,
    }
    if step.round_done:
        values["last_success_at"] = now
    PulledSource.objects.filter(pk=source.pk, lease=source.lease).update(**values)
