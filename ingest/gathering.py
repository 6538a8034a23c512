"""Importing many files: small ones share a batch, since a transaction a file would cost more than reading it."""

from __future__ import annotations

import io
from collections import defaultdict
from pathlib import Path
from typing import BinaryIO

from ingest import formats
from ingest.accept import accept
from ingest.core.errors import Rejection
from ingest.core.events import UsageEvent
from ingest.importing import ROWS_PER_BATCH, Advance, FileReport, Reading, Tally, begin, ignore


class Gathering:
    """Takes open files one after another and stores their rows in full batches; `flush` stores what is left.

    `sums` has the balanced ledger by format ('' for files of none). A file's own report has its rejections; which of
    its rows were new is known of the batch only, so its other counts stay 0.
    """

    def __init__(self, reading: Reading) -> None:
        self.sums: dict[str, Tally] = defaultdict(Tally)
        self._reading = reading
        self._format = ""
        self._items: list[formats.Item] = []
        self._owners: list[FileReport] = []  # by item

    def add(self, raw: BinaryIO | io.RawIOBase, path: Path, on_bytes: Advance = ignore) -> FileReport:
        """Read one file to its end. Its last rows may be stored only with those of the next files."""
        report, items = begin(raw, path, self._reading, on_bytes)
        if report.format != self._format:
            self.flush()
            self._format = report.format
        for item in items:
            self._items.append(item)
            self._owners.append(report)
            if len(self._items) >= ROWS_PER_BATCH:
                self.flush()
        return report

    def flush(self) -> None:
        """Store the rows that are waiting. Raises OperationalError when the database is away."""
        items, owners = self._items, self._owners
        self._items, self._owners = [], []
        if not items:
            return
        receipt = accept(items, self._reading.source)
        self.sums[self._format].add(receipt)
        if not receipt.rejected:
            return
        refused = [
            (owner, item) for owner, item in zip(owners, items, strict=True) if isinstance(item, Rejection)
        ]
        for owner, row in refused:
            owner.tally.refuse([row])
        # The others were refused on their way into storage, which counts the batch's events.
        events = [owner for owner, item in zip(owners, items, strict=True) if isinstance(item, UsageEvent)]
        for row in receipt.rejected[len(refused) :]:
            events[row.index].tally.refuse([row])
