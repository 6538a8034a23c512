"""The form that asks what the columns of a table mean: guesses preselected, answers checked."""

from __future__ import annotations

from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from dashboard.uploads import DURATION_UNITS, TARGETS, THOUSANDS, TIME_FORMATS, Mapping, Preview

CONSTANTS = ("model", "provider", "platform")  # what is often the same for a whole table
PATTERN = "pattern"  # the choice of a time format that is typed


@dataclass(frozen=True)
class Choice:
    value: str
    label: str
    selected: bool


@dataclass(frozen=True)
class Question:
    """One target: which column holds it, or one text for all rows."""

    name: str
    label: str
    required: bool
    choices: tuple[Choice, ...]
    constant: str | None  # None where a constant makes no sense
    error: str
    unsure: bool


def read(posted: QueryDict, preview: Preview) -> Mapping:
    """The answers as a mapping of this table. Raises MappingError with a message for every field that is wrong."""
    columns = {target.name: posted.get(f"column-{target.name}", "") for target in TARGETS}
    constants = {name: posted.get(f"constant-{name}", "").strip() for name in CONSTANTS if not columns[name]}
    tags = {name: column for name, column in preview.guess.tags.items() if name in posted.getlist("tag")}
    time_format = posted.get("time_format", "iso")
    return Mapping.from_object(
        {
            "columns": columns,
            "tags": tags,
            "constants": constants,
            "input_includes_cached": posted.get("input_includes_cached") == "yes",
            "time_format": posted.get("time_pattern", "").strip() if time_format == PATTERN else time_format,
            "zone": posted.get("zone", "").strip() or "UTC",
            "thousands": posted.get("thousands", ""),
            "duration_unit": posted.get("duration_unit", "ms"),
        },
        preview.columns,
    )


def fields(preview: Preview, posted: QueryDict | None, errors: AnyMapping[str, str]) -> dict[str, Any]:
    """What the form shows: the guess, or what was posted and refused."""
    given = _given(preview, posted)
    questions = [
        Question(
            name=target.name,
            label=target.label,
            required=target.required,
            choices=_columns(preview, given["columns"].get(target.name, "")),
            constant=given["constants"].get(target.name, "") if target.name in CONSTANTS else None,
            error=errors.get(f"columns.{target.name}", "") or errors.get(f"constants.{target.name}", ""),
            unsure=target.name in preview.guess.unsure and not posted,
        )
        for target in TARGETS
    ]
    shown = [
        question
        for question in questions
        if question.required or question.error or question.unsure or given["columns"].get(question.name)
    ]
    time_format = given["time_format"]
    named = {f"columns.{question.name}" for question in questions} | {
        f"constants.{name}" for name in CONSTANTS
    }
    return {
        "questions": shown,
        "more": [question for question in questions if question not in shown],
        "time_formats": _choices({**TIME_FORMATS, PATTERN: "another pattern:"}, _format_name(time_format)),
        "time_pattern": time_format if _format_name(time_format) == PATTERN else "",
        "thousands": _choices(THOUSANDS, given["thousands"]),
        "duration_units": _choices(DURATION_UNITS, given["duration_unit"]),
        "zone": given["zone"],
        "includes": given["input_includes_cached"],
        "includes_unsure": "input_includes_cached" in preview.guess.unsure,
        "counts_unsure": "requests" in preview.guess.unsure,
        "tags": [(name, column, name in given["tags"]) for name, column in preview.guess.tags.items()],
        "errors": [text for name, text in errors.items() if name not in named],
        "width": len(preview.columns),
        "unread": _unread(preview, given),
    }


def _given(preview: Preview, posted: QueryDict | None) -> dict[str, Any]:
    if posted is None:
        return preview.guess.to_object()
    time_format = posted.get("time_format", "iso")
    return {
        "columns": {target.name: posted.get(f"column-{target.name}", "") for target in TARGETS},
        "constants": {name: posted.get(f"constant-{name}", "") for name in CONSTANTS},
        "tags": posted.getlist("tag"),
        "input_includes_cached": posted.get("input_includes_cached") == "yes",
        "time_format": posted.get("time_pattern", "") if time_format == PATTERN else time_format,
        "zone": posted.get("zone", "UTC"),
        "thousands": posted.get("thousands", ""),
        "duration_unit": posted.get("duration_unit", "ms"),
    }


def _unread(preview: Preview, given: dict[str, Any]) -> list[str]:
    """Columns that no answer uses: a count among them would be missing."""
    used = {*given["columns"].values(), *preview.guess.tags.values()}
    return [column[:60] for column in preview.columns if column not in used]


def _format_name(time_format: str) -> str:
    return time_format if time_format in TIME_FORMATS else PATTERN


def _columns(preview: Preview, chosen: str) -> tuple[Choice, ...]:
    """Every column with a harmless sample; the empty choice first."""
    found = [Choice("", "no column", not chosen)]
    for column, kind, samples in zip(preview.columns, preview.kinds, preview.samples, strict=True):
        hint = f"e.g. {samples[0]}" if samples else kind
        found.append(Choice(column, f"{column[:60]} ({hint[:40]})", column == chosen))
    return tuple(found)


def _choices(labels: AnyMapping[str, str], chosen: str) -> list[Choice]:
    return [Choice(value, label, value == chosen) for value, label in labels.items()]
