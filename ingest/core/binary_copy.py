"""PostgreSQL's binary COPY format for rows of one fixed width, through numpy.

Rows whose columns are all NOT NULL and of fixed size have one byte layout, so a whole batch is encoded or decoded as
one structured array: about ten times faster than a row at a time. Format: PostgreSQL manual, COPY, "Binary Format".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

HEADER = b"PGCOPY\n\xff\r\n\x00" + (0).to_bytes(4, "big") + (0).to_bytes(4, "big")
TRAILER = b"\xff\xff"
POSTGRES_EPOCH_US = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000

# Column type -> big-endian numpy type as it travels. timestamptz is microseconds since 2000-01-01 UTC.
WIRE_TYPES = {"bigint": ">i8", "integer": ">i4", "smallint": ">i2", "timestamptz": ">i8", "uuid": "V16"}


class FixedWidth:
    """The binary row layout of some columns: `{name: PostgreSQL type}` in COPY order."""

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.columns = dict(columns)
        fields: list[tuple[str, str]] = [("_count", ">i2")]
        for name, kind in columns.items():
            fields += [(f"_size_{name}", ">i4"), (name, WIRE_TYPES[kind])]
        self.dtype = np.dtype(fields)

    @property
    def column_list(self) -> str:
        return ", ".join(self.columns)

    def encode(self, values: Mapping[str, Sequence[Any] | npt.NDArray[Any]], rows: int) -> bytes:
        """The batch as one COPY payload. `values` holds one sequence a column; uuids are an array of V16.

        Timestamps are microseconds since the Unix epoch.
        """
        batch = np.zeros(rows, dtype=self.dtype)
        batch["_count"] = len(self.columns)
        for name, kind in self.columns.items():
            column = batch.dtype[name]
            batch[f"_size_{name}"] = column.itemsize
            if kind == "uuid":
                batch[name] = values[name]
            elif kind == "timestamptz":
                batch[name] = np.asarray(values[name], dtype=np.int64) - POSTGRES_EPOCH_US
            else:
                batch[name] = values[name]
        return HEADER + batch.tobytes() + TRAILER

    def decode(
        self, messages: Iterable[bytes | bytearray | memoryview], rows_per_chunk: int
    ) -> Iterator[npt.NDArray[Any]]:
        """Chunks of a COPY ... TO STDOUT (FORMAT binary) as structured arrays; memory stays at one chunk.

        Timestamps stay in microseconds since 2000-01-01 UTC (see `POSTGRES_EPOCH_US`).
        """
        width = self.dtype.itemsize
        limit = rows_per_chunk * width
        pending = bytearray()
        started = False
        for message in messages:
            pending += message
            if not started and len(pending) >= len(HEADER):
                del pending[: len(HEADER)]
                started = True
            if len(pending) >= limit + width:
                yield np.frombuffer(bytes(pending[:limit]), dtype=self.dtype)
                del pending[:limit]
        body = len(pending) - len(TRAILER)
        if body > 0:
            yield np.frombuffer(bytes(pending[:body]), dtype=self.dtype)
