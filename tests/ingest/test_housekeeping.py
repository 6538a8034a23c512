"""Ledger compaction, retention, partitions ahead of time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from ingest import ledger, partitions
from ingest.core.errors import Reason, Rejection
from ingest.maintenance import maintain
from ingest.models import LedgerEntry, RejectedRow
from tests.support.builders import make_event, send, settle
from tests.support.tables import ledger as ledger_sums
from tests.support.tables import rollup

pytestmark = pytest.mark.django_db


def test_compaction_keeps_every_sum_and_folds_the_rows() -> None:
    for i in range(5):
        send([make_event(f"m{i}")])
    LedgerEntry.objects.update(received_at=timezone.now() - timedelta(hours=3))
    send([make_event("m0")])
    before = ledger_sums()
    assert ledger.compact(timezone.now()) == 4
    assert ledger_sums() == before == (6, 5, 0, 1, 0)
    assert LedgerEntry.objects.count() == 2


def test_old_rejections_are_forgotten_but_stay_counted() -> None:
    send([Rejection(0, Reason.INVALID_JSON, "", "not JSON")])  # type: ignore[list-item]
    RejectedRow.objects.update(received_at=timezone.now() - ledger.KEEP_REJECTIONS - timedelta(days=1))
    ledger.compact(timezone.now())
    assert RejectedRow.objects.count() == 0
    assert ledger_sums()[4] == 1


def test_retention_drops_whole_months_and_rollups_stay(settings: object) -> None:
    settings.EVENT_RETENTION_MONTHS = 2  # type: ignore[attr-defined]
    settle([make_event("old", occurred_at=datetime(2025, 11, 30, tzinfo=UTC)), make_event("new")])
    dropped = partitions.drop_expired(date(2026, 3, 15))
    assert "event_2025_11" in dropped
    assert date(2026, 3, 1) in partitions.existing()
    assert len(rollup("rollup_day")) == 2
    call_command("rebuild")
    assert len(rollup("rollup_day")) == 2, "a rebuild may not wipe what can no longer be recomputed"
    assert (
        send([make_event("old", occurred_at=datetime(2025, 11, 30, tzinfo=UTC))]).rejected[0].reason
        == Reason.INVALID_TIME
    )


def test_a_month_with_due_buckets_is_not_dropped(settings: object) -> None:
    settings.EVENT_RETENTION_MONTHS = 1  # type: ignore[attr-defined]
    send([make_event("old", occurred_at=datetime(2025, 11, 30, tzinfo=UTC))])
    assert partitions.drop_expired(date(2026, 3, 15)) == []


def test_maintenance_prepares_the_next_month() -> None:
    maintain(datetime(2026, 12, 31, 23, tzinfo=UTC))
    assert {date(2026, 12, 1), date(2027, 1, 1)} <= set(partitions.existing())
