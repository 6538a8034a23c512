"""The hot path of the HTTP edge: a body in which every row is ordinary becomes columns at once.

It knows no rule of its own. A body with anything unusual in it (another provider's usage, iterations, a TTL split that
does not add up, anything wrong) is None here and is read row by row by `events`; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct
from msgspec.structs import astuple

from ingest.core.columns import Counts, EventColumns, to_microseconds
from ingest.core.events import (
    FLAG_FINAL,
    FLAG_TTL_UNKNOWN,
    OUTCOME_OK,
    OUTCOME_REFUSED_BEFORE_OUTPUT,
    PrefixBlock,
)
from ingest.core.meter_fields import MAX_COUNT
from ingest.formats._base import EARLIEST_YEAR, LATEST_YEAR
from ingest.formats._event_structs import (
    ESCAPED_NUL,
    Row,
    Split,
    Usage,
    read_prefix,
    read_tags,
)
from ingest.formats._lines import UNREADABLE

_decoder = msgspec.json.Decoder(Row)
_array_decoder = msgspec.json.Decoder(list[Row])
# A day inside the years allowed: what is nearer to their edges is for the careful reader.
_EARLIEST_US = np.datetime64(f"{EARLIEST_YEAR}-01-02", "us").astype(np.int64)
_END_US = np.datetime64(f"{LATEST_YEAR}-12-31", "us").astype(np.int64)


def read_columns(body: bytes) -> EventColumns | None:
    """The events of an NDJSON body or a JSON array as columns; None when the body needs a closer look."""
    if ESCAPED_NUL in body:
        return None
    try:
        if body.lstrip()[:1] == b"[":
            rows = _array_decoder.decode(body)
        else:
            rows = _decoder.decode_lines(body)
            if len(rows) != body.count(b"\n") + (not body.endswith(b"\n")):
                return None  # blank lines, or not one object a line
        return _columns(rows) if rows else None
    except (*UNREADABLE, _Unusual):
        return None


class _Unusual(Exception):
    """This body takes the careful path."""


def _fields(kind: type[Struct], structs: Sequence[Struct]) -> dict[str, tuple[Any, ...]]:
    """The fields of many structs, one tuple a field."""
    return dict(zip(kind.__struct_fields__, zip(*map(astuple, structs), strict=True), strict=True))


def _field(name: str, structs: Sequence[Struct | None]) -> tuple[Any, ...]:
    """One field of many structs; a null among them is unusual."""
    try:
        return tuple(map(attrgetter(name), structs))
    except AttributeError:
        raise _Unusual from None


def _columns(rows: Sequence[Row]) -> EventColumns:
    row = _fields(Row, rows)
    usage = _fields(Usage, row["usage"])
    splits, details, searches = (
        usage["cache_creation"],
        usage["output_tokens_details"],
        usage["server_tool_use"],
    )
    size = len(rows)
    foreign = [
        usage[name] for name in ("iterations", "total_tokens", "prompt_tokens", "input_tokens_details")
    ]
    # An OpenAI usage, iterations, or a count that is missing.
    if any(column.count(None) != size for column in (_field("reasoning_tokens", details), *foreign)):
        raise _Unusual
    if not {*row["routing"]} <= {None, "", "global", "regional"}:
        raise _Unusual
    if not all(model.strip() for model in {*row["model"]}):
        raise _Unusual
    times = to_microseconds(row["occurred_at"])
    if times.min() < _EARLIEST_US or times.max() >= _END_US:
        raise _Unusual
    uncached, output = _required(usage["input_tokens"]), _required(usage["output_tokens"])
    reads, thinking = _counts(usage["cache_read_input_tokens"]), _counts(_field("thinking_tokens", details))
    in_5m, in_1h, flags = _writes(usage["cache_creation_input_tokens"], splits)
    prompt = uncached + reads + in_5m + in_1h
    if prompt.max() > MAX_COUNT or np.any(thinking > output):
        raise _Unusual
    blocks: list[tuple[PrefixBlock, ...]] = [()] * size
    for position, prefix in enumerate(row["prefix"]):
        if prefix:
            block = read_prefix(prefix)
            if block is None:
                raise _Unusual
            blocks[position] = block
    outcome: Sequence[str] = [OUTCOME_OK] * size
    if "refusal" in row["stop_reason"]:
        outcome = [
            OUTCOME_REFUSED_BEFORE_OUTPUT if stop == "refusal" and not count else OUTCOME_OK
            for stop, count in zip(row["stop_reason"], output.tolist(), strict=True)
        ]
    geo = _texts(usage["inference_geo"])
    if "not_available" in geo:
        geo = ["" if place == "not_available" else place for place in geo]
    return EventColumns(
        id=_texts(row["id"]),
        occurred_at=times,
        model=row["model"],
        uncached_input_tokens=uncached,
        cache_read_input_tokens=reads,
        cache_write_5m_input_tokens=in_5m,
        cache_write_1h_input_tokens=in_1h,
        output_tokens=output,
        thinking_tokens=thinking,
        web_search_requests=_counts(_field("web_search_requests", searches)),
        prompt_step_tokens=prompt,
        provider=_texts(row["provider"]),
        platform=_texts(row["platform"]),
        service_tier=_texts(usage["service_tier"], "standard"),
        speed=_texts(usage["speed"], "standard"),
        inference_geo=geo,
        routing=_texts(row["routing"]),
        outcome=outcome,
        workspace_id=_texts(row["workspace_id"]),
        api_key_id=_texts(row["api_key_id"]),
        user_id=_texts(row["user_id"]),
        session_id=_texts(row["session_id"]),
        tags=[read_tags(pairs) if pairs else () for pairs in row["tags"]],
        request_id=_texts(row["request_id"]),
        latency_ms=_milliseconds(row["latency_ms"]),
        ttft_ms=_milliseconds(row["ttft_ms"]),
        stop_reason=_texts(row["stop_reason"]),
        flags=flags,
        requests=np.ones(size, dtype=np.int64),
        prefix=blocks,
    )


def _writes(totals: tuple[int | None, ...], splits: Sequence[Split | None]) -> tuple[Counts, Counts, Counts]:
    """5-minute and 1-hour writes, and flags; a split that does not add up to its total is unusual."""
    five, hour = _field("ephemeral_5m_input_tokens", splits), _field("ephemeral_1h_input_tokens", splits)
    total = _counts(totals)
    known: npt.NDArray[np.bool_] = np.ones(len(totals), dtype=np.bool_)
    try:
        in_5m, in_1h = np.array(five, dtype=np.int64), np.array(hour, dtype=np.int64)
    except TypeError:
        in_5m, in_1h = _counts(five), _counts(hour)
        known = np.array([a is not None or b is not None for a, b in zip(five, hour, strict=True)])
    if np.any(known & (in_5m + in_1h != total)):
        raise _Unusual
    flags = np.where(~known & (total > 0), FLAG_FINAL | FLAG_TTL_UNKNOWN, FLAG_FINAL)
    return np.where(known, in_5m, total), in_1h, flags


# Looking for None costs a comparison a value; converting or testing the whole column finds it for nothing.


def _required(column: tuple[int | None, ...]) -> Counts:
    try:
        return np.array(column, dtype=np.int64)
    except TypeError:
        raise _Unusual from None


def _counts(column: tuple[int | None, ...]) -> Counts:
    try:
        return np.array(column, dtype=np.int64)
    except TypeError:
        return np.array([value or 0 for value in column], dtype=np.int64)


def _texts(column: tuple[str | None, ...], default: str = "") -> Sequence[str]:
    if all(column):
        return column  # type: ignore[return-value]  # neither None nor empty
    return [value or default for value in column]


def _milliseconds(column: tuple[float | None, ...]) -> Counts:
    values = np.array(column)
    if values.dtype == np.int64:
        return values
    return np.array([-1 if value is None else round(value) for value in column], dtype=np.int64)
