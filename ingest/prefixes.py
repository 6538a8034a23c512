"""Storing the prefix lists that some events carry: 64-bit hashes of chained block ids with cumulative tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from django.db import connection

from ingest import raw
from ingest.core.events import PrefixBlock
from ingest.core.merging import Row
from ingest.core.timegrain import from_micros


def block_hash(block_id: str) -> int:
    """A block id as a signed 64-bit integer; ids are only ever compared within one workspace and model."""
    return int.from_bytes(hashlib.blake2b(block_id.encode(), digest_size=8).digest(), "big", signed=True)


def store_prefixes(
    columns: Mapping[str, Sequence[int] | npt.NDArray[np.int64]],
    prefixes: Mapping[int, tuple[PrefixBlock, ...]],
) -> None:
    """Append the prefixes of new events; keys are positions in `columns`."""
    if not prefixes:
        return
    hashed: dict[str, int] = {}
    with (
        raw.cursor() as cursor,
        cursor.copy(
            "COPY event_prefix (event_key, occurred_at, block_hashes, cumulative_tokens) FROM STDIN (FORMAT binary)"
        ) as copy,
    ):
        copy.set_types(["int8", "timestamptz", "int8[]", "int4[]"])
        for position, blocks in prefixes.items():
            for block in blocks:
                if block.id not in hashed:
                    hashed[block.id] = block_hash(block.id)
            copy.write_row(
                (
                    int(columns["event_key"][position]),
                    from_micros(int(columns["occurred_at"][position])),
                    [hashed[block.id] for block in blocks],
                    [block.tokens for block in blocks],
                )
            )


def move_prefixes(moves: Sequence[tuple[Row, Row]]) -> None:
    """Let prefixes follow events whose time was corrected, given as (before, after)."""
    with connection.cursor() as cursor:
        for before, after in moves:
            cursor.execute(
                "UPDATE event_prefix SET occurred_at = %s WHERE event_key = %s AND occurred_at = %s",
                [from_micros(after.occurred_at), before.event_key, from_micros(before.occurred_at)],
            )
