"""GET /api/v1/costs and /api/v1/cache as a client sees them."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.http.response import HttpResponseBase
from django.test import Client

from ingest.auth import create_key
from tests.support.builders import at, make_event, send, settle

pytestmark = pytest.mark.django_db
VECTORS = Path(__file__).parents[3] / "shared" / "try" / "vectors.json"


@pytest.fixture
def ask(client: Client) -> Any:
    key = create_key("reader", "read")[1]

    def call(path: str, query: str = "", **headers: str) -> HttpResponseBase:
        return client.get(f"/api/v1/{path}?{query}", headers={"Authorization": f"Bearer {key}", **headers})

    return call


def world() -> None:
    settle(
        [
            make_event(
                "a",
                workspace_id="search",
                tags=(("team", "red"),),
                session_id="s1",
                cache_read_input_tokens=900,
            ),
            make_event("b", occurred_at=at(days=1), model="claude-opus-4-6", web_search_requests=1),
            make_event("c", occurred_at=at(days=1), model="mystery-9", provider="", platform=""),
        ]
    )


def test_rows_name_their_dimensions_by_the_words_used_to_ask(ask: Any) -> None:
    world()
    body = ask("costs", "start=2026-03-01&end=2026-04-01&grain=day&group_by=model&group_by=tag:team").json()
    assert body["rows"][0] == {
        "bucket_start": "2026-03-02T00:00:00Z",
        "model": "claude-sonnet-4-6",
        "tag:team": "red",
        "requests": 1,
        "uncached_input_tokens": 100,
        "cache_read_input_tokens": 900,
        "cache_write_5m_input_tokens": 0,
        "cache_write_1h_input_tokens": 0,
        "output_tokens": 10,
        "thinking_tokens": 0,
        "web_search_requests": 0,
        "list_cost": "0.00072",
        "unpriced_requests": 0,
        "unpriced_tokens": 0,
    }
    assert [(row["model"], row["tag:team"], row["list_cost"]) for row in body["rows"][1:]] == [
        ("claude-opus-4-6", None, "0.01075"),
        ("mystery-9", None, None),
    ]
    assert (body["totals"]["requests"], body["totals"]["list_cost"]) == (3, "0.01147")
    assert [(each["model"], each["requests"], each["output_tokens"]) for each in body["unpriced"]] == [
        ("mystery-9", 1, 10)
    ]
    assert body["freshness"]["up_to_date"] is True


def test_freshness_admits_what_is_not_counted_yet(ask: Any) -> None:
    send([make_event("a")])
    body = ask("costs").json()
    assert (body["totals"]["requests"], body["rows"]) == (0, [])
    assert body["freshness"]["up_to_date"] is False
    assert body["freshness"]["oldest_pending_bucket"] == "2026-03-02T10:00:00Z"


@pytest.mark.parametrize("path", ["costs", "cache"])
@pytest.mark.parametrize(
    "query",
    [
        "group_by=model&group_by=tag:team&grain=hour",
        "group_by=session_id",
        "group_by=workspace_id&grain=month",
        "start=2020-01-01&end=2020-01-02",
        "start=2026-03-02T10:00:00Z&end=2026-03-03T10:30:00Z&grain=hour",
    ],
)
def test_csv_is_the_rows_of_the_json(ask: Any, path: str, query: str) -> None:
    world()
    rows = ask(path, query).json()["rows"]
    answer = ask(path, f"{query}&format=csv")
    text = b"".join(answer.streaming_content).decode()
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert list(csv.DictReader(io.StringIO(text))) == [
        {name: "" if value is None else str(value) for name, value in row.items()} for row in rows
    ]
    assert answer.headers["X-Breakeven-Rows"] == str(len(rows))


def test_money_is_plain_exact_digits(ask: Any) -> None:
    settle(
        [
            make_event(
                "small",
                model="claude-haiku-5-5",
                uncached_input_tokens=0,
                output_tokens=0,
                cache_read_input_tokens=1,
            ),
            make_event("round", model="claude-opus-4-6", uncached_input_tokens=10**9, output_tokens=0),
        ]
    )
    rows = {row["model"]: row["list_cost"] for row in ask("costs", "group_by=model").json()["rows"]}
    assert rows == {"claude-haiku-5-5": "0.00000001", "claude-opus-4-6": "5000"}


def test_cache_rates_are_decimal_strings_or_null(ask: Any) -> None:
    world()
    body = ask("cache", "group_by=model").json()
    sonnet = next(row for row in body["rows"] if row["model"] == "claude-sonnet-4-6")
    assert {
        name: sonnet[name]
        for name in ("token_hit_rate", "request_hit_rate", "reads_per_write", "cache_saving")
    } == {
        "token_hit_rate": "0.9",
        "request_hit_rate": "1",
        "reads_per_write": None,
        "cache_saving": "0.00243",
    }
    assert body["totals"]["requests_with_read"] == 1
    assert [each["model"] for each in body["unpriced"]] == ["mystery-9"]


@pytest.mark.parametrize("path", ["costs", "cache"])
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("group_by=colour", "group_by"),
        ("start=2026-03-02&end=2026-03-02", "end"),
        ("start=soon", "start"),
        ("grain=week", "grain"),
        ("format=xml", "format"),
        ("modle=x", "modle"),
        ("user_id=%00", "user_id"),
    ],
)
def test_bad_parameters_are_refused_in_the_one_error_shape(
    ask: Any, path: str, query: str, field: str
) -> None:
    answer = ask(path, query)
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "field"}
    assert error["field"] == field
    assert error["message"]


def test_reading_needs_a_key_that_may_read(client: Client) -> None:
    assert client.get("/api/v1/costs").status_code == 401
    for scope, status in (("ingest", 403), ("read", 200), ("admin", 200)):
        headers = {"Authorization": f"Bearer {create_key(scope, scope)[1]}"}
        assert client.get("/api/v1/costs", headers=headers).status_code == status, scope
        assert client.get("/api/v1/cache", headers=headers).status_code == status, scope


def test_a_question_costs_a_fixed_number_of_statements(ask: Any, django_assert_max_num_queries: Any) -> None:
    world()
    with django_assert_max_num_queries(
        3 * 4 + 2
    ):  # key; freshness, lanes, costs: savepoint, settings, query, release
        ask("costs", "group_by=model&group_by=tag:team&grain=day")


@pytest.mark.skipif(not VECTORS.exists(), reason="the published price vectors are not beside this checkout")
def test_published_price_vectors_are_exact_to_the_last_digit(ask: Any, client: Client) -> None:
    cases = json.loads(VECTORS.read_text())
    key = create_key("sender", "ingest")[1]
    sent = client.post(
        "/api/v1/events",
        data=json.dumps([case["event"] for case in cases]),
        content_type="application/json",
        headers={"Authorization": f"Bearer {key}"},
    )
    assert sent.json()["rejected"] == []
    settle()
    rows = {row["tag:case"]: row["list_cost"] for row in ask("costs", "group_by=tag:case").json()["rows"]}
    assert {name: Decimal(usd) for name, usd in rows.items()} == {
        case["case"]: Decimal(case["usd"]) for case in cases
    }
