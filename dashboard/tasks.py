"""What Celery runs for the read side; the work is in plain functions, and a lost message only delays it."""

from __future__ import annotations

from celery import shared_task

SECONDS_PER_RUN = 20.0


@shared_task(name="dashboard.make_reports", ignore_result=True)
def make_reports() -> int:
    from dashboard.reports import kinds  # noqa: F401  (registers the kinds)
    from dashboard.reports.stored import make_due
    from ingest.fill import fill_due

    # A worker does one thing at a time: after each report the figures come first.
    return make_due(SECONDS_PER_RUN, between=lambda: fill_due(max_seconds=3))


@shared_task(name="dashboard.maintain", ignore_result=True)
def maintain() -> None:
    from django.utils import timezone

    from dashboard.reports.stored import tidy

    tidy(timezone.now())
