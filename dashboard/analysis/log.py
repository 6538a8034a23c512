"""The quantities a scenario is applied to: what was used, by lane, price period and the labels that tell classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from dashboard.analysis.scenario import ANY, MODEL, Class, Scenario, Shares
from ingest.core.pricing import METERS, ZERO, Lane
from ingest.core.short_prefixes import LADDER

Numbers = npt.NDArray[Any]  # int64, or objects that are Decimals
MOST_KEPT = 24
Kept = TypeVar("Kept")
CACHED = METERS[1:4]
_SHARES = ("discounts", "fast_share", "priority_share", "batch_share", "growth")


class Short(NamedTuple):
    """What of some rows belongs to requests with a short cached prefix.

    row     the row's position
    step    position in LADDER of the step that the prefixes stay under
    counts  x (requests, CACHED), int64
    """

    row: Numbers
    step: Numbers
    counts: Numbers

    def at(self, place: Numbers) -> Short:
        """Of the rows that `place` gives a new position (by old position; -1: it is gone), added up by it."""
        kept = np.flatnonzero(place[self.row] >= 0)
        code = place[self.row[kept]] * len(LADDER) + self.step[kept]
        codes, at = np.unique(code, return_inverse=True)
        sums = np.zeros((len(codes), self.counts.shape[1]), dtype="int64")
        np.add.at(sums, at, self.counts[kept])
        return Short(codes // len(LADDER), codes % len(LADDER), sums)


_NONE = np.zeros(0, dtype="int64")
NOTHING_SHORT = Short(_NONE, _NONE, np.zeros((0, len(CACHED) + 1), dtype="int64"))


@dataclass(frozen=True, slots=True)
class Table:
    """The log added up as far as one set of classes allows: what a scenario is priced on.

    keys        (lane, a UTC day whose prices hold) by row
    quantities  rows x METERS, Decimals that are whole
    requests    by row, Decimals that are whole
    matches     knob -> by row, which of its classes the row belongs to (-1: none); a swap's column is "swap.N"
    origin      by row, its place in the log's keys
    rules       the classes that it keeps apart
    short       what of the rows has short cached prefixes
    """

    keys: tuple[tuple[Lane, date], ...]
    quantities: Numbers
    requests: Numbers
    matches: Mapping[str, Numbers]
    origin: Numbers
    rules: Any = ()
    short: Short = NOTHING_SHORT

    def where(self, keep: Sequence[int]) -> Table:
        """The rows at these positions."""
        at = list(keep)
        place = np.full(len(self.keys), -1, dtype="int64")
        place[at] = np.arange(len(at))
        return Table(
            tuple(self.keys[each] for each in at),
            self.quantities[at],
            self.requests[at],
            {name: column[at] for name, column in self.matches.items()},
            self.origin[at],
            self.rules,
            self.short.at(place),
        )

    def numbers(self, knob: str, given: Shares, default: Decimal = ZERO) -> Numbers:
        """By row, the number that the knob gives its class."""
        choices = np.array([*(number for _, number in given), default], dtype=object)
        return choices[self.matches[knob]]  # -1 is the default, at the end


@dataclass(frozen=True, slots=True)
class Log:
    """(lane, day) pairs, and rows of integer counts that point at them.

    keys    (lane, a UTC day whose prices hold); a pair stands there once for each mark
    marks   by place in keys, what else keeps rows apart (minutes); None when nothing does
    key     rows: position in keys
    labels  dimension -> rows of text ("" = none)
    counts  rows x (requests, METERS), int64
    short   what of the rows has short cached prefixes
    """

    keys: tuple[tuple[Lane, date], ...]
    key: Numbers
    labels: Mapping[str, Numbers]
    counts: Numbers
    marks: Numbers | None = None
    short: Short = NOTHING_SHORT
    _kept: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        frame: pd.DataFrame,
        dimensions: Sequence[str] = (),
        mark: str = "",
        short: Short = NOTHING_SHORT,
    ) -> Log:
        """From one row a lane, price period and label combination: the fields of Lane, day, `dimensions`, requests
        and METERS. Rows that differ in the column `mark` stay apart."""
        names = [*Lane._fields, "day"]
        codes, firsts = _numbered(frame, [*names, mark] if mark else names)
        keys = tuple(
            (Lane(*values[:-1]), values[-1])
            for values in frame.iloc[firsts][names].itertuples(index=False, name=None)
        )
        counts = frame[["requests", *METERS]].to_numpy(dtype="int64")
        labels = {name: frame[name].to_numpy(dtype=object) for name in dimensions}
        marks = frame[mark].to_numpy(dtype=object)[firsts] if mark else None
        return cls(keys, codes, labels, counts, marks, short)

    @property
    def is_empty(self) -> bool:
        return len(self.key) == 0

    def table(self, scenario: Scenario) -> Table:
        """Added up by lane, day and the classes of this scenario. The numbers of a scenario do not matter, so moving
        a slider finds the table that the position before it made."""
        classes = {name: tuple(of for of, _ in getattr(scenario, name)) for name in _SHARES}
        classes |= {f"swap.{at}": (swap.of,) for at, swap in enumerate(scenario.swaps)}
        rules = tuple(classes.items())
        return self.remembered(("table", rules), lambda: self._added_up(classes))

    def remembered(self, key: Any, make: Callable[[], Kept]) -> Kept:
        """What follows from the log and this key alone, worked out once; the oldest of many is forgotten."""
        known: Kept | None = self._kept.get(key)
        if known is None:
            known = make()
            while len(self._kept) >= MOST_KEPT:
                self._kept.pop(next(iter(self._kept)), None)
            self._kept[key] = known
        return known

    def _added_up(self, classes: Mapping[str, Sequence[Class]]) -> Table:
        models = np.array([lane.model for lane, _ in self.keys], dtype=object)[self.key]
        matches = {name: self._first_match(each, models) for name, each in classes.items()}
        code = self.key.astype("int64")
        for name, found in matches.items():
            if classes[name]:
                code = np.unique(code * (len(classes[name]) + 1) + found + 1, return_inverse=True)[1]
        order = np.argsort(code, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(code[order]) > 0]) if len(order) else order
        sums = np.add.reduceat(self.counts[order], starts, axis=0) if len(order) else self.counts
        exact = np.array([[Decimal(int(count)) for count in row] for row in sums], dtype=object)
        exact = exact.reshape(len(starts), len(METERS) + 1)
        firsts = order[starts]
        place = np.zeros(len(order), dtype="int64")
        place[order] = np.searchsorted(starts, np.arange(len(order)), side="right") - 1
        return Table(
            tuple(self.keys[at] for at in self.key[firsts]),
            exact[:, 1:],
            exact[:, 0],
            {name: found[firsts] for name, found in matches.items()},
            self.key[firsts],
            tuple(classes.items()),
            self.short.at(place),
        )

    def _first_match(self, classes: Sequence[Class], models: Numbers) -> Numbers:
        """By row, the first class that the row belongs to; classes come most particular first."""
        found = np.full(len(self.key), -1, dtype="int64")
        for at, of in enumerate(classes):
            if of.dimension == ANY:
                fits = np.ones(len(found), dtype=bool)
            elif of.dimension == MODEL:
                fits = models == of.value
            else:
                fits = self.labels[of.dimension] == of.value
            found[(found == -1) & fits] = at
        return found


def _numbered(frame: pd.DataFrame, names: Sequence[str]) -> tuple[Numbers, Numbers]:
    """By row, the number of its combination of these columns; and a row of each combination."""
    if frame.empty:
        return np.zeros(0, dtype="int64"), np.zeros(0, dtype="int64")
    codes = frame.groupby(list(names), sort=False, dropna=False).ngroup().to_numpy(dtype="int64")
    _, firsts = np.unique(codes, return_index=True)
    return codes, firsts
