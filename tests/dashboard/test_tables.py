"""Tables as values, and their CSV."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

from hypothesis import example, given
from hypothesis import strategies as st

from dashboard import tables


def small_table(name: str = "claude-sonnet-4-6") -> tables.Table:
    columns = (
        tables.Column("model", "model", text=True),
        tables.Column("list_cost", "list cost"),
        tables.Column("_mix", "mix"),
    )
    row = tables.Row(
        (
            tables.name_cell(name),
            tables.money_cell(Decimal("0.000000123456789")),
            tables.bar_cell([("meter:read", "read", 1)]),
        )
    )
    total = tables.Row(
        (tables.Cell("total", "total"), tables.money_cell(Decimal("0.000000123456789")), tables.Cell())
    )
    return tables.Table("small", columns, (row,), total, {"zone": "UTC"})


def read(table: tables.Table) -> list[list[str]]:
    return list(csv.reader(io.StringIO("".join(table.csv_lines()))))


def test_the_csv_holds_exact_amounts_and_says_where_they_come_from() -> None:
    assert read(small_table()) == [
        ["model", "list_cost", "zone"],
        ["claude-sonnet-4-6", "0.000000123456789", "UTC"],
        ["total", "0.000000123456789", "UTC"],
    ]


@example("NaN")
@given(st.text(min_size=1).filter(lambda text: "\x00" not in text and not text.isspace()))
def test_any_name_survives_the_csv_in_one_field(name: str) -> None:
    field = read(small_table(name))[1][0]
    assert field.removeprefix("'").replace("\r\n", "\n").replace("\r", "\n") == name.removeprefix(
        "'"
    ).replace("\r\n", "\n").replace("\r", "\n")


def test_a_name_that_a_spreadsheet_would_run_is_quoted() -> None:
    assert read(small_table('=HYPERLINK("x")'))[1][0] == '\'=HYPERLINK("x")'


def test_what_has_no_price_is_named_and_is_empty_in_the_csv() -> None:
    cell = tables.money_cell(None, unpriced=True)
    assert (cell.text, cell.raw) == ("unpriced", None)


def test_dearer_is_worse_and_a_better_hit_rate_is_better() -> None:
    assert tables.change_cell(Decimal(106), Decimal(100)).tone == "worse"
    assert tables.change_cell(Decimal(94), Decimal(100)).tone == "better"
    assert tables.change_cell(Decimal(100), Decimal(100)).tone == ""
    assert tables.points_cell(Decimal("0.8"), Decimal("0.7")).tone == "better"
    assert tables.points_cell(Decimal("0.6"), Decimal("0.7")).tone == "worse"


@given(st.lists(st.integers(min_value=0, max_value=10**12), min_size=1, max_size=6))
def test_the_stretches_of_a_bar_fill_it_without_overlap(quantities: list[int]) -> None:
    cell = tables.bar_cell([("meter:read", "read", quantity) for quantity in quantities])
    if sum(quantities) == 0:
        assert not cell.segments
        return
    end = 0.0
    for segment in cell.segments:
        assert abs(segment.start - end) < 0.01
        end = segment.start + segment.width
    assert abs(end - 100) < 0.01


def test_columns_that_only_draw_are_not_in_the_csv() -> None:
    assert "_mix" not in read(small_table())[0]
