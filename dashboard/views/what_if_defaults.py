"""Where the knobs of a what-if stand in the log itself: what each slider begins at, and says beside it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from dashboard import numbers, pricebook
from dashboard.filters import METER
from dashboard.panels.base import Ask
from dashboard.queries import lanes
from dashboard.queries.remembering import WHILE_TURNING_S
from ingest.core.pricing import METERS, ZERO, cost

NAMED = 3  # multiples beside a slider; more are "and others"


@dataclass(frozen=True)
class Multiple:
    """A cache meter's published multiple of the input price: the one most tokens have, and all of them in words."""

    most: str
    words: str


@dataclass(frozen=True)
class Usual:
    """What the log has: cache multiples by meter, the observed token hit rate, and how much of the cost is batch."""

    read: Multiple
    write_5m: Multiple
    write_1h: Multiple
    token_hit_rate: Decimal | None
    in_batch: str


def usual(ask: Ask) -> Usual:
    """Read off the quantities that the scenario is applied to."""
    log, book = (
        lanes.log(ask.filters.without(METER, every=True), steady_s=WHILE_TURNING_S),
        pricebook.current(),
    )
    sums = np.zeros((len(log.keys), log.counts.shape[1]), dtype="int64")
    np.add.at(sums, log.key, log.counts)
    multiples: dict[str, Counter[Decimal]] = {meter: Counter() for meter in METERS[1:4]}
    whole, batch = ZERO, ZERO
    for (lane, day), counts in zip(log.keys, sums[:, 1:].tolist(), strict=True):
        vector = book.vector(lane, day)
        if vector is None or not vector.uncached_input_tokens:
            continue
        amount = cost(dict(zip(METERS, counts, strict=True)), vector)
        whole += amount
        batch += amount if lane.service_tier.lower() == "batch" else ZERO
        for place, meter in enumerate(METERS[1:4], start=1):
            each = (getattr(vector, meter) / vector.uncached_input_tokens).quantize(Decimal("0.001"))
            # A token more than there are, so that a multiple is known before anything was cached at it.
            multiples[meter][each.normalize()] += counts[place] + 1
    inputs = sums[:, 1:5].sum(axis=0).tolist()
    return Usual(
        _multiple(multiples[METERS[1]], "0.1"),
        _multiple(multiples[METERS[2]], "1.25"),
        _multiple(multiples[METERS[3]], "2"),
        Decimal(inputs[1]) / sum(inputs) if sum(inputs) else None,
        numbers.percent(batch / whole, 0) if whole else "nothing",
    )


def _multiple(found: Counter[Decimal], otherwise: str) -> Multiple:
    if not found:
        return Multiple(otherwise, f"listed at {numbers.multiplier(Decimal(otherwise))}")
    known = [numbers.multiplier(each) for each, _ in found.most_common()]
    more = " and others" if len(known) > NAMED else ""
    return Multiple(f"{found.most_common(1)[0][0]:f}", f"here {', '.join(known[:NAMED])}{more}")
