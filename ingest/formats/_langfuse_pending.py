"""Langfuse observations while they wait for one another: updates of the same one, and a child that counts instead.

A GENERATION that has a GENERATION below it repeats what the child reports, and the child can come later in the file.
So observations wait in a window of fixed size; what leaves it has its last update and no child, as far as exports keep
the observations of a trace together.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

WINDOW = 20_000  # calls


@dataclass(slots=True)
class Observation:
    """The wanted fields of one call of a model, without its texts."""

    index: int
    id: str
    fields: dict[str, Any] = field(default_factory=dict)


class Pending:
    """Calls by id in order of arrival."""

    def __init__(self, window: int = WINDOW) -> None:
        self._window = window
        self._waiting: OrderedDict[str, Observation] = OrderedDict()
        self._parents: OrderedDict[str, None] = OrderedDict()  # ids seen above a call

    def add(self, observation: Observation) -> Iterator[Observation]:
        """Take one in; yields those that have waited long enough."""
        known = self._waiting.get(observation.id)
        if known is None:
            self._waiting[observation.id] = observation
        else:  # the last word on every field wins
            known.fields |= {name: value for name, value in observation.fields.items() if value is not None}
        parent = observation.fields.get("parent")
        if isinstance(parent, str) and parent:
            self._parents[parent] = None
            if len(self._parents) > 2 * self._window:
                self._parents.popitem(last=False)
        while len(self._waiting) > self._window:
            yield from self._leave(*self._waiting.popitem(last=False))

    def rest(self) -> Iterator[Observation]:
        """All that still wait."""
        while self._waiting:
            yield from self._leave(*self._waiting.popitem(last=False))

    def _leave(self, name: str, observation: Observation) -> Iterator[Observation]:
        if name not in self._parents:
            yield observation


def wanted(fields: Mapping[str, Any], spellings: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """The fields under our names, from whichever of their spellings is there."""
    found = {}
    for name, keys in spellings.items():
        for key in keys:
            if fields.get(key) is not None:
                found[name] = fields[key]
                break
    return found
