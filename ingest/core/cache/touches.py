"""Every use of every prefix block, sorted by block and time: what replays, floors and curves are worked out from.

A touch is one block of one request's prefix. Blocks are shared only below one root within one domain, so requests are
taken in chunks of whole roots, and memory is bounded by the chunk.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ingest.core.cache.log import CacheLog, Ints, Mask, Prefixes, number_pairs

CHUNK = 1_000_000  # touches that are looked at together: about 100 MB
NEVER_US = 1 << 61  # longer than any gap, and twice it still fits


@dataclass(frozen=True)
class Requests:
    """The requests of one chunk in order of time within their root; numbered 0.. ("local" numbers below).

    position  where each is in the log
    root      number of each one's first block, 0..
    start, ready   microseconds, as in the log
    ptr       entries ptr[i] to ptr[i + 1] of `ids` and `tokens` are request i's path, root first
    ids       block ids made unique across the roots of a log
    tokens    cumulative within a path
    """

    position: Ints
    root: Ints
    start: Ints
    ready: Ints
    ptr: Ints
    ids: Ints
    tokens: Ints

    @cached_property
    def owner(self) -> npt.NDArray[np.int32]:
        """Local request of each entry."""
        return np.repeat(np.arange(len(self.start), dtype=np.int32), np.diff(self.ptr))

    @cached_property
    def touches(self) -> Touches:
        """All entries, sorted."""
        return _sorted(self, None)

    @cached_property
    def block_tokens(self) -> Ints:
        """Tokens of each entry's own block."""
        own = np.diff(self.tokens, prepend=0)
        heads = self.ptr[:-1][np.diff(self.ptr) > 0]
        own[heads] = self.tokens[heads]
        return own


@dataclass(frozen=True)
class Touches:
    """Touches sorted by block, then time; ties in time are in the order of the log.

    entry  position of each touch in the chunk's entries
    owner  local request of each touch
    start, ready   of the owner, microseconds
    first  whether it is the first touch of its block
    """

    entry: Ints
    owner: npt.NDArray[np.int32]
    start: Ints
    ready: Ints
    first: Mask

    def __len__(self) -> int:
        return len(self.entry)

    @cached_property
    def gap(self) -> Ints:
        """Microseconds since the touch before of the same block; NEVER_US for the first."""
        gap = np.diff(self.start, prepend=0)
        gap[self.first] = NEVER_US
        return gap

    @cached_property
    def early(self) -> Ints:
        """The touches that begin before the answer of some earlier user of the block did: few."""
        if not len(self):
            return np.zeros(0, dtype=np.int64)
        latest = previous(running_max(self.ready, self.first))
        return np.flatnonzero((latest > self.start) & ~self.first)

    def only(self, keep: Mask) -> Touches:
        """The touches at the positions that are True."""
        block = np.cumsum(self.first)[keep]
        return Touches(
            self.entry[keep],
            self.owner[keep],
            self.start[keep],
            self.ready[keep],
            np.diff(block, prepend=0) != 0,
        )


def chunks(log: CacheLog, *, short_too: bool = False) -> Iterator[Requests]:
    """The requests that carry a prefix, some whole roots at a time.

    Prefixes under the model's minimum are never cached and left out unless `short_too`. A path is cut where an id
    comes up for the second time, which no chained id can.
    """
    prefixes = log.prefixes
    if prefixes is None:
        return
    lengths = np.diff(prefixes.ptr)
    wanted = lengths > 0
    if not short_too:
        wanted &= log.prefix_tokens >= log.min_tokens
    position = np.flatnonzero(wanted)
    if not len(position):
        return
    root = number_pairs(log.domain[position], prefixes.ids[prefixes.ptr[position]])
    order = np.lexsort((log.start[position], root))
    position, root = position[order], root[order]
    ends = np.append(np.flatnonzero(np.diff(root)) + 1, len(root))
    touched = np.cumsum(lengths[position])[ends - 1]
    begin = done = 0
    while begin < len(position):
        # As many whole roots as fit into a chunk, and at least one.
        fitting = int(np.searchsorted(touched, done + CHUNK, side="right")) - 1
        last = max(fitting, int(np.searchsorted(ends, begin, side="right")))
        end, done = int(ends[last]), int(touched[last])
        yield _take(log, prefixes, position[begin:end], root[begin:end])
        begin = end


def parts(requests: Requests) -> Iterator[Touches]:
    """All touches of a chunk, sorted; in parts with whole blocks each when one root alone is large."""
    total = len(requests.ids)
    if total <= 2 * CHUNK:
        yield requests.touches
        return
    count = -(-total // CHUNK)
    part = _spread(requests.ids) % np.uint64(count)
    for number in range(count):
        yield _sorted(requests, np.flatnonzero(part == number))


def running_max(values: Ints, first: Mask) -> Ints:
    """The largest value so far within each segment; `first` marks where segments begin."""
    if not len(values):
        return values
    low = int(values.min())
    span = int(values.max()) - low + 1
    segment = np.cumsum(first) - int(first[0])
    result = np.empty_like(values)
    fitting = max((1 << 62) // span, 1)  # segments that can be lifted above each other within 64 bits
    begin = 0
    while begin < len(values):
        base = segment[begin]
        end = int(np.searchsorted(segment, base + fitting))
        lift = (segment[begin:end] - base) * span - low
        result[begin:end] = np.maximum.accumulate(values[begin:end] + lift) - lift
        begin = end
    return result


def previous(values: Ints) -> Ints:
    """The values moved one on; what stands first has no meaning."""
    return np.concatenate((values[:1], values[:-1]))


def _take(log: CacheLog, prefixes: Prefixes, position: Ints, root: Ints) -> Requests:
    lengths = (prefixes.ptr[1:] - prefixes.ptr[:-1])[position]
    ptr = np.concatenate(([0], np.cumsum(lengths)))
    entries = np.arange(ptr[-1]) + np.repeat(prefixes.ptr[position] - ptr[:-1], lengths)
    salt = np.repeat(_spread(root), lengths).view(np.int64)
    requests = Requests(
        position=position,
        root=root - root[0],
        start=log.start[position],
        ready=log.ready[position],
        ptr=ptr,
        ids=prefixes.ids[entries] ^ salt,
        tokens=prefixes.tokens[entries],
    )
    return _without_repeats(requests)


def _without_repeats(requests: Requests) -> Requests:
    """Paths cut before the first id that they had already."""
    keep = np.ones(len(requests.ids), dtype=np.bool_)
    for touches in parts(requests):
        again = np.flatnonzero((np.diff(touches.owner, prepend=-1) == 0) & ~touches.first)
        keep[touches.entry[again]] = False
    if keep.all():
        return requests
    cut = np.repeat(requests.ptr[1:], np.diff(requests.ptr))  # of each entry's path
    first_cut = np.full(len(requests.start), len(keep), dtype=np.int64)
    repeated = np.flatnonzero(~keep)
    np.minimum.at(first_cut, requests.owner[repeated], repeated)
    keep = np.arange(len(keep)) < np.minimum(first_cut[requests.owner], cut)
    lengths = np.bincount(requests.owner[keep], minlength=len(requests.start))
    return Requests(
        position=requests.position,
        root=requests.root,
        start=requests.start,
        ready=requests.ready,
        ptr=np.concatenate(([0], np.cumsum(lengths))),
        ids=requests.ids[keep],
        tokens=requests.tokens[keep],
    )


def _sorted(requests: Requests, entries: Ints | None) -> Touches:
    """These entries, or all. They are in order of time already: a sort by block that keeps their order does it."""
    ids = requests.ids if entries is None else requests.ids[entries]
    order = _stable_order(ids)
    entry = order if entries is None else entries[order]
    owner = requests.owner[entry]
    ids = ids[order]
    first = np.ones(len(ids), dtype=np.bool_)
    first[1:] = ids[1:] != ids[:-1]
    return Touches(entry, owner, requests.start[owner], requests.ready[owner], first)


def _stable_order(ids: Ints) -> Ints:
    """argsort that keeps the order of equal ids and puts them side by side; the order of the ids themselves is any.

    Sorting single words that hold part of the id's hash and the position is many times quicker than a stable argsort.
    Two ids that agree in that part are rare; then the slow way is taken.
    """
    bits = np.uint64(max(len(ids) - 1, 1).bit_length())
    mask = np.uint64((1 << int(bits)) - 1)
    words = (_spread(ids) & ~mask) | np.arange(len(ids), dtype=np.uint64)
    words.sort()
    order = (words & mask).astype(np.int64)
    words >>= bits
    same = words[1:] == words[:-1]
    ordered = ids[order]
    if (same & (ordered[1:] != ordered[:-1])).any():
        return np.argsort(ids, kind="stable")
    return order


def _spread(values: Ints) -> npt.NDArray[np.uint64]:
    """A bijection of 64-bit words that makes all bits depend on all (the finalizer of splitmix64)."""
    words = values.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
