"""Column mappings of tables: looking at a file, guessing, and keeping what a person confirmed, by source and header."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from ingest.formats._mapping import (
    DURATION_UNITS,
    TARGETS,
    THOUSANDS,
    TIME_FORMATS,
    Mapping,
    MappingError,
    Target,
    problems,
)
from ingest.formats._mapping_guess import guess
from ingest.formats._tables import Preview, columns_of
from ingest.ledger import source_id
from ingest.models import ColumnMapping

__all__ = [
    "DURATION_UNITS",
    "TARGETS",
    "THOUSANDS",
    "TIME_FORMATS",
    "Mapping",
    "MappingError",
    "Preview",
    "Target",
    "columns_of",
    "finder",
    "fingerprint",
    "guess",
    "load",
    "problems",
    "save",
]


def fingerprint(columns: Sequence[str]) -> str:
    """What identifies a header: the same columns in the same order."""
    return hashlib.sha256("\x1f".join(columns).encode("utf-8", "surrogatepass")).hexdigest()


def load(source: str, columns: Sequence[str]) -> Mapping | None:
    """The mapping that was saved for tables of this source with this header, if any still fits."""
    row = ColumnMapping.objects.filter(source__name=source[:200], fingerprint=fingerprint(columns)).first()
    if row is None:
        return None
    try:
        return Mapping.from_object(row.mapping, columns)
    except MappingError:
        return None  # saved by another version; the page asks again


def save(source: str, columns: Sequence[str], mapping: Mapping) -> None:
    """Keep a confirmed mapping, in place of an older one. Raises MappingError when it does not fit the columns."""
    errors = problems(mapping, columns)
    if errors:
        raise MappingError(errors)
    ColumnMapping.objects.update_or_create(
        source_id=source_id(source),
        fingerprint=fingerprint(columns),
        defaults={"mapping": mapping.to_object()},
    )


def finder(source: str) -> Callable[[Sequence[str]], Mapping | None]:
    """`ParseContext.saved_mapping` for one source."""
    return lambda columns: load(source, columns)
