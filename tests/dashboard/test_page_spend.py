"""Spend: one grouping, drawn and tabled from the same data, and its CSV."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

import pytest
from django.test import Client

from tests.support.builders import make_event, settle
from tests.support.pages import RANGE, body_of, signed_in, stat, table_rows, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    settle(
        [
            make_event(
                "a",
                uncached_input_tokens=1_000_000,
                output_tokens=0,
                workspace_id="search",
                tags=(("team", "x"),),
            ),
            make_event("b", uncached_input_tokens=2_000_000, output_tokens=0, workspace_id="support"),
            make_event(
                "c", model="mystery-1", uncached_input_tokens=700, output_tokens=0, workspace_id="lab"
            ),
        ]
    )
    return signed_in()


def csv_of(client: Client, query: str) -> list[dict[str, str]]:
    answer = client.get(f"/spend/?{RANGE}&format=csv&{query}")
    assert answer.status_code == 200 and answer["Content-Type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(body_of(answer))))


def test_the_total_row_equals_the_card(client: Client) -> None:
    total = table_rows(client.get(f"/panels/spend-table/?{RANGE}&group_by=workspace_id"))[-1]
    assert (
        total[:2]
        == ["total", stat(client.get(f"/panels/headline/?{RANGE}"), "List cost")]
        == ["total", "$9.00"]
    )


def test_rows_come_dearest_first_and_what_has_no_price_last_by_name(client: Client) -> None:
    rows = table_rows(client.get(f"/panels/spend-table/?{RANGE}&group_by=workspace_id"))
    assert [row[:2] for row in rows[1:-1]] == [
        ["support", "$6.00"],
        ["search", "$3.00"],
        ["lab no price", "unpriced"],
    ]


def test_a_column_head_sorts_by_link(client: Client) -> None:
    rows = table_rows(
        client.get(f"/panels/spend-table/?{RANGE}&group_by=workspace_id&sort=workspace_id&page=spend")
    )
    assert [row[0] for row in rows[1:-1]] == ["lab no price", "search", "support"]
    rows = table_rows(
        client.get(f"/panels/spend-table/?{RANGE}&group_by=workspace_id&sort=list_cost&page=spend")
    )
    assert [row[0] for row in rows[1:-1]] == ["search", "support", "lab no price"]


def test_a_row_leads_to_the_page_filtered_by_it(client: Client) -> None:
    body = client.get(f"/panels/spend-table/?{RANGE}&group_by=workspace_id&page=spend").content.decode()
    assert (
        "/spend/?start=2026-03-01&amp;end=2026-03-04&amp;compare=1&amp;group_by=workspace_id&amp;workspace_id=search"
        in body
    )


def test_the_csv_is_what_is_shown_with_exact_amounts_and_its_context(client: Client) -> None:
    rows = csv_of(client, "group_by=workspace_id&workspace_id=search&workspace_id=lab")
    assert [row["workspace_id"] for row in rows] == ["search", "lab", "total"]
    assert Decimal(rows[0]["list_cost"]) == 3 and rows[1]["list_cost"] == ""
    assert rows[1]["unpriced_tokens"] == "700"
    for row in rows:
        assert row["filters"] == "workspace_id=lab; workspace_id=search"
        assert row["zone"] == "UTC" and row["price_version"]
        assert row["range_start"] == "2026-03-01T00:00:00+00:00"


@pytest.mark.parametrize(
    "dimension",
    [
        "model",
        "provider",
        "platform",
        "service_tier",
        "speed",
        "inference_geo",
        "workspace_id",
        "api_key_id",
        "user_id",
        "source",
        "session_id",
        "meter",
        "tag:team",
        "tag:never seen",
    ],
)
def test_one_can_group_by_any_dimension(client: Client, dimension: str) -> None:
    page = client.get(
        "/spend/", {"start": "2026-03-01", "end": "2026-03-04", "group_by": dimension, "inline": "1"}
    )
    assert page.status_code == 200
    assert stat_total(page) == "$9.00"


def stat_total(page: object) -> str:
    return [row for row in table_rows(page) if row and row[0] == "total"][-1][1]


def test_meters_show_quantities_and_unit_prices(client: Client) -> None:
    rows = table_rows(client.get(f"/panels/spend-table/?{RANGE}&group_by=meter"))
    assert rows[1][0].startswith("uncached") and rows[1][-1] == "$3.00 / M"


def test_long_tables_are_cut_on_the_page_with_a_word_and_never_in_the_csv() -> None:
    settle([make_event(f"e{number}", user_id=f"user-{number:04}") for number in range(510)])
    client = signed_in()
    text = text_of(client.get(f"/panels/spend-table/?{RANGE}&group_by=user_id"))
    assert "The first 500 rows are shown; the total and the CSV have all 510." in text
    assert len(csv_of(client, "group_by=user_id")) == 511
