"""The real Anthropic SDK, watched, against a stub of the Messages API: every way to call it is seen once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from anthropic import Anthropic, AsyncAnthropic

from static.capture import breakeven_capture as capture
from tests.support import asynchronous
from tests.support.model_api_stub import ANTHROPIC_USAGE, Breakeven, ModelApi

KEY = "bk_test"
ASK: dict[str, Any] = {
    "model": "claude-sonnet-4-6",
    "max_tokens": 100,
    "system": [{"type": "text", "text": "SECRET rules", "cache_control": {"type": "ephemeral"}}],
    "messages": [{"role": "user", "content": "SECRET question"}],
}


def sync_client(api: ModelApi, app: Breakeven, **labels: Any) -> Anthropic:
    client = capture.watch(Anthropic(api_key="sk", base_url=api.url), url=app.url, key=KEY, **labels)
    api.clients.append(client)
    return client


def async_client(api: ModelApi, app: Breakeven) -> AsyncAnthropic:
    return capture.watch(AsyncAnthropic(api_key="sk", base_url=api.url), url=app.url, key=KEY)


def the_event(app: Breakeven) -> dict[str, Any]:
    """The one event that was sent, and proof that nothing of the prompt or the answer was."""
    assert capture.flush()
    assert b"SECRET" not in b"".join(app.bodies) and b"question" not in b"".join(app.bodies)
    (event,) = app.events
    assert capture.stats()["errors"] == 0
    return event


def streamed(client: Anthropic) -> None:
    with client.messages.create(**ASK, stream=True) as events:
        assert [event.type for event in events][-1] == "message_stop"


def stream_helper(client: Anthropic) -> None:
    with client.messages.stream(**ASK) as stream:
        assert "".join(stream.text_stream).startswith("SECRET")
        assert stream.get_final_message().usage.output_tokens == 21


def raw_then_parsed(client: Anthropic) -> None:
    assert client.messages.with_raw_response.create(**ASK).parse().id == "msg_1"


def raw_stream(client: Anthropic) -> None:
    with client.messages.with_streaming_response.create(**ASK) as response:
        assert b"msg_1" in b"".join(response.iter_bytes())


CALLS: list[Callable[[Anthropic], object]] = [
    lambda client: client.messages.create(**ASK),
    lambda client: client.beta.messages.create(**ASK),
    lambda client: client.with_options(timeout=5).messages.create(**ASK),
    lambda client: client.copy(max_retries=0).messages.create(**ASK),
    raw_then_parsed,
    raw_stream,
]
STREAMS: list[Callable[[Anthropic], object]] = [streamed, stream_helper]


@pytest.mark.parametrize("call", CALLS)
def test_a_call_is_reported_once_with_the_usage_as_it_came(
    api: ModelApi, app: Breakeven, call: Callable[[Anthropic], object]
) -> None:
    call(sync_client(api, app))
    event = the_event(app)
    assert event["usage"] == ANTHROPIC_USAGE
    assert (event["id"], event["request_id"], event["stop_reason"]) == ("msg_1", "req_1", "end_turn")
    assert (event["model"], event["workspace_id"]) == ("claude-sonnet-4-6", "wrkspc_1")
    assert event["latency_ms"] >= 0 and "ttft_ms" not in event
    assert (
        event["prefix"][-1]["tokens"] == 1200
    )  # read + written; the question after the breakpoint is left out
    assert len(event["prefix"]) == 1
    assert app.keys == [f"Bearer {KEY}"]


@pytest.mark.parametrize("call", STREAMS)
@pytest.mark.parametrize("compress", [False, True])
def test_a_stream_is_reported_once_with_its_final_usage(
    api: ModelApi, app: Breakeven, call: Callable[[Anthropic], object], compress: bool
) -> None:
    api.compress = compress
    call(sync_client(api, app))
    event = the_event(app)
    assert event["usage"] == ANTHROPIC_USAGE
    assert event["stop_reason"] == "end_turn"
    assert 0 <= event["ttft_ms"] <= event["latency_ms"]
    assert "tags" not in event


def test_a_compressed_answer_is_read(api: ModelApi, app: Breakeven) -> None:
    api.compress = True
    assert sync_client(api, app).messages.create(**ASK).id == "msg_1"
    assert the_event(app)["usage"] == ANTHROPIC_USAGE


async def plain(client: AsyncAnthropic) -> None:
    assert (await client.messages.create(**ASK)).id == "msg_1"


async def plain_copy(client: AsyncAnthropic) -> None:
    assert (await client.with_options(timeout=5).beta.messages.create(**ASK)).id == "msg_1"


async def iterated(client: AsyncAnthropic) -> None:
    kinds = [event.type async for event in await client.messages.create(**ASK, stream=True)]
    assert kinds[-1] == "message_stop"


async def helped(client: AsyncAnthropic) -> None:
    async with client.messages.stream(**ASK) as stream:
        assert (await stream.get_final_message()).usage.output_tokens == 21


@pytest.mark.parametrize("call", [plain, plain_copy, iterated, helped])
def test_an_asynchronous_call_is_reported_once(
    api: ModelApi, app: Breakeven, call: Callable[[AsyncAnthropic], Awaitable[None]]
) -> None:
    async def main() -> None:
        async with async_client(api, app) as client:
            await call(client)

    asynchronous.run(main())
    event = the_event(app)
    assert event["usage"] == ANTHROPIC_USAGE
    assert ("ttft_ms" in event) == (call in (iterated, helped))


WORDS = [
    *("kingfisher", "bullfinch", "nightjar", "goldcrest", "redshank"),
    *("fieldfare", "sandpiper", "wheatear", "dunlin", "siskin"),
]
TALK: dict[str, Any] = {
    "model": "claude-sonnet-4-6",
    "max_tokens": 2048,
    "metadata": {"user_id": WORDS[0]},
    "stop_sequences": [WORDS[1]],
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "tools": [{"name": WORDS[2], "description": WORDS[3], "input_schema": {"type": "object"}}],
    "system": [{"type": "text", "text": WORDS[4]}],
    "messages": [
        {"role": "user", "content": WORDS[5]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": WORDS[6], "signature": WORDS[6]},
                {"type": "tool_use", "id": "toolu_1", "name": WORDS[2], "input": {WORDS[7]: WORDS[8]}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "content": [{"type": "text", "text": WORDS[9]}],
                },
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": "kingfisher"},
                },
            ],
        },
    ],
}


@pytest.mark.parametrize("stream", [False, True])
def test_no_word_of_the_prompt_is_sent(api: ModelApi, app: Breakeven, stream: bool) -> None:
    answer = sync_client(api, app).messages.create(**TALK, stream=stream)
    if stream:
        list(answer)
    event = the_event(app)
    assert len(event["prefix"]) == 7
    everything = b"".join(app.bodies).decode().lower()
    assert [word for word in WORDS if word in everything or word.encode().hex() in everything] == []
    assert set(event) <= {
        *("occurred_at", "model", "usage", "latency_ms", "ttft_ms", "workspace_id", "id", "request_id"),
        *("stop_reason", "prefix"),
    }


def test_a_call_that_the_sdk_repeats_is_one_event(api: ModelApi, app: Breakeven) -> None:
    api.failures = 1
    sync_client(api, app).messages.create(**ASK)
    assert the_event(app)["id"] == "msg_1"
    assert capture.stats()["calls"] == 1


def test_a_client_that_is_watched_twice_reports_once(api: ModelApi, app: Breakeven) -> None:
    client = sync_client(api, app)
    assert capture.watch(client, url=app.url, key=KEY) is client
    client.messages.create(**ASK)
    assert the_event(app)["id"] == "msg_1"


def test_a_copy_with_another_http_client_is_watched(api: ModelApi, app: Breakeven) -> None:
    with Anthropic(api_key="sk", base_url=api.url) as other:
        copy = sync_client(api, app).with_options(timeout=5).copy(http_client=other._client)
        copy.messages.create(**ASK)
    assert the_event(app)["id"] == "msg_1"


def test_a_stream_that_is_closed_early_is_flagged(api: ModelApi, app: Breakeven) -> None:
    with sync_client(api, app).messages.create(**ASK, stream=True) as events:
        next(iter(events))
    event = the_event(app)
    assert event["tags"] == {"capture": "interrupted"}
    assert event["usage"]["cache_read_input_tokens"] == 900
    assert "stop_reason" not in event
    assert capture.stats()["interrupted"] == 1


def test_an_asynchronous_stream_that_is_cancelled_is_flagged(api: ModelApi, app: Breakeven) -> None:
    async def main() -> None:
        client = async_client(api, app)
        begun = asyncio.Event()

        async def listen() -> None:
            async with client.messages.stream(**ASK) as stream:
                async for _ in stream:
                    begun.set()
                    await asyncio.sleep(60)

        task = asyncio.create_task(listen())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await client.close()

    asynchronous.run(main())
    assert the_event(app)["tags"] == {"capture": "interrupted"}


def test_an_exception_of_the_program_inside_a_stream_passes(api: ModelApi, app: Breakeven) -> None:
    def broken() -> None:
        with sync_client(api, app).messages.stream(**ASK) as stream:
            for _ in stream:
                raise LookupError("of the program")

    with pytest.raises(LookupError):
        broken()
    assert the_event(app)["tags"] == {"capture": "interrupted"}


def test_labels_of_the_client_and_of_the_moment_are_joined(api: ModelApi, app: Breakeven) -> None:
    client = sync_client(api, app, workspace_id="w", tags={"team": "search"})
    with capture.about(session_id="s", tags={"step": "plan"}), capture.about(user_id="u"):
        client.messages.create(**ASK)
    event = the_event(app)
    names = ("workspace_id", "session_id", "user_id", "tags")
    assert [event[name] for name in names] == ["w", "s", "u", {"team": "search", "step": "plan"}]


def test_what_is_no_answered_call_is_not_reported(api: ModelApi, app: Breakeven) -> None:
    client = sync_client(api, app)
    api.failures = 9
    with pytest.raises(Exception, match="overloaded"):
        client.with_options(max_retries=0).messages.create(**ASK)
    with pytest.raises(Exception, match="overloaded"):
        client.with_options(max_retries=0).messages.count_tokens(model="m", messages=ASK["messages"])
    assert capture.flush() and app.events == [] and capture.stats()["calls"] == 0
