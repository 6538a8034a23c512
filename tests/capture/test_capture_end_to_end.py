"""From a call of the real SDK to the tables of the product."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic import Anthropic
from django.db import connection
from django.test import Client
from openai import OpenAI

from ingest.auth import create_key
from ingest.fill import fill_due
from ingest.models import ApiKey, RejectedRow
from static.capture import breakeven_capture as capture
from tests.capture.test_capture_clouds import CLOUDS
from tests.support.model_api_stub import ModelApi


def rows(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


@pytest.mark.django_db(transaction=True)
def test_a_watched_program_fills_events_and_prefixes(api: ModelApi, live_server: Any) -> None:
    _, secret = create_key("my-app", ApiKey.Scope.INGEST)
    url = live_server.url
    claude = capture.watch(Anthropic(api_key="sk", base_url=api.url), url=url, key=secret, session_id="s")
    gpt = capture.watch(OpenAI(api_key="sk", base_url=api.url), url=url, key=secret, tags={"team": "search"})
    api.clients += [claude, gpt]
    asked: list[Any] = [{"role": "user", "content": "SECRET one"}]
    asking: dict[str, Any] = {
        "model": "claude-sonnet-4-6",
        "max_tokens": 9,
        "cache_control": {"type": "ephemeral"},
    }
    with claude.messages.stream(**asking, messages=asked) as stream:
        stream.until_done()
    asked += [{"role": "assistant", "content": "SECRET two"}, {"role": "user", "content": "SECRET three"}]
    claude.messages.create(**asking, messages=asked)
    gpt.chat.completions.create(model="gpt-5.1", messages=asked)

    assert capture.flush(20)
    counts = capture.stats()
    assert (counts["sent"], counts["rejected"], counts["errors"], counts["dropped"]) == (3, 0, 0, 0)
    assert RejectedRow.objects.count() == 0
    stored = rows(
        "SELECT uncached_input_tokens, cache_read_input_tokens, cache_write_5m_input_tokens, output_tokens"
        " FROM event ORDER BY occurred_at"
    )
    assert stored == [(7, 900, 300, 21), (7, 900, 300, 21), (176, 1024, 0, 21)]
    prefixes = rows(
        "SELECT block_hashes, cumulative_tokens FROM event_prefix JOIN event USING (event_key)"
        " ORDER BY event.occurred_at"
    )
    first, second, third = (hashes for hashes, _ in prefixes)
    assert [len(hashes) for hashes in (first, second, third)] == [1, 3, 3]
    assert second[:1] == first and third == second  # models are told apart where ids are compared
    assert [tokens[-1] for _, tokens in prefixes] == [1200, 1200, 1200]


# The stub's answer at the prices of Sonnet 4.5 and 4.6, in dollars per million tokens:
# 7 x 3 + 900 x 0.30 + 300 x 3.75 + 21 x 15, and a tenth more where the place is chosen.
WORLDWIDE, REGIONAL = "0.001731", "0.0019041"
PRICES = {
    "bedrock": REGIONAL,
    "bedrock-profile": REGIONAL,
    "mantle": REGIONAL,
    "vertex": REGIONAL,
    "vertex-us": REGIONAL,
    "bedrock-global": WORLDWIDE,
    "vertex-global": WORLDWIDE,
    "google-cloud": WORLDWIDE,
    "aws": WORLDWIDE,
    "foundry": WORLDWIDE,
}


@pytest.mark.django_db(transaction=True)
def test_calls_on_clouds_get_the_price_of_the_place(api: ModelApi, client: Client, live_server: Any) -> None:
    secret, reader = (create_key(name, name)[1] for name in (ApiKey.Scope.INGEST, ApiKey.Scope.READ))
    asked: dict[str, Any] = {"max_tokens": 9, "messages": [{"role": "user", "content": "SECRET"}]}
    for name in PRICES:
        cloud = CLOUDS[name]
        watched = capture.watch(cloud.client(api), url=live_server.url, key=secret, tags={"cloud": name})
        with watched.messages.stream(model=cloud.asked, **asked) as stream:
            stream.until_done()
    assert capture.flush(20)
    assert capture.stats()["sent"] == len(PRICES)
    fill_due()
    answer = client.get(
        "/api/v1/costs?grain=total&group_by=tag:cloud&group_by=platform",
        headers={"Authorization": f"Bearer {reader}"},
    ).json()
    assert answer["unpriced"] == []
    assert {row["tag:cloud"]: row["list_cost"] for row in answer["rows"]} == PRICES
    assert all(row["platform"] == CLOUDS[row["tag:cloud"]].told["platform"] for row in answer["rows"])
