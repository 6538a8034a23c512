"""Peaks a minute by limit class, as observed and under a scenario: how far the limits are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, localcontext

import numpy as np
import pandas as pd

from dashboard.analysis import limits
from dashboard.analysis.log import CACHED, NOTHING_SHORT, Log, Short
from dashboard.analysis.replayed import Replayed
from dashboard.analysis.repricing import Prices, can_move
from dashboard.analysis.scenario import Scenario
from dashboard.analysis.streams import READ, UNCACHED, WRITE_1H, WRITE_5M, streams_of
from ingest.core.pricebook import PriceBook
from ingest.core.pricing import EXACT, METERS, ZERO
from ingest.core.short_prefixes import LADDER

OUTPUT = METERS.index("output_tokens")
CALLS = METERS.index("web_search_requests")
MINUTE = "minute"
PART_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Peak:
    """The busiest minutes of one limit class: requests, counted input tokens and output tokens, each its own peak."""

    model_class: str
    requests: int
    input: int
    output: int


def peaks(
    frame: pd.DataFrame, book: PriceBook, scenario: Scenario, replayed: Replayed | None = None
) -> dict[str, Peak]:
    """Peaks by limit class. `frame` is that of queries.peaks.Minutes.

    Calls that a scenario moves to batch, fast mode or a priority commitment count there, not here. Cache reads count
    only for the oldest models. A share of a call is rounded up."""
    found: dict[str, Peak] = {}
    prices = Prices(book, scenario)
    for part in _parts(frame):
        for name, amounts in _by_minute(part, prices, scenario, replayed):
            calls, counted, output = (int(amount.to_integral_value(ROUND_CEILING)) for amount in amounts)
            known = found.get(name, Peak(name, 0, 0, 0))
            found[name] = Peak(
                name, max(known.requests, calls), max(known.input, counted), max(known.output, output)
            )
    return dict(sorted(found.items()))


def _parts(frame: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Whole minutes, in parts that bound what exact numbers take: a row of Decimals is fifty times its integers."""
    minute = frame[MINUTE].to_numpy()
    order = np.argsort(minute, kind="stable")
    first_of_minute = np.searchsorted(minute[order], minute[order], side="left")
    part = first_of_minute // PART_ROWS
    for rows in np.split(order, np.flatnonzero(np.diff(part)) + 1):
        if len(rows):
            yield frame.iloc[rows]


def _by_minute(
    frame: pd.DataFrame, prices: Prices, scenario: Scenario, replayed: Replayed | None
) -> list[tuple[str, list[Decimal]]]:
    """One entry a limit class and minute: the class; its calls, counted input tokens and output tokens."""
    # The column of searches carries the calls: shares, swaps and growth act on it as on a call, token growth does not.
    carrying = frame.assign(web_search_requests=frame["requests"])
    log = Log.of(carrying, [name for name in scenario.dimensions if name in frame], MINUTE, _short(frame))
    with localcontext(EXACT):
        table = log.table(scenario)
        rows = table.where([at for at, key in enumerate(table.keys) if prices.book.vector(*key) is not None])
        streams, _ = streams_of(rows, prices, replayed)
        assert log.marks is not None, "the log was made with a mark"
        minute = log.marks[rows.origin]
        sums: dict[tuple[str, object], list[Decimal]] = {}
        for stream in streams:
            for row, (lane, _), used in zip(stream.rows, stream.keys, stream.quantity, strict=True):
                if not can_move(lane) or lane.platform != "anthropic":
                    continue
                name = limits.class_of(lane.model)
                counted = used[UNCACHED] + used[WRITE_5M] + used[WRITE_1H]
                counted += used[READ] if limits.counts_reads(name) else ZERO
                sum_of = sums.setdefault((name, minute[row]), [ZERO, ZERO, ZERO])
                for place, amount in enumerate((used[CALLS], counted, used[OUTPUT])):
                    sum_of[place] += amount
    return [(name, amounts) for (name, _), amounts in sums.items()]


def _short(frame: pd.DataFrame) -> Short:
    """Rows of requests with a short cached prefix stand apart in the frame: `below` is their step, else 0."""
    if "below" not in frame:
        return NOTHING_SHORT
    row = np.flatnonzero(frame["below"].to_numpy(dtype="int64"))
    rows = frame.iloc[row]
    step = np.searchsorted(LADDER, rows["below"].to_numpy(dtype="int64"))
    return Short(row, step, rows[["requests", *CACHED]].to_numpy(dtype="int64"))
