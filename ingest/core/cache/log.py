"""The request log the cache engine works on: one column per fact, prefixes as one flat list of block ids."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ingest.core.pricing import PriceVector

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

SECOND_US = 1_000_000
TTL_5M_US = 300 * SECOND_US
TTL_1H_US = 3600 * SECOND_US
LONGEST_GUESSED_WAIT_MS = 2000  # time to first token where a log has none: the latency, but no more than this
LONGEST_WAIT_MS = 3_600_000  # what a skewed clock reports beyond this is not a wait


class InputPrices(NamedTuple):
    """USD per token of the four input meters, all multipliers of the lane and the day in them."""

    uncached: Decimal
    read: Decimal
    write_5m: Decimal
    write_1h: Decimal


def input_prices(vector: PriceVector) -> InputPrices:
    """The input side of a price vector."""
    return InputPrices(
        vector.uncached_input_tokens,
        vector.cache_read_input_tokens,
        vector.cache_write_5m_input_tokens,
        vector.cache_write_1h_input_tokens,
    )


@dataclass(frozen=True)
class Prefixes:
    """The prefix of request i is entries ptr[i] to ptr[i + 1] of `ids` and `tokens`, root first.

    An id is chained: it stands for everything up to and including its block. `tokens` are cumulative within a
    request. A request without a prefix has no entries.
    """

    ptr: Ints
    ids: Ints
    tokens: Ints


@dataclass(frozen=True)
class CacheLog:
    """Requests in any order; position i of every column is one request. Make one with `make_log`.

    start, ready      microseconds UTC: when the request began, and when its answer did (from then on others can read
                      what it wrote); ready >= start
    domain            0.. : one cache, which is one (workspace, model)
    session           0.. : a session may use several domains
    chain             0.. : one session within one domain
    uncached, read, write_5m, write_1h, output   the token meters as billed
    price             0.. : position in `prices`
    min_tokens        the shortest prefix the model caches; 0 = any
    call_class        0.. : position in `class_names`, what `policies.Mix` chooses by
    prefixes          None when no request has one
    """

    start: Ints
    ready: Ints
    domain: Ints
    session: Ints
    chain: Ints
    uncached: Ints
    read: Ints
    write_5m: Ints
    write_1h: Ints
    output: Ints
    price: Ints
    prices: tuple[InputPrices, ...]
    min_tokens: Ints
    call_class: Ints
    class_names: tuple[str, ...]
    prefixes: Prefixes | None
    _memo: dict[str, Ints] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.start)

    @property
    def total_input(self) -> Ints:
        """Tokens of the four input meters, per request."""
        return self.uncached + self.read + self.write_5m + self.write_1h

    @property
    def cached_prefix(self) -> Ints:
        """Tokens read from or written to the cache, per request: all that counters say about the prefix."""
        return self.read + self.write_5m + self.write_1h

    @property
    def has_prefix(self) -> Mask:
        """Which requests carry a prefix list."""
        if self.prefixes is None:
            return np.zeros(len(self), dtype=np.bool_)
        return np.diff(self.prefixes.ptr) > 0

    @property
    def prefix_tokens(self) -> Ints:
        """Tokens of each request's whole prefix; 0 where it has none."""
        tokens = np.zeros(len(self), dtype=np.int64)
        if self.prefixes is not None:
            some = self.has_prefix
            tokens[some] = self.prefixes.tokens[self.prefixes.ptr[1:][some] - 1]
        return tokens

    @property
    def by_chain(self) -> Ints:
        """Positions of all requests, chain by chain, each in order of time; ties as in the log."""
        if "by_chain" not in self._memo:
            self._memo["by_chain"] = np.lexsort((self.start, self.chain))
        return self._memo["by_chain"]

    @property
    def previous(self) -> Ints:
        """Position of the request before in the same chain; -1 for the first of a chain."""
        if "previous" not in self._memo:
            before, after, same = self._neighbours()
            previous = np.full(len(self), -1, dtype=np.int64)
            previous[after[same]] = before[same]
            self._memo["previous"] = previous
        return self._memo["previous"]

    @property
    def gap_after(self) -> Ints:
        """Microseconds from start to start of the next request in the same chain; -1 after the last."""
        if "gap_after" not in self._memo:
            before, after, same = self._neighbours()
            gap = np.full(len(self), -1, dtype=np.int64)
            gap[before[same]] = self.start[after[same]] - self.start[before[same]]
            self._memo["gap_after"] = gap
        return self._memo["gap_after"]

    @property
    def gap_before(self) -> Ints:
        """Microseconds since the start of the request before in the same chain; -1 for the first."""
        gap = np.full(len(self), -1, dtype=np.int64)
        later = self.previous >= 0
        gap[later] = self.start[later] - self.start[self.previous[later]]
        return gap

    def where(self, keep: Mask) -> CacheLog:
        """The requests at the positions that are True. Domains, sessions, chains and prices keep their numbers."""
        prefixes = self.prefixes
        if prefixes is not None:
            lengths = np.diff(prefixes.ptr)
            entries = np.repeat(keep, lengths)
            prefixes = Prefixes(_pointers(lengths[keep]), prefixes.ids[entries], prefixes.tokens[entries])
        columns = {name: getattr(self, name)[keep] for name in _COLUMNS}
        return replace(self, **columns, prefixes=prefixes, _memo={})

    def _neighbours(self) -> tuple[Ints, Ints, Mask]:
        order = self.by_chain
        before, after = order[:-1], order[1:]
        return before, after, self.chain[before] == self.chain[after]


_COLUMNS = (
    "start",
    "ready",
    "domain",
    "session",
    "chain",
    "uncached",
    "read",
    "write_5m",
    "write_1h",
    "output",
    "price",
    "min_tokens",
    "call_class",
)


def make_log(
    *,
    start: npt.ArrayLike,
    domain: npt.ArrayLike,
    session: npt.ArrayLike,
    prices: tuple[InputPrices, ...],
    price: npt.ArrayLike = 0,
    uncached: npt.ArrayLike = 0,
    read: npt.ArrayLike = 0,
    write_5m: npt.ArrayLike = 0,
    write_1h: npt.ArrayLike = 0,
    output: npt.ArrayLike = 0,
    ttft_ms: npt.ArrayLike = -1,
    latency_ms: npt.ArrayLike = -1,
    min_tokens: npt.ArrayLike = 0,
    call_class: npt.ArrayLike = 0,
    class_names: tuple[str, ...] = ("",),
    prefixes: Prefixes | None = None,
) -> CacheLog:
    """A log from plain columns; a single value stands for all requests. Latencies are -1 where not known.

    Only requests with a price belong in it: nothing can be said about the cost of others. A prefix that claims more
    tokens than its request was billed for is scaled down to them, since counts are facts and prefix sizes may be
    estimates. Raises ValueError when columns differ in length or point outside `prices` or `class_names`.
    """
    starts = np.atleast_1d(np.asarray(start, dtype=np.int64))
    given = {
        "domain": domain,
        "session": session,
        "price": price,
        "uncached": uncached,
        "read": read,
        "write_5m": write_5m,
        "write_1h": write_1h,
        "output": output,
        "min_tokens": min_tokens,
        "call_class": call_class,
    }
    columns: dict[str, Any] = {name: _column(name, values, len(starts)) for name, values in given.items()}
    _check_positions("price", columns["price"], len(prices))
    _check_positions("call_class", columns["call_class"], len(class_names))
    waits = waits_us(_column("ttft_ms", ttft_ms, len(starts)), _column("latency_ms", latency_ms, len(starts)))
    log = CacheLog(
        start=starts,
        ready=starts + waits,
        chain=number_pairs(columns["domain"], columns["session"]),
        prices=prices,
        class_names=class_names,
        prefixes=None,
        **columns,
    )
    return log if prefixes is None else replace(log, prefixes=_fit(prefixes, log.total_input))


def waits_us(ttft_ms: Ints, latency_ms: Ints) -> Ints:
    """Microseconds until an answer begins: the time to first token, else the latency but at most 2 s, else 2 s."""
    guessed = np.where(
        latency_ms >= 0, np.minimum(latency_ms, LONGEST_GUESSED_WAIT_MS), LONGEST_GUESSED_WAIT_MS
    )
    waits = np.where(ttft_ms >= 0, np.minimum(ttft_ms, LONGEST_WAIT_MS), guessed)
    return waits.astype(np.int64) * 1000


def number_pairs(first: Ints, second: Ints) -> Ints:
    """0.. for each distinct pair."""
    if not len(first):
        return np.zeros(0, dtype=np.int64)
    order = np.lexsort((second, first))
    changes = (np.diff(first[order]) != 0) | (np.diff(second[order]) != 0)
    numbers = np.empty(len(first), dtype=np.int64)
    numbers[order] = np.concatenate(([0], np.cumsum(changes)))
    return numbers


def _fit(prefixes: Prefixes, billed: Ints) -> Prefixes:
    """The prefixes with no request's larger than what it was billed for."""
    lengths = np.diff(prefixes.ptr)
    if len(lengths) != len(billed) or (lengths < 0).any() or prefixes.ptr[-1] != len(prefixes.ids):
        raise ValueError("prefixes.ptr must start at 0, not fall, and end at the number of entries")
    some = lengths > 0
    sizes = np.zeros(len(billed), dtype=np.int64)
    sizes[some] = prefixes.tokens[prefixes.ptr[1:][some] - 1]
    if not (sizes > billed).any():
        return prefixes
    each_size, each_billed = np.repeat(sizes, lengths), np.repeat(billed, lengths)
    scaled = prefixes.tokens * each_billed // np.maximum(each_size, 1)
    return replace(prefixes, tokens=np.where(each_size > each_billed, scaled, prefixes.tokens))


def _column(name: str, values: npt.ArrayLike, length: int) -> Ints:
    column = np.asarray(values, dtype=np.int64)
    if column.ndim == 0:
        return np.full(length, column, dtype=np.int64)
    if column.shape != (length,):
        raise ValueError(f"{name} has {column.shape} values for {length} requests")
    return column


def _check_positions(name: str, column: Ints, count: int) -> None:
    if len(column) and not (column.min() >= 0 and column.max() < count):
        raise ValueError(f"{name} must be from 0 to {count - 1}")


def _pointers(lengths: Ints) -> Ints:
    return np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
