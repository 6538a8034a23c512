"""What Celery runs: two-line wrappers; the work is in plain functions, and a lost message only delays it."""

from __future__ import annotations

from datetime import UTC, datetime

from celery import shared_task

# One run stays short, so that a stop is quick and the next message takes over.
SECONDS_PER_RUN = 20.0


@shared_task(name="ingest.fill_due", ignore_result=True)
def fill_due() -> int:
    from ingest.fill import fill_due as fill

    return fill(max_seconds=SECONDS_PER_RUN).events


@shared_task(name="ingest.maintain", ignore_result=True)
def maintain() -> None:
    from ingest.maintenance import maintain as run

    run(datetime.now(UTC))
