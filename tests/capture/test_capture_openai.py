"""The real OpenAI SDK, watched, against stubs of Chat Completions and Responses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI

from static.capture import breakeven_capture as capture
from tests.support import asynchronous
from tests.support.model_api_stub import CHAT_USAGE, RESPONSES_USAGE, Breakeven, ModelApi

KEY = "bk_test"
CHAT: dict[str, Any] = {
    "model": "gpt-5.1",
    "messages": [
        {"role": "system", "content": "SECRET rules"},
        {"role": "user", "content": [{"type": "text", "text": "SECRET question"}]},
    ],
}
COUNTED: dict[str, Any] = {**CHAT, "stream_options": {"include_usage": True}}
RESPOND: dict[str, Any] = {"model": "gpt-5.1", "instructions": "SECRET rules", "input": "SECRET question"}
CHAT_SENT = {**CHAT_USAGE, "service_tier": "default"}
RESPONSES_SENT = {**RESPONSES_USAGE, "service_tier": "priority"}


def sync_client(api: ModelApi, app: Breakeven) -> OpenAI:
    client = capture.watch(OpenAI(api_key="sk", base_url=api.url), url=app.url, key=KEY)
    api.clients.append(client)
    return client


def the_event(app: Breakeven) -> dict[str, Any]:
    assert capture.flush()
    assert b"SECRET" not in b"".join(app.bodies) and b"question" not in b"".join(app.bodies)
    (event,) = app.events
    assert capture.stats()["errors"] == 0
    return event


def chat_stream(client: OpenAI) -> None:
    with client.chat.completions.create(**COUNTED, stream=True) as chunks:
        assert len(list(chunks)) > 20


def chat_helper(client: OpenAI) -> None:
    with client.chat.completions.stream(**COUNTED) as stream:
        assert stream.get_final_completion().usage is not None


def responses_stream(client: OpenAI) -> None:
    events = list(client.responses.create(**RESPOND, stream=True))
    assert events[-1].type == "response.completed"


def responses_helper(client: OpenAI) -> None:
    with client.responses.stream(**RESPOND) as stream:
        assert stream.get_final_response().id == "resp_1"


CALLS: list[tuple[Callable[[OpenAI], object], dict[str, Any], str]] = [
    (lambda client: client.chat.completions.create(**CHAT), CHAT_SENT, "stop"),
    (lambda client: client.with_options(timeout=5).chat.completions.create(**CHAT), CHAT_SENT, "stop"),
    (lambda client: client.chat.completions.with_raw_response.create(**CHAT), CHAT_SENT, "stop"),
    (chat_stream, CHAT_SENT, "stop"),
    (chat_helper, CHAT_SENT, "stop"),
    (lambda client: client.responses.create(**RESPOND), RESPONSES_SENT, "completed"),
    (responses_stream, RESPONSES_SENT, "completed"),
    (responses_helper, RESPONSES_SENT, "completed"),
]


@pytest.mark.parametrize(("call", "usage", "stop_reason"), CALLS)
def test_a_call_is_reported_once_with_the_usage_as_it_came(
    api: ModelApi, app: Breakeven, call: Callable[[OpenAI], object], usage: dict[str, Any], stop_reason: str
) -> None:
    call(sync_client(api, app))
    event = the_event(app)
    assert event["usage"] == usage
    assert (event["stop_reason"], event["model"]) == (stop_reason, "gpt-5.1")
    assert event["id"] in ("chatcmpl-1", "resp_1")
    assert event["request_id"] == "req_1"
    assert [entry["tokens"] for entry in event["prefix"]][-1] == 1200
    assert len(event["prefix"]) == 2


async def chat(client: AsyncOpenAI) -> None:
    assert (await client.chat.completions.create(**CHAT)).id == "chatcmpl-1"


async def chat_iterated(client: AsyncOpenAI) -> None:
    assert len([chunk async for chunk in await client.chat.completions.create(**COUNTED, stream=True)]) > 20


async def respond(client: AsyncOpenAI) -> None:
    assert (await client.responses.create(**RESPOND)).id == "resp_1"


async def respond_helped(client: AsyncOpenAI) -> None:
    async with client.responses.stream(**RESPOND) as stream:
        assert (await stream.get_final_response()).id == "resp_1"


@pytest.mark.parametrize("call", [chat, chat_iterated, respond, respond_helped])
def test_an_asynchronous_call_is_reported_once(
    api: ModelApi, app: Breakeven, call: Callable[[AsyncOpenAI], Awaitable[None]]
) -> None:
    async def main() -> None:
        async with AsyncOpenAI(api_key="sk", base_url=api.url) as client:
            await call(capture.watch(client, url=app.url, key=KEY))

    asynchronous.run(main())
    assert the_event(app)["usage"] in (CHAT_SENT, RESPONSES_SENT)


def test_a_stream_without_usage_is_counted_and_the_request_is_not_altered(
    api: ModelApi, app: Breakeven
) -> None:
    list(sync_client(api, app).chat.completions.create(**CHAT, stream=True))
    assert capture.flush() and app.events == []
    assert capture.stats()["without_usage"] == 1
    assert "stream_options" not in api.requests[0]


def test_a_prompt_that_the_provider_keeps_has_no_prefix(api: ModelApi, app: Breakeven) -> None:
    sync_client(api, app).responses.create(**RESPOND, previous_response_id="resp_0")
    assert "prefix" not in the_event(app)
    assert capture.stats()["without_prefix"] == 1
