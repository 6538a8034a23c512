"""What advice is worked out from: a cache log with labels, whole prices, and what is known about who waits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ingest.core.cache.log import CacheLog, Floats, Ints, Mask

Labels = npt.NDArray[np.object_]

SESSION_CLASS = "session_class"
ANTHROPIC = "anthropic"  # the provider whose cache is written on request, at a TTL that one chooses
MOST_VALUES = 40  # of one dimension are looked at, those that cost most
FEW = 10  # requests make a long session
ONE_REQUEST, SHORT, LONG = "one request", f"2–{FEW - 1} requests", f"{FEW} requests or more"


class Rates(NamedTuple):
    """USD per token of the five token meters."""

    uncached: Decimal
    read: Decimal
    write_5m: Decimal
    write_1h: Decimal
    output: Decimal


@dataclass(frozen=True)
class Traffic:
    """Priced requests; position i of every array is one request of the log.

    labels     by dimension (workspace_id, model, api_key_id, tag:NAME): text, "" = none; in order of preference
    provider   who made the model
    unit       0.. : what is drawn together when asking how sure a sum is: a session, or a day of calls without one
    rate       0.. : position in `rates` and `batch_rates`; in the latter None = no batch price, or batch already
    can_wait   by (dimension, value): why nobody waits for these calls
    days       that the requests span, at least 1
    sampled    share of the sessions that the log holds
    """

    log: CacheLog
    labels: Mapping[str, Labels]
    provider: Labels
    unit: Ints
    rate: Ints
    rates: tuple[Rates, ...]
    batch_rates: tuple[Rates | None, ...]
    can_wait: Mapping[tuple[str, str], str]
    days: Decimal
    sampled: Decimal

    @cached_property
    def costs(self) -> Floats:
        """USD per request, output included."""
        return self.priced(np.array([[float(each) for each in rates] for rates in self.rates]).reshape(-1, 5))

    @cached_property
    def tokens(self) -> Ints:
        """[request, meter]: the five token meters."""
        log = self.log
        return np.stack([log.uncached, log.read, log.write_5m, log.write_1h, log.output], axis=1)

    @cached_property
    def anthropic(self) -> Mask:
        return np.asarray(self.provider == ANTHROPIC, dtype=np.bool_)

    @cached_property
    def session_classes(self) -> Labels:
        """How long the session of each request is, in words."""
        sizes = np.bincount(self.log.session, minlength=1)[self.log.session]
        return np.select([sizes == 1, sizes < FEW], [ONE_REQUEST, SHORT], LONG).astype(object)

    def priced(self, table: Floats) -> Floats:
        """Tokens times a table of [rate, meter], per request."""
        return np.asarray((self.tokens * table[self.rate]).sum(axis=1))

    def within(self, scope: Iterable[tuple[str, str]]) -> Mask:
        """The requests where all of these hold; values of one dimension are alternatives. What this traffic has no
        labels for holds."""
        values: dict[str, set[str]] = {}
        for dimension, value in scope:
            values.setdefault(dimension, set()).add(value)
        chosen = np.ones(len(self.log), dtype=np.bool_)
        for dimension, wanted in values.items():
            labels = self.session_classes if dimension == SESSION_CLASS else self.labels.get(dimension)
            if labels is not None:
                chosen &= np.isin(labels.astype(str), sorted(wanted))
        return chosen

    def scopes(self) -> Iterator[tuple[str, str, Mask]]:
        """Every (dimension, value, its requests) that advice can be about, dimension by dimension."""
        for dimension, labels in (*self.labels.items(), (SESSION_CLASS, self.session_classes)):
            values, at = np.unique(labels.astype(str), return_inverse=True)
            if dimension != "model" and list(values) == [""]:
                continue
            weight = np.bincount(at.reshape(-1), weights=self.costs, minlength=len(values))
            for number in np.argsort(-weight, kind="stable")[:MOST_VALUES].tolist():
                yield dimension, str(values[number]), at.reshape(-1) == number
