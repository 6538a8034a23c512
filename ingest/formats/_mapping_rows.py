"""Rows of a table -> usage events, by a mapping. Streams: nothing of a row is kept once its event is out."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from ingest.core.errors import Reason
from ingest.core.events import FLAG_FINAL, UsageEvent
from ingest.core.meter_fields import MAX_COUNT, MAX_MODEL, MAX_WORD, MeterError, clean_text, in_range, kind_of
from ingest.formats._base import EARLIEST_YEAR, LATEST_YEAR, BadBody, Item, ParseContext, events_of, rejection
from ingest.formats._by_total import Counts, metered
from ingest.formats._limits import MAX_ID, MAX_TAG_VALUE
from ingest.formats._mapping import TARGETS, Mapping, problems

NO_VALUE = frozenset({"", "null", "none", "nan", "\\n", "n/a", "nat", "<na>"})
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"epoch_s": 10**6, "epoch_ms": 10**3, "epoch_us": 1, "epoch_ns": 0}  # microseconds; 0: a thousandth
_WORDS = {"provider", "platform", "service_tier", "speed", "inference_geo", "stop_reason"}
# How a column with gaps comes out of pandas; three zeros could be thousands.
_WHOLE = re.compile(r"(-?\d{1,20})\.(?:0{1,2}|0{4,6})")
_NUMBER = re.compile(r"-?\d{1,20}(\.\d{1,12})?")

Cells = Sequence[object]


def is_empty(cell: object) -> bool:
    """Whether a cell holds no value: null, NaN, or one of the words that exports write for them."""
    if cell is None or cell == "":
        return True
    if isinstance(cell, str):
        return len(cell) <= 4 and cell.strip().lower() in NO_VALUE
    return (isinstance(cell, float) and math.isnan(cell)) or (isinstance(cell, Decimal) and cell.is_nan())


def apply(
    mapping: Mapping, columns: Sequence[str], rows: Iterable[tuple[int, Cells]], context: ParseContext
) -> Iterator[Item]:
    """The event or the rejection of every (position, cells). Raises BadBody when the mapping does not fit."""
    wrong = problems(mapping, columns)
    if wrong:
        where = next(iter(wrong))
        listed = "; ".join(f"{name}: {text}" for name, text in list(wrong.items())[:6])
        raise BadBody(Reason.INVALID_VALUE, f"the column mapping does not fit this table: {listed}", where)
    reader = _RowReader(mapping, columns)
    for position, cells in rows:
        if all(map(is_empty, cells)):
            continue
        event_id = ""
        try:
            if len(cells) != len(columns):
                detail = f"the row has {len(cells)} cells, the header {len(columns)}"
                raise MeterError(Reason.INVALID_VALUE, "", detail)
            event_id = reader.text(cells, "id")
            yield from (context.complete(part) for part in reader.events(cells, event_id))
        except MeterError as error:
            yield rejection(position, error, event_id)


@dataclass(slots=True)
class _RowReader:
    """A mapping resolved against a header: position and shown name of every target's column."""

    mapping: Mapping
    at: dict[str, int]
    names: dict[str, str]
    tags: list[tuple[str, int]]
    zone: ZoneInfo
    number: Callable[[str], str]

    def __init__(self, mapping: Mapping, columns: Sequence[str]) -> None:
        place = {column: position for position, column in enumerate(columns)}
        self.mapping = mapping
        self.at = {name: place[column] for name, column in mapping.columns.items()}
        # A header can be anything; only a plain word is repeated in a message.
        self.names = {
            target.name: shown_name(mapping.columns.get(target.name, target.name), target.name)
            for target in TARGETS
        }
        self.tags = sorted((name, place[column]) for name, column in mapping.tags.items())
        self.zone = ZoneInfo(mapping.zone)
        self.number = _ungrouped(mapping.thousands)

    def events(self, cells: Cells, event_id: str) -> list[UsageEvent]:
        occurred_at = self._time(cells)
        model = self.text(cells, "model")
        if not model.strip():
            raise MeterError(
                Reason.UNATTRIBUTABLE, self.names["model"], "the model is missing: the usage has no price"
            )
        event = UsageEvent(
            id=event_id,
            occurred_at=occurred_at,
            model=model,
            provider=self.text(cells, "provider").strip().lower(),
            platform=self.text(cells, "platform").strip().lower(),
            workspace_id=self.text(cells, "workspace_id"),
            api_key_id=self.text(cells, "api_key_id"),
            user_id=self.text(cells, "user_id"),
            session_id=self.text(cells, "session_id"),
            request_id=self.text(cells, "request_id"),
            stop_reason=self.text(cells, "stop_reason"),
            tags=self._tags(cells),
            latency_ms=self._duration(cells, "latency_ms"),
            ttft_ms=self._duration(cells, "ttft_ms"),
            flags=FLAG_FINAL,  # a table is exported after its calls
        )
        meters = metered(self._counts(cells), model, included=self.mapping.input_includes_cached)
        meters.web_search_requests = self._count(cells, "web_search_requests") or 0
        meters.service_tier = self.text(cells, "service_tier") or "standard"
        meters.speed = self.text(cells, "speed") or "standard"
        meters.inference_geo = self.text(cells, "inference_geo")
        return events_of(meters, event)

    def text(self, cells: Cells, name: str) -> str:
        position = self.at.get(name)
        if position is None:
            return self.mapping.constants.get(name, "")
        cell = cells[position]
        if is_empty(cell):
            return ""
        if isinstance(cell, bool) or not isinstance(cell, str | int | Decimal | float):
            where = self.names[name]
            raise MeterError(Reason.INVALID_TYPE, where, f"{where} must be a text, not {kind_of(cell)}")
        if isinstance(cell, float) and cell.is_integer():
            cell = int(cell)
        limit = MAX_MODEL if name == "model" else MAX_WORD if name in _WORDS else MAX_ID
        return clean_text(str(cell), self.names[name], limit)

    def _tags(self, cells: Cells) -> tuple[tuple[str, str], ...]:
        found = []
        for name, position in self.tags:
            cell = cells[position]
            if is_empty(cell):
                continue
            if isinstance(cell, bool):
                cell = "true" if cell else "false"
            if not isinstance(cell, str | int | float | Decimal):
                raise MeterError(
                    Reason.INVALID_TYPE, "tags", f"a tag must be a text or a number, not {kind_of(cell)}"
                )
            found.append((name, clean_text(str(cell), "tags", MAX_TAG_VALUE)))
        return tuple(found)

    def _counts(self, cells: Cells) -> Counts:
        written_5m = self._count(cells, "cache_write_5m_input_tokens")
        written_1h = self._count(cells, "cache_write_1h_input_tokens")
        unknown = self._count(cells, "cache_write_input_tokens") or 0
        split = (written_5m or 0) + (written_1h or 0)
        if unknown and split > unknown:
            where = self.names["cache_write_input_tokens"]
            detail = f"{where} is {unknown} but the writes by lifetime sum to {split}"
            raise MeterError(Reason.CONTRADICTORY_COUNTS, where, detail)
        return Counts(
            given_input=self._count(cells, "input_tokens") or 0,
            output=self._count(cells, "output_tokens") or 0,
            read=self._count(cells, "cache_read_input_tokens") or 0,
            written=unknown or split,
            written_5m=written_5m,
            written_1h=written_1h,
            thinking=self._count(cells, "thinking_tokens") or 0,
            total=self._count(cells, "total_tokens"),
            input_field=self.names["input_tokens"],
            output_field=self.names["output_tokens"],
            total_field=self.names["total_tokens"],
        )

    def _count(self, cells: Cells, name: str) -> int | None:
        """A count, None where there is none. A decimal number is refused unless nothing is behind its point."""
        position = self.at.get(name)
        cell = None if position is None else cells[position]
        if cell is None or is_empty(cell):
            return None
        where = self.names[name]
        value: int | None = None
        if type(cell) is int:
            value = cell
        elif isinstance(cell, str):
            value = self._count_of_text(cell.strip())
        elif isinstance(cell, float | Decimal) and math.isfinite(cell) and cell == int(cell):
            value = int(cell)
        if value is None:
            kind = "text that is no whole number" if isinstance(cell, str) else kind_of(cell)
            hint = (
                ": name the thousands separator in the mapping"
                if isinstance(cell, str) and _grouped(cell)
                else ""
            )
            raise MeterError(Reason.INVALID_TYPE, where, f"{where} must be a whole number, not {kind}{hint}")
        return in_range(value, where)

    def _count_of_text(self, text: str) -> int | None:
        text = self.number(text)
        if text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 20:
            return int(text)
        match = _WHOLE.fullmatch(text) if text.isascii() else None
        return int(match[1]) if match else None

    def _duration(self, cells: Cells, name: str) -> int | None:
        """Milliseconds; a duration that is no number is left out, since nothing is counted by it."""
        position = self.at.get(name)
        cell = None if position is None else cells[position]
        if isinstance(cell, bool) or cell is None or is_empty(cell):
            return None
        if isinstance(cell, timedelta):
            value = cell.total_seconds() * 1000
        else:
            if isinstance(cell, str):
                cell = self.number(cell.strip())
                if not _NUMBER.fullmatch(cell):
                    return None
            if (
                not isinstance(cell, str | int | float | Decimal)
                or not -1e15 < (number := float(cell)) < 1e15
            ):
                return None
            value = number * (1000 if self.mapping.duration_unit == "s" else 1)
        return round(value) if 0 <= value <= MAX_COUNT else None

    def _time(self, cells: Cells) -> datetime:
        where, cell = self.names["occurred_at"], cells[self.at["occurred_at"]]
        if is_empty(cell):
            raise MeterError(
                Reason.UNATTRIBUTABLE, where, f"{where} is empty: the usage has no day to be priced at"
            )
        if isinstance(cell, str) and not cell.isascii():
            raise MeterError(Reason.INVALID_TIME, where, f"{where} is not a time")
        moment = read_moment(cell, self.mapping.time_format)
        if moment is None:
            wanted = self.mapping.time_format.replace("epoch_s", "seconds since 1970")
            raise MeterError(Reason.INVALID_TIME, where, f"{where} is not a time of the form {wanted}")
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=self.zone)
        if not EARLIEST_YEAR < moment.year < LATEST_YEAR:
            detail = f"{where} is in the year {moment.year}; {EARLIEST_YEAR + 1} to {LATEST_YEAR - 1} can be stored"
            raise MeterError(Reason.INVALID_TIME, where, detail)
        return moment.astimezone(UTC)


def read_moment(cell: object, time_format: str) -> datetime | None:
    """The time in a cell, None when there is none in it; without a zone where the cell has none."""
    if isinstance(cell, datetime):
        return cell
    if isinstance(cell, date):
        return datetime.combine(cell, time())
    if time_format in _UNITS:
        return _epoch(cell, time_format)
    if not isinstance(cell, str):
        return None
    text = cell.strip()
    try:
        if time_format == "iso":
            return datetime.fromisoformat(
                text.removesuffix(" UTC") + "+00:00" if text.endswith(" UTC") else text
            )
        return datetime.strptime(text, time_format)  # noqa: DTZ007  (the zone is the mapping's)
    except (ValueError, OverflowError):
        return None


def _epoch(cell: object, unit: str) -> datetime | None:
    text = (
        str(cell).strip()
        if isinstance(cell, str | int | float | Decimal) and not isinstance(cell, bool)
        else ""
    )
    if isinstance(cell, float):
        text = f"{cell:.6f}" if math.isfinite(cell) else ""
    if not text.isascii() or not _NUMBER.fullmatch(text):
        return None
    number = Decimal(text)
    micros = number * _UNITS[unit] if _UNITS[unit] else number / 1000
    try:
        return EPOCH + timedelta(microseconds=int(micros))
    except OverflowError:
        return None


def shown_name(column: str, otherwise: str) -> str:
    """A column's name for a message, or `otherwise` when it is no plain word and could be text of a call."""
    return column if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_. ()/-]{0,47}", column) else otherwise


def _grouped(text: str) -> bool:
    return bool(re.fullmatch(r"-?\d{1,3}([,.' _\u00a0\u202f]\d{3})+", text.strip()))


def _ungrouped(separator: str) -> Callable[[str], str]:
    """What removes the thousands separator from numbers that are grouped by it everywhere, and only from those."""
    if not separator:
        return str
    characters = " \u00a0\u202f" if separator == " " else separator
    pattern = re.compile(rf"-?\d{{1,3}}([{re.escape(characters)}]\d{{3}})+")
    drop = str.maketrans("", "", characters)
    return lambda text: text.translate(drop) if pattern.fullmatch(text) else text
