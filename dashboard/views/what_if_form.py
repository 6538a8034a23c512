"""The sliders of the what-if page, as values for its template."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from dashboard import numbers
from dashboard.panels.base import Ask

AS_LISTED = "as listed"


@dataclass(frozen=True)
class Knob:
    """One slider. `optional` ones can be left "as listed": then they are not in the address."""

    name: str
    label: str
    hint: str
    value: str
    lowest: str
    highest: str
    step: str
    unit: str  # "%" or "×"
    optional: bool
    listed: bool
    shown: str


@dataclass(frozen=True)
class Group:
    title: str
    knobs: tuple[Knob, ...]


def knobs_of(ask: Ask) -> tuple[Group, ...]:
    """Each slider where the address puts it; a value that is no number leaves it at its start."""
    return (
        Group(
            "Batch",
            (
                _knob(
                    ask,
                    "batch_share",
                    "share sent to batch",
                    "of standard-tier traffic; nobody may be waiting for it",
                    "0",
                    "1",
                    "0.01",
                    "%",
                    None,
                ),
                _knob(
                    ask,
                    "batch_discount",
                    "batch discount",
                    "off every token price; list prices take 50 % off",
                    "0",
                    "1",
                    "0.01",
                    "%",
                    "0.5",
                ),
            ),
        ),
        Group(
            "Cache, as a multiple of the input price",
            (
                _knob(ask, "read_multiplier", "read", "mostly listed at 0.10×", "0", "1", "0.01", "×", "0.1"),
                _knob(
                    ask,
                    "write_5m_multiplier",
                    "5-minute write",
                    "mostly listed at 1.25×",
                    "0",
                    "3",
                    "0.05",
                    "×",
                    "1.25",
                ),
                _knob(
                    ask,
                    "write_1h_multiplier",
                    "1-hour write",
                    "mostly listed at 2.00×",
                    "0",
                    "3",
                    "0.05",
                    "×",
                    "2",
                ),
            ),
        ),
    )


def _knob(
    ask: Ask,
    name: str,
    label: str,
    hint: str,
    lowest: str,
    highest: str,
    step: str,
    unit: str,
    start: str | None,
) -> Knob:
    text = ask.knob(name)
    try:
        value = Decimal(text) if text else None
    except InvalidOperation:
        value = None
    if value is not None and not (value.is_finite() and Decimal(lowest) <= value <= 100):
        value = None  # refused beside the form, in words
    listed = value is None and start is not None
    at = value if value is not None else Decimal(start or "0")
    shown = AS_LISTED if listed else numbers.percent(at, 0) if unit == "%" else numbers.multiplier(at)
    return Knob(name, label, hint, f"{at:f}", lowest, highest, step, unit, start is not None, listed, shown)
