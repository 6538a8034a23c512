"""What Celery runs: two-line wrappers; the work is in plain functions, and a lost message only delays it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from celery import shared_task

logger = logging.getLogger("breakeven.tasks")

# One run stays short, so that a stop is quick and the next message takes over.
SECONDS_PER_RUN = 20.0
FILL_EVERY_S = 3.0


@shared_task(name="ingest.fill_due", ignore_result=True)
def fill_due() -> int:
    from ingest.fill import fill_due as fill

    return fill(max_seconds=SECONDS_PER_RUN).events


@shared_task(name="ingest.fill_gaps", ignore_result=True)
def fill_gaps() -> int:
    from ingest.gaps import fill_gaps_due

    return fill_gaps_due(max_seconds=FILL_EVERY_S).days


@shared_task(name="ingest.maintain", ignore_result=True)
def maintain() -> None:
    from ingest.import_jobs import tidy
    from ingest.maintenance import maintain as run

    run(datetime.now(UTC))
    tidy(datetime.now(UTC))


@shared_task(name="ingest.run_imports", ignore_result=True)
def run_imports() -> int:
    from ingest.import_jobs import run_due

    return run_due(between=_other_duties(), most_s=SECONDS_PER_RUN)


@shared_task(name="ingest.pull_due", ignore_result=True)
def pull_due() -> int:
    from ingest.pulling.run import pull_due as pull

    return pull(between=_other_duties(), most_s=SECONDS_PER_RUN)


def _other_duties() -> Callable[[], None]:
    """A worker does one thing at a time: while it reads a long file, the figures are kept coming by this."""
    from ingest.fill import fill_due as fill

    last = time.monotonic()

    def between() -> None:
        nonlocal last
        if time.monotonic() - last > FILL_EVERY_S:
            try:
                fill(max_seconds=FILL_EVERY_S)
            except Exception as error:  # its own task will say so in full; the file is read on
                logger.warning("a fill between two batches failed: %s", type(error).__name__)
            last = time.monotonic()

    return between
