"""Traffic for tests of advice: cache logs of equal sessions, with labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from dashboard.analysis.recommendations.traffic import Rates, Traffic
from ingest.core.cache.log import CacheLog
from tests.support.cache_logs import UNIT, Path, log_of_paths

OUTPUT = Decimal(5)
LIST = Rates(*UNIT, OUTPUT)
BATCH = Rates(*(price / 2 for price in LIST))
FAR = 1_000_000  # seconds between sessions: none helps another


def sessions(
    requests: Sequence[tuple[float, Sequence[tuple[str, int]]]],
    count: int = 30,
    apart: float = FAR,
    **columns: Any,
) -> CacheLog:
    """`count` equal sessions of requests (second, path of (block name, tokens)).

    A name that ends in * is one block for all sessions; others are each session's own. Columns are given for one
    session, and are the same in all.
    """
    ids: dict[str, int] = {}

    def block(name: str, session: int) -> int:
        return ids.setdefault(name if name.endswith("*") else f"{name}/{session}", len(ids) + 1)

    paths: list[tuple[float, Path]] = [
        (second + number * apart, [(block(name, number), tokens) for name, tokens in path])
        for number in range(count)
        for second, path in requests
    ]
    every: dict[str, Any] = {
        name: values * count if isinstance(values, list) else values for name, values in columns.items()
    }
    number = np.repeat(np.arange(count), len(requests))
    return log_of_paths(paths, **{"session": number, **every})


def traffic_of(log: CacheLog, labels: Mapping[str, Sequence[str]] | None = None, **fields: Any) -> Traffic:
    """30 days of one model's calls, with a batch price at half; every session is drawn by itself."""
    given = {name: np.array(values, dtype=object) for name, values in (labels or {}).items()}
    defaults: dict[str, Any] = {
        "labels": {**given, "model": np.full(len(log), "claude", dtype=object)},
        "provider": np.full(len(log), "anthropic", dtype=object),
        "unit": log.session,
        "rate": np.zeros(len(log), dtype=np.int64),
        "rates": (LIST,),
        "batch_rates": (BATCH,),
        "can_wait": {},
        "days": Decimal(30),
        "sampled": Decimal(1),
    }
    return Traffic(log=log, **{**defaults, **fields})
