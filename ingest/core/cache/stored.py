"""Stored requests as the engine's log: what is read of an event and of its prefix, and how the two come together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ingest.core.binary_copy import FixedWidth
from ingest.core.cache.log import Ints, Prefixes, number_pairs
from ingest.core.pricing import Lane

# One row an event.
EVENT_READ = FixedWidth(
    {
        "event_key": "bigint",
        "occurred_at": "timestamptz",
        "lane_id": "integer",
        "label_set_id": "integer",
        "session_key": "integer",
        "uncached_input_tokens": "integer",
        "cache_read_input_tokens": "integer",
        "cache_write_5m_input_tokens": "integer",
        "cache_write_1h_input_tokens": "integer",
        "output_tokens": "integer",
        "latency_ms": "integer",
        "ttft_ms": "integer",
    }
)
# One row an entry of a prefix: those of one event together, root first.
BLOCK_READ = FixedWidth({"event_key": "bigint", "block_hash": "bigint", "cumulative_tokens": "integer"})


def domains(
    lane_id: Ints, label_set_id: Ints, lanes: Mapping[int, Lane], workspaces: Mapping[int, str]
) -> Ints:
    """By request, the number of its cache: one for a workspace and a model, where it is served."""
    places = _numbered(lane_id, {n: (lane.model, lane.provider, lane.platform) for n, lane in lanes.items()})
    return number_pairs(places, _numbered(label_set_id, workspaces))


def sessions(session_key: Ints, label_set_id: Ints) -> Ints:
    """By request, the number of its session; calls without one are a session for each combination of labels."""
    none = session_key == 0
    return number_pairs(none.astype(np.int64), np.where(none, label_set_id, session_key))


def prefixes(event_key: Ints, blocks: npt.NDArray[Any]) -> Prefixes | None:
    """The prefixes of these requests, from rows of BLOCK_READ in which the entries of an event come together."""
    if not len(blocks) or not len(event_key):
        return None
    keys = blocks["event_key"].astype(np.int64)
    first = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    count = np.diff(np.concatenate((first, [len(keys)])))
    by_key = np.argsort(event_key, kind="stable")
    place = np.minimum(np.searchsorted(event_key[by_key], keys[first]), len(event_key) - 1)
    owner = by_key[place]
    asked = event_key[owner] == keys[first]  # blocks of other requests are passed over
    first, count, owner = first[asked], count[asked], owner[asked]
    order = np.argsort(owner, kind="stable")
    first, count, owner = first[order], count[order], owner[order]
    lengths = np.zeros(len(event_key), dtype=np.int64)
    lengths[owner] = count
    # Position of every kept entry: runs that start at `first`, laid end to end.
    run_starts = np.concatenate(([0], np.cumsum(count)[:-1]))
    entries = np.repeat(first - run_starts, count) + np.arange(int(count.sum()))
    return Prefixes(
        np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        blocks["block_hash"].astype(np.int64)[entries],
        blocks["cumulative_tokens"].astype(np.int64)[entries],
    )


def _numbered(column: Ints, keys: Mapping[int, Any]) -> Ints:
    numbers: dict[Any, int] = {}
    ids, at = np.unique(column, return_inverse=True)
    values = [numbers.setdefault(keys[int(each)], len(numbers)) for each in ids]
    return np.array(values, dtype=np.int64)[at.reshape(-1)] if len(ids) else np.zeros(0, dtype=np.int64)
