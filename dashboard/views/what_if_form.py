"""The form of the what-if page, as values for its template: where the address puts every knob."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from dashboard import numbers, pricebook
from dashboard.analysis import tokenizers
from dashboard.filters import METER, TAG_PREFIX
from dashboard.panels import shape
from dashboard.panels.base import Ask
from dashboard.panels.scenario_knobs import (
    BATCH_BY,
    CAN_WAIT,
    GEO,
    NONE_OF_THEM,
    SWAPS,
    chosen_classes,
    is_batch_dimension,
)
from dashboard.queries import classes, labels, lanes, policy_effects
from dashboard.queries.remembering import WHILE_TURNING_S
from dashboard.views.what_if_defaults import Usual, usual
from ingest.core.pricing import total

AS_LISTED, AS_OBSERVED = "as listed", "as observed"


@dataclass(frozen=True)
class Knob:
    """One slider. `optional` ones can be left at rest ("as listed"): then they are not in the address."""

    name: str
    label: str
    hint: str
    value: str
    lowest: str
    highest: str
    step: str
    unit: str  # "%", "×" or "$"
    optional: bool
    listed: bool
    shown: str
    rest: str = AS_LISTED


@dataclass(frozen=True)
class Choice:
    """One of a few: `href` when choosing it is a link."""

    value: str
    label: str
    current: bool
    href: str = ""
    hint: str = ""


@dataclass(frozen=True)
class CallChoice:
    """A class of calls with its mark."""

    value: str
    label: str
    can_wait: bool
    because: str
    share: str  # of the range's cost
    overridden: bool


@dataclass(frozen=True)
class SwapRow:
    """One line of the model swap: from, to, share, token growth, and what is known about the target."""

    number: int
    source: str
    target: str
    share: Knob
    growth: Knob
    of: str
    facts: str


@dataclass(frozen=True)
class Form:
    """Everything that the form shows."""

    batch: tuple[Knob, ...]
    batch_by: tuple[Choice, ...]
    dimension: str
    calls: tuple[CallChoice, ...]
    cache: tuple[Knob, ...]
    policies: tuple[Choice, ...]
    swaps: tuple[SwapRow, ...]
    models: tuple[str, ...]
    seen: tuple[str, ...]
    routing: tuple[Knob, ...]
    geos: tuple[Choice, ...]
    routings: tuple[Choice, ...]
    prices: tuple[Knob, ...]
    texts: dict[str, str]
    open_routing: bool
    open_prices: bool
    none_of_them: str = NONE_OF_THEM

    @property
    def shown(self) -> str:
        """The classes that the form offers, for the button that keeps their marks."""
        return json.dumps({"shown": [each.value for each in self.calls]})


POLICY_WORDS = {"observed": "observed", "none": "off"}


def form_of(ask: Ask) -> Form:
    """Each knob where the address puts it; a value that is no number leaves it at its start."""
    book = pricebook.current()
    dimension = ask.knob(BATCH_BY)
    dimension = dimension if is_batch_dimension(dimension) else ""
    seen = sorted(model.model for name in shape.stable_models() if (model := book.resolve(name)).known)
    known = usual(ask)
    offered = ("observed", "none", *policy_effects.OFFERED)
    routing_names = (GEO, "routing", "fast_share", "priority_share", "priority_rate")
    price_names = ("price_date", "discount", "contract", "growth", "growth_by_model")
    return Form(
        batch=(
            _knob(
                ask, "batch_share", _share_label(dimension), _share_hint(dimension, known), "1", "0.01", "%"
            ),
            _knob(
                ask, "batch_discount", "batch discount", "the list takes 50 % off", "1", "0.01", "%", "0.5"
            ),
            _knob(
                ask,
                "batch_reads",
                "cache reads that still hit in a batch",
                "best effort: the provider quotes 30 to 98 %",
                "1",
                "0.01",
                "%",
                "0.98",
                AS_OBSERVED,
            ),
        ),
        batch_by=_batch_by(ask, dimension),
        dimension=dimension,
        calls=_calls(ask, dimension) if dimension else (),
        cache=(
            _knob(ask, "read_multiplier", "read", known.read.words, "1", "0.01", "×", known.read.most),
            _knob(
                ask,
                "write_5m_multiplier",
                "5-minute write",
                known.write_5m.words,
                "3",
                "0.05",
                "×",
                known.write_5m.most,
            ),
            _knob(
                ask,
                "write_1h_multiplier",
                "1-hour write",
                known.write_1h.words,
                "3",
                "0.05",
                "×",
                known.write_1h.most,
            ),
            _knob(
                ask,
                "token_hit_rate",
                "target token hit rate",
                f"{numbers.percent(known.token_hit_rate)} of input tokens were read",
                "1",
                "0.01",
                "%",
                f"{(known.token_hit_rate or Decimal(0)).quantize(Decimal('0.01'))}",
                AS_OBSERVED,
            ),
        ),
        policies=_choices(ask, "policy", [(name, POLICY_WORDS.get(name, name)) for name in offered]),
        swaps=tuple(_swap(ask, number) for number in range(1, SWAPS + 1)),
        models=tuple(dict.fromkeys([*(model.id for model in book.models), *seen])),
        seen=tuple(dict.fromkeys(seen)),
        routing=(
            _knob(
                ask,
                "fast_share",
                "in fast mode",
                "where the model offers it; never in a batch",
                "1",
                "0.01",
                "%",
            ),
            _knob(ask, "priority_share", "on a priority commitment", "of what is left", "1", "0.01", "%"),
            _knob(
                ask,
                "priority_rate",
                "commitment, per M burned",
                "reads burn 0.1, writes 1.25 and 2",
                "20",
                "0.05",
                "$",
                "0",
                "prepaid",
            ),
        ),
        geos=_choices(ask, GEO, [("observed", "as observed"), ("us", "US only"), ("global", "global")]),
        routings=_choices(
            ask, "routing", [("observed", "as observed"), ("regional", "regional"), ("global", "global")]
        ),
        prices=(
            _knob(ask, "discount", "negotiated discount", "off every token price", "1", "0.01", "%"),
            _knob(ask, "growth", "growth", "of all calls", "10", "0.1", "×", rest="", start="1"),
        ),
        texts={name: ask.knob(name) for name in ("price_date", "contract", "growth_by_model")},
        open_routing=any(ask.knob(name) for name in routing_names),
        open_prices=any(ask.knob(name) for name in price_names),
    )


def _share_label(dimension: str) -> str:
    return "share of “can wait” traffic" if dimension else "share sent to batch"


def _share_hint(dimension: str, known: Usual) -> str:
    if dimension:
        return "of the classes ticked below"
    return f"of standard-tier traffic, if nobody waits for it; {known.in_batch} of the cost is batch already"


def _batch_by(ask: Ask, dimension: str) -> tuple[Choice, ...]:
    names = [
        "",
        "model",
        "workspace_id",
        "api_key_id",
        *(f"{TAG_PREFIX}{name}" for name in labels.tag_names()[:6]),
    ]
    if dimension and dimension not in names:
        names.append(dimension)
    return tuple(
        Choice(
            name,
            shape.word(name) if name else "all",
            name == dimension,
            ask.link(None, "", **{BATCH_BY: name or None, CAN_WAIT: None}),
        )
        for name in names
    )


def _calls(ask: Ask, dimension: str) -> tuple[CallChoice, ...]:
    """The classes of the dimension, those with most calls first."""
    chosen = chosen_classes(ask.knob)
    costs = _cost_shares(ask, dimension)
    found = []
    for kind in classes.kinds(ask.filters, dimension):
        value = kind.evidence.value
        found.append(
            CallChoice(
                value,
                value,
                kind.can_wait if chosen is None else value in chosen,
                kind.evidence.because,
                numbers.percent(costs[value], 0) if value in costs else "",
                kind.overridden,
            )
        )
    return tuple(found)


def _cost_shares(ask: Ask, dimension: str) -> dict[str, Decimal]:
    book = pricebook.current()
    log = lanes.log(
        ask.filters.without(METER, every=True), () if dimension == "model" else (dimension,), WHILE_TURNING_S
    )
    vectors = [book.vector(*key) for key in log.keys]
    sums: dict[str, Decimal] = {}
    values = log.labels.get(dimension)
    for at, key in enumerate(log.key):
        vector = vectors[key]
        if vector is None:
            continue
        value = log.keys[key][0].model if values is None else str(values[at])
        amount = total(int(count) * price for count, price in zip(log.counts[at, 1:], vector, strict=True))
        sums[value] = sums.get(value, Decimal(0)) + amount
    whole = sum(sums.values(), Decimal(0))
    return {value: amount / whole for value, amount in sums.items()} if whole else {}


def _swap(ask: Ask, number: int) -> SwapRow:
    names = {part: f"swap{number}_{part}" for part in ("from", "to", "share", "growth", "class")}
    source, target = ask.knob(names["from"]), ask.knob(names["to"])
    growth = tokenizers.growth(source, target) if source and target else tokenizers.SAME
    return SwapRow(
        number,
        source,
        target,
        _knob(ask, names["share"], "share", "of its calls", "1", "0.01", "%", start="1"),
        _knob(
            ask,
            names["growth"],
            "tokens for one",
            f"{numbers.multiplier(growth)} by what is known of the tokenizers",
            "3",
            "0.01",
            "×",
            str(growth),
            "as known",
        ),
        ask.knob(names["class"]),
        _facts(ask, target),
    )


def _facts(ask: Ask, target: str) -> str:
    """What matters about the model that takes over: its prices, multiplier, minimum and window."""
    model = pricebook.current().model(target) if target else None
    if model is None:
        return ""
    day = ask.today
    row = next((each for each in model.rows if each.speed == "standard" and each.covers(day)), None)
    parts = []
    if row is not None:
        parts.append(f"${row.uncached_input.normalize():f} / ${row.output.normalize():f} per M")
        if row.uncached_input:
            parts.append(
                f"reads {numbers.multiplier((row.cache_read / row.uncached_input).quantize(Decimal('0.001')))}"
            )
    if minimum := model.min_cacheable_tokens(day):
        parts.append(f"caches from {minimum:,} tokens")
    if model.context_window:
        parts.append(f"window {numbers.tokens(model.context_window)}")
    return " · ".join(parts)


def _choices(ask: Ask, name: str, known: Sequence[tuple[str, str]]) -> tuple[Choice, ...]:
    current = ask.knob(name, "observed")
    return tuple(Choice(value, label, value == current) for value, label in known)


def _knob(
    ask: Ask,
    name: str,
    label: str,
    hint: str,
    highest: str,
    step: str,
    unit: str,
    listed_at: str | None = None,
    rest: str = AS_LISTED,
    *,
    start: str = "0",
) -> Knob:
    """`listed_at` is where an optional slider stands while it does not count; `start` where another begins."""
    text = ask.knob(name)
    try:
        value = Decimal(text) if text else None
    except InvalidOperation:
        value = None
    if value is not None and not (value.is_finite() and 0 <= value <= 1_000_000):
        value = None  # refused beside the form, in words
    listed = value is None and listed_at is not None
    at = value if value is not None else Decimal(listed_at or start)
    shown = rest if listed else read_out(at, unit)
    # A value from the address beyond the slider's end: the slider grows, or it would say something else.
    return Knob(
        name, label, hint, f"{at:f}", "0", f"{max(at, Decimal(highest)):f}", step, unit, listed_at is not None, listed,
        shown, rest,
    )  # fmt: skip


def read_out(value: Decimal, unit: str) -> str:
    """What stands beside a slider."""
    if unit == "%":
        return numbers.percent(value, 0)
    return numbers.money(value) if unit == "$" else numbers.multiplier(value)
