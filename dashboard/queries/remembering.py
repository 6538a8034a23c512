"""Answers that are asked for again and again, kept in the process until the data or the prices change."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Generic, NamedTuple, TypeVar
from weakref import WeakSet

from dashboard import pricebook
from dashboard.filters import Filters
from dashboard.queries import freshness

Answer = TypeVar("Answer")
# A page on which somebody turns knobs may speak of the data of a moment ago: new data every two seconds would
# otherwise mean reading everything again at every touch.
WHILE_TURNING_S = 60.0


class _Kept(NamedTuple):
    version: tuple[Hashable, ...]
    made_at: float  # of the monotonic clock
    answer: object


@dataclass
class _Turn:
    lock: Lock = field(default_factory=Lock)
    asking: int = 0


class Memory(Generic[Answer]):
    """The last so many answers; with `weigh`, no more than the newest whose weights sum to `heaviest`."""

    def __init__(
        self, most: int, weigh: Callable[[Answer], int] = lambda answer: 0, heaviest: int = 0
    ) -> None:
        self._most, self._weigh, self._heaviest = most, weigh, heaviest
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._turns: dict[Hashable, _Turn] = {}
        self._lock = Lock()
        _memories.add(self)

    def forget(self) -> None:
        """Every answer is worked out anew."""
        with self._lock:
            self._kept.clear()

    def answer(
        self, filters: Filters, more: Hashable, work: Callable[[], Answer], steady_s: float = 0.0
    ) -> Answer:
        """The answer to a question, worked out once for as long as data and prices stay as they are.

        `more` is what the answer depends on beside range and filters. Within `steady_s` seconds it is taken for good
        whatever has come in since.
        """
        key = (filters.start, filters.end, filters.where, more)
        # Before the work: what comes in meanwhile makes the answer outdated.
        version = (*freshness.version(), pricebook.current().version)

        def known() -> _Kept | None:
            with self._lock:
                kept = self._kept.get(key)
                if kept is None or not (
                    kept.version == version or time.monotonic() - kept.made_at < steady_s
                ):
                    return None
                self._kept.move_to_end(key)
                return kept

        kept = known()
        if kept is None:
            # The panels of a page ask all at once: one of them works, the others find its answer.
            with self._turn_of(key):
                kept = known()
                if kept is None:
                    kept = _Kept(version, time.monotonic(), work())
                    self._keep(key, kept)
        return kept.answer  # type: ignore[return-value]  # only answers of this memory are in it

    def _keep(self, key: Hashable, kept: _Kept) -> None:
        with self._lock:
            self._kept[key] = kept
            self._kept.move_to_end(key)
            while len(self._kept) > 1 and (len(self._kept) > self._most or self._weight() > self._heaviest):
                self._kept.popitem(last=False)

    @contextmanager
    def _turn_of(self, key: Hashable) -> Iterator[None]:
        """One thread at a time within the same question."""
        with self._lock:
            turn = self._turns.setdefault(key, _Turn())
            turn.asking += 1
        try:
            with turn.lock:
                yield
        finally:
            with self._lock:
                turn.asking -= 1
                if not turn.asking:
                    del self._turns[key]

    def _weight(self) -> int:
        return sum(map(self._weigh, (kept.answer for kept in self._kept.values())))  # type: ignore[arg-type]


_memories: WeakSet[Memory[Any]] = WeakSet()


def forget_all() -> None:
    """Drop every answer (after a test database was replaced)."""
    for memory in list(_memories):
        memory.forget()
