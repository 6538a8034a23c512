"""A prompt cache with a clock, one call at a time: what the demo's calls would have read and written."""

from __future__ import annotations

from ingest.core.events import PrefixBlock


class Cache:
    """The cache of one workspace and model. Calls come in order of time; times are microseconds.

    A block lives for `ttl` after its last use, and can be read once the answer of a call that wrote it has begun.
    """

    def __init__(self, ttl: int) -> None:
        self._ttl = ttl
        self._blocks: dict[str, tuple[int, int]] = {}  # id -> (end of its life, from when on it can be read)

    def readable(self, path: tuple[PrefixBlock, ...], start: int) -> int:
        """Tokens of the longest beginning of the path that a call at `start` finds in the cache."""
        tokens = 0
        for block in path:
            end, ready = self._blocks.get(block.id, (-1, 0))
            if end < start or ready > start:
                break
            tokens = block.tokens
        return tokens

    def use(self, path: tuple[PrefixBlock, ...], start: int, ready: int) -> None:
        """A call read or wrote all of the path; its answer began at `ready`."""
        for block in path:
            end, sooner = self._blocks.get(block.id, (-1, 0))
            self._blocks[block.id] = (start + self._ttl, min(sooner, ready) if end >= start else ready)
