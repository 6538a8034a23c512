"""What the same traffic would have cost under a scenario. Pure: no database, no clock; exact to the last digit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext

import pandas as pd

from dashboard.analysis.log import Log, Numbers, Table
from dashboard.analysis.replayed import Replayed
from dashboard.analysis.repricing import Listed, Prices, can_move
from dashboard.analysis.scenario import Scenario, ScenarioError
from dashboard.analysis.streams import Kept, Outcome, TooShort, evaluate
from ingest.core.pricebook import PriceBook
from ingest.core.pricing import EXACT, METERS, ZERO

__all__ = ["Comparison", "Kept", "Log", "Replayed", "Scenario", "ScenarioError", "Step", "apply"]

# The order in which knobs are turned: fixed, so that the same scenario always gives the same steps.
STEPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("prices of another day", ("price_date",)),
    ("contract", ("contract", "discounts")),
    ("model swap", ("swaps",)),
    ("cache policy", ("policy", "token_hit_rate")),
    ("cache reads", ("read_multiplier",)),
    ("5m writes", ("write_5m_multiplier",)),
    ("1h writes", ("write_1h_multiplier",)),
    ("routing", ("inference_geo", "routing")),
    ("fast mode", ("fast_share",)),
    ("priority", ("priority_share", "priority_rate")),
    ("batch", ("batch_share", "batch_discount", "batch_reads")),
    ("growth", ("growth",)),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One group of knobs turned after those before it: what it changed, USD (Decimal)."""

    name: str
    delta: Decimal
    turned: bool  # whether any of its knobs is set at all


@dataclass(frozen=True)
class Comparison:
    """Observed and scenario, side by side and never in one column.

    models    one row a model and provider, dearest first: model, provider (text), requests (int), observed_cost,
              scenario_cost, difference (scenario - observed), movable_cost (the part of observed_cost in the standard
              tier at standard speed, which batch could take), becomes (other models it is replaced by, text); USD
              and quantities as Decimals
    meters    one row a model, provider and meter with any quantity: model, provider, meter, observed_quantity,
              scenario_quantity, observed_cost, scenario_cost. Rows of a replaced model count in its own
    observed  USD; equals the sum of observed_cost
    scenario  USD; equals the sum of scenario_cost
    steps     one for each of STEPS in its order; their deltas sum to scenario - observed
    kept      what a knob could not reach, and why
    unpriced  what neither side contains: model, provider, reason (text), requests, the five token meters and
              web_search_requests (int)
    too_short what a model swap finds cached and the other model does not cache, by swap, minimum and growth
    """

    models: pd.DataFrame
    meters: pd.DataFrame
    observed: Decimal
    scenario: Decimal
    steps: tuple[Step, ...]
    kept: tuple[Kept, ...]
    unpriced: pd.DataFrame
    too_short: tuple[TooShort, ...] = ()


def apply(
    log: Log | pd.DataFrame, book: PriceBook, scenario: Scenario, replayed: Replayed | None = None
) -> Comparison:
    """Price the quantities as they were and under the scenario.

    A frame is read by Log.of; a Log that is applied again is quicker. `replayed` is what the replay says about the
    scenario's caching policy; without it only "observed" and "none" can be priced."""
    if isinstance(log, pd.DataFrame):
        log = Log.of(log, [name for name in scenario.dimensions if name in log])
    if scenario.is_replayed and replayed is None:
        raise ScenarioError(
            "cache.policy", "cache.policy: there is no replay of this policy for these filters"
        )
    with localcontext(EXACT):
        whole = log.table(scenario)
        key = (whole.rules, book.version)
        table, unpriced, before = log.remembered(("observed", key), lambda: _observed(whole, book))
        listed_as = ("listed", book.version, scenario.price_date, scenario.contract)
        listed: Listed = log.remembered(listed_as, dict)
        plain: Listed = log.remembered(("listed", book.version, None, ()), dict)
        after, steps = before, []
        turned: list[str] = []
        for name, knobs in STEPS:
            level = after
            if any(getattr(scenario, knob) != getattr(_IDENTITY, knob) for knob in knobs):
                turned += knobs
                part = scenario.only(*turned)
                same = (part.price_date, part.contract) == (scenario.price_date, scenario.contract)
                known = listed if same else plain if part.price_date is None else None
                after = evaluate(table, Prices(book, part, known), replayed)
                steps.append(Step(name, after.sum - level.sum, True))
            else:
                steps.append(Step(name, ZERO, False))
        return Comparison(
            _models(table, before, after, scenario),
            _meters(table, before, after),
            before.sum,
            after.sum,
            tuple(steps),
            tuple(after.kept),
            unpriced,
            tuple(after.too_short),
        )


_IDENTITY = Scenario()


def _observed(table: Table, book: PriceBook) -> tuple[Table, pd.DataFrame, Outcome]:
    """The rows that have a price as they were, the others by model, and what the first cost."""
    priced, unpriced = _priced(table, book)
    return priced, unpriced, evaluate(priced, Prices(book, _IDENTITY), None)


def _priced(table: Table, book: PriceBook) -> tuple[Table, pd.DataFrame]:
    without = [at for at, key in enumerate(table.keys) if book.vector(*key) is None]
    sums: dict[tuple[str, str, str], list[int]] = {}
    for at in without:
        lane, day = table.keys[at]
        counts = [int(table.requests[at]), *map(int, table.quantities[at])]
        key = (lane.model, lane.provider, book.why_unpriced(lane, day))
        sums[key] = [sum(pair) for pair in zip(sums.get(key, [0] * len(counts)), counts, strict=True)]
    rows = [(*key, *counts) for key, counts in sorted(sums.items())]
    unpriced = pd.DataFrame(rows, columns=["model", "provider", "reason", "requests", *METERS], dtype=object)
    if not without:
        return table, unpriced
    left = set(without)
    keep = [at for at in range(len(table.keys)) if at not in left]
    return table.where(keep), unpriced


def _groups(table: Table) -> Mapping[tuple[str, str], list[int]]:
    groups: dict[tuple[str, str], list[int]] = {}
    for at, (lane, _) in enumerate(table.keys):
        groups.setdefault((lane.model, lane.provider), []).append(at)
    return groups


def _models(table: Table, before: Outcome, after: Outcome, scenario: Scenario) -> pd.DataFrame:
    rows = []
    for (model, provider), at in _groups(table).items():
        observed, changed = Decimal(before.cost[at].sum()), Decimal(after.cost[at].sum())
        movable = [each for each in at if can_move(table.keys[each][0])]
        rows.append(
            (
                model,
                provider,
                int(table.requests[at].sum()),
                observed,
                changed,
                EXACT.subtract(changed, observed),
                Decimal(before.cost[movable].sum()),
                ", ".join(after.becomes.get(model, ())),
            )
        )
    rows.sort(key=lambda row: (-row[3], row[0], row[1]))
    names = ["model", "provider", "requests", "observed_cost", "scenario_cost", "difference", "movable_cost"]
    return pd.DataFrame(rows, columns=[*names, "becomes"], dtype=object)


def _meters(table: Table, before: Outcome, after: Outcome) -> pd.DataFrame:
    rows = []
    for (model, provider), at in _groups(table).items():
        sums: list[Numbers] = [
            each[at].sum(axis=0) for each in (before.quantity, after.quantity, before.cost, after.cost)
        ]
        for place, meter in enumerate(METERS):
            values = [each[place] for each in sums]
            if any(values):
                rows.append((model, provider, meter, *values))
    names = ["observed_quantity", "scenario_quantity", "observed_cost", "scenario_cost"]
    return pd.DataFrame(rows, columns=["model", "provider", "meter", *names], dtype=object)
