"""Replaying a million requests under each policy beside one numpy sort of the same touches, and the memory it takes."""

from __future__ import annotations

import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable

import numpy as np

from ingest.core.cache.floors import floors
from ingest.core.cache.log import CacheLog, Prefixes, make_log
from ingest.core.cache.policies import FIVE_MINUTES, ONE_HOUR, STANDARD, PerChain, Policy
from ingest.core.cache.replay import replay
from tests.bench.report import Figure
from tests.support.cache_logs import UNIT

REQUESTS = 1_000_000
SESSIONS = 20_000
DEEPEST = 24  # blocks of a path
MB = 1 << 20


def measure(requests: int = REQUESTS) -> list[Figure]:
    """One figure a policy, one for the floors, one for memory."""
    log = synthetic(requests)
    sort = min(_seconds(lambda: _sort(log)) for _ in range(3))
    replay(log.where(log.session < 100), STANDARD)  # warm
    figures = []
    for policy in (*STANDARD, Policy("1h", 3)):
        seconds = _seconds(lambda policy=policy: replay(log, [policy]))  # type: ignore[misc]
        figures.append(_figure(f"replay of {policy.name}", seconds, sort, log, aim=5))
    mix = PerChain((FIVE_MINUTES, ONE_HOUR), log.chain % 2)  # sessions at both TTLs share system prompts
    figures.append(
        _figure("replay of a mix of both TTLs", _seconds(lambda: replay(log, [mix])), sort, log, aim=5)
    )
    seconds = _seconds(lambda: replay(log, STANDARD)) / len(STANDARD)
    figures.append(_figure("replay of one policy of seven together", seconds, sort, log, aim=5))
    figures.append(_figure("the three floors", _seconds(lambda: floors(log)), sort, log))
    return [*figures, _memory(requests)]


def synthetic(requests: int, sessions: int = SESSIONS, seed: int = 1) -> CacheLog:
    """Sessions that grow by a block a request, begin anew when deep, pause like people do, and share a system prompt
    within their workspace.
    """
    rng = np.random.default_rng(seed)
    session = np.sort(rng.integers(0, sessions, requests))
    first = np.ones(requests, dtype=np.bool_)
    first[1:] = np.diff(session) != 0
    gap = rng.lognormal(3, 1.6, requests)
    gap[first] = 0
    clock = np.cumsum(gap)
    start = (
        clock
        - np.maximum.accumulate(np.where(first, clock, 0))
        + rng.uniform(0, 30 * 86_400, sessions)[session]
    )
    number = np.arange(requests) - np.maximum.accumulate(np.where(first, np.arange(requests), 0))
    length = (
        number % (DEEPEST - 1) + 2
    )  # the system prompt, and a block for each request since the session began anew
    life = session * 10_000 + number // (DEEPEST - 1)
    ptr = np.concatenate(([0], np.cumsum(length)))
    depth = np.arange(ptr[-1]) - np.repeat(ptr[:-1], length)
    workspace = session % 200
    ids = np.where(depth == 0, -1 - np.repeat(workspace, length), np.repeat(life, length) * DEEPEST + depth)
    return make_log(
        start=(start * 1e6).astype(np.int64),
        domain=workspace,
        session=session,
        uncached=length * 1500 + 40,
        prices=(UNIT,),
        ttft_ms=rng.integers(300, 4000, requests),
        prefixes=Prefixes(ptr, ids, (depth + 1) * 1500),
    )


def _sort(log: CacheLog) -> object:
    """The touches by block and time, as numpy sorts them."""
    assert log.prefixes is not None
    start = np.repeat(log.start, np.diff(log.prefixes.ptr))
    return np.lexsort((start, log.prefixes.ids))


def _figure(name: str, seconds: float, sort: float, log: CacheLog, aim: float | None = None) -> Figure:
    assert log.prefixes is not None
    touches = len(log.prefixes.ids)
    detail = (
        f"{seconds:.2f} s, {seconds / touches * 1e9:.0f} ns a touch of {touches:,}; the sort {sort:.2f} s"
    )
    return Figure(name, seconds / sort, "x sort", aim=aim, better="low", detail=detail)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _memory(requests: int) -> Figure:
    """What a replay adds to the log itself, in a process of its own."""
    answer = subprocess.run(
        [sys.executable, "-m", "tests.bench.caching", str(requests)],
        check=True,
        capture_output=True,
        text=True,
    )
    log, added = (int(number) for number in answer.stdout.split())
    return Figure(
        "memory that replays and floors add",
        added / MB,
        "MB",
        better="low",
        detail=f"to a log of {log / MB:.0f} MB",
    )


if __name__ == "__main__":
    made = synthetic(int(sys.argv[1]))
    assert made.prefixes is not None
    held = sum(
        array.nbytes
        for part in (vars(made), vars(made.prefixes))
        for array in part.values()
        if hasattr(array, "nbytes")
    )
    tracemalloc.start()
    replay(made, STANDARD)
    floors(made)
    print(held, tracemalloc.get_traced_memory()[1])
