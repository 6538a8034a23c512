"""The read side's way to pulled sources: the settings page shows and changes them, the write side runs them."""

from __future__ import annotations

from ingest.pulling.sources import (
    EVERY_MINUTES,
    BadSource,
    add,
    needs_key,
    pause,
    remove,
    replace_key,
    run_now,
)

__all__ = ["EVERY_MINUTES", "BadSource", "add", "needs_key", "pause", "remove", "replace_key", "run_now"]
