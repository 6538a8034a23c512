"""What happened to every received row: received = stored + merged + duplicate + rejected."""

from __future__ import annotations

from typing import Any

import pandas as pd

from dashboard.queries import database


def by_source() -> pd.DataFrame:
    """The ledger of each source, in order of name.

    Columns: source (text); received, stored, merged, duplicate, rejected (rows); created_at, last_seen_at
    (UTC times; last_seen_at is None for a source that never sent anything)."""
    return database.frame(database.statement("ledger_by_source"))


def totals() -> dict[str, Any]:
    """The ledger of everything: received, stored, merged, duplicate, rejected (rows); last_received_at (UTC
    or None).
    """
    return database.row(database.statement("ledger_totals"))
