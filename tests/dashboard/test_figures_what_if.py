"""The waterfall as data."""

from __future__ import annotations

from decimal import Decimal

from dashboard.figures import what_if
from tests.support.figures import drawn


def test_the_waterfall_goes_from_observed_to_scenario_in_the_order_given() -> None:
    figure = drawn(
        what_if.steps(Decimal(100), [("batch", Decimal(-30)), ("cache reads", Decimal(5))], Decimal(75))
    )
    trace = figure.data[0]
    assert list(trace.x) == ["observed", "batch", "cache reads", "scenario"]
    assert list(trace.measure) == ["absolute", "relative", "relative", "total"]
    assert list(trace.y) == [100.0, -30.0, 5.0, 75.0]
    assert list(trace.text) == ["$100", "−$30.00", "+$5.00", "$75.00"]


def test_a_knob_that_changes_nothing_says_so() -> None:
    figure = drawn(what_if.steps(Decimal(100), [("batch", Decimal(0))], Decimal(100)))
    assert figure.data[0].text[1] == "no change"
