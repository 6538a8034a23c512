"""Wire formats: bytes -> UsageEvent. A module of this package that defines FORMAT is found by itself."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType

from ingest.formats._base import BadBody, Format, Item, ParseContext, read_time

__all__ = [
    "HEAD_BYTES",
    "BadBody",
    "Format",
    "Item",
    "ParseContext",
    "all_formats",
    "detect",
    "get",
    "read_time",
]

HEAD_BYTES = 64 * 1024  # how much of a file `detect` wants to see


@cache
def all_formats() -> Mapping[str, Format]:
    """Every format by name, in order of name."""
    found: dict[str, Format] = {}
    for module in sorted(
        info.name for info in pkgutil.iter_modules(__path__) if not info.name.startswith("_")
    ):
        candidate = getattr(import_module(f"{__name__}.{module}"), "FORMAT", None)
        if isinstance(candidate, Format):
            found[candidate.name] = candidate
    return MappingProxyType(found)


def get(name: str) -> Format:
    """The format of that name; KeyError when there is none."""
    return all_formats()[name]


def detect(head: bytes) -> Format | None:
    """The format whose `sniff` is surest about the first bytes of a (decompressed) file, if any is."""
    head = head[:HEAD_BYTES]
    best: tuple[int, Format | None] = (0, None)
    for candidate in all_formats().values():
        score = candidate.sniff(head)
        if score > best[0]:
            best = (score, candidate)
    return best[1]
