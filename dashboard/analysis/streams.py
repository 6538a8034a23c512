"""A scenario as linear algebra: streams of quantities are split, moved and mixed, then multiplied with prices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import partial
from typing import NamedTuple

import numpy as np

from dashboard.analysis import tokenizers
from dashboard.analysis.log import Numbers, Table
from dashboard.analysis.replayed import INPUTS, Replayed
from dashboard.analysis.repricing import BATCH, FAST, PRIORITY, TOKENS, Prices, can_move, moved_to
from dashboard.analysis.scenario import ANY, OBSERVED, ONE, Scenario, Swap
from ingest.core.pricing import METERS, ZERO, Lane, PriceVector
from ingest.core.short_prefixes import surely_below

UNCACHED, READ, WRITE_5M, WRITE_1H = range(INPUTS)
_RATIO = Decimal("1e-12")


class Stream(NamedTuple):
    """A part of the traffic: which rows of the table it is from, and as what it would have run.

    rows      positions in the table, each at most once
    keys      (lane, day) by row
    quantity  rows x METERS, Decimals
    """

    rows: Numbers
    keys: Sequence[tuple[Lane, date]]
    quantity: Numbers

    def where(self, keep: Numbers) -> Stream:
        """The rows at which `keep` is True."""
        at = np.flatnonzero(keep).tolist()
        return Stream(self.rows[at], [self.keys[each] for each in at], self.quantity[at])

    def times(self, factor: Numbers) -> Stream:
        """Every quantity times its row's factor."""
        return self._replace(quantity=self.quantity * factor[:, None])

    def moved(self, lane: Callable[[Lane], Lane]) -> Stream:
        """The same on other lanes."""
        there = {each: lane(each) for each in {each for each, _ in self.keys}}
        return self._replace(keys=[(there[each], day) for each, day in self.keys])


class TooShort(NamedTuple):
    """Cached prefixes of calls that a swap moves and the other model does not cache.

    swap      position of the swap in the scenario
    minimum   the shortest prefix that the other model caches
    growth    its tokens for one as logged
    requests  with a prefix that is surely shorter
    tokens    of those prefixes, as logged
    """

    swap: int
    minimum: int
    growth: Decimal
    requests: int
    tokens: int


class Kept(NamedTuple):
    """Traffic that a knob was to move and could not."""

    knob: str
    model: str
    reason: str
    requests: int


@dataclass
class Outcome:
    """What a scenario makes of a table: rows x METERS of USD and of quantities, as Decimals."""

    cost: Numbers
    quantity: Numbers
    kept: list[Kept] = field(default_factory=list)
    becomes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    too_short: list[TooShort] = field(default_factory=list)

    @property
    def sum(self) -> Decimal:
        return Decimal(self.cost.sum()) if self.cost.size else ZERO


def evaluate(table: Table, prices: Prices, replayed: Replayed | None) -> Outcome:
    """Quantities and costs of every row under the prices' scenario. Call it with exact Decimal arithmetic."""
    streams, run = streams_of(table, prices, replayed)
    return run.priced(streams)


def streams_of(table: Table, prices: Prices, replayed: Replayed | None) -> tuple[list[Stream], Run]:
    """Where the scenario makes every row run, before anything is priced."""
    run, scenario = Run(table, prices), prices.scenario
    start = Stream(np.arange(len(table.keys)), table.keys, table.quantities)
    if scenario.growth:
        start = start.times(table.numbers("growth", scenario.growth, ONE))
    streams = run.swapped([start])
    streams = [_routed(stream, scenario) for stream in streams]
    streams = [_cached(stream, table, scenario, replayed) for stream in streams]
    if scenario.fast_share:
        streams = run.split(streams, "fast_share", lambda lane: lane._replace(speed=FAST), "fast mode")
    if scenario.priority_share:
        streams = run.split(
            streams, "priority_share", lambda lane: lane._replace(service_tier=PRIORITY), "priority"
        )
    if scenario.batch_share:
        streams = run.split(streams, "batch_share", lambda lane: lane._replace(service_tier=BATCH), "batch")
    return streams, run


class Run:
    """One evaluation: the table, its prices, and what is noted on the way."""

    def __init__(self, table: Table, prices: Prices) -> None:
        self.table, self.prices = table, prices
        self.kept: dict[tuple[str, str, str], set[int]] = {}
        self.becomes: dict[str, tuple[str, ...]] = {}
        self.too_short: dict[tuple[int, int, Decimal], Numbers] = {}
        self._moved: dict[tuple[Lane, str], tuple[Lane, ...]] = {}

    def swapped(self, streams: list[Stream]) -> list[Stream]:
        """Calls at other models. Every rule speaks of the observed model, so rules do not follow one another."""
        scenario = self.prices.scenario
        if not scenario.swaps:
            return streams
        (whole,) = streams
        left = np.full(len(whole.rows), ONE, dtype=object)
        parts: list[Stream] = []
        for number, swap in enumerate(scenario.swaps):
            fits = self._swap_fits(whole, swap, number)
            share = left.copy()
            share[share > swap.share] = swap.share
            share[~fits] = ZERO
            left = left - share
            taken = whole.where(fits & (share != ZERO))
            if len(taken.rows) == 0:
                continue
            parts.append(self._replaced(taken, swap, number).times(share[taken.rows]))
            for model in {lane.model for lane, _ in taken.keys}:
                self.becomes[model] = (*self.becomes.get(model, ()), swap.target)
        stays = whole.where(left != ZERO)
        return [stays.times(left[stays.rows]), *parts]

    def _swap_fits(self, whole: Stream, swap: Swap, number: int) -> Numbers:
        """Rows of the model and class whose prompt the other model takes and has a price for."""
        fits: Numbers = self.table.matches[f"swap.{number}"] == 0
        model = self.prices.book.model(swap.target)
        window = model.context_window if model else None
        for at, (lane, day) in enumerate(whole.keys):
            if not fits[at]:
                continue
            if lane.model == swap.target or swap.source not in (ANY, lane.model):
                fits[at] = False
            elif window is not None and lane.prompt_step and _outgrows(lane, swap, window):
                grown = "" if _growth(lane.model, swap) == ONE else " after token growth"
                reason = f"prompts over {lane.prompt_step:,} tokens do not fit into {window:,}{grown}"
                self._keep("model swap", at, reason)
                fits[at] = False
            elif self._swap_lane(lane, swap.target, day) is None:
                self._keep("model swap", at, f"{swap.target} has no price there")
                fits[at] = False
        return fits

    def _swap_lane(self, lane: Lane, target: str, day: date) -> Lane | None:
        """The lane at the other model: its own speed if that is offered, else standard speed."""
        if (lane, target) not in self._moved:
            there = moved_to(lane, target, self.prices.book)
            self._moved[lane, target] = tuple(dict.fromkeys((there, there._replace(speed="standard"))))
        for each in self._moved[lane, target]:
            if self.prices.listed(each, day) is not None:
                return each
        return None

    def _replaced(self, stream: Stream, swap: Swap, number: int) -> Stream:
        keys = [(self._swap_lane(lane, swap.target, day) or lane, day) for lane, day in stream.keys]
        known = {model: _growth(model, swap) for model in {lane.model for lane, _ in stream.keys}}
        growth = [known[lane.model] for lane, _ in stream.keys]
        factors = np.full(stream.quantity.shape, ONE, dtype=object)
        factors[:, :TOKENS] = np.array(growth, dtype=object)[:, None]
        quantity = stream.quantity * factors
        lost = self._too_short(stream, swap, number, growth)
        at = np.flatnonzero(lost.any(axis=1))
        if len(at):
            calls = self.table.numbers("growth", self.prices.scenario.growth, ONE)[stream.rows[at]]
            tokens = np.array([[Decimal(int(each)) for each in row] for row in lost[at]], dtype=object)
            tokens = tokens * factors[at, READ:INPUTS] * calls[:, None]
            quantity[at, READ:INPUTS] -= tokens
            quantity[at, UNCACHED] += tokens.sum(axis=1)
        return Stream(stream.rows, keys, quantity)

    def _too_short(self, stream: Stream, swap: Swap, number: int, growth: Sequence[Decimal]) -> Numbers:
        """By row of the stream, the cached tokens (as CACHED) of prefixes that the other model surely does not cache
        on the row's day, as logged."""
        model = self.prices.book.model(swap.target)
        days = {day for _, day in stream.keys}
        minimum = {day: (model and model.min_cacheable_tokens(day)) or 0 for day in days}
        short, whole = self.table.short, len(self.table.keys)
        pairs = [(minimum[day], factor) for (_, day), factor in zip(stream.keys, growth, strict=True)]
        steps = np.zeros(whole, dtype="int64")
        steps[stream.rows] = [surely_below(*pair) if pair[0] else 0 for pair in pairs]
        sure = short.step < steps[short.row]
        sums = np.zeros((whole, short.counts.shape[1]), dtype="int64")
        np.add.at(sums, short.row[sure], short.counts[sure])
        found: Numbers = sums[stream.rows]
        for pair in dict.fromkeys(pairs):
            if pair[0]:
                of = np.array([each == pair for each in pairs], dtype=bool)
                self.too_short[number, *pair] = found[of].sum(axis=0)
        return found[:, 1:]

    def split(
        self, streams: list[Stream], knob: str, lane: Callable[[Lane], Lane], name: str
    ) -> list[Stream]:
        """A share of the standard-tier, standard-speed part of every stream runs on another lane."""
        wanted = self.table.numbers(knob, getattr(self.prices.scenario, knob))
        parts: list[Stream] = []
        for stream in streams:
            share = wanted[stream.rows]
            lanes = {each for each, _ in stream.keys}
            there = {each: lane(each) for each in lanes if can_move(each)}
            for at, (from_lane, day) in enumerate(stream.keys):
                if not share[at]:
                    continue
                if from_lane not in there:
                    share[at] = ZERO
                elif self.prices.listed(there[from_lane], day) is None:
                    self._keep(name, int(stream.rows[at]), f"not offered for {from_lane.model}")
                    share[at] = ZERO
            moves, stays = stream.where(share != ZERO), stream.where(share != ONE)
            if len(stays.rows):
                parts.append(stays.times(ONE - share[share != ONE]))
            if len(moves.rows):
                moved = moves.moved(lane).times(share[share != ZERO])
                parts.append(_fewer_reads(moved, self.prices.scenario) if knob == "batch_share" else moved)
        return parts

    def priced(self, streams: list[Stream]) -> Outcome:
        shape = (len(self.table.keys), len(METERS))
        outcome = Outcome(np.full(shape, ZERO, dtype=object), np.full(shape, ZERO, dtype=object))
        for stream in streams:
            if not len(stream.rows):
                continue
            prices = self.prices.matrix(stream.keys, partial(self._observed_price, stream))
            outcome.cost[stream.rows] += stream.quantity * prices
            outcome.quantity[stream.rows] += stream.quantity
        requests = self.table.requests
        outcome.kept = [
            Kept(knob, model, reason, int(sum(requests[at] for at in rows)))
            for (knob, model, reason), rows in sorted(self.kept.items())
        ]
        outcome.becomes = self.becomes
        outcome.too_short = [
            TooShort(*key, int(sums[0]), int(sums[1:].sum())) for key, sums in sorted(self.too_short.items())
        ]
        return outcome

    def _observed_price(self, stream: Stream, at: int) -> PriceVector:
        """Where the scenario has no price a row stays as it was, at its observed one."""
        lane, day = stream.keys[at]
        row = int(stream.rows[at])
        self._keep("prices", row, self.prices.book.why_unpriced(lane, self.prices.scenario.price_date or day))
        vector = self.prices.book.vector(*self.table.keys[row])
        assert vector is not None, "rows without a price are left out before"
        return vector

    def _keep(self, knob: str, row: int, reason: str) -> None:
        self.kept.setdefault((knob, self.table.keys[row][0].model, reason), set()).add(row)


def _growth(model: str, swap: Swap) -> Decimal:
    return tokenizers.growth(model, swap.target) if swap.token_growth is None else swap.token_growth


def _outgrows(lane: Lane, swap: Swap, window: int) -> bool:
    """Whether the smallest prompt of the lane exceeds the window after token growth."""
    return (lane.prompt_step + 1) * _growth(lane.model, swap) > window


def _routed(stream: Stream, scenario: Scenario) -> Stream:
    if scenario.inference_geo != OBSERVED:
        stream = stream.moved(lambda lane: lane._replace(inference_geo=scenario.inference_geo))
    if scenario.routing != OBSERVED:
        stream = stream.moved(
            lambda lane: (
                lane._replace(routing=scenario.routing) if lane.platform in ("bedrock", "vertex") else lane
            )
        )
    return stream


def _cached(stream: Stream, table: Table, scenario: Scenario, replayed: Replayed | None) -> Stream:
    if scenario.policy == "none":
        return _without_cache(stream)
    if scenario.policy != OBSERVED and replayed is not None:
        return _as_replayed(stream, table, replayed)
    if scenario.token_hit_rate is not None:
        return _hitting(stream, scenario.token_hit_rate)
    return stream


def _without_cache(stream: Stream) -> Stream:
    quantity = stream.quantity.copy()
    quantity[:, UNCACHED] = quantity[:, :INPUTS].sum(axis=1)
    quantity[:, 1:INPUTS] = ZERO
    return stream._replace(quantity=quantity)


def _as_replayed(stream: Stream, table: Table, replayed: Replayed) -> Stream:
    """Input tokens divided as the replay divides those of the observed model, to whole tokens; a model that it does
    not know stays as it was.
    """
    quantity = stream.quantity.copy()
    for at, row in enumerate(stream.rows):
        model = table.keys[row][0].model
        shares = replayed.shares.get(model)
        if shares is None:
            continue
        whole = quantity[at, :INPUTS].sum()
        parts = [(whole * share).to_integral_value() for share in shares]
        parts[UNCACHED] = whole - sum(parts[READ:])
        if parts[UNCACHED] < 0:  # rounded up by a token too many
            parts[READ], parts[UNCACHED] = parts[READ] + parts[UNCACHED], ZERO
        quantity[at, :INPUTS] = parts
        quantity[at, READ] += (whole * replayed.extra.get(model, ZERO)).to_integral_value()
    return stream._replace(quantity=quantity)


def _hitting(stream: Stream, wanted: Decimal) -> Stream:
    """As many reads as it takes for every model that caches to reach this token hit rate.

    More hits: uncached and written tokens turn into reads in proportion. Fewer: reads turn into 5-minute writes, as
    every miss writes again. A model without any cached token stays as it is.
    """
    quantity = stream.quantity.copy()
    models = np.array([lane.model for lane, _ in stream.keys], dtype=object)
    for model in dict.fromkeys(models):
        at = np.flatnonzero(models == model)
        uncached, read, write_5m, write_1h = quantity[at, :INPUTS].sum(axis=0)
        whole = uncached + read + write_5m + write_1h
        if not (read or write_5m or write_1h):
            continue
        reads = wanted * whole
        if reads >= read:
            turned = _ratio(reads - read, whole - read)
            for place in (UNCACHED, WRITE_5M, WRITE_1H):
                quantity[at, READ] += quantity[at, place] * turned
                quantity[at, place] *= ONE - turned
        else:
            turned = _ratio(read - reads, read)
            quantity[at, WRITE_5M] += quantity[at, READ] * turned
            quantity[at, READ] *= ONE - turned
    return stream._replace(quantity=quantity)


def _fewer_reads(stream: Stream, scenario: Scenario) -> Stream:
    """Caching inside a batch is best effort: the reads that miss are written again for five minutes."""
    if scenario.batch_reads is None:
        return stream
    quantity = stream.quantity.copy()
    quantity[:, WRITE_5M] += quantity[:, READ] * (ONE - scenario.batch_reads)
    quantity[:, READ] *= scenario.batch_reads
    return stream._replace(quantity=quantity)


def _ratio(part: Decimal, whole: Decimal) -> Decimal:
    """A quotient of at most 12 places, so that everything after it stays exact."""
    if not whole:
        return ZERO
    scaled = part * 10**12 // whole
    return scaled * _RATIO
