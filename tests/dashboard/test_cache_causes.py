"""GET /api/v1/cache/causes: every written token has one cause, and the causes add up to the bill."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dashboard.filters import FilterError, Filters
from dashboard.queries import causes
from dashboard.queries.causes import block_name, block_of
from dashboard.reports import kinds
from ingest.auth import create_key
from ingest.core.cache.causes import CAUSES
from ingest.core.events import PrefixBlock, UsageEvent
from tests.support.builders import settle
from tests.support.cache_page import call

pytestmark = pytest.mark.django_db
D = Decimal
Ask = Callable[..., Any]
MILLION = 1_000_000
HAIKU = "claude-haiku-4-5-20251001"  # 1 USD a million uncached, 0.10 read, 1.25 and 2 written


@pytest.fixture
def ask(client: Client) -> Ask:
    key = create_key("reader", "read")[1]

    def call(query: str = "", status: int = 200) -> Any:
        answer = client.get(f"/api/v1/cache/causes?{query}", headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == status, answer.content
        return answer.json()

    return call


def by_hand() -> list[UsageEvent]:
    """Written cold, read after 2 minutes, lapsed after 15, lapsed after more than an hour."""
    return [call(1, 0), call(2, 120, write=0, read=MILLION), call(3, 1000), call(4, 9000)]


def by_cause(rows: list[dict[str, Any]]) -> dict[str, tuple[int, Decimal, Decimal]]:
    return {
        row["cause"]: (row["tokens"], D(row["list_cost"]), D(row["extra_cost"]))
        for row in rows
        if row["tokens"]
    }


def test_causes_of_one_prefix_by_hand(ask: Ask) -> None:
    settle(by_hand())
    body = ask("grain=total")
    each = (MILLION, D("1.25"), D("1.15"))  # a million written at 1.25 rather than read at 0.10
    assert by_cause(body["causes"]) == {
        "cold start": each,
        "lapse 5-60 min": each,
        "lapse over 60 min": each,
    }
    assert (body["basis"], body["requests"], body["sampled"], body["rows"]) == ("exact", 4, "1", [])
    bill = {name: D(value) for name, value in body["input"].items()}
    assert (bill["read_list_cost"], bill["write_list_cost"]) == (D("0.1"), D("3.75"))
    assert bill["input_list_cost"] == D("3.85")


def test_every_cause_is_listed_so_that_unknown_stays_visible(ask: Ask) -> None:
    settle(by_hand())
    assert {row["cause"] for row in ask()["causes"]} == set(CAUSES)


def test_days_are_those_of_the_reporting_zone(ask: Ask, settings: Any) -> None:
    settings.REPORTING_TIME_ZONE = "Asia/Tokyo"
    settle([call(1, 0), call(2, 6 * 3600)])  # 19:00 on 2 March and 01:00 on 3 March in Tokyo
    rows = ask("grain=day")["rows"]
    assert [(row["bucket_start"], row["cause"]) for row in rows] == [
        ("2026-03-02T00:00:00+09:00", "cold start"),
        ("2026-03-03T00:00:00+09:00", "lapse over 60 min"),
    ]
    assert {row["bucket_start"] for row in ask("grain=month")["rows"]} == {"2026-03-01T00:00:00+09:00"}


def test_a_long_log_is_told_by_months_where_nobody_said_a_grain(ask: Ask) -> None:
    day = 86_400
    settle([call(1, 0), call(2, 99 * day)])
    assert ask()["grain"] == "day"
    settle([call(3, 100 * day)])
    assert ask()["grain"] == "month"


@pytest.mark.parametrize(
    ("query", "field"),
    [("grain=hour", "grain"), ("meter=output_tokens", "meter"), ("ttl=300", "ttl"), ("grain=year", "grain")],
)
def test_what_cannot_be_asked_is_refused_by_name(ask: Ask, query: str, field: str) -> None:
    assert ask(query, status=422)["error"]["field"] == field


def test_nothing_in_the_range_is_an_answer_too(ask: Ask) -> None:
    body = ask("start=2026-03-01&end=2026-04-01")
    assert (body["requests"], body["rows"], body["dearest"]) == (0, [], [])
    assert D(body["input"]["input_list_cost"]) == 0


def test_models_without_a_price_are_named_and_left_out(ask: Ask) -> None:
    settle([call(1, 0), call(2, 60, model="mystery-9", provider="", platform="")])
    body = ask()
    assert (body["requests"], [row["model"] for row in body["unpriced"]]) == (1, ["mystery-9"])


def test_the_dearest_requests_name_their_session_and_new_tokens_are_not_among_them(ask: Ask) -> None:
    settle(by_hand())
    found = ask()["dearest"]
    assert {(row["session_id"], row["workspace_id"], row["cause"]) for row in found} == {
        ("s", "w", "lapse 5-60 min"),
        ("s", "w", "lapse over 60 min"),
    }
    assert [D(row["extra_cost"]) for row in found] == [D("1.15"), D("1.15")]
    assert found[0]["occurred_at"].endswith("Z")


def test_sessions_and_prefixes_are_ranked_by_what_writing_again_cost() -> None:
    settle(
        [
            *by_hand(),
            call(5, 0, session_id="t", prefix=(PrefixBlock("b", MILLION),)),
            call(6, 400, session_id="t", prefix=(PrefixBlock("b", MILLION),)),
            call(7, 500, session_id="u", prefix=(PrefixBlock("b", MILLION),), write=0, read=MILLION),
            call(8, 0, session_id="", prefix=()),
        ]
    )
    found = causes.causes(Filters())
    assert [(each.name, each.requests, each.extra_cost) for each in found.sessions_dearest] == [
        ("s", 4, D("2.3")),
        ("t", 2, D("1.15")),
    ]
    first, second = found.prefixes_dearest
    assert (first.sessions, second.sessions, second.requests) == (1, 2, 3)
    assert (first.prefix_tokens, first.model, first.workspace_id) == (MILLION, HAIKU, "w")
    assert block_of(first.name) != block_of(second.name)


def test_the_same_block_in_two_workspaces_is_two_prefixes() -> None:
    settle(
        [
            call(n, seconds, workspace_id=space, session_id=space)
            for n, (seconds, space) in enumerate([(0, "v"), (400, "v"), (0, "w"), (800, "w")])
        ]
    )
    found = causes.causes(Filters()).prefixes_dearest
    assert [(each.workspace_id, each.sessions) for each in found] == [("v", 1), ("w", 1)]


def test_the_stored_report_is_json_and_says_the_same_as_the_call(ask: Ask) -> None:
    settle(by_hand())
    body = json.loads(json.dumps(kinds.causes(Filters())))
    called = ask()
    assert {name: body[name] for name in ("causes", "rows", "input", "dearest")} == {
        name: called[name] for name in ("causes", "rows", "input", "dearest")
    }
    assert body["sessions"][0]["start"] == "2026-03-02T10:00:00Z"


def test_long_prompts_are_priced_as_billed(ask: Ask, client: Client) -> None:
    settle([call(1, 0, model="claude-sonnet-4-5-20250929", prompt_step_tokens=MILLION)])
    body = ask()
    assert D(body["input"]["input_list_cost"]) == D("7.5")  # twice 3.75 above 200,000 tokens


@given(number=st.integers(-(2**63), 2**63 - 1))
def test_the_name_of_a_block_is_its_number(number: int) -> None:
    assert block_of(block_name(number)) == number


@pytest.mark.parametrize(
    "name", ["", "xyz", "0" * 15, "0" * 17, "G" * 16, "ABCDEF0123456789", "0x00000000000000"]
)
def test_what_is_no_block_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="16 hexadecimal digits"):
        block_of(name)


@hypothesis_settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(
        st.tuples(
            st.integers(0, 9000),
            st.sampled_from(["s", "t", ""]),
            st.sampled_from([HAIKU, "claude-opus-4-6"]),
            st.integers(0, 50_000),
            st.integers(0, 50_000),
            st.booleans(),
        ),
        min_size=1,
        max_size=12,
    ),
    seed=st.integers(0, 10**9),
)
def test_tokens_and_dollars_add_up_whatever_the_log(
    steps: list[tuple[int, str, str, int, int, bool]], seed: int
) -> None:
    seconds, events = 0.0, []
    for number, (gap, session, model, write, hour, listed) in enumerate(steps):
        seconds += gap
        events.append(
            call(
                seed * 100 + number,
                seconds,
                write=write,
                session_id=session,
                model=model,
                cache_write_1h_input_tokens=hour,
                uncached_input_tokens=number,
                prefix=(PrefixBlock("a", 30_000), PrefixBlock(f"b{number % 3}", 50_000)) if listed else (),
            )
        )
    settle(events)
    found = causes.causes(Filters())
    bill = found.bill
    assert sum(each.tokens for each in found.causes) == bill.written_tokens
    assert sum(each.write_cost for each in found.causes) == bill.write_cost
    assert bill.uncached_cost + bill.read_cost + bill.write_cost == bill.input_list_cost
    assert sum(each.tokens for each in found.rows) == bill.written_tokens
    assert sum(each.write_cost for each in found.rows) == bill.write_cost
    assert sum(each.extra_cost for each in found.rows) == sum(each.extra_cost for each in found.causes)


def test_an_hour_is_no_grain_of_causes() -> None:
    with pytest.raises(FilterError, match="total, day, month"):
        causes.causes(Filters(grain="hour"))


def test_times_of_the_report_are_utc() -> None:
    settle(by_hand())
    found = causes.causes(Filters())
    assert found.sessions_dearest[0].start == datetime(2026, 3, 2, 10, tzinfo=UTC)
