"""What metering is made of: the parts it yields, and typed, bounded reading of a usage object's fields."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ingest.core.errors import Reason
from ingest.core.events import FLAG_SPLIT_EXCEEDS_TOTAL, FLAG_TTL_UNKNOWN

MAX_COUNT = 2_000_000_000
MAX_MODEL = 200
MAX_WORD = 64  # service tier, speed, geo: a provider's own short words

_JSON_WORDS = {
    bool: "a boolean",
    int: "an integer",
    float: "a decimal number",
    str: "a string",
    list: "a list",
    dict: "an object",
}


class MeterError(ValueError):
    """A usage object that cannot be turned into meters. Holds what a Rejection needs; never payload text."""

    def __init__(self, reason: Reason, where: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.field, self.detail = reason, where, detail


@dataclass(slots=True)
class Part:
    """One priced quantity of one call: the five disjoint meters at one model and one prompt-size step."""

    model: str
    suffix: str = ""  # "" for the call itself, else what is appended to its id
    uncached_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_write_5m_input_tokens: int = 0
    cache_write_1h_input_tokens: int = 0
    output_tokens: int = 0
    prompt_step_tokens: int = 0
    flags: int = 0

    @property
    def prompt_tokens(self) -> int:
        """Everything that went in; also the size that decides the price step when this is a single prompt."""
        return (
            self.uncached_input_tokens
            + self.cache_read_input_tokens
            + self.cache_write_5m_input_tokens
            + self.cache_write_1h_input_tokens
        )

    def totals(self) -> tuple[int, int, int, int]:
        """(uncached, read, written, output): what is compared with a provider's top level."""
        written = self.cache_write_5m_input_tokens + self.cache_write_1h_input_tokens
        return self.uncached_input_tokens, self.cache_read_input_tokens, written, self.output_tokens

    def add(self, other: Part) -> None:
        """Add another prompt of the same model and price step."""
        self.uncached_input_tokens += other.uncached_input_tokens
        self.cache_read_input_tokens += other.cache_read_input_tokens
        self.cache_write_5m_input_tokens += other.cache_write_5m_input_tokens
        self.cache_write_1h_input_tokens += other.cache_write_1h_input_tokens
        self.output_tokens += other.output_tokens
        self.prompt_step_tokens = max(self.prompt_step_tokens, other.prompt_step_tokens)
        self.flags |= other.flags


@dataclass(slots=True)
class Metered:
    """A whole usage object: its main part, its extra parts, and what describes the call as a whole."""

    main: Part
    extra: list[Part] = field(default_factory=list)
    thinking_tokens: int = 0
    web_search_requests: int = 0
    service_tier: str = "standard"
    speed: str = "standard"
    inference_geo: str = ""
    media: str = ""  # what beside text was counted: "audio", "image", "video", joined by "+"


def keys_seen(value: Mapping[str, Any], limit: int = 12) -> str:
    """Key names for a message; a key that is no plain word could be payload text, so it is not repeated."""
    keys = [
        key if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,47}", key) else "(other)"
        for key in list(value)[:limit]
    ]
    return ", ".join(keys) + (", ..." if len(value) > limit else "") if keys else "none"


def count(holder: Mapping[str, Any], key: str, path: str, most: int = MAX_COUNT) -> int:
    """A token count: null and missing are 0; a float or a numeric string is refused, it hides a bug."""
    value = holder.get(key)
    if value is None:
        return 0
    where = f"{path}.{key}" if path else key
    if type(value) is not int:
        raise MeterError(Reason.INVALID_TYPE, where, f"{where} must be an integer, not {kind_of(value)}")
    return in_range(value, where, most)


def in_range(value: int, where: str, most: int = MAX_COUNT) -> int:
    """The count, if it is one: from 0 to `most`. Raises MeterError with the number."""
    if value < 0:
        raise MeterError(Reason.NEGATIVE_COUNT, where, f"{where} is {shown(value)}, below zero")
    if value > most:
        raise MeterError(Reason.COUNT_TOO_LARGE, where, f"{where} is {shown(value)}, above {most}")
    return value


def shown(number: int) -> str:
    """An integer for a message; one of thousands of digits is neither readable nor convertible by Python."""
    return str(number) if -(10**18) < number < 10**18 else "a number of more than 18 digits"


def word(holder: Mapping[str, Any], key: str, path: str, limit: int = MAX_WORD) -> str:
    """A short provider word; null and missing are ''."""
    value = holder.get(key)
    if value is None:
        return ""
    where = f"{path}.{key}"
    if not isinstance(value, str):
        raise MeterError(Reason.INVALID_TYPE, where, f"{where} must be a string, not {kind_of(value)}")
    return clean_text(value, where, limit)


def clean_text(value: str, where: str, limit: int) -> str:
    """Refuse text that is too long or that the database cannot hold (NUL, half of a surrogate pair)."""
    if len(value) > limit:
        raise MeterError(
            Reason.INVALID_VALUE, where, f"{where} has {len(value)} characters, at most {limit} are allowed"
        )
    if "\0" in value:
        raise MeterError(Reason.INVALID_VALUE, where, f"{where} holds a NUL character")
    if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
        raise MeterError(Reason.INVALID_VALUE, where, f"{where} holds an unpaired surrogate")
    return value


def nested(holder: Mapping[str, Any], key: str, path: str) -> Mapping[str, Any]:
    value = holder.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise MeterError(
            Reason.INVALID_TYPE, f"{path}.{key}", f"{path}.{key} must be an object, not {kind_of(value)}"
        )
    return value


def kind_of(value: object) -> str:
    """A JSON type in words, for messages."""
    return _JSON_WORDS.get(type(value), "null" if value is None else type(value).__name__)


def first_count(holders: Iterable[tuple[Mapping[str, Any], str, str]]) -> int:
    """The first of several spellings that is present: look-alike APIs name the same count differently."""
    for holder, key, path in holders:
        if holder.get(key) is not None:
            return count(holder, key, path)
    return 0


MEDIA = ("audio", "image", "video")


def media_of(holders: Iterable[tuple[Mapping[str, Any], str, str]]) -> str:
    """Which media beside text the details count, joined by "+"; a holder's name has {} for the medium."""
    counted = [
        (medium, holder, name.format(medium), path) for holder, name, path in holders for medium in MEDIA
    ]
    return "+".join(sorted({medium for medium, holder, name, path in counted if count(holder, name, path)}))


def split_writes(total: int, in_5m: int, in_1h: int, has_split: bool) -> tuple[int, int, int]:
    """(5m, 1h, flags) from a flat total of written tokens and its TTL split, which can disagree."""
    if not has_split:
        return total, 0, FLAG_TTL_UNKNOWN if total else 0
    if in_5m + in_1h < total:
        return total - in_1h, in_1h, FLAG_TTL_UNKNOWN
    # A missing flat total is 0 here; a split without one is complete, not excessive.
    return in_5m, in_1h, FLAG_SPLIT_EXCEEDS_TOTAL if 0 < total < in_5m + in_1h else 0


def remainder(inclusive: int, read: int, written: int, path: str, key: str) -> int:
    """What is left of an inclusive input count once the cached tokens are taken out of it."""
    if read + written > inclusive:
        raise MeterError(
            Reason.CONTRADICTORY_COUNTS,
            f"{path}.{key}",
            f"{path}.{key} is {inclusive} and includes cached tokens, "
            f"but {read + written} are cached ({read} read, {written} written)",
        )
    return inclusive - read - written


def checked(metered: Metered, path: str) -> Metered:
    """What holds for every shape: thinking is inside the output, and sums stay storable."""
    main = metered.main
    if metered.thinking_tokens > main.output_tokens:
        raise MeterError(
            Reason.CONTRADICTORY_COUNTS,
            f"{path}.output_tokens_details",
            f"{metered.thinking_tokens} thinking tokens cannot be inside {main.output_tokens} output tokens",
        )
    for part in (main, *metered.extra):
        largest = max(*part.totals(), part.prompt_step_tokens)
        if largest > MAX_COUNT:
            raise MeterError(Reason.COUNT_TOO_LARGE, path, f"counts sum to {largest}, above {MAX_COUNT}")
    return metered
