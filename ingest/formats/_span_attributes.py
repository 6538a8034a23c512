"""Reading attributes that any instrumentation may have written: counts, durations, labels, attribution."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

from ingest.core.errors import Reason
from ingest.core.meter_fields import MAX_COUNT, MAX_MODEL, MeterError, clean_text, in_range, kind_of
from ingest.formats._limits import MAX_ID, MAX_TAG_NAME, MAX_TAG_VALUE, MAX_TAGS
from ingest.formats._otlp import Attributes

# What resource detectors write about a machine or a process: it names no spender, and every restart would be a new
# label.
TECHNICAL = (
    "cloud.resource_id",
    "container.",
    "device.",
    "faas.instance",
    "faas.invocation",
    "host.",
    "k8s.container.",
    "k8s.node.",
    "k8s.pod.",
    "k8s.replicaset.",
    "os.",
    "process.",
    "service.instance.id",
    "telemetry.",
    "thread.",
    "webengine.",
)
# Attributes that are read as something else than a tag.
NO_TAGS = ("breakeven.", "enduser.", "organization.id", "session.", "user.")


def first(attributes: Attributes, names: Iterable[str]) -> str:
    """The first of these attributes that is present, '' if none is."""
    for name in names:
        if attributes.get(name) is not None:
            return name
    return ""


def count_of(attributes: Attributes, name: str) -> int:
    """A token count; digits in a string and whole decimal numbers are how some exporters write one. '' is 0."""
    value = attributes.get(name) if name else None
    if value is None:
        return 0
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,20}", value):
        value = int(value)
    if type(value) is float and math.isfinite(value) and value == int(value):
        value = int(value)
    if type(value) is not int:
        raise MeterError(Reason.INVALID_TYPE, name, f"{name} must be a whole number, not {kind_of(value)}")
    return in_range(value, name)


def milliseconds(attributes: Attributes, name: str, factor: int = 1) -> int | None:
    """A duration in units of `factor` milliseconds; one that cannot be is left out: nothing is counted by it."""
    value = attributes.get(name) if name else None
    try:
        number = float(value) * factor if isinstance(value, str | int | float) else math.nan
    except (ValueError, OverflowError):
        return None
    return round(number) if 0 <= number <= MAX_COUNT else None


def text_of(attributes: Attributes, name: str, limit: int = MAX_ID) -> str:
    """An attribute that identifies or prices: refused when it cannot be stored."""
    value = attributes.get(name) if name else None
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MeterError(Reason.INVALID_TYPE, name, f"{name} must be a string, not {kind_of(value)}")
    return clean_text(value.strip(), name, limit)


def model_of(attributes: Attributes, names: Iterable[str]) -> str:
    """The model, which the first non-empty of these attributes names."""
    for name in names:
        if model := text_of(attributes, name, MAX_MODEL):
            return model
    name = next(iter(names), "")
    detail = f"{name} is missing: without a model the usage has no price"
    raise MeterError(Reason.UNATTRIBUTABLE, name, detail)


def label(value: object, limit: int = MAX_TAG_VALUE) -> str:
    """A label is not worth losing a billed call over: an unusable one is dropped, a long one cut."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value) if -(10**18) < value < 10**18 else ""
    if not isinstance(value, str):
        return ""
    try:
        clean_text(value[: limit + 1], "", limit + 1)
    except MeterError:
        return ""
    value = value.strip()
    return value if len(value) <= limit else value[: limit - 1] + "…"


def first_label(holders: Iterable[Attributes], names: Iterable[str], limit: int = MAX_ID) -> str:
    """The first label among these names, name by name, the call's own attributes before its resource's."""
    holders = tuple(holders)
    for name in names:
        for holder in holders:
            value = holder.get(name)
            if value is not None and (text := label(value, limit)):
                return text
    return ""


def resource_tags(resource: Attributes) -> dict[str, str]:
    """What a service says about itself: its name, its environment, and whatever OTEL_RESOURCE_ATTRIBUTES adds."""
    return {
        name: label(value)
        for name, value in resource.items()
        if not name.startswith(TECHNICAL) and not name.startswith(NO_TAGS)
    }


def as_tags(found: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Tags as an event holds them: usable names, no empty values, sorted, at most as many as can be stored."""
    usable = {name: value for name, value in found.items() if value and label(name, MAX_TAG_NAME) == name}
    return tuple(sorted(list(usable.items())[:MAX_TAGS]))
