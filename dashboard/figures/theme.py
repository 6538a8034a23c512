"""What all figures share: roles instead of colours, fixed orders, axes whose labels we write ourselves."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from dashboard import numbers

# Figures are written as Plotly's own JSON: building its Python objects takes longer than reading the data. What those
# objects check, tests check on every figure.
Trace = dict[str, Any]
Figure = dict[str, Any]  # {"data": [traces], "layout": {...}}, without colours: those are the page's to give


class Meter(NamedTuple):
    """A token meter as every figure and table shows it: the same role, the same short name, the same place."""

    column: str
    role: str
    label: str


UNCACHED = Meter("uncached_input_tokens", "meter:uncached", "uncached")
WRITE_5M = Meter("cache_write_5m_input_tokens", "meter:write-5m", "5m write")
WRITE_1H = Meter("cache_write_1h_input_tokens", "meter:write-1h", "1h write")
READ = Meter("cache_read_input_tokens", "meter:read", "read")
OUTPUT = Meter("output_tokens", "meter:output", "output")
SEARCH = Meter("web_search_requests", "meter:search", "web search")
INPUT_METERS = (
    UNCACHED,
    WRITE_5M,
    WRITE_1H,
    READ,
)  # bottom to top of every stack, left to right of every bar
METERS = (*INPUT_METERS, OUTPUT, SEARCH)

SERIES = 8
OTHER = "other"
OTHER_ROLE = "series:other"


def assign(shown: Sequence[str], stable: Sequence[str] = ()) -> dict[str, str]:
    """A role for each name shown. A name keeps its role on every page as long as its place in `stable` keeps.

    `stable` is an order that only ever grows at its end. Two names that would share a role do not: the later one gets
    the first role that is free.
    """
    place = {name: index for index, name in enumerate(dict.fromkeys((*stable, *shown)))}
    roles: dict[str, str] = {}
    free = list(range(1, SERIES + 1))
    for name in sorted(shown, key=place.__getitem__):
        if name == OTHER:
            roles[name] = OTHER_ROLE
            continue
        wanted = place[name] % SERIES + 1
        number = wanted if wanted in free else (free[0] if free else 0)
        roles[name] = f"series:{number}" if number else OTHER_ROLE
        if number:
            free.remove(number)
    return roles


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers from at or below `low` to at or above `high`, zero among them when it lies between."""
    low, high = min(0.0, low), max(0.0, high)
    if high - low < 1e-15:  # nothing to measure, and too little for the arithmetic below
        return [0.0, 1.0]
    raw = (high - low) / about
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * size for factor in (1, 2, 2.5, 5, 10) if factor * size >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    # Through Decimal, so that 3 * 0.1 is 0.3 on the label.
    exact = Decimal(repr(step))
    return [float(exact * index) for index in range(first, last + 1)]


def value_axis(low: float, high: float, text: Callable[[float], str], about: int = 4) -> dict[str, Any]:
    """A value axis with few, round, self-written labels."""
    at = ticks(low, high, about)
    # A little air above the highest mark; an axis that ends at the next round number wastes up to half the plot.
    edges = [low * 1.08 if low < 0 else 0.0, high * 1.06 if high > 0 else (0.0 if low < 0 else 1.0)]
    at = [value for value in at if edges[0] <= value <= edges[1]]
    return {
        "range": edges,
        "tickmode": "array",
        "tickvals": at,
        "ticktext": [text(value) for value in at],
        "showgrid": True,
        "zeroline": True,
        "zerolinewidth": 1,
        "ticks": "",
        "automargin": True,
    }


def percent_axis(low: float, high: float = 1.0) -> dict[str, Any]:
    """An axis for shares, from a round value below the lowest up to 100 %."""
    at = [0.0, 0.25, 0.5, 0.75, 1.0] if low < 0.5 else [0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    return {
        "range": [at[0], max(at[-1], high)],
        "tickmode": "array",
        "tickvals": at,
        "ticktext": [numbers.percent(value, 0) for value in at],
        "showgrid": False,
        "zeroline": False,
        "ticks": "",
        "automargin": True,
    }


def bucket_axis(labels: Sequence[str], about: int = 8, edge: float = 0.5) -> dict[str, Any]:
    """A category axis of buckets that names every n-th."""
    step = max(1, math.ceil(len(labels) / about))
    named = [
        label for index, label in enumerate(labels) if index % step == (len(labels) - 1) % step % max(step, 1)
    ]
    return {
        "type": "category",
        "categoryorder": "array",
        "categoryarray": list(labels),
        "range": [-edge, max(len(labels) - 1, 0) + edge],
        "tickmode": "array",
        "tickvals": named,
        "ticktext": [label.removesuffix(SO_FAR) for label in named],
        "showgrid": False,
        "zeroline": False,
        "ticks": "",
        "tickangle": 0,
    }


SO_FAR = " so far"  # marks the unfinished bucket by name, beside its lighter colour
UNFINISHED_OPACITY = 0.45
# Name and amount; the amount's text is written by numbers.py and travels as customdata.
HOVER = "%{fullData.name}  <b>%{customdata}</b><extra></extra>"


def bucket_names(labels: Sequence[str], unfinished: bool) -> list[str]:
    """The labels, the last one marked when its bucket still runs."""
    names = list(labels)
    if unfinished and names:
        names[-1] += SO_FAR
    return names


def opacities(buckets: int, unfinished: bool) -> list[float]:
    """Bars are solid; the one that still grows is lighter."""
    full = [1.0] * buckets
    return [*full[:-1], UNFINISHED_OPACITY] if unfinished and full else full


def safe(text: str) -> str:
    """A name as figure text: Plotly reads a subset of HTML in it, and names are other people's input."""
    return html.escape(text, quote=False)


def floats(values: Iterable[Any]) -> list[float | None]:
    """Heights for drawing. The text of a value is made from the Decimal, never from this."""
    return [None if numbers.is_missing(value) else float(value) for value in values]


def line_mode(values: Sequence[Any]) -> str:
    """How a line is drawn: a point that has none beside it makes no line, so a marker shows it."""
    known = [False, *(not numbers.is_missing(value) for value in values), False]
    alone = any(
        here and not (before or after)
        for before, here, after in zip(known, known[1:], known[2:], strict=False)
    )
    return "lines+markers" if alone or len(values) < 3 else "lines"


def bar_gap(buckets: int) -> float:
    """A few bars are kept slim, or a week would look like a wall."""
    return max(0.24, 1 - buckets / 14)


def bar(**fields: Any) -> Trace:
    """A trace of bars."""
    return {"type": "bar", **fields}


def scatter(**fields: Any) -> Trace:
    """A trace of lines or areas."""
    return {"type": "scatter", **fields}


def waterfall(**fields: Any) -> Trace:
    """A trace of steps from one amount to another."""
    return {"type": "waterfall", **fields}


def figure(traces: Sequence[Trace], **layout: Any) -> Figure:
    """Traces in the frame that every figure has: small margins, our own key line instead of a legend, one hover box."""
    frame = {
        "showlegend": False,
        "hovermode": "x unified",
        "dragmode": False,
        "margin": {"l": 8, "r": 18, "t": 8, "b": 24},
    }
    return {"data": list(traces), "layout": {**frame, **layout}}
