"""manage.py fill_rollups: fill everything that is due, now, in this process."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from ingest.fill import fill_due


class Command(BaseCommand):
    help = "Fill every due bucket now. Safe beside running workers: they share the work."

    def handle(self, *args: Any, **options: Any) -> None:
        done = fill_due()
        self.stdout.write(
            f"Filled {done.hours:,} hours of {done.days:,} days from {done.events:,} events in {done.seconds:.1f} s."
        )
