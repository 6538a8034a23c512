"""The write use-case: usage events in, a balanced receipt out, one transaction.

    accept = split -> name the source -> prepare partitions -> intern -> [ store -> enter in the ledger ] -> receipt

What stands in brackets is one transaction: an event is acknowledged only after its COMMIT, together with the ledger
entry that counts it and the dirty buckets that will show it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
from django.db import OperationalError, transaction
from psycopg import errors

from ingest import interning, ledger, partitions, reported
from ingest.core.columns import EventColumns, from_events
from ingest.core.errors import Reason, Rejection
from ingest.core.events import UsageEvent
from ingest.core.reported import Reported
from ingest.core.timegrain import to_micros
from ingest.storage import Batch, Counts, store_known, store_new

# Columns that are stored as they come.
PLAIN = (
    "uncached_input_tokens",
    "cache_read_input_tokens",
    "cache_write_5m_input_tokens",
    "cache_write_1h_input_tokens",
    "output_tokens",
    "thinking_tokens",
    "web_search_requests",
    "latency_ms",
    "ttft_ms",
    "flags",
    "requests",
)


@dataclass(slots=True)
class Receipt:
    """What became of the rows of one call: received = stored + merged + duplicate + len(rejected)."""

    received: int = 0
    stored: int = 0
    merged: int = 0
    duplicate: int = 0
    rejected: list[Rejection] = field(default_factory=list)

    def add(self, other: Receipt) -> None:
        self.received += other.received
        self.stored += other.stored
        self.merged += other.merged
        self.duplicate += other.duplicate
        self.rejected.extend(other.rejected)


def accept(items: Iterable[UsageEvent | Rejection | Reported], source: str) -> Receipt:
    """Store the events, record the rejections, and return the receipt once both are committed.

    Reported usage and cost are stored beside the events, in the same transaction and the same receipt.

    `source` names where the rows come from. Raises django.db.OperationalError when the database is away; then nothing
    of this call is stored and the whole call can be sent again.
    """
    events: list[UsageEvent] = []
    rejected: list[Rejection] = []
    reports: list[Reported] = []
    for item in items:
        if isinstance(item, UsageEvent):
            events.append(item)
        elif isinstance(item, Rejection):
            rejected.append(item)
        else:
            reports.append(item)
    return accept_columns(from_events(events), source, rejected, reports)


def accept_columns(
    columns: EventColumns,
    source: str,
    rejected: Sequence[Rejection] = (),
    reports: Sequence[Reported] = (),
) -> Receipt:
    """The same for a batch that is columns already."""
    if not len(columns) and not rejected and not reports:
        return Receipt()
    source_id = ledger.source_id(source)
    try:
        return _accept(columns, list(rejected), reports, source_id)
    except (errors.OperationalError, OperationalError):
        interning.forget_all()
        raise
    except errors.CheckViolation as violation:
        if "no partition" not in str(violation):
            raise
        partitions.forget_known()  # retention dropped a month that this process believed to exist
        return _accept(columns, list(rejected), reports, source_id)


def _accept(
    columns: EventColumns, rejected: list[Rejection], reports: Sequence[Reported], source_id: int
) -> Receipt:
    columns, late = _without_retired(columns)
    rejected += late
    batch = _intern(columns, source_id)
    try:
        return _commit(batch, rejected, reports, source_id, store_new)
    except errors.UniqueViolation:
        return _commit(batch, rejected, reports, source_id, store_known)


def _commit(
    batch: Batch,
    rejected: list[Rejection],
    reports: Sequence[Reported],
    source_id: int,
    store: Callable[[Batch], Counts],
) -> Receipt:
    with transaction.atomic():
        counts = store(batch)
        if reports:
            counts.add(reported.store(reports, source_id))
        receipt = Receipt(
            received=counts.stored + counts.merged + counts.duplicate + len(rejected),
            stored=counts.stored,
            merged=counts.merged,
            duplicate=counts.duplicate,
            rejected=rejected,
        )
        ledger.enter(source_id, receipt.received, counts.stored, counts.merged, counts.duplicate, rejected)
    return receipt


def _without_retired(columns: EventColumns) -> tuple[EventColumns, list[Rejection]]:
    """Make room for every month; refuse events of months whose raw rows were retired, as their rollups are final."""
    unseen = partitions.unseen(columns.months())
    if not unseen:
        return columns, []
    retired = partitions.retired_months() & unseen
    partitions.ensure(unseen - retired)
    if not retired:
        return columns, []
    gone = columns.month_positions(retired)
    detail = "The raw events of this month were dropped by retention and its totals are final."
    return columns.where(~gone), [
        Rejection(index, Reason.INVALID_TIME, "occurred_at", detail, columns.id[index])
        for index in np.flatnonzero(gone).tolist()
    ]


def _intern(columns: EventColumns, source_id: int) -> Batch:
    rows = len(columns)
    if not rows:
        return Batch({}, [])
    now = to_micros(datetime.now(UTC))
    own, second = _identities(columns)
    return Batch(
        columns={
            **{name: getattr(columns, name) for name in PLAIN},
            "occurred_at": columns.occurred_at,
            "received_at": np.full(rows, now),
            "lane_id": interning.lane_ids(columns),
            "label_set_id": interning.label_set_ids(columns, source_id),
            "session_key": interning.SESSIONS.ids(columns.session_id),
            "stop_reason_id": interning.STOP_REASONS.ids(columns.stop_reason),
        },
        own=own,
        second=second,
        prefixes={position: prefix for position, prefix in enumerate(columns.prefix) if prefix},
    )


def _identities(columns: EventColumns) -> tuple[list[bytes], dict[int, bytes]]:
    """The 16-byte hashes of the ids under which each call may be reported: its own id, and by position a second one.

    What has no id is known by its content: the same content sent again is the same event.
    """
    own = [
        _hash(event_id) if event_id else _hash(repr(columns.content(position)))
        for position, event_id in enumerate(columns.id)
    ]
    second = {
        position: _hash(request_id)
        for position, request_id in enumerate(columns.request_id)
        if request_id and request_id != columns.id[position]
    }
    return own, second


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
