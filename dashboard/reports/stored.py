"""Reports that take longer than a page may: wanted by pages, made by the worker, shown with their age.

A page asks with `look` and shows what is there; asking is what makes a report wanted. The worker makes wanted reports
whenever the figures under them have changed, but gives each no more than a small share of its time. As everywhere, the
table is the truth and messages are only nudges.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from dashboard import pricebook
from dashboard.filters import FilterError, Filters
from dashboard.models import StoredReport
from dashboard.queries import database, freshness

logger = logging.getLogger("breakeven.reports")

Between = Callable[[], object]
Work = Callable[[Filters, Between], dict[str, Any]]
WANTED_FOR = timedelta(minutes=15)  # after the last time a page asked
KEPT_FOR = timedelta(days=2)
LEASE = timedelta(minutes=10)  # a worker that took longer is taken for dead
NOT_SOONER_THAN_S = 60.0  # the same report again
REST = 20  # times as long as it took: no report gets more than a twentieth of a worker
_NOTED_EVERY = timedelta(seconds=20)
FAILED = "It could not be worked out; the log of the worker says why."

_kinds: dict[str, Work] = {}


@dataclass(frozen=True)
class Report:
    """What is known. `body` is None until it was first made, or when it cannot be: then `problem` says why.

    current    nothing has changed since it was made
    """

    body: dict[str, Any] | None
    problem: str
    computed_at: datetime | None
    current: bool


def register(kind: str, work: Work) -> None:
    """`work` answers a question with JSON values, money as text, and calls what it is given beside the question every
    few seconds. FilterError for what cannot be answered."""
    _kinds[kind] = work


def look(kind: str, filters: Filters) -> Report:
    """The report as far as it is made; from now on it is wanted."""
    query = _query(filters)
    now = timezone.now()
    row, new = StoredReport.objects.get_or_create(
        key=_key(kind, query), defaults={"kind": kind, "query": query, "wanted_at": now}
    )
    if not new and row.wanted_at < now - _NOTED_EVERY:
        StoredReport.objects.filter(pk=row.pk).update(wanted_at=now)
    return Report(row.body, row.problem, row.computed_at, row.version == _version())


def make_due(most_seconds: float, between: Between = lambda: None) -> int:
    """Make what is wanted and no longer current, the never made first; `between` is called after each one, and within
    those that take long."""
    started, made = time.monotonic(), 0
    while time.monotonic() - started < most_seconds and (row := _claim()) is not None:
        _make(row, between)
        made += 1
        between()
    return made


def tidy(now: datetime) -> int:
    """Forget reports that nobody has asked for in a while."""
    return StoredReport.objects.filter(wanted_at__lt=now - KEPT_FOR).delete()[0]


def _claim() -> StoredReport | None:
    now, version = timezone.now(), _version()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE stored_report SET claimed_at = %(now)s WHERE key = ("
            "  SELECT key FROM stored_report WHERE wanted_at > %(wanted)s AND kind = ANY(%(kinds)s)"
            "  AND (claimed_at IS NULL OR claimed_at < %(dead)s)"
            "  AND (computed_at IS NULL OR (version <> %(version)s"
            "   AND computed_at < %(now)s - greatest(%(soonest)s, seconds * %(rest)s) * interval '1 second'))"
            "  ORDER BY computed_at NULLS FIRST LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING key",
            {
                "now": now,
                "wanted": now - WANTED_FOR,
                "dead": now - LEASE,
                "kinds": list(_kinds),
                "version": version,
                "soonest": NOT_SOONER_THAN_S,
                "rest": REST,
            },
        )
        found = cursor.fetchone()
    return StoredReport.objects.get(pk=found[0]) if found else None


def _make(row: StoredReport, between: Between) -> None:
    version, started = (
        _version(),
        time.monotonic(),
    )  # of before: what comes in meanwhile makes it outdated again
    body, problem = None, ""
    try:
        filters = Filters.from_query(
            row.query, now=timezone.now(), zone=database.reporting_zone(), default_range="", strict=True
        )
        body = _kinds[row.kind](filters, between)
    except FilterError as error:
        problem = error.message
    except Exception:
        logger.exception("the report %s cannot be made", row.kind)
        problem = FAILED
    # Whoever was taken for dead and comes back late finds the report in other hands, and leaves it there.
    StoredReport.objects.filter(pk=row.pk, claimed_at=row.claimed_at).update(
        claimed_at=None,
        computed_at=timezone.now(),
        version=version,
        seconds=time.monotonic() - started,
        body=body,
        problem=problem[:500],
    )


def _version() -> str:
    fresh = freshness.version()
    return f"{fresh.data_version} {fresh.last_fill_at} {pricebook.current().version}"[-100:]


def _query(filters: Filters) -> str:
    """The range as it is today, and the filters; how a page groups and compares makes no other report."""
    return Filters(start=filters.start, end=filters.end, where=filters.where).to_query()


def _key(kind: str, query: str) -> str:
    return hashlib.sha256(json.dumps([kind, query]).encode()).hexdigest()
