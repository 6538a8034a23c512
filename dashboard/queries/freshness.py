"""How far the pages are behind what was accepted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from dashboard.queries import database


@dataclass(frozen=True, slots=True)
class Freshness:
    """up_to_date: everything accepted is in the rollups. data_version grows with every fill: the same
    version, the same figures. pending_since is when the oldest waiting event was accepted,
    oldest_pending_bucket which hour it belongs to."""

    up_to_date: bool
    data_version: int
    last_fill_at: datetime | None
    pending_buckets: int
    oldest_pending_bucket: datetime | None
    pending_since: datetime | None


class Version(NamedTuple):
    """The same version, the same figures."""

    data_version: int
    last_fill_at: datetime | None


def version() -> Version:
    """That of the figures now; ask before reading them. Cheaper than `state` while much waits."""
    return Version(**database.row(database.statement("fill_version"), small=True))


def state() -> Freshness:
    """Freshness now. Ask before reading figures: what it calls up to date is then in them."""
    found = database.row(database.statement("freshness"), small=True)
    return Freshness(up_to_date=found["pending_buckets"] == 0, **found)
