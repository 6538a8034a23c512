"""Events column by column: the shape in which a batch is interned and stored, whoever parsed it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from ingest.core.events import PrefixBlock, UsageEvent

Counts = npt.NDArray[np.int64]


@dataclass(slots=True)
class EventColumns:
    """Position i of every column is one event; names and meanings are those of UsageEvent.

    `occurred_at` is microseconds since the Unix epoch, UTC; the two latencies are -1 where not known.
    """

    id: Sequence[str]
    occurred_at: Counts
    model: Sequence[str]
    uncached_input_tokens: Counts
    cache_read_input_tokens: Counts
    cache_write_5m_input_tokens: Counts
    cache_write_1h_input_tokens: Counts
    output_tokens: Counts
    thinking_tokens: Counts
    web_search_requests: Counts
    prompt_step_tokens: Counts
    provider: Sequence[str]
    platform: Sequence[str]
    service_tier: Sequence[str]
    speed: Sequence[str]
    inference_geo: Sequence[str]
    routing: Sequence[str]
    outcome: Sequence[str]
    workspace_id: Sequence[str]
    api_key_id: Sequence[str]
    user_id: Sequence[str]
    session_id: Sequence[str]
    tags: Sequence[tuple[tuple[str, str], ...]]
    request_id: Sequence[str]
    latency_ms: Counts
    ttft_ms: Counts
    stop_reason: Sequence[str]
    flags: Counts
    requests: Counts
    prefix: Sequence[tuple[PrefixBlock, ...]]

    def __len__(self) -> int:
        return len(self.id)

    def months(self) -> set[date]:
        """The UTC months of the events, as their first days."""
        months = np.unique(self.occurred_at.astype("datetime64[us]").astype("datetime64[M]"))
        return set(months.astype("datetime64[D]").astype(object).tolist())

    def month_positions(self, wanted: set[date]) -> npt.NDArray[np.bool_]:
        """Which events lie in one of these UTC months."""
        months = self.occurred_at.astype("datetime64[us]").astype("datetime64[M]")
        return np.isin(months, np.array(sorted(wanted), dtype="datetime64[M]"))

    def where(self, keep: npt.NDArray[np.bool_]) -> EventColumns:
        """The events at the positions that are True."""
        positions = np.flatnonzero(keep).tolist()
        columns: dict[str, Any] = {}
        for name in NAMES:
            column = getattr(self, name)
            columns[name] = column[keep] if isinstance(column, np.ndarray) else [column[i] for i in positions]
        return EventColumns(**columns)

    def content(self, position: int) -> tuple[Any, ...]:
        """All that the event at this position says, for an identity when it has no id."""
        return tuple(
            int(getattr(self, name)[position]) if name in COUNTS else getattr(self, name)[position]
            for name in NAMES
            if name not in {"id", "prefix"}
        )


NAMES = tuple(column.name for column in fields(EventColumns))
COUNTS = frozenset(column.name for column in fields(EventColumns) if column.type == "Counts")
# attrgetter with several names makes the tuple in C.
_values = attrgetter(*NAMES)


def from_events(events: Sequence[UsageEvent]) -> EventColumns:
    """The same events as columns."""
    columns: dict[str, Any] = (
        dict(zip(NAMES, zip(*map(_values, events), strict=True), strict=True)) if events else {}
    )
    columns = columns or dict.fromkeys(NAMES, ())
    columns["occurred_at"] = to_microseconds(columns["occurred_at"])
    for name in ("latency_ms", "ttft_ms"):
        columns[name] = [-1 if value is None else value for value in columns[name]]
    for name in COUNTS - {"occurred_at"}:
        columns[name] = np.array(columns[name], dtype=np.int64)
    return EventColumns(**columns)


def to_microseconds(instants: Sequence[datetime]) -> Counts:
    """Aware times as microseconds since the Unix epoch.

    Exact although through floats: a double holds the seconds of the years up to 2100 to a quarter of a microsecond.
    """
    seconds = np.fromiter(map(datetime.timestamp, instants), dtype=np.float64, count=len(instants))
    return np.rint(seconds * 1e6).astype(np.int64)
