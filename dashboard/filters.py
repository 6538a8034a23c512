"""The state of a page or a question, as its URL says it: range, grain, grouping and filters. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol, Self, cast
from urllib.parse import parse_qs, urlencode
from zoneinfo import ZoneInfo

from ingest.core.timegrain import local_day_start

GRAINS = ("total", "hour", "day", "month")
# Where a dimension lives: on the lane (what decides a price), on the label set (who it was for), or on the
# event itself.
LANE_DIMENSIONS = ("model", "provider", "platform", "service_tier", "speed", "inference_geo")
LABEL_DIMENSIONS = ("workspace_id", "api_key_id", "user_id", "source")
SESSION = "session_id"
METER = "meter"
TAG_PREFIX = "tag:"
DIMENSIONS = (*LANE_DIMENSIONS, *LABEL_DIMENSIONS, SESSION, METER)  # and tag:NAME

RANGES = ("today", "7d", "30d", "90d", "month", "quarter", "year", "all")
DEFAULT_RANGE = "30d"
_DAYS = {"today": 1, "7d": 7, "30d": 30, "90d": 90, "year": 365}

MAX_VALUE_LENGTH = 1000
MAX_VALUES = 500
MAX_GROUP_BY = 6
_FIRST_YEAR, _LAST_YEAR = 1900, 9000  # room on both sides for any zone's offset
_TRUE, _FALSE = {"1", "true", "on", "yes"}, {"", "0", "false", "off", "no"}
_OWN_KEYS = ("start", "end", "range", "compare", "grain", "group_by")
# A plus sign of an offset that was not percent-encoded arrives as a space.
_LOST_PLUS = re.compile(r"^(.*T.*) (\d\d:\d\d)$")

Moment = date | datetime  # a date is a day of the reporting zone, a datetime an instant (aware, UTC)


class FilterError(ValueError):
    """A parameter that cannot be answered: which one, and what to write instead."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


class MultiMapping(Protocol):
    """What Django's QueryDict offers and we use: names with repeatable values."""

    def getlist(self, key: str) -> list[str]: ...

    def keys(self) -> Iterable[str]: ...


def is_dimension(name: str) -> bool:
    """Whether one can group or filter by this name."""
    return name in DIMENSIONS or (name.startswith(TAG_PREFIX) and len(name) > len(TAG_PREFIX))


@dataclass(frozen=True, slots=True)
class Filters:
    """One question. Every instance is valid: the constructor refuses what cannot be answered.

    start, end   half-open; a date is a whole day of the reporting zone, a datetime an instant; None = open
    range        the preset that start and end came from ("7d", "month", ...), or "" when they were said
                 outright
    grain        "" when not said (the page or call decides), else one of GRAINS
    where        ((dimension, (value, ...)), ...): values of one dimension are alternatives, dimensions all
                 must hold; the value "" stands for "none". Sorted, so equal questions are equal values.
    """

    start: Moment | None = None
    end: Moment | None = None
    range: str = ""
    compare: bool = False
    grain: str = ""
    group_by: tuple[str, ...] = ()
    where: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def __post_init__(self) -> None:
        for field in ("start", "end"):
            object.__setattr__(self, field, _checked_moment(field, getattr(self, field)))
        if isinstance(self.start, datetime) == isinstance(self.end, datetime):
            _check_order(self.start, self.end)
        if self.range and self.range not in RANGES:
            raise FilterError("range", f"range must be one of {', '.join(RANGES)}")
        if self.grain and self.grain not in GRAINS:
            raise FilterError("grain", f"grain must be one of {', '.join(GRAINS)}")
        object.__setattr__(self, "group_by", _checked_group_by(self.group_by))
        object.__setattr__(self, "where", _checked_where(self.where))

    # --- reading --------------------------------------------------------------------------------------------

    def values(self, dimension: str) -> tuple[str, ...]:
        """The values filtered for, () when the dimension is not filtered; "" stands for "none"."""
        return dict(self.where).get(dimension, ())

    def chips(self) -> list[tuple[str, str]]:
        """Every active (dimension, value), one by one, as a page shows them."""
        return [(dimension, value) for dimension, values in self.where for value in values]

    def dimensions(self) -> set[str]:
        """Every dimension this question filters by."""
        return {dimension for dimension, _ in self.where}

    def instants(self, zone: ZoneInfo) -> tuple[datetime | None, datetime | None]:
        """[start, end) as UTC instants; None where the range is open."""
        return _instant(self.start, zone), _instant(self.end, zone)

    def days(self, zone: ZoneInfo) -> int | None:
        """How many days of the zone the range touches; None when it is open."""
        start, end = self.instants(zone)
        if start is None or end is None:
            return None
        last = (end - timedelta(microseconds=1)).astimezone(zone).date()
        return (last - start.astimezone(zone).date()).days + 1

    def previous(self) -> Self | None:
        """The same question about the range of this length directly before; None when the range is open."""
        if (
            self.start is None
            or self.end is None
            or isinstance(self.start, datetime) != isinstance(self.end, datetime)
        ):
            return None
        length = self.end - self.start
        try:
            return replace(self, start=self.start - length, end=self.start, range="", compare=False)
        except OverflowError:
            return None

    # --- making others --------------------------------------------------------------------------------------

    def with_(self, **changes: Any) -> Self:
        """A copy with other fields. A new start or end drops the preset that described the old one."""
        if {"start", "end"} & changes.keys():
            changes.setdefault("range", "")
        return replace(self, **changes)

    def with_range(self, preset: str, today: date) -> Self:
        """A copy over a preset range as seen on `today` (a day of the reporting zone)."""
        start, end = preset_range(preset, today)
        return replace(self, range=preset, start=start, end=end)

    def with_value(self, dimension: str, value: str | None) -> Self:
        """A copy that also lets this value through; None (or "") means "none"."""
        where = dict(self.where)
        where[dimension] = (*where.get(dimension, ()), value or "")
        return replace(self, where=tuple(where.items()))

    def only(self, dimension: str, *values: str | None) -> Self:
        """A copy filtered to exactly these values of the dimension; with none given, to any value."""
        where = {**dict(self.where), dimension: tuple(value or "" for value in values)}
        return replace(self, where=tuple((name, kept) for name, kept in where.items() if kept))

    def without(self, dimension: str, value: str | None = None, *, every: bool = False) -> Self:
        """A copy without one value of a dimension, or without the dimension when `every` is set."""
        kept = () if every else tuple(each for each in self.values(dimension) if each != (value or ""))
        return self.only(dimension, *kept)

    def to_query(self) -> str:
        """The query string that says this question; `from_query` of it gives an equal one."""
        return urlencode(self.pairs())

    def pairs(self) -> list[tuple[str, str]]:
        """The names and values of that query string."""
        pairs: list[tuple[str, str]] = []
        if self.range:
            pairs.append(("range", self.range))
        else:
            pairs += [
                (name, _text(at)) for name, at in (("start", self.start), ("end", self.end)) if at is not None
            ]
            if not pairs:  # say "open" aloud, or a page would fall back to its default range
                pairs.append(("start", ""))
        if self.compare:
            pairs.append(("compare", "1"))
        if self.grain:
            pairs.append(("grain", self.grain))
        pairs += [("group_by", name) for name in self.group_by]
        return pairs + self.chips()

    @classmethod
    def from_query(
        cls,
        query: MultiMapping | Mapping[str, str | Sequence[str]] | str,
        *,
        now: datetime,
        zone: ZoneInfo,
        default_range: str = DEFAULT_RANGE,
        strict: bool = False,
        allow: Iterable[str] = (),
    ) -> Self:
        """The question that a query string asks.

        `default_range` is what an unsaid range means (pages: the last 30 days; the API passes "": all of
        history). `strict` refuses names it does not know, other than those in `allow`, so that a misspelt
        filter is not a wrong answer; pages ignore them."""
        names = _multi(query)
        if strict:
            for name in names:
                if name not in _OWN_KEYS and not is_dimension(name) and name not in set(allow):
                    raise FilterError(name[:100], f"there is no parameter {name[:100]!r}")
        today = now.astimezone(zone).date()
        start, end, preset = _range(names, today, default_range)
        _check_order(_instant(start, zone), _instant(end, zone))
        return cls(
            start=start,
            end=end,
            range=preset,
            compare=_flag(names, "compare"),
            grain=_one(names, "grain"),
            group_by=tuple(name for name in names.get("group_by", []) if name),
            where=tuple((name, tuple(values)) for name, values in names.items() if is_dimension(name)),
        )


def preset_range(preset: str, today: date) -> tuple[date | None, date | None]:
    """[start, end) of a preset, up to and including `today`."""
    if preset not in RANGES:
        raise FilterError("range", f"range must be one of {', '.join(RANGES)}")
    if preset == "all":
        return None, None
    end = today + timedelta(days=1)
    if preset == "month":
        return today.replace(day=1), end
    if preset == "quarter":
        return today.replace(month=today.month - (today.month - 1) % 3, day=1), end
    return end - timedelta(days=_DAYS[preset]), end


def _multi(query: MultiMapping | Mapping[str, str | Sequence[str]] | str) -> dict[str, list[str]]:
    if isinstance(query, str):
        return parse_qs(query, keep_blank_values=True)
    if hasattr(query, "getlist"):
        multi = cast(MultiMapping, query)
        return {name: list(multi.getlist(name)) for name in multi.keys()}  # noqa: SIM118
    return {name: [value] if isinstance(value, str) else list(value) for name, value in query.items()}


def _one(names: Mapping[str, list[str]], field: str) -> str:
    """The value of a name that may be said once; the last one wins, as a form with a hidden field expects."""
    values = names.get(field) or [""]
    return values[-1].strip()


def _flag(names: Mapping[str, list[str]], field: str) -> bool:
    value = _one(names, field).lower()
    if value not in _TRUE | _FALSE:
        raise FilterError(field, f"{field} must be 1 or 0")
    return value in _TRUE


def _range(
    names: Mapping[str, list[str]], today: date, default_range: str
) -> tuple[Moment | None, Moment | None, str]:
    start = _parsed("start", _one(names, "start"))
    end = _parsed("end", _one(names, "end"))
    if start is None and end is None:
        said_open = "start" in names and "range" not in names
        preset = _one(names, "range") or ("" if said_open else default_range)
        return (*preset_range(preset, today), preset) if preset else (None, None, "")
    return start, end, ""


def _parsed(field: str, text: str) -> Moment | None:
    if not text:
        return None
    try:
        if len(text) == 10:
            return date.fromisoformat(text)
        moment = datetime.fromisoformat(_LOST_PLUS.sub(r"\1+\2", text))
    except ValueError:
        raise FilterError(
            field, f"{field} must be a date (2026-03-02) or a time (2026-03-02T10:00:00Z)"
        ) from None
    if moment.tzinfo is None:
        raise FilterError(field, f"{field} needs a time zone: write 2026-03-02T10:00:00Z or a date alone")
    return moment


def _checked_moment(field: str, moment: Moment | None) -> Moment | None:
    if moment is None:
        return None
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise FilterError(field, f"{field} must lie between the years {_FIRST_YEAR} and {_LAST_YEAR}")
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise FilterError(field, f"{field} needs a time zone")
        return moment.astimezone(UTC)
    return moment


def _check_order(start: Moment | None, end: Moment | None) -> None:
    if start is not None and end is not None and start >= end:
        raise FilterError("end", "end must be after start: ranges are half-open, so one day ends on the next")


def _checked_group_by(names: Iterable[str]) -> tuple[str, ...]:
    kept = tuple(dict.fromkeys(names))
    for name in kept:
        if not is_dimension(name):
            raise FilterError(
                "group_by", f"cannot group by {name[:100]!r}: use {', '.join(DIMENSIONS)} or tag:NAME"
            )
        _check_text("group_by", name)
    if len(kept) > MAX_GROUP_BY:
        raise FilterError("group_by", f"at most {MAX_GROUP_BY} dimensions can be grouped by at once")
    return kept


def _checked_where(where: Iterable[tuple[str, Iterable[str]]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    kept: dict[str, tuple[str, ...]] = {}
    for name, values in where:
        if not is_dimension(name):
            raise FilterError(name[:100], f"cannot filter by {name[:100]!r}")
        kept[name] = tuple(sorted({*kept.get(name, ()), *values}))
        for text in (name, *kept[name]):
            _check_text(name[:100], text)
    if sum(map(len, kept.values())) > MAX_VALUES:
        raise FilterError("filters", f"at most {MAX_VALUES} filter values can be given at once")
    return tuple(sorted((name, values) for name, values in kept.items() if values))


def _check_text(field: str, text: str) -> None:
    # NUL cannot be stored in PostgreSQL text, a lone surrogate cannot be sent to it: neither can match
    # anything.
    if len(text) > MAX_VALUE_LENGTH or "\x00" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise FilterError(
            field.replace("\x00", ""), "the value is too long or holds characters that cannot occur"
        )


def _instant(moment: Moment | None, zone: ZoneInfo) -> datetime | None:
    if moment is None or isinstance(moment, datetime):
        return moment
    return local_day_start(moment, zone)


def _text(moment: Moment) -> str:
    return moment.isoformat().replace("+00:00", "Z") if isinstance(moment, datetime) else moment.isoformat()
