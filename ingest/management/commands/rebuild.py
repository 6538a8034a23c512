"""manage.py rebuild: recompute every rollup from the events."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from ingest import install_state
from ingest.fill import fill_due, mark_everything_due
from ingest.interning import rename_models


class Command(BaseCommand):
    help = (
        "Recompute every rollup from the events: after a change of REPORTING_TIME_ZONE or of how model names are read. "
        "Pages keep showing the old figures until each day is done."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        renamed = rename_models()
        install_state.write("reporting_time_zone", settings.REPORTING_TIME_ZONE)
        hours = mark_everything_due()
        self.stdout.write(f"{renamed} lanes renamed, {hours:,} hours are due.")
        done = fill_due()
        self.stdout.write(f"Filled {done.hours:,} hours from {done.events:,} events in {done.seconds:.1f} s.")
