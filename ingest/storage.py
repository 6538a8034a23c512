"""Storing events: COPY when all are new, a merge when some are known. All SQL of the write path on events is here.

Everything below runs inside the caller's transaction. Identities are written in hash order, so that two connections
with overlapping batches wait for each other instead of deadlocking.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta

import numpy as np
import numpy.typing as npt
from django.db import connection

from ingest import interning, raw
from ingest.core.binary_copy import FixedWidth
from ingest.core.events import PrefixBlock
from ingest.core.merging import Row, merge
from ingest.core.timegrain import from_micros, to_micros
from ingest.models import LabelSet, Lane
from ingest.prefixes import move_prefixes, store_prefixes

EVENT_LAYOUT = FixedWidth(
    {
        "event_key": "bigint",
        "occurred_at": "timestamptz",
        "received_at": "timestamptz",
        **dict.fromkeys(
            [
                "lane_id",
                "label_set_id",
                "session_key",
                "uncached_input_tokens",
                "cache_read_input_tokens",
                "cache_write_5m_input_tokens",
                "cache_write_1h_input_tokens",
                "output_tokens",
                "thinking_tokens",
                "web_search_requests",
                "latency_ms",
                "ttft_ms",
            ],
            "integer",
        ),
        "stop_reason_id": "smallint",
        "flags": "smallint",
        "requests": "smallint",
    }
)
IDENTITY_LAYOUT = FixedWidth({"identity_hash": "uuid", "event_key": "bigint"})
KEY_BLOCK = 65_536
HOUR_US = 3_600_000_000
# A second report of a call usually carries nearly the same time: look there before searching every month.
NEAR = timedelta(days=3)
MERGE_LOCK = 0x6D72  # first half of the advisory locks of merges; the second is a stripe of event keys
MERGE_STRIPES = 64

Columns = dict[str, Sequence[int] | npt.NDArray[np.int64]]


@dataclass(slots=True)
class Batch:
    """Events on their way into storage, column by column; position i of every column is one event.

    `own[i]` is the 16-byte hash of event i's own id; `second` has, by position, that of the provider's request id.
    """

    columns: Columns
    own: list[bytes]
    second: dict[int, bytes] = field(default_factory=dict)
    prefixes: dict[int, tuple[PrefixBlock, ...]] = field(default_factory=dict)  # position -> prefix

    def __len__(self) -> int:
        return len(self.own)

    def identities(self, position: int) -> tuple[bytes, ...]:
        """Under which identities the event at this position is known."""
        if position in self.second:
            return self.own[position], self.second[position]
        return (self.own[position],)


@dataclass(slots=True)
class Counts:
    """What became of the events of a batch; parts of other events (`requests` = 0) are not counted."""

    stored: int = 0
    merged: int = 0
    duplicate: int = 0

    def add(self, other: Counts) -> None:
        self.stored += other.stored
        self.merged += other.merged
        self.duplicate += other.duplicate


class _Keys(threading.local):
    """Event keys, taken from the database in blocks. Per thread and process: a fork must not share a block."""

    next = 0
    end = 0
    owner: tuple[int, str] = (0, "")

    def take(self, count: int) -> list[int]:
        owner = (os.getpid(), str(connection.settings_dict["NAME"]))
        keys: list[int] = []
        while len(keys) < count:
            if self.next >= self.end or self.owner != owner:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT nextval('event_key_block')")
                    self.next = cursor.fetchone()[0]
                self.end = self.next + KEY_BLOCK
                self.owner = owner
            taken = min(count - len(keys), self.end - self.next)
            keys.extend(range(self.next, self.next + taken))
            self.next += taken
        return keys


KEYS = _Keys()


def store_new(batch: Batch) -> Counts:
    """Store a batch of calls none of which is known yet, and mark their hours as due.

    Raises psycopg's UniqueViolation when one is: then the transaction is void, and `store_known` is to be tried in
    another. (A savepoint would spare that, at the price of two round trips for every batch.)
    """
    if not len(batch):
        return Counts()
    hashes, owners = _tentative_owners(batch)
    _copy_identities(hashes, owners)
    if len(hashes) < len(batch) + len(batch.second):
        # The same call more than once in one batch, as in a log of a streamed answer.
        return _merge(batch, dict(zip(hashes, owners.tolist(), strict=True)))
    copy_events(batch.columns, len(batch))
    store_prefixes(batch.columns, batch.prefixes)
    mark_due(batch.columns["occurred_at"])
    return Counts(stored=int(np.sum(batch.columns["requests"])))


def store_known(batch: Batch) -> Counts:
    """Store a batch in which some calls may be known: new ones appended, known ones merged, all hours marked as due."""
    return _merge(batch, _claim_identities(*_tentative_owners(batch)))


def _tentative_owners(batch: Batch) -> tuple[list[bytes], npt.NDArray[np.int64]]:
    """Every identity of the batch once, and the event that it stands for if it is new."""
    batch.columns["event_key"] = KEYS.take(len(batch))
    hashes = [*batch.own, *batch.second.values()]
    keys = np.asarray(batch.columns["event_key"])
    owners = np.concatenate([keys, keys[list(batch.second)]]) if batch.second else keys
    if len(set(hashes)) == len(hashes):
        return hashes, owners
    first = dict(zip(reversed(hashes), reversed(owners.tolist()), strict=True))
    return list(first), np.array(list(first.values()), dtype=np.int64)


def _copy_identities(hashes: Sequence[bytes], keys: npt.NDArray[np.int64]) -> None:
    joined = b"".join(hashes)
    halves = np.frombuffer(joined, dtype=">u8").reshape(-1, 2)
    order = np.lexsort((halves[:, 1], halves[:, 0]))
    values = {"identity_hash": np.frombuffer(joined, dtype="V16")[order], "event_key": keys[order]}
    _copy("event_identity", IDENTITY_LAYOUT, IDENTITY_LAYOUT.encode(values, len(hashes)))


def copy_events(columns: Columns, rows: int) -> None:
    _copy("event", EVENT_LAYOUT, EVENT_LAYOUT.encode(columns, rows))


def _copy(table: str, layout: FixedWidth, payload: bytes) -> None:
    with (
        raw.cursor() as cursor,
        cursor.copy(f"COPY {table} ({layout.column_list}) FROM STDIN (FORMAT binary)") as copy,
    ):
        copy.write(payload)


def mark_due(times: Sequence[int] | npt.NDArray[np.int64]) -> None:
    """Append the UTC hours of these times (microseconds since the Unix epoch) to the dirty-bucket ledger."""
    hours = np.unique(np.asarray(times, dtype=np.int64) // HOUR_US).tolist()
    if hours:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO dirty_bucket (bucket_start, marked_at)"
                " SELECT to_timestamp(hour * 3600), clock_timestamp() FROM unnest(%s::bigint[]) AS hour",
                [hours],
            )


def _merge(batch: Batch, owners: dict[bytes, int]) -> Counts:
    """The careful path: some calls of the batch are known already, or stand in it more than once.

    `owners` tells which event each identity stands for; keys of this batch are events that are new.
    """
    rows = [
        Row(*values)
        for values in zip(*(np.asarray(batch.columns[f.name]).tolist() for f in fields(Row)), strict=True)
    ]
    own_keys = {row.event_key for row in rows}
    stored = _fetch({key for key in owners.values() if key not in own_keys}, rows)
    lane_rank = _LaneRanks()
    labels = _Labels({row.label_set_id for row in (*rows, *stored.values())})
    current: dict[int, Row] = dict(stored)  # event_key -> what the event is now
    alias: dict[int, int] = {}  # an event found to be the same call as another -> that other
    prefixes: dict[int, int] = {}  # event_key -> position in the batch of its prefix
    counts = Counts()
    for position, row in enumerate(rows):
        keys = sorted({_follow(alias, owners[identity]) for identity in batch.identities(position)})
        known = [key for key in keys if key in current]
        if position in batch.prefixes:
            prefixes.setdefault(known[0] if known else keys[0], position)
        if not known:
            if keys[0] not in own_keys:  # its event was dropped by retention: it stays counted once
                counts.duplicate += row.requests
                continue
            row.event_key = keys[0]
            for extra in keys[1:]:
                alias[extra] = keys[0]
            current[keys[0]] = row
            counts.stored += row.requests
            continue
        survivor = known[0]
        result = labels.filled(current[survivor], row)
        for extra in keys:
            if extra != survivor:
                alias[extra] = survivor
                if extra in current:  # two stored events turn out to be one call
                    twin = current.pop(extra)
                    result = merge(labels.filled(result, twin), twin, lane_rank)
                    counts.stored -= twin.requests
                    counts.merged += twin.requests
        result = merge(result, row, lane_rank)
        if result == current[survivor]:
            counts.duplicate += row.requests
        else:
            counts.merged += row.requests
            current[survivor] = result
    _write(batch, stored, current, alias, owners, prefixes)
    return counts


def _follow(alias: dict[int, int], key: int) -> int:
    while key in alias:
        key = alias[key]
    return key


def _claim_identities(hashes: Sequence[bytes], keys: npt.NDArray[np.int64]) -> dict[bytes, int]:
    """Insert the unknown identities; lock all of them; return identity -> event key."""
    tentative = dict(zip(hashes, keys.tolist(), strict=True))
    ordered = sorted(tentative)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO event_identity (identity_hash, event_key)"
            " SELECT * FROM unnest(%s::uuid[], %s::bigint[]) ON CONFLICT DO NOTHING",
            [[_uuid(identity) for identity in ordered], [tentative[identity] for identity in ordered]],
        )
        cursor.execute(
            "SELECT identity_hash, event_key FROM event_identity WHERE identity_hash = ANY(%s::uuid[])"
            " ORDER BY identity_hash FOR UPDATE",
            [[_uuid(identity) for identity in ordered]],
        )
        return {identity.bytes: key for identity, key in cursor.fetchall()}


def _uuid(identity: bytes) -> str:
    return identity.hex()


def _fetch(keys: set[int], rows: Sequence[Row]) -> dict[int, Row]:
    """The stored events of these keys; first near the times of the batch, then in every month.

    An event can be known under several identities, so holding the identities is not enough: the keys are locked too,
    by stripe, since a lock an event could exhaust the lock table.
    """
    found: dict[int, Row] = {}
    if not keys:
        return found
    names = ", ".join(f.name for f in fields(Row))
    times = [row.occurred_at for row in rows]
    near = (from_micros(min(times)) - NEAR, from_micros(max(times)) + NEAR)
    with connection.cursor() as cursor:
        for stripe in sorted({key % MERGE_STRIPES for key in keys}):
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [MERGE_LOCK, stripe])
        for condition, values in (("AND occurred_at BETWEEN %s AND %s", list(near)), ("", [])):
            missing = sorted(keys - found.keys())
            if not missing:
                break
            cursor.execute(
                f"SELECT {names} FROM event WHERE event_key = ANY(%s::bigint[]) {condition}",
                [missing, *values],
            )
            for record in cursor.fetchall():
                row = Row(*record)
                row.occurred_at = to_micros(record[1])
                row.received_at = to_micros(record[2])
                found[row.event_key] = row
    return found


class _LaneRanks:
    """Orders lanes by how much they say, so that a report that knows the tier beats one that does not."""

    def __init__(self) -> None:
        self._ranks: dict[int, tuple[object, ...]] = {}

    def __call__(self, lane_id: int) -> tuple[object, ...]:
        if lane_id not in self._ranks:
            lane = Lane.objects.get(id=lane_id)
            said = [lane.platform, lane.service_tier, lane.speed, lane.inference_geo, lane.routing]
            self._ranks[lane_id] = (
                lane.outcome != "ok",
                sum(map(bool, said)),
                lane.prompt_step,
                *said,
                lane.model,
                lane.model_raw,
            )
        return self._ranks[lane_id]


class _Labels:
    """Attribution of calls that were reported twice: what was stored first stays, its gaps are filled."""

    def __init__(self, label_set_ids: set[int]) -> None:
        self._sets = LabelSet.objects.in_bulk(label_set_ids)
        self._filled: dict[tuple[int, int], int] = {}

    def filled(self, stored: Row, other: Row) -> Row:
        """`stored` with the gaps of its attribution filled from `other`."""
        pair = (stored.label_set_id, other.label_set_id)
        if pair[0] == pair[1]:
            return stored
        if pair not in self._filled:
            self._filled[pair] = self._together(*pair)
        return replace(stored, label_set_id=self._filled[pair])

    def _together(self, first: int, second: int) -> int:
        for new in {first, second} - self._sets.keys():  # made by an earlier merge of this batch
            self._sets[new] = LabelSet.objects.get(pk=new)
        mine, theirs = self._sets[first], self._sets[second]
        full = (
            mine.source_id,
            mine.workspace_id or theirs.workspace_id,
            mine.api_key_id or theirs.api_key_id,
            mine.user_id or theirs.user_id,
            tuple(sorted({**theirs.tags, **mine.tags}.items())),
        )
        return interning.LABEL_SETS.ids([full])[0]


def _write(
    batch: Batch,
    stored: dict[int, Row],
    current: dict[int, Row],
    alias: dict[int, int],
    owners: dict[bytes, int],
    prefixes: dict[int, int],
) -> None:
    new = [row for key, row in current.items() if key not in stored]
    changed = [(stored[key], row) for key, row in current.items() if key in stored and stored[key] != row]
    gone = [row for key, row in stored.items() if key not in current]
    outdated = [before for before, _ in changed] + gone
    if outdated:
        _delete(outdated)
    written = [*new, *(after for _, after in changed)]
    columns: Columns = {f.name: [getattr(row, f.name) for row in written] for f in fields(Row)}
    if written:
        copy_events(columns, len(written))
    positions = {row.event_key: i for i, row in enumerate(new)}
    store_prefixes(
        columns,
        {positions[key]: batch.prefixes[at] for key, at in prefixes.items() if key in positions},
    )
    move_prefixes([(before, after) for before, after in changed if before.occurred_at != after.occurred_at])
    moved = {identity: _follow(alias, key) for identity, key in owners.items() if _follow(alias, key) != key}
    if moved:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE event_identity SET event_key = moved.event_key"
                " FROM unnest(%s::uuid[], %s::bigint[]) AS moved(identity_hash, event_key)"
                " WHERE event_identity.identity_hash = moved.identity_hash",
                [
                    [_uuid(identity) for identity in sorted(moved)],
                    [moved[identity] for identity in sorted(moved)],
                ],
            )
    mark_due([row.occurred_at for row in [*written, *outdated]])


def _delete(rows: Sequence[Row]) -> None:
    times = [row.occurred_at for row in rows]
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM event WHERE event_key = ANY(%s::bigint[]) AND occurred_at BETWEEN %s AND %s",
            [[row.event_key for row in rows], from_micros(min(times)), from_micros(max(times))],
        )
