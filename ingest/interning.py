"""Dictionaries of the database, cached in the process: text combinations in, small ids out.

New combinations commit by themselves before the events that use them: an id that a process has cached is then always
there, and the event transaction never waits on another's dictionary row. A combination without events is harmless.
After a failure of the database the caches are dropped (`forget_all`): it may have lost what nobody had used yet.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

import numpy as np
from django.db import connection

from ingest import raw
from ingest.core.columns import EventColumns
from ingest.core.pricebook import PROMPT_STEPS
from ingest.models import Lane
from ingest.prices import load_pricebook

Key = TypeVar("Key", bound=Hashable)
STEP_OF_POSITION = np.array([0, *PROMPT_STEPS])  # a prompt has a step's price when it exceeds the step
MAX_CACHED = 50_000  # per dictionary and process; past that the cache starts over

LaneKey = tuple[str, str, str, str, str, str, str, str, int]  # see `lane_ids`
LabelKey = tuple[int, str, str, str, tuple[tuple[str, str], ...]]  # see `label_set_ids`


class Dictionary(Generic[Key]):
    """One interned table: a process-wide cache in front of `insert if new, then select`."""

    def __init__(
        self, fetch: Callable[[Sequence[Key]], dict[Key, int]], known: Mapping[Key, int] | None = None
    ) -> None:
        self._fetch = fetch
        self._known = dict(known or {})  # keys with fixed ids
        self._caches: dict[str, dict[Key, int]] = {}  # by database

    def ids(self, keys: Sequence[Key]) -> list[int]:
        """The ids of these keys, in their order.

        Unknown keys are inserted in sorted order, so that two processes never deadlock.
        """
        cache = self._caches.setdefault(str(connection.settings_dict["NAME"]), dict(self._known))
        found = list(map(cache.get, keys))
        if None in found:
            if len(cache) > MAX_CACHED:
                cache.clear()
                cache.update(self._known)
            cache.update(self._fetch(sorted(set(keys) - cache.keys(), key=repr)))
            found = [cache[key] for key in keys]
        return found  # type: ignore[return-value]  # no None is left

    def forget(self) -> None:
        self._caches.clear()


def _fetch_lanes(keys: Sequence[LaneKey]) -> dict[LaneKey, int]:
    book = load_pricebook()
    columns = "provider, platform, model, model_raw, service_tier, speed, inference_geo, routing, prompt_step, outcome"
    found: dict[LaneKey, int] = {}
    with connection.cursor() as cursor:
        for key in keys:
            raw, provider, platform, tier, speed, geo, routing, outcome, step = key
            known = book.resolve(raw, platform, provider)
            row: list[str | int] = [
                known.provider,
                known.platform,
                known.model[:200],
                raw,
                tier,
                speed,
                geo,
                routing or known.routing,
                step,
                outcome,
            ]
            cursor.execute(
                f"INSERT INTO lane ({columns}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                row,
            )
            cursor.execute(
                f"SELECT id FROM lane WHERE ({columns}) = (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                row,
            )
            found[key] = cursor.fetchone()[0]
    return found


def _fetch_label_sets(keys: Sequence[LabelKey]) -> dict[LabelKey, int]:
    found: dict[LabelKey, int] = {}
    with connection.cursor() as cursor:
        for key in keys:
            source_id, workspace_id, api_key_id, user_id, tags = key
            digest = hashlib.blake2b(
                json.dumps([source_id, workspace_id, api_key_id, user_id, tags], ensure_ascii=False).encode(),
                digest_size=16,
            ).digest()
            cursor.execute(
                "INSERT INTO label_set (source_id, workspace_id, api_key_id, user_id, tags, content_hash)"
                " VALUES (%s, %s, %s, %s, %s::jsonb, %s) ON CONFLICT (content_hash) DO NOTHING",
                [
                    source_id,
                    workspace_id,
                    api_key_id,
                    user_id,
                    json.dumps(dict(tags), ensure_ascii=False),
                    digest,
                ],
            )
            cursor.execute("SELECT id FROM label_set WHERE content_hash = %s", [digest])
            found[key] = cursor.fetchone()[0]
        values = sorted(
            {
                (kind, name, value)
                for _, workspace_id, api_key_id, user_id, tags in keys
                for kind, name, value in (
                    ("workspace_id", "", workspace_id),
                    ("api_key_id", "", api_key_id),
                    ("user_id", "", user_id),
                    *(("tag", name, value) for name, value in tags),
                )
                if value
            }
        )
        if values:
            kinds, names, texts = zip(*values, strict=True)
            cursor.execute(
                "INSERT INTO label_value (kind, name, value) SELECT * FROM unnest(%s::text[], %s::text[], %s::text[])"
                " ON CONFLICT DO NOTHING",
                [list(kinds), list(names), list(texts)],
            )
    return found


def _fetch_texts(table: str, column: str, width: int) -> Callable[[Sequence[str]], dict[str, int]]:
    """Texts of one column; what is longer than the column is known by its beginning."""

    def fetch(texts: Sequence[str]) -> dict[str, int]:
        wanted = sorted({text[:width] for text in texts})
        with raw.cursor() as cursor:
            # New sessions come with nearly every batch: their commit need not reach the disk by itself, since the
            # commit of the events that use them follows in the same log.
            cursor.execute(
                "WITH quick AS (SELECT set_config('synchronous_commit', 'off', true))"
                f" INSERT INTO {table} ({column}) SELECT text FROM quick, unnest(%s::text[]) AS text"
                f" ON CONFLICT DO NOTHING RETURNING {column}, id",
                [wanted],
            )
            found = dict(cursor.fetchall())
            if len(found) < len(wanted):
                known = [text for text in wanted if text not in found]
                cursor.execute(f"SELECT {column}, id FROM {table} WHERE {column} = ANY(%s)", [known])
                found |= dict(cursor.fetchall())
        return {text: found[text[:width]] for text in texts}

    return fetch


LANES = Dictionary(_fetch_lanes)
LABEL_SETS = Dictionary(_fetch_label_sets)
SESSIONS = Dictionary(_fetch_texts("session", "session_id", 256), known={"": 0})
STOP_REASONS = Dictionary(_fetch_texts("stop_reason", "name", 64), known={"": 0})


def lane_ids(columns: EventColumns) -> list[int]:
    """What decides each event's price: its words as the source wrote them, and its prompt-size step."""
    steps = STEP_OF_POSITION[np.searchsorted(PROMPT_STEPS, columns.prompt_step_tokens)].tolist()
    words = (
        columns.provider,
        columns.platform,
        columns.service_tier,
        columns.speed,
        columns.inference_geo,
        columns.routing,
        columns.outcome,
    )
    if any(column.count(column[0]) < len(steps) for column in words):
        return LANES.ids(list(zip(columns.model, *words, steps, strict=True)))
    # Most batches differ in nothing but model and size: hashing two things an event is much less than nine.
    shared = tuple(column[0] for column in words)
    pairs = list(zip(columns.model, steps, strict=True))
    distinct = list(set(pairs))
    found = dict(zip(distinct, LANES.ids([(model, *shared, step) for model, step in distinct]), strict=True))
    return [found[pair] for pair in pairs]


def label_set_ids(columns: EventColumns, source_id: int) -> list[int]:
    """Whom each event is attributed to."""
    return LABEL_SETS.ids(
        list(
            zip(
                [source_id] * len(columns),
                columns.workspace_id,
                columns.api_key_id,
                columns.user_id,
                columns.tags,
                strict=True,
            )
        )
    )


def forget_all() -> None:
    """Drop every cached id (after a test database was replaced)."""
    for dictionary in (LANES, LABEL_SETS, SESSIONS, STOP_REASONS):
        dictionary.forget()


def rename_models() -> int:
    """Read every lane's raw model name again with today's rules; returns how many lanes changed their name."""
    book = load_pricebook()
    changed = 0
    for lane in Lane.objects.all():
        known = book.resolve(lane.model_raw, lane.platform, lane.provider)
        if known.model[:200] != lane.model:
            changed += Lane.objects.filter(pk=lane.pk).update(
                model=known.model[:200], provider=known.provider
            )
    return changed
