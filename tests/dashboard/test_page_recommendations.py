"""The recommendations page and call: from stored requests to cards, decisions, and what came of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from dashboard.models import Recommendation
from dashboard.reports import kinds  # noqa: F401  (registers the kinds)
from dashboard.reports.stored import make_due
from ingest.auth import create_key
from ingest.core.events import PrefixBlock, UsageEvent
from tests.support.builders import T0, at, make_event, settle
from tests.support.pages import signed_in, states_of, text_of

pytestmark = pytest.mark.django_db
D = Decimal
TEN_DAYS = "start=2026-03-01&end=2026-03-12T10:00:00Z"  # ten days from the first request on
PAGE = f"/recommendations/?{TEN_DAYS}"
Ask = Callable[..., Any]


def session(number: int, *, cached: bool = False, begin: Any = T0, **fields: Any) -> list[UsageEvent]:
    """Two calls a minute apart with the same million tokens. Haiku 4.5: 1 USD a million."""
    meters = [
        {"uncached_input_tokens": 0, "cache_write_5m_input_tokens": 1_000_000},
        {"uncached_input_tokens": 0, "cache_read_input_tokens": 1_000_000},
    ]
    return [
        make_event(
            f"{begin}{number}-{each}",
            occurred_at=begin + timedelta(minutes=20 * number + each),
            model="claude-haiku-4-5-20251001",
            session_id=f"{begin}{number}",
            workspace_id="search",
            ttft_ms=0,
            prefix=(PrefixBlock(f"{begin}{number}", 1_000_000),),
            **{
                "output_tokens": 0,
                **(meters[each] if cached else {"uncached_input_tokens": 1_000_000}),
                **fields,
            },
        )
        for each in (0, 1)
    ]


@pytest.fixture
def client() -> Client:
    settle([event for number in range(25) for event in session(number)])
    return signed_in()


@pytest.fixture
def ask(client: Client) -> Ask:
    key = create_key("reader", "read")[1]

    def call(query: str = TEN_DAYS, status: int = 200) -> Any:
        answer = client.get(
            f"/api/v1/cache/recommendations?{query}", headers={"Authorization": f"Bearer {key}"}
        )
        assert answer.status_code == status, answer.content
        return answer.json()

    return call


def decide(client: Client, key: str, decision: str, question: str = TEN_DAYS) -> Any:
    return client.post(
        "/recommendations/decide/", {"key": key, "decision": decision, "question": question, "back": PAGE}
    )


def test_the_call_ranks_advice_with_exact_dollars(ask: Ask) -> None:
    body = ask()
    (card,) = body["recommendations"]
    # 25 sessions of 2 USD that would cost 1.35; ten days of it are a third of a month.
    assert (card["action"], card["policy"], card["status"]) == ("cache_on", "5m", "open")
    assert (D(card["saving_in_range"]), D(card["monthly_saving"])) == (D("16.25"), D("48.75"))
    assert D(card["low"]) == D(card["high"]) == D("48.75") == D(body["together"])
    assert (card["basis"], card["sure"], card["sessions"], card["requests"]) == ("exact", "likely", 25, 50)
    assert card["scope"] == [["workspace_id", "search"]]
    assert '"cache_control": {"type": "ephemeral"}' in card["snippet"]
    assert (body["days"], body["requests"], body["exact_requests"], body["sampled"]) == ("10.00", 50, 50, "1")
    assert (body["start"], body["end"]) == ("2026-03-02T10:00:00+00:00", "2026-03-12T10:00:00+00:00")


def test_filters_narrow_the_advice_and_stay_in_its_scope(ask: Ask) -> None:
    (card,) = ask(f"{TEN_DAYS}&model=claude-haiku-4-5-20251001")["recommendations"]
    assert card["scope"] == [["model", "claude-haiku-4-5-20251001"], ["workspace_id", "search"]]
    assert ask(f"{TEN_DAYS}&workspace_id=other")["recommendations"] == []
    assert ask("meter=output_tokens", 422)["error"]["field"] == "meter"
    assert ask("polcy=5m", 422)["error"]["field"] == "polcy"


def test_the_page_waits_for_the_worker_and_then_shows_the_card(client: Client) -> None:
    page = client.get(PAGE)
    assert "Being worked out" in text_of(page)
    make_due(30)
    page = client.get(PAGE)
    assert states_of(page)["recommendations"] == "data"
    text = text_of(page)
    assert "Turn caching on" in text
    assert "$48.75 a month" in text
    assert "workspace search" in text
    assert "Input $50.00 → $33.75 (−32.5 %)" in text
    assert "exact, from prefix lists" in text


def test_a_call_and_a_page_say_the_same(ask: Ask, client: Client) -> None:
    before = ask()
    make_due(30)
    after = ask()
    assert before["recommendations"] == after["recommendations"]


def test_advice_is_accepted_dismissed_done_and_undone(ask: Ask, client: Client) -> None:
    key = ask()["recommendations"][0]["key"]
    make_due(30)
    assert decide(client, key, "accept")["Location"] == PAGE.replace(":", "%3A")
    assert ask()["recommendations"][0]["status"] == "accepted"
    assert "Accepted: Turn caching on." in text_of(client.get(PAGE))
    decide(client, key, "undo")
    assert ask()["recommendations"][0]["status"] == "open"
    decide(client, key, "dismiss")
    page = client.get(PAGE)
    assert "Nothing to change" in text_of(page)  # it moved to what was decided
    assert (ask()["decided"][0]["status"], ask()["decided"][0]["realised"]) == ("dismissed", None)
    decide(client, key, "done")
    row = Recommendation.objects.get()
    assert (row.status, row.predicted_monthly) == ("done", D("48.75"))
    assert row.done_at is not None
    decide(client, key, "undo")
    row = Recommendation.objects.get()
    assert row.status == "accepted"
    assert row.done_at is None


@pytest.mark.parametrize(
    ("key", "decision", "question", "said"),
    [
        ("no such", "accept", TEN_DAYS, "no longer there"),
        ("no such", "undo", TEN_DAYS, "nothing to undo"),
        ("no such", "shout", TEN_DAYS, "Choose accept"),
        ("\x00", "done", TEN_DAYS, "no longer there"),
        ("no such", "done", "start=nonsense", "start must be a date"),
    ],
)
def test_what_cannot_be_decided_is_explained(
    client: Client, key: str, decision: str, question: str, said: str
) -> None:
    decide(client, key, decision, question)
    assert said in text_of(client.get(PAGE))
    assert not Recommendation.objects.exists()


def test_the_way_back_never_leaves_the_page(client: Client) -> None:
    for back in ("https://elsewhere.example/recommendations/", "//elsewhere.example", "/settings/", ""):
        answer = client.post("/recommendations/decide/", {"key": "k", "decision": "undo", "back": back})
        assert answer["Location"] == "/recommendations/"


def test_decisions_need_a_token_of_the_form(client: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies
    assert strict.post("/recommendations/decide/", {"key": "k", "decision": "undo"}).status_code == 403


def done_days_ago(ask: Ask, client: Client, days: int) -> Recommendation:
    key = ask()["recommendations"][0]["key"]
    make_due(30)
    decide(client, key, "done")
    done = timezone.now() - timedelta(days=days)
    Recommendation.objects.update(done_at=done, decided_at=done)
    return Recommendation.objects.get()


def test_realised_stands_beside_predicted_once_there_are_enough_sessions(ask: Ask, client: Client) -> None:
    row = done_days_ago(ask, client, 15)
    assert row.done_at is not None
    settle(
        [
            event
            for number in range(20)
            for event in session(number, cached=True, begin=row.done_at + timedelta(hours=1))
        ]
    )
    assert ask()["decided"][0]["realised"] is None  # wanted now, made by the worker
    make_due(30)
    line = ask()["decided"][0]
    # 1 USD a million before, 1.35 for two since: 0.325 a million on 40 million tokens in 15 days.
    saved = D("0.325") * 40 * 30 / 15
    assert line["predicted"]["monthly_saving"] == "48.75"
    assert abs(D(line["realised"]["monthly_saving"]) - saved) < D("0.001")  # the clock runs on
    assert (line["realised"]["sessions"], line["realised"]["sessions_before"]) == (20, 25)
    assert (D(line["realised"]["before"]), D(line["realised"]["after"])) == (D("0.000001"), D("0.000000675"))
    text = text_of(client.get(PAGE))
    assert "Predicted $48.75" in text
    assert "Realised $26.0" in text or "Realised $25.99" in text  # the clock runs on
    assert "$1.00 → $0.675 per million input tokens, 20 sessions since" in text


def test_it_is_too_early_with_few_sessions(ask: Ask, client: Client) -> None:
    row = done_days_ago(ask, client, 3)
    assert row.done_at is not None
    settle(
        [
            event
            for number in range(4)
            for event in session(number, cached=True, begin=row.done_at + timedelta(hours=1))
        ]
    )
    ask()
    make_due(30)
    assert ask()["decided"][0]["realised"]["monthly_saving"] is None
    assert "too early 4 of 20 sessions" in text_of(client.get(PAGE))


SCENARIO = {
    "name": "Half in batch",
    "scenario": '{"batch_share": "0.5"}',
    "predicted_monthly": "12.5",
    "question": f"{TEN_DAYS}&workspace_id=search",
}


def test_a_scenario_is_followed_like_other_advice(ask: Ask, client: Client) -> None:
    client.post("/recommendations/from-scenario/", {**SCENARIO, "back": PAGE})
    row = Recommendation.objects.get()
    assert (row.action, row.status, row.predicted_monthly) == ("scenario", "accepted", D("12.5"))
    assert row.scope == [["workspace_id", "search"]]
    text = client.get(PAGE).content.decode()
    assert "Accepted: Half in batch" in text
    assert "batch_share=0.5" in text  # the way back to its knobs
    client.post("/recommendations/from-scenario/", {**SCENARIO, "back": PAGE})
    assert Recommendation.objects.count() == 1
    decide(client, row.key, "done")
    done = timezone.now() - timedelta(days=10)
    Recommendation.objects.update(done_at=done)
    settle([e for n in range(20) for e in session(n, begin=done + timedelta(hours=1), service_tier="batch")])
    ask()
    make_due(30)
    realised = ask()["decided"][0]["realised"]
    # 1 USD a request before, half of it in a batch: 20 USD on 40 requests in 10 days.
    assert abs(D(realised["monthly_saving"]) - 60) < D("0.001")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", " ", "needs a name"),
        ("scenario", "{", "JSON object"),
        ("scenario", "[1]", "JSON object"),
        ("scenario", "{}", "or nothing"),
        ("scenario", '{"no_knob": "1"}', "no knob"),
        ("scenario", '{"batch_share": 0.5}', "no knob"),
        ("predicted_monthly", "much", "amount in USD"),
        ("predicted_monthly", "1e99", "amount in USD"),
        ("predicted_monthly", "NaN", "amount in USD"),
        ("question", "end=never", "end must be a date"),
    ],
)
def test_a_scenario_that_says_nothing_is_refused(client: Client, field: str, value: str, said: str) -> None:
    client.post("/recommendations/from-scenario/", {**SCENARIO, field: value, "back": PAGE})
    assert said in text_of(client.get(PAGE))
    assert not Recommendation.objects.exists()


def test_the_what_if_page_hands_its_scenario_over(client: Client) -> None:
    page = client.get(f"/what-if/?{TEN_DAYS}&batch_share=0.5").content.decode()
    assert "Apply as recommendation" in page
    assert "{&quot;batch_share&quot;: &quot;0.5&quot;}" in page
    untouched = client.get(f"/what-if/?{TEN_DAYS}").content.decode()
    assert "Apply as recommendation" not in untouched


def test_an_installation_without_events_is_welcomed(db: None) -> None:
    assert "first event" in text_of(signed_in().get("/recommendations/")).lower()


def test_requests_without_a_price_are_named(client: Client) -> None:
    settle([make_event("mystery", model="mystery-9", provider="", platform="", occurred_at=at(minutes=5))])
    client.get(PAGE)
    make_due(30)
    assert "have no price and are left out: mystery-9." in text_of(client.get(PAGE))


def test_calls_without_prefixes_say_that_they_are_estimated(db: None) -> None:
    events = [
        make_event(
            f"{number}-{each}",
            occurred_at=at(hours=number, minutes=20 * each),
            session_id=f"s{number}",
            uncached_input_tokens=0,
            cache_write_5m_input_tokens=100_000 + each,
        )
        for number in range(30)
        for each in range(4)
    ]
    settle(events)
    client = signed_in()
    client.get(PAGE)
    make_due(30)
    text = text_of(client.get(PAGE))
    assert "Write for 1 hour" in text
    assert "estimated from counters" in text
