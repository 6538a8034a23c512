"""manage.py demo: send 90 days of demo traffic through the real pipeline."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ingest.accept import Receipt, accept
from ingest.demo import events
from ingest.demo_reports import Reports
from ingest.fill import fill_due
from ingest.models import LedgerEntry
from ingest.prices import load_pricebook

SOURCE = "demo"
ROWS_PER_BATCH = 5_000


class Command(BaseCommand):
    help = "Add 90 days of seeded, shaped demo traffic under the source 'demo'. Running it again adds only what is new."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--beside-real-data", action="store_true", help="add it although real events are stored"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        real = LedgerEntry.objects.exclude(source__name=SOURCE).filter(stored__gt=0).exists()
        if real and not options["beside_real_data"]:
            raise CommandError(
                "This installation has real events, and demo data would be mixed into their totals. "
                "Use another BREAKEVEN_HOME for a demo, or say --beside-real-data.",
                returncode=2,
            )
        now = datetime.now(UTC)
        reports = Reports(load_pricebook())
        stream = reports.watch(events(now))
        receipt = Receipt()
        while batch := list(itertools.islice(stream, ROWS_PER_BATCH)):
            receipt.add(accept(batch, SOURCE))
        said = accept(reports.rows(now), SOURCE)
        filled = fill_due()
        self.stdout.write(
            f"Demo data: {receipt.stored:,} events stored, {receipt.duplicate:,} were there already;"
            f" {said.stored:,} rows reported by providers; {filled.hours:,} hours filled."
        )
