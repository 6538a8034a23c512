"""What the columns of a table mean: a checked, stable description that turns rows into usage events.

A mapping names for every target (a field of the usage event) the column that holds it. It says what cannot be seen
in a single cell: whether the input count includes cached tokens, the unit or the zone of times, and how numbers are
grouped. It is made by `_mapping_guess.guess`, confirmed by a person, kept as JSON, and used by `_mapping_rows.apply`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping as AnyMapping
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from ingest.core.meter_fields import kind_of
from ingest.formats._limits import MAX_TAG_NAME, MAX_TAGS

Kind = Literal["time", "text", "count", "duration"]


class Target(NamedTuple):
    """One field of the usage event that a column can be mapped to."""

    name: str
    label: str  # for people
    kind: Kind
    required: bool = False


TARGETS: tuple[Target, ...] = (
    Target("occurred_at", "Time of the call", "time", True),
    Target("model", "Model", "text", True),
    Target("input_tokens", "Input tokens", "count"),
    Target("cache_read_input_tokens", "Cache read tokens", "count"),
    Target("cache_write_5m_input_tokens", "Cache write tokens, 5 minutes", "count"),
    Target("cache_write_1h_input_tokens", "Cache write tokens, 1 hour", "count"),
    Target("cache_write_input_tokens", "Cache write tokens, lifetime not known", "count"),
    Target("output_tokens", "Output tokens", "count"),
    Target("thinking_tokens", "Thinking tokens (inside the output)", "count"),
    Target("total_tokens", "Total tokens (only to check the others)", "count"),
    Target("web_search_requests", "Web searches", "count"),
    Target("id", "Id of the call", "text"),
    Target("request_id", "Second id of the call", "text"),
    Target("provider", "Provider (who made the model)", "text"),
    Target("platform", "Platform (where it was served)", "text"),
    Target("service_tier", "Service tier", "text"),
    Target("speed", "Speed", "text"),
    Target("inference_geo", "Inference geography", "text"),
    Target("workspace_id", "Workspace or project", "text"),
    Target("api_key_id", "API key", "text"),
    Target("user_id", "User", "text"),
    Target("session_id", "Session", "text"),
    Target("stop_reason", "Stop reason", "text"),
    Target("latency_ms", "Latency", "duration"),
    Target("ttft_ms", "Time to first token", "duration"),
)
BY_NAME = {target.name: target for target in TARGETS}
REQUIRED = tuple(target.name for target in TARGETS if target.required)
METERS = tuple(
    target.name
    for target in TARGETS
    if target.kind == "count" and target.name not in ("thinking_tokens", "total_tokens")
)
CACHE_METERS = tuple(name for name in METERS if name.startswith("cache_"))
TIME_FORMATS = {
    "iso": "2026-03-02T10:15:00Z, or without a zone",
    "epoch_s": "seconds since 1970",
    "epoch_ms": "milliseconds since 1970",
    "epoch_us": "microseconds since 1970",
    "epoch_ns": "nanoseconds since 1970",
}
THOUSANDS = {"": "none", ",": "1,234", ".": "1.234", " ": "1 234", "'": "1'234", "_": "1_234"}
DURATION_UNITS = {"ms": "milliseconds", "s": "seconds"}
_VERSION = 1
_MAX_COLUMN = 500


class MappingError(ValueError):
    """A mapping that cannot be used: what is wrong, by field ('columns.model', 'zone', ...)."""

    def __init__(self, errors: AnyMapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in errors.items()))
        self.errors = dict(errors)


@dataclass(frozen=True, slots=True)
class Mapping:
    """Which column means what. `columns` is target -> column, `tags` is tag -> column, `constants` is target -> text.

    `input_includes_cached` says whether the input count contains cache reads and writes (OpenAI, most gateways) or not
    (Anthropic). `zone` is that of times that carry none. `unsure` names what a guess could not decide; it is no part
    of the mapping's meaning and not kept.
    """

    columns: AnyMapping[str, str]
    tags: AnyMapping[str, str] = field(default_factory=dict)
    constants: AnyMapping[str, str] = field(default_factory=dict)
    input_includes_cached: bool = False
    time_format: str = "iso"  # a key of TIME_FORMATS, or a strptime pattern such as %d/%m/%Y %H:%M
    zone: str = "UTC"
    thousands: str = ""
    duration_unit: str = "ms"
    unsure: tuple[str, ...] = field(default=(), compare=False)

    @property
    def sure(self) -> bool:
        """Whether nothing in it waits for a person's word."""
        return not self.unsure

    def used_columns(self) -> tuple[str, ...]:
        """Every column it reads, each once."""
        return tuple(dict.fromkeys([*self.columns.values(), *self.tags.values()]))

    def confirmed(self) -> Mapping:
        """The same, with nothing left to decide."""
        return replace(self, unsure=())

    def to_json(self) -> str:
        """A stable JSON text: equal mappings give equal texts."""
        return json.dumps(self.to_object(), ensure_ascii=False, sort_keys=True)

    def to_object(self) -> dict[str, Any]:
        return {
            "version": _VERSION,
            "columns": dict(self.columns),
            "tags": dict(self.tags),
            "constants": dict(self.constants),
            "input_includes_cached": self.input_includes_cached,
            "time_format": self.time_format,
            "zone": self.zone,
            "thousands": self.thousands,
            "duration_unit": self.duration_unit,
        }

    @classmethod
    def from_json(cls, text: str | bytes, columns: Sequence[str] | None = None) -> Mapping:
        """Read and check a mapping; with `columns`, also that the table has them. Raises MappingError."""
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            raise MappingError({"": "the mapping is not valid JSON"}) from None
        return cls.from_object(value, columns)

    @classmethod
    def from_object(cls, value: object, columns: Sequence[str] | None = None) -> Mapping:
        """The same from decoded JSON."""
        if not isinstance(value, dict):
            raise MappingError({"": f"a mapping must be a JSON object, not {kind_of(value)}"})
        reader = _Reader(value)
        mapping = cls(
            columns=reader.texts("columns"),
            tags=reader.texts("tags"),
            constants=reader.texts("constants"),
            input_includes_cached=reader.flag("input_includes_cached"),
            time_format=reader.word("time_format", "iso"),
            zone=reader.word("zone", "UTC"),
            thousands=reader.word("thousands", ""),
            duration_unit=reader.word("duration_unit", "ms"),
        )
        reader.only({"version", *mapping.to_object()})
        errors = reader.errors | {
            k: v for k, v in problems(mapping, columns).items() if k not in reader.errors
        }
        if errors:
            raise MappingError(errors)
        return mapping


class _Reader:
    """Reads the members of a mapping's JSON and collects what is wrong with them."""

    def __init__(self, value: dict[str, Any]) -> None:
        self.value = value
        self.errors: dict[str, str] = {}
        if value.get("version", _VERSION) != _VERSION:
            self.errors["version"] = f"must be {_VERSION}"

    def texts(self, name: str) -> dict[str, str]:
        value = self.value.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.errors[name] = f"must be an object, not {kind_of(value)}"
            return {}
        found = {}
        for key, text in value.items():
            if text is None or text == "":
                continue  # a target left open
            if isinstance(text, str):
                found[str(key)] = text
            else:
                self.errors[f"{name}.{key}"] = f"must be a string, not {kind_of(text)}"
        return found

    def word(self, name: str, default: str) -> str:
        value = self.value.get(name, default)
        if isinstance(value, str):
            return value
        self.errors[name] = f"must be a string, not {kind_of(value)}"
        return default

    def flag(self, name: str) -> bool:
        value = self.value.get(name, False)
        if not isinstance(value, bool):
            self.errors[name] = f"must be true or false, not {kind_of(value)}"
        return value is True

    def only(self, known: set[str]) -> None:
        for name in self.value.keys() - known:
            self.errors[name[:64]] = "is no part of a mapping"


def problems(mapping: Mapping, columns: Sequence[str] | None = None) -> dict[str, str]:
    """What is wrong with a mapping, by field; {} when it can be used on a table of these columns."""
    errors: dict[str, str] = {}
    for name in (*mapping.columns, *mapping.constants):
        if name not in BY_NAME:
            errors[f"columns.{name[:64]}"] = "there is no such target"
    for name in REQUIRED:
        if name not in mapping.columns and not (name == "model" and mapping.constants.get(name)):
            errors[f"columns.{name}"] = f"name the column that holds {_lower(BY_NAME[name].label)}"
    if not any(name in mapping.columns for name in METERS):
        errors["columns.input_tokens"] = "name at least one column that holds a token count"
    for name in mapping.constants:
        if name in BY_NAME and BY_NAME[name].kind != "text":
            errors[f"constants.{name}"] = "only a text can be the same for every row"
        elif name in mapping.columns:
            errors[f"constants.{name}"] = "has a column already: name one or the other"
    errors |= _repeated(mapping) | _tag_problems(mapping) | _unit_problems(mapping)
    if columns is not None:
        errors |= _absent(mapping, columns)
    return errors


def _repeated(mapping: Mapping) -> dict[str, str]:
    """A column counted twice would double a meter; texts may share one (a key that is also the workspace)."""
    errors, seen = {}, set()
    for name, column in mapping.columns.items():
        if name not in BY_NAME or BY_NAME[name].kind != "count":
            continue
        if column in seen:
            errors[f"columns.{name}"] = "this column is mapped to another count already"
        seen.add(column)
    return errors


def _tag_problems(mapping: Mapping) -> dict[str, str]:
    errors = {}
    if len(mapping.tags) > MAX_TAGS:
        errors["tags"] = f"{len(mapping.tags)} tags, at most {MAX_TAGS} are allowed"
    for name in mapping.tags:
        if not name.strip() or len(name) > MAX_TAG_NAME or "\0" in name:
            errors[f"tags.{name[:32]}"] = f"a tag's name has 1 to {MAX_TAG_NAME} characters"
    return errors


def _unit_problems(mapping: Mapping) -> dict[str, str]:
    errors = {}
    if mapping.time_format not in TIME_FORMATS and not _is_pattern(mapping.time_format):
        errors["time_format"] = (
            f"must be one of {', '.join(TIME_FORMATS)}, or a pattern such as %d/%m/%Y %H:%M"
        )
    if not _is_zone(mapping.zone):
        errors["zone"] = "must be the name of a time zone, such as UTC or Europe/Berlin"
    if mapping.thousands not in THOUSANDS:
        errors["thousands"] = "must be empty or one of , . ' _ and a space"
    if mapping.duration_unit not in DURATION_UNITS:
        errors["duration_unit"] = "must be ms or s"
    return errors


def _absent(mapping: Mapping, columns: Sequence[str]) -> dict[str, str]:
    errors = {}
    named = [(f"columns.{name}", column) for name, column in mapping.columns.items()]
    for where, column in [*named, *((f"tags.{name}", column) for name, column in mapping.tags.items())]:
        found = list(columns).count(column)
        if not found:
            errors[where] = "the table has no such column"
        elif found > 1:
            errors[where] = f"the table has {found} columns of this name"
        elif len(column) > _MAX_COLUMN:
            errors[where] = f"a column's name has at most {_MAX_COLUMN} characters"
    return errors


def _is_pattern(text: str) -> bool:
    """Whether it is a strptime pattern that knows at least the day."""
    if "%" not in text or len(text) > 64:
        return False
    try:
        moment = datetime(2026, 11, 23, 14, 5, 6, tzinfo=UTC)
        read = datetime.strptime(moment.strftime(text), text)  # noqa: DTZ007  (the zone is the mapping's)
        return read.date() == moment.date()
    except (ValueError, KeyError, IndexError):
        return False


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):  # unknown, a path, a folder of the zone database
        return False
    return True


def _lower(label: str) -> str:
    return label[:1].lower() + label[1:]
