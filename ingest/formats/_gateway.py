"""What the exports of gateways and tracing tools share: rows in many wrappings, times, labels and identities.

Nothing in an export beside the meters is worth losing a billed call over: an unusable label is dropped, a long one cut.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any, BinaryIO, TypeVar

import msgspec
from msgspec import Raw

from ingest.core.errors import Reason, Rejection
from ingest.core.meter_fields import MAX_COUNT, MeterError, count, kind_of
from ingest.core.model_ids import MAKERS, platform_name
from ingest.formats._base import EARLIEST_YEAR, LATEST_YEAR, BadBody, Item, quiet_decode, rejection
from ingest.formats._limits import MAX_TAG_NAME, MAX_TAG_VALUE, MAX_TAGS
from ingest.formats._lines import BOM, UNREADABLE, json_values
from ingest.formats._mapping_rows import is_empty
from ingest.formats._peek import peek
from ingest.formats._tables import joined, open_csv

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NO_RAW = Raw(b"")
_NAMELESS = {"", "unknown", "none", "null", "custom", "custom_openai", "openai_like"}
# Ids that a provider gave to its response: a gateway's own ids are UUIDs, sometimes behind the same prefix.
_PROVIDER_ID = re.compile(r"(msg_|resp_|gen-)[A-Za-z0-9_-]{8,128}|chatcmpl-[A-Za-z0-9]{16,64}")
_UUID_ID = re.compile(r"[a-z-]*-?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

RowT = TypeVar("RowT")
RawRow = bytes | Raw | Rejection
Score = Callable[[Mapping[str, Any]], int]
_HEADER_BYTES = 1 << 16
_decode_list = msgspec.json.Decoder(list[Raw]).decode


class _Page(msgspec.Struct, gc=False):
    data: Raw = NO_RAW


_decode_page = msgspec.json.Decoder(_Page).decode


def sniff(head: bytes, score: Score) -> int:
    """The best score of the first rows of a file: JSON, an API's answer, or the header of a CSV export."""
    if not _is_json(head.removeprefix(BOM).lstrip()[:1]):
        return score(_header(head))
    rows: list[Mapping[str, Any]] = []
    for value in peek(head, limit=5):
        data = value.get("data")
        rows += [row for row in data[:5] if isinstance(row, Mapping)] if isinstance(data, list) else [value]
    return max(map(score, rows), default=0)


def raw_rows(
    stream: BinaryIO, score: Score | None = None, pages: bool = True
) -> Iterator[tuple[int, RawRow]]:
    """(index, row) of an export: one row, JSON lines, an array, or (with `pages`) the `data` of an API's answer.

    The rows of an answer are numbered by their place in it, those of a file of several answers from its line on. With
    `score`, a CSV export is read as well if its header is the tool's: each row as an object of strings.
    """
    head = stream.read(_HEADER_BYTES) if score is not None else b""
    if head:
        stream = joined(head, stream)
    if score is not None and not _is_json(head.removeprefix(BOM).lstrip()[:1]) and score(_header(head)):
        yield from _csv_rows(stream)
        return
    for index, raw in json_values(stream):
        if isinstance(raw, Rejection):
            yield index, raw
            continue
        inner = _page(raw) if pages else None
        if inner is None:
            yield index, raw
        else:
            yield from ((index + n, row) for n, row in enumerate(inner))


def _is_json(first: bytes) -> bool:
    return first in (b"{", b"[", b"")


def _header(head: bytes) -> Mapping[str, Any]:
    """The columns that a CSV file begins with, as the keys of a row; {} when it does not begin like one."""
    try:
        with open_csv(BytesIO(head)) as (columns, _):
            return dict.fromkeys(columns) if len(columns) > 2 else {}
    except BadBody:
        return {}


def _csv_rows(stream: BinaryIO) -> Iterator[tuple[int, RawRow]]:
    with open_csv(stream) as (columns, rows):
        for row in rows:
            if isinstance(row, Rejection):
                yield row.index, row
                continue
            position, cells = row
            if len(cells) != len(columns):
                detail = f"the row has {len(cells)} cells, the header {len(columns)}"
                yield position, Rejection(position, Reason.INVALID_VALUE, "", detail)
                continue
            fields = {
                name: None if is_empty(cell) else cell for name, cell in zip(columns, cells, strict=True)
            }
            if any(value is not None for value in fields.values()):
                yield position, json.dumps(fields).encode()


def _page(raw: bytes | Raw) -> list[Raw] | None:
    """The rows of an answer {"data": [...]}; None when the value is a row itself."""
    if b'"data"' not in bytes(raw)[:4096]:
        return None
    try:
        data = bytes(_decode_page(raw).data).strip()
        return _decode_list(data) if data.startswith(b"[") else None
    except UNREADABLE:
        return None


def read_rows(
    stream: BinaryIO,
    decode: Callable[[bytes | Raw], RowT],
    read: Callable[[int, RowT], list[Item]],
    score: Score | None = None,
    pages: bool = True,
) -> Iterator[Item]:
    """The items that `read` makes of every row; a row that fails becomes its rejection."""
    for index, raw in raw_rows(stream, score, pages):
        if isinstance(raw, Rejection):
            yield raw
            continue
        try:
            yield from read(index, typed(raw, decode))
        except MeterError as error:
            yield rejection(index, error)


def typed(raw: bytes | Raw, decode: Callable[[bytes | Raw], RowT]) -> RowT:
    """Decode a row of which only some fields are wanted. Raises MeterError for what is no JSON object."""
    try:
        return decode(raw)
    except UNREADABLE:
        value = quiet_decode(raw)
    raise MeterError(Reason.NOT_AN_OBJECT, "", f"a row must be a JSON object, not {kind_of(value)}")


def holder(value: object, where: str) -> Mapping[str, Any]:
    """An object, or the object in a string of JSON; null, empty and missing are {}. Raises MeterError."""
    if isinstance(value, Raw):
        if not bytes(value).strip():
            return {}
        value = quiet_decode(value)
    if isinstance(value, str):
        if not value.strip():
            return {}
        try:
            value = quiet_decode(value.encode("utf-8", "surrogatepass"))
        except MeterError:
            raise MeterError(Reason.INVALID_JSON, where, f"{where} holds a string that is not JSON") from None
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise MeterError(Reason.INVALID_TYPE, where, f"{where} must be an object, not {kind_of(value)}")
    return value


def loose_holder(value: object) -> Mapping[str, Any]:
    """The same for what nothing is counted by: {} for anything else."""
    try:
        return holder(value, "")
    except MeterError:
        return {}


def count_or_none(fields: Mapping[str, Any], key: str, path: str) -> int | None:
    """A count, None when it is absent. A whole number written with a point or in a string is one."""
    value = fields.get(key)
    if value is None or value == "":
        return None
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        value = int(value)
    elif isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}(\.0+)?", value):
        value = int(value.partition(".")[0])
    return count({key: value}, key, path)


def counted(fields: Mapping[str, Any], path: str, *keys: str) -> int:
    """The first of several spellings of a count that is present, else 0."""
    for key in keys:
        found = count_or_none(fields, key, path)
        if found is not None:
            return found
    return 0


def moment(value: object, where: str) -> datetime:
    """A time as UTC: RFC 3339, the same without a zone (UTC then), or seconds or milliseconds since 1970."""
    if value is None or value == "":
        raise MeterError(
            Reason.UNATTRIBUTABLE, where, f"{where} is missing: the usage has no day to be priced at"
        )
    found: datetime | None = None
    if isinstance(value, str):
        found = _iso(value.strip())
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        seconds = value / 1000 if abs(value) > 10**11 else value
        if abs(seconds) < 10**11:
            found = EPOCH + timedelta(microseconds=round(seconds * 1_000_000))
    else:
        raise MeterError(Reason.INVALID_TYPE, where, f"{where} must be a time, not {kind_of(value)}")
    if found is None:
        raise MeterError(Reason.INVALID_TIME, where, f"{where} is not a time such as 2026-03-02T10:15:00Z")
    if not EARLIEST_YEAR <= found.year <= LATEST_YEAR:
        detail = f"{where} is in the year {found.year}; {EARLIEST_YEAR} to {LATEST_YEAR} can be stored"
        raise MeterError(Reason.INVALID_TIME, where, detail)
    return found


def _iso(text: str) -> datetime | None:
    if not text.isascii() or len(text) > 40:
        return None
    try:
        found = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            return None
    try:
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except OverflowError:
        return None


def milliseconds(start: datetime, value: object) -> int | None:
    """From `start` to another time of the same row; None when that is no time or lies before it."""
    try:
        gap = round((moment(value, "") - start) / timedelta(milliseconds=1))
    except (MeterError, OverflowError):
        return None
    return gap if 0 <= gap <= MAX_COUNT else None


def duration(value: object) -> int | None:
    """A number of milliseconds, or a text of one; None when it is none."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,15})?", value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_COUNT:
        return None
    return round(value)


def label(*values: object, limit: int = MAX_TAG_VALUE) -> str:
    """The first of several values that is a usable text, cut to what can be stored."""
    for value in values:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value) if -(10**18) < value < 10**18 else ""
        if isinstance(value, str) and value.strip() and "\0" not in value:
            text = value.strip().encode("utf-8", "replace").decode()
            return text if len(text) <= limit else text[: limit - 1] + "…"
    return ""


def tags_of(values: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """Tags from labels: what has no usable name or value is left out, and what is too many."""
    found = {}
    for name, value in values.items():
        if isinstance(value, bool):
            value = "true" if value else "false"
        text, key = label(value), label(name, limit=MAX_TAG_NAME)
        if text and key:
            found[key] = text
    return tuple(sorted(found.items())[:MAX_TAGS])


def tag_words(values: object) -> dict[str, object]:
    """Tags given as a list of words: 'team:search' is a name and a value, a word alone is its own name."""
    found: dict[str, object] = {}
    if isinstance(values, str) and values.startswith("["):
        try:
            values = quiet_decode(values.encode("utf-8", "surrogatepass"))
        except MeterError:
            return found
    for value in values if isinstance(values, list) else ():
        if isinstance(value, str):
            name, colon, rest = value.partition(":")
            found[name.strip()] = rest.strip() if colon and rest.strip() else "true"
    return found


def served_by(word: object) -> tuple[str, str]:
    """(provider, platform) from a gateway's word for where it sent the call; '' where it does not say."""
    plain = label(word, limit=64).lower()
    if plain in _NAMELESS:
        return "", ""
    platform = platform_name(plain)
    return (plain if plain in MAKERS else ""), platform


def provider_id(*values: object) -> str:
    """The first value that looks like an id a provider gave, not a gateway: the bridge to other sources."""
    for value in values:
        if isinstance(value, str) and _PROVIDER_ID.fullmatch(value) and not _UUID_ID.fullmatch(value):
            return value
    return ""
