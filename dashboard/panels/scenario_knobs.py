"""The knobs of the what-if page as its address holds them, and the scenario that they say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dashboard import pricebook
from dashboard.analysis.scenario import Scenario, ScenarioError
from dashboard.analysis.scenario_json import from_json
from dashboard.filters import TAG_PREFIX
from dashboard.queries import policy_effects

SWAPS = 3
SWAP_PARTS = ("from", "to", "share", "growth", "class")
# Knob of the address -> place in the JSON form, for those that are one value.
PLACES = {
    "batch_discount": ("batch", "discount"),
    "batch_reads": ("batch", "reads"),
    "read_multiplier": ("cache", "read_multiplier"),
    "write_5m_multiplier": ("cache", "write_5m_multiplier"),
    "write_1h_multiplier": ("cache", "write_1h_multiplier"),
    "policy": ("cache", "policy"),
    "token_hit_rate": ("cache", "token_hit_rate"),
    "fast_share": ("fast", "share"),
    "priority_share": ("priority", "share"),
    "priority_rate": ("priority", "rate"),
    "price_date": ("prices", "date"),
    "discount": ("prices", "discount"),
}
BATCH_BY, CAN_WAIT = "batch_by", "can_wait"
GEO = "geo"  # the address filters by inference_geo
# A slider always sends its value; at these it changes nothing, and stays out of the address.
AT_REST = {
    "batch_share": "0",
    "fast_share": "0",
    "priority_share": "0",
    "discount": "0",
    "growth": "1",
    "policy": "observed",
    GEO: "observed",
    "routing": "observed",
}
SIDE = "side"  # which saved scenarios stand side by side
LISTED = (CAN_WAIT, SIDE)  # knobs of many values; in the address they are one, parted by SEPARATOR
SEPARATOR = "\x1f"
NONE_OF_THEM = "~"  # first in a list that was chosen by hand, so that an empty choice is one too
SAVED = (
    "batch_share",
    BATCH_BY,
    CAN_WAIT,
    *PLACES,
    GEO,
    "routing",
    "contract",
    "growth",
    "growth_by_model",
    *(f"swap{number}_{part}" for number in range(1, SWAPS + 1) for part in SWAP_PARTS),
)
KNOBS = (*SAVED, SIDE)
LONG = frozenset({CAN_WAIT, SIDE, "contract", "growth_by_model"})
LONGEST = {name: 8_000 if name in LONG else 200 for name in KNOBS}

Knob = Callable[[str], str]


def knobs_in(given: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The knobs among form fields or an address: those that are turned, each as one text."""
    untouched = set(given.get("listed", ()))
    found: dict[str, str] = {}
    for name in KNOBS:
        values = [value for value in given.get(name, ()) if value]
        if not values or name in untouched:
            continue
        text = SEPARATOR.join(values) if name in LISTED else values[-1].strip()
        text = text[: LONGEST[name]]
        if text and text != AT_REST.get(name):
            found[name] = text
    # A share or growth without its models says nothing; left out, the address stays short.
    for number in range(1, SWAPS + 1):
        if f"swap{number}_to" not in found or f"swap{number}_from" not in found:
            for part in SWAP_PARTS:
                found.pop(f"swap{number}_{part}", None)
    return found


def chosen_classes(knob: Knob) -> list[str] | None:
    """The classes ticked as "can wait"; None when nobody chose and the defaults hold."""
    text = knob(CAN_WAIT)
    if not text:
        return None
    return [value for value in text.split(SEPARATOR) if value != NONE_OF_THEM]


def scenario_of(knob: Knob, can_wait: Callable[[str], Sequence[str]]) -> Scenario:
    """The scenario of these knobs. `can_wait` gives the values of a dimension that can wait, when none were chosen.

    Raises ScenarioError for what cannot be."""
    data: dict[str, Any] = {}
    for name, (part, key) in PLACES.items():
        if text := knob(name):
            data.setdefault(part, {})[key] = text
    for name, place in ((GEO, "inference_geo"), ("routing", "routing")):
        if text := knob(name):
            data[place] = text
    if share := knob("batch_share"):
        data.setdefault("batch", {})["share"] = _batch_shares(knob, share, can_wait)
    if swaps := [_swap(knob, number) for number in range(1, SWAPS + 1) if knob(f"swap{number}_to")]:
        data["swap"] = swaps
    if text := knob("contract"):
        data.setdefault("prices", {})["contract"] = dict(_contract_line(line) for line in _lines(text))
    growth: dict[str, str] = {"*": knob("growth")} if knob("growth") else {}
    for line in _lines(knob("growth_by_model")):
        model, _, factor = line.rpartition(" ")
        growth[model.strip()] = factor
    if growth:
        data["growth"] = growth
    return from_json(data, pricebook.current(), policy_effects.is_known)


def class_key(dimension: str, value: str) -> str:
    """A class as scenarios write it."""
    return value if dimension == "model" else f"{dimension}={value}"


def is_batch_dimension(name: str) -> bool:
    """Whether batch can be chosen by this dimension."""
    return name in ("model", "workspace_id", "api_key_id") or (
        name.startswith(TAG_PREFIX) and len(name) > len(TAG_PREFIX)
    )


def _batch_shares(knob: Knob, share: str, can_wait: Callable[[str], Sequence[str]]) -> str | dict[str, str]:
    dimension = knob(BATCH_BY)
    if not dimension:
        return share
    if not is_batch_dimension(dimension):
        raise ScenarioError(BATCH_BY, f"{BATCH_BY} must be model, workspace_id, api_key_id or tag:NAME")
    chosen = chosen_classes(knob)
    values = can_wait(dimension) if chosen is None else chosen
    book = pricebook.current()
    if dimension == "model":
        values = [value for value in values if book.resolve(value).known]
    return {class_key(dimension, value): share for value in values}


def _swap(knob: Knob, number: int) -> dict[str, str]:
    names = {"from": "from", "to": "to", "share": "share", "growth": "token_growth", "class": "class"}
    texts = {name: knob(f"swap{number}_{part}") for part, name in names.items()}
    return {name: text for name, text in texts.items() if text}


def _contract_line(line: str) -> tuple[str, dict[str, str]]:
    """`model input output [read [5m write [1h write]]]`, USD per million tokens."""
    model, *rates = line.replace(",", " ").split()
    names = ("uncached_input", "output", "cache_read", "cache_write_5m", "cache_write_1h")
    if not 2 <= len(rates) <= len(names):
        raise ScenarioError(
            "prices.contract",
            f"prices.contract: the line of {model[:100]!r} needs an input and an output price, then at most read, "
            "5m write and 1h write",
        )
    return model, dict(zip(names, rates, strict=False))


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.replace(";", "\n").splitlines() if line.strip()]
