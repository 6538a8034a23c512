"""The timeline of one session or prefix: each request, what it read, what it wrote, and why."""

from __future__ import annotations

import pytest
from django.test import Client

from dashboard.queries import chains
from ingest.core.events import PrefixBlock
from tests.support.builders import settle
from tests.support.cache_page import MILLION, by_hand, call, links_to_timelines, made, panel
from tests.support.pages import RANGE, signed_in, states_of, table_rows, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    return signed_in()


def test_a_timeline_says_what_each_request_read_wrote_and_why(client: Client) -> None:
    by_hand()
    rows = table_rows(panel(client, "cache-chain", f"{RANGE}&session_id=s", "chain"))[1:]
    assert [(row[2], row[4], row[5], row[7]) for row in rows] == [
        ("first", "0", "1.00 M", "cold start 1.00 M"),
        ("2 min", "1.00 M", "0", "nothing written"),
        ("14.7 min", "0", "1.00 M", "lapse 5-60 min 1.00 M"),
        ("2.2 h", "0", "1.00 M", "lapse over 60 min 1.00 M"),
    ]
    assert [row[-1] for row in rows] == ["–", "–", "$1.15", "$1.15"]


def test_a_prefix_shows_all_the_sessions_that_share_it(client: Client) -> None:
    settle(
        [
            call(1, 0),
            call(2, 60, session_id="t", write=0, read=MILLION),
            call(3, 1000, session_id="u"),
            call(4, 90, session_id="other", prefix=(PrefixBlock("b", MILLION),)),
        ]
    )
    link = next(link for link in links_to_timelines(made(client, "cache-dearest")) if "prefix=" in link)
    rows = table_rows(client.get(link))[1:]
    assert [(row[3], row[7]) for row in rows] == [
        ("s", "cold start 1.00 M"),
        ("t", "nothing written"),
        ("u", "lapse 5-60 min 1.00 M"),
    ]


def test_long_chains_are_paged(client: Client) -> None:
    settle([call(n, 10 * n, write=100, read=MILLION) for n in range(chains.PAGE + 5)])
    query = f"{RANGE}&session_id=s"
    first = panel(client, "cache-chain", query, "chain")
    assert f"requests 1–{chains.PAGE} of {chains.PAGE + 5}" in text_of(first) and "page 1 of 2" in text_of(
        first
    )
    second = panel(client, "cache-chain", f"{query}&at=2", "chain")
    assert len(table_rows(second)) == 1 + 5 and "Earlier requests" in text_of(second)
    beyond = panel(client, "cache-chain", f"{query}&at=99", "chain")
    assert table_rows(beyond) == table_rows(second)


def test_a_chain_is_cut_where_it_is_too_long_and_says_so(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chains, "MOST_REQUESTS", 3)
    by_hand()
    settle([call(9, 9500, write=0, read=MILLION)])
    answer = panel(client, "cache-chain", f"{RANGE}&session_id=s", "chain")
    assert "the first 3 requests" in text_of(answer) and len(table_rows(answer)) == 1 + 3


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("prefix=nonsense", "16 hexadecimal digits"),
        ("session_id=s&at=two", "whole number"),
        ("session_id=s&moment=-1", "whole number"),
    ],
)
def test_a_timeline_that_cannot_be_is_refused_in_words(client: Client, query: str, word: str) -> None:
    by_hand()
    answer = panel(client, "cache-chain", f"{RANGE}&{query}", "chain")
    assert answer.status_code == 422 and word in text_of(answer)


def test_a_timeline_without_a_choice_says_where_to_choose(client: Client) -> None:
    by_hand()
    page = client.get(f"/cache/chain/?{RANGE}")
    assert (page.status_code, states_of(page)["cache-chain"]) == (200, "data")
    assert "No session or prefix is chosen" in text_of(page) and "Open one from the lists" in text_of(page)


def test_a_prefix_that_nobody_used_is_empty(client: Client) -> None:
    by_hand()
    assert states_of(panel(client, "cache-chain", f"{RANGE}&prefix={'0' * 16}", "chain")) == {
        "cache-chain": "empty"
    }
