"""The hourly housekeeping, as plain functions."""

from __future__ import annotations

from datetime import datetime

from ingest import ledger, partitions


def maintain(now: datetime) -> None:
    """Compact the ledger, make next month's partition, drop what retention allows."""
    ledger.compact(now)
    month = partitions.month_of(now.date())
    partitions.ensure([month, partitions.next_month(month)])
    partitions.drop_expired(now.date())
