"""GET /api/v1/cache/policies: stored requests replayed, against arithmetic by hand."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from dashboard.filters import Filters
from dashboard.queries import replayed, request_log
from ingest.auth import create_key
from ingest.core.events import PrefixBlock, UsageEvent
from tests.support.builders import at, make_event, settle

pytestmark = pytest.mark.django_db
D = Decimal
Ask = Callable[..., Any]


@pytest.fixture
def ask(client: Client) -> Ask:
    key = create_key("reader", "read")[1]

    def call(query: str = "", status: int = 200) -> Any:
        answer = client.get(f"/api/v1/cache/policies?{query}", headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == status, answer.content
        return answer.json()

    return call


def call(number: int, seconds: float, **fields: Any) -> UsageEvent:
    """A call of 1,000,000 tokens, all of them one prefix, written for 5 minutes; its answer begins at once."""
    defaults: dict[str, Any] = {
        "occurred_at": at(seconds=seconds),
        "uncached_input_tokens": 0,
        "cache_write_5m_input_tokens": 1_000_000,
        "session_id": "s",
        "workspace_id": "w",
        "ttft_ms": 0,
        "prefix": (PrefixBlock("a", 1_000_000),),
    }
    return make_event(f"c{number}", **{**defaults, **fields})


def by_hand() -> list[UsageEvent]:
    """One prefix at 0, 120, 1000 and 9000 s: gaps of 120, 880 and 8000. Haiku 4.5: 1 USD a million."""
    times = (0, 120, 1000, 9000)
    return [call(n, at_s, model="claude-haiku-4-5-20251001") for n, at_s in enumerate(times)]


def test_policies_and_floors_of_one_prefix_by_hand(ask: Ask) -> None:
    settle(by_hand())
    body = ask("start=2026-03-01&end=2026-04-01&policy=none&policy=5m&policy=1h&policy=5m%2B2pings")
    costs = {row["policy"]: D(row["input_list_cost"]) for row in body["policies"]}
    # 5m+2pings bridges 880 s with two pings (600 + 300 s) and pings twice in vain after 1000 and after 9000.
    assert costs == {"none": D(4), "5m": D("3.85"), "1h": D("4.2"), "5m+2pings": D("3.3")}
    assert {name: D(cost) for name, cost in body["floor"].items()} == {
        "without_pings": D("3.2"),
        "with_pings": D("2.5"),
        "never_forgets": D("1.55"),
    }
    assert (body["basis"], body["requests"], body["exact_requests"], body["sampled"]) == ("exact", 4, 4, "1")
    assert body["reuse"] is None
    assert D(body["observed"]["input_list_cost"]) == D("5")
    assert D(body["captured_share"]) == (D(4) - 5) / (D(4) - D("3.2"))  # worse than no cache at all


def test_workspaces_models_and_filters_keep_caches_apart(ask: Ask) -> None:
    settle([call(1, 0), call(2, 60, workspace_id="other"), call(3, 120, model="claude-haiku-4-5-20251001")])
    both = ask("policy=5m")
    assert both["policies"][0]["cache_read_input_tokens"] == 0
    one = ask("policy=5m&workspace_id=other")
    assert (one["requests"], D(one["policies"][0]["input_list_cost"])) == (1, D("3.75"))


def test_calls_without_a_prefix_are_estimated_and_say_so(ask: Ask) -> None:
    settle([call(1, 0, prefix=()), call(2, 60)])
    body = ask("policy=1h")
    assert (body["basis"], body["requests"], body["exact_requests"]) == ("estimated", 2, 1)
    assert (
        D(body["policies"][0]["low"])
        <= D(body["policies"][0]["input_list_cost"])
        <= D(body["policies"][0]["high"])
    )


def test_models_without_a_price_are_named_and_left_out(ask: Ask) -> None:
    settle([call(1, 0), call(2, 60, model="mystery-9", provider="", platform="")])
    body = ask("policy=5m")
    assert (body["requests"], [(row["model"], row["requests"]) for row in body["unpriced"]]) == (
        1,
        [("mystery-9", 1)],
    )


def test_long_prompts_cost_their_premium_beside_the_comparison(ask: Ask) -> None:
    long = call(1, 0, model="claude-sonnet-4-5-20250929", prompt_step_tokens=1_000_000)
    settle([long])
    body = ask("policy=5m")
    assert D(body["observed"]["input_list_cost"]) == D("3.75")
    assert D(body["observed"]["prompt_step_premium"]) == D("3.75")  # twice the price above 200,000 tokens


def test_nothing_in_the_range_is_an_answer_too(ask: Ask) -> None:
    body = ask("start=2026-03-01&end=2026-04-01")
    assert (body["requests"], body["captured_share"], body["floor"]["with_pings"]) == (0, None, "0")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("policy=6m", "policy"),
        ("policy=5m%2B0pings", "policy"),
        ("meter=output_tokens", "meter"),
        ("polcy=5m", "polcy"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(ask: Ask, query: str, field: str) -> None:
    assert ask(query, status=422)["error"]["field"] == field


def test_too_many_requests_are_answered_from_the_same_sessions_every_time() -> None:
    settle(
        [
            call(n, n, session_id=f"s{n % 40}", prefix=(PrefixBlock(f"p{n % 40}", 1_000_000),))
            for n in range(200)
        ]
    )
    everything = request_log.load(Filters(), 200)
    some = request_log.load(Filters(), 100)
    again = request_log.load(Filters(), 100)
    assert (everything.sampled, len(everything.log)) == (D(1), 200)
    assert some.sampled == D("0.5")
    assert 0 < len(some.log) < 200
    assert some.event_key.tolist() == again.event_key.tolist()
    kept = set(some.session_key.tolist())
    assert sum(key in kept for key in everything.session_key.tolist()) == len(some.log)  # whole sessions


def test_an_answer_is_remembered_until_the_data_change(monkeypatch: pytest.MonkeyPatch) -> None:
    settle(by_hand())
    loads: list[int] = []
    real = request_log.load

    def counted(*given: Any) -> request_log.RequestLog:
        loads.append(1)
        return real(*given)

    monkeypatch.setattr(request_log, "load", counted)
    replayed.policies(Filters())
    replayed.policies(Filters())
    assert len(loads) == 1
    settle([call(9, 20_000)])
    replayed.policies(Filters())
    assert len(loads) == 2
