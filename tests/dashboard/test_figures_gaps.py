"""The figures over gaps and causes as data."""

from __future__ import annotations

from decimal import Decimal

from dashboard import numbers
from dashboard.figures import causes, gaps, theme
from ingest.core.cache.causes import CAUSES, GROWTH, LAPSE, UNKNOWN
from tests.support.figures import drawn

D = Decimal
POINTS = [gaps.Point(10, 0.1, D(9)), gaps.Point(300, 0.8, D(4)), gaps.Point(86_400, 0.9, D("4.5"))]
BARS = [gaps.Bar(180, 300, 70, D(0)), gaps.Bar(300, 480, 20, D("2.5")), gaps.Bar(3600, 7200, 10, D(1))]


def test_the_axis_is_logarithmic_with_marks_at_what_is_sold() -> None:
    figure = drawn(gaps.ttl_curve(POINTS))
    axis = figure.layout.xaxis
    assert dict(zip(axis.ticktext, axis.tickvals, strict=True))["5 min"] == gaps.place(300)
    assert [shape.x0 for shape in figure.layout.shapes] == [gaps.place(300), gaps.place(3600)]
    assert gaps.place(3600) - gaps.place(360) == 1


def test_the_curve_has_the_rate_on_the_left_and_money_on_the_right() -> None:
    rate, cost = drawn(gaps.ttl_curve(POINTS)).data
    assert (rate.yaxis, list(rate.y), rate.customdata[1]) == ("y", [0.1, 0.8, 0.9], "80.0 % at 5 min")
    assert (cost.yaxis, list(cost.y), cost.customdata[1]) == ("y2", [9.0, 4.0, 4.5], "$4.00 at 5 min")


def test_bars_are_as_wide_as_their_gaps_and_coloured_by_what_would_keep_them() -> None:
    bars, line = drawn(gaps.rewrites(BARS, [0.7, 0.9, 1.0])).data
    assert list(bars.y) == [0.0, 2.5, 1.0]
    assert bars.width[2] > bars.width[1] * 1.4  # twice as long against 1.6 times
    assert bars.meta["roles"] == ["meter:write-5m", "meter:write-5m", "meter:write-1h"]
    assert list(line.y) == [0.7, 0.9, 1.0] and line.yaxis == "y2"


def test_gaps_are_named_in_words() -> None:
    assert [gaps.bar_name(bar) for bar in (gaps.Bar(0, 10, 0, D(0)), BARS[1], BARS[2])] == [
        "under 10 s",
        "5 min – 8 min",
        "1 h – 2 h",
    ]


def test_seconds_are_told_in_the_largest_unit_that_fits() -> None:
    told = [numbers.seconds(count) for count in (0, 45, 60, 90, 3600, 5400, 86_400, 172_800, 0.25)]
    assert told == ["0 s", "45 s", "1 min", "1.5 min", "1 h", "1.5 h", "1 day", "2 days", "0.2 s"]


def test_every_cause_has_a_colour_of_its_own() -> None:
    assert set(causes.ROLES) == set(CAUSES)
    assert len(set(causes.ROLES.values())) == len(CAUSES)
    assert "meter:read" not in causes.ROLES.values()  # reads keep theirs in a timeline


def test_causes_are_stacked_in_one_order_whatever_order_they_come_in() -> None:
    figure = drawn(
        causes.over_time({UNKNOWN: [D(1), D(0)], GROWTH: [D(2), D(3)]}, ["1 Nov", "2 Nov"], unfinished=True)
    )
    assert [trace.name for trace in figure.data] == [GROWTH, UNKNOWN]
    assert figure.layout.barmode == "stack" and figure.layout.yaxis.range[1] > 3
    assert figure.data[0].x[1] == f"2 Nov{theme.SO_FAR}"


def test_a_timeline_stacks_what_was_read_written_and_sent_plain() -> None:
    figure = drawn(causes.chain([5, 0], [1, 1], {LAPSE: [0, 5]}, ["#1", "#2"]))
    assert [(trace.name, list(trace.y)) for trace in figure.data] == [
        ("read", [5, 0]),
        (LAPSE, [0, 5]),
        ("uncached", [1, 1]),
    ]
