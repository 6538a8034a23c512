"""The cache figures as data."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd

from dashboard.figures import cache, theme
from tests.support.figures import drawn

LABELS = ["1 Nov", "2 Nov", "3 Nov"]


def mix(rates: list[Decimal | None], buckets: int = 3) -> pd.DataFrame:
    columns = {meter.column: [100] * buckets for meter in theme.INPUT_METERS}
    return pd.DataFrame({**columns, "token_hit_rate": rates}, dtype=object)


def test_meters_are_stacked_in_their_fixed_order_and_colours() -> None:
    figure = drawn(cache.input_by_outcome(mix([Decimal("0.25")] * 3), LABELS))
    assert [trace.meta["role"] for trace in figure.data] == [
        "meter:uncached",
        "meter:write-5m",
        "meter:write-1h",
        "meter:read",
        "line",
    ]
    assert [trace.stackgroup for trace in figure.data[:4]] == ["input"] * 4


def test_the_hit_rate_has_its_own_axis_of_percents() -> None:
    figure = drawn(cache.input_by_outcome(mix([Decimal("0.25"), None, Decimal("0.5")]), LABELS))
    line = figure.data[-1]
    assert line.yaxis == "y2" and list(line.y) == [0.25, None, 0.5]
    assert figure.layout.yaxis2.ticktext[-1] == "100 %"


def test_one_bucket_is_drawn_as_a_bar_because_it_has_no_area() -> None:
    figure = drawn(cache.input_by_outcome(mix([Decimal("0.25")], 1), ["1 Nov"]))
    assert [trace.type for trace in figure.data[:4]] == ["bar"] * 4
    assert figure.data[-1].mode == "lines+markers"


def test_a_bucket_without_input_leaves_a_gap_in_the_rate() -> None:
    frame = pd.DataFrame({"opus": [Decimal("0.9"), None, Decimal("0.8")]}, dtype=object)
    figure = drawn(cache.hit_rates_over_time(frame, LABELS, {"opus": "series:1"}, "token_hit_rate"))
    assert list(figure.data[0].y) == [0.9, None, 0.8]
    assert figure.data[0].connectgaps is False


def test_savings_point_up_premiums_down_and_the_net_is_the_line() -> None:
    saved, premium = [Decimal(10), Decimal(1), None], [Decimal(2), Decimal(3), None]
    figure = drawn(cache.saving_over_time(saved, premium, [Decimal(8), Decimal(-2), None], LABELS))
    assert [trace.name for trace in figure.data] == ["saved by reads", "write premium", "net saving"]
    assert list(figure.data[0].y) == [10.0, 1.0, None]
    assert list(figure.data[1].y) == [-2.0, -3.0, None]
    assert list(figure.data[2].y) == [8.0, -2.0, None]
    assert figure.layout.yaxis.range[0] < -3
