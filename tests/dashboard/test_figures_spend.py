"""The cost figure as data."""

from __future__ import annotations

import json
from decimal import Decimal

import pandas as pd

from dashboard.figures import spend, theme
from tests.support.figures import drawn

FRAME = pd.DataFrame({"opus": [Decimal(3), Decimal(5)], "haiku": [Decimal("0.5"), Decimal(0)]}, dtype=object)
ROLES = {"opus": "series:1", "haiku": "series:2"}
LABELS = ["1 Nov", "2 Nov"]


def test_groups_are_stacked_in_order_with_the_total_and_the_period_before_on_top() -> None:
    figure = drawn(spend.cost_over_time(FRAME, LABELS, ROLES, previous=[Decimal(2)]))
    assert [trace.name for trace in figure.data] == ["opus", "haiku", "total", "period before"]
    assert [trace.meta["role"] for trace in figure.data] == ["series:1", "series:2", "line", "previous"]
    assert figure.layout.barmode == "stack"
    assert list(figure.data[2].y) == [3.5, 5.0]
    assert list(figure.data[3].y) == [2.0, None]


def test_without_a_period_before_there_is_no_line_for_it() -> None:
    assert len(drawn(spend.cost_over_time(FRAME, LABELS, ROLES)).data) == 3


def test_the_unfinished_bucket_is_lighter_and_says_so() -> None:
    figure = drawn(spend.cost_over_time(FRAME, LABELS, ROLES, unfinished=True))
    assert list(figure.data[0].x) == ["1 Nov", "2 Nov so far"]
    assert list(figure.data[0].marker.opacity) == [1.0, theme.UNFINISHED_OPACITY]
    assert list(figure.layout.xaxis.ticktext)[-1] == "2 Nov"


def test_amounts_travel_as_exact_text_beside_the_height() -> None:
    assert list(drawn(spend.cost_over_time(FRAME, LABELS, ROLES)).data[1].customdata) == ["$0.50", "$0.00"]


def test_a_period_before_that_is_longer_is_cut_at_this_ones_end() -> None:
    figure = drawn(spend.cost_over_time(FRAME, LABELS, ROLES, previous=[Decimal(1)] * 5))
    assert len(figure.data[3].y) == 2


def test_the_figure_holds_no_colour() -> None:
    text = json.dumps(spend.cost_over_time(FRAME, LABELS, ROLES, previous=[Decimal(2)]))
    assert "#" not in text and "rgb" not in text and '"color"' not in text


def test_the_dearest_bucket_and_the_period_before_fit_on_the_axis() -> None:
    figure = drawn(spend.cost_over_time(FRAME, LABELS, ROLES, previous=[Decimal(40)]))
    assert figure.layout.yaxis.range[1] >= 40
