"""The real SDKs' clients for the clouds, watched: each at its true address, which a transport leads to the stub."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Awaitable, Callable
from typing import Any, cast

import httpx2
import pytest
from anthropic import (
    Anthropic,
    AnthropicAWS,
    AnthropicBedrock,
    AnthropicBedrockMantle,
    AnthropicFoundry,
    AnthropicVertex,
    AsyncAnthropicBedrock,
    AsyncAnthropicVertex,
)
from openai import AsyncAzureOpenAI, AzureOpenAI

from static.capture import breakeven_capture as capture
from tests.support import asynchronous
from tests.support.model_api_stub import ANTHROPIC_USAGE, CHAT_USAGE, Breakeven, ModelApi

KEY = "bk_test"
BEDROCK_MODEL = "us.anthropic.claude-sonnet-4-6"
VERTEX_MODEL = "claude-sonnet-4-6@default"
SERVED = "claude-sonnet-4-6"
ASK: dict[str, Any] = {
    "max_tokens": 100,
    "system": [{"type": "text", "text": "SECRET rules", "cache_control": {"type": "ephemeral"}}],
    "messages": [{"role": "user", "content": "SECRET question"}],
}


class ToStub(httpx2.BaseTransport):
    """Every host is the stub."""

    def __init__(self, api: ModelApi) -> None:
        self.inner, self.url = httpx2.HTTPTransport(), httpx2.URL(api.url)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.url = request.url.copy_with(scheme="http", host=self.url.host, port=self.url.port)
        return self.inner.handle_request(request)

    def close(self) -> None:
        self.inner.close()


class AsyncToStub(httpx2.AsyncBaseTransport):
    """The same for asynchronous clients."""

    def __init__(self, api: ModelApi) -> None:
        self.inner, self.url = httpx2.AsyncHTTPTransport(), httpx2.URL(api.url)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.url = request.url.copy_with(scheme="http", host=self.url.host, port=self.url.port)
        return await self.inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self.inner.aclose()


def watched(client: Any, api: ModelApi, app: Breakeven) -> Any:
    api.clients.append(client)
    return capture.watch(client, url=app.url, key=KEY)


def http(api: ModelApi) -> httpx2.Client:
    return httpx2.Client(transport=ToStub(api))


def bedrock(api: ModelApi) -> AnthropicBedrock:
    return AnthropicBedrock(api_key="k", aws_region="us-east-1", http_client=http(api))


def mantle(api: ModelApi) -> AnthropicBedrockMantle:
    return AnthropicBedrockMantle(api_key="k", aws_region="us-east-1", http_client=http(api))


def aws(api: ModelApi) -> AnthropicAWS:
    return AnthropicAWS(api_key="k", aws_region="us-east-1", workspace_id="wrkspc_1", http_client=http(api))


def vertex(api: ModelApi, region: str = "europe-west1") -> AnthropicVertex:
    return AnthropicVertex(region=region, project_id="p", access_token="t", http_client=http(api))


def foundry(api: ModelApi) -> AnthropicFoundry:
    return AnthropicFoundry(api_key="k", resource="r", http_client=http(api))


def azure(api: ModelApi) -> AzureOpenAI:
    return AzureOpenAI(
        api_key="k",
        azure_endpoint="https://r.openai.azure.com",
        api_version="2026-01-01",
        http_client=cast(Any, http(api)),
    )


def the_event(app: Breakeven) -> dict[str, Any]:
    """The one event that was sent, and proof that nothing of the prompt or the answer was."""
    assert capture.flush()
    assert b"SECRET" not in b"".join(app.bodies) and b"question" not in b"".join(app.bodies)
    (event,) = app.events
    assert capture.stats()["errors"] == 0
    return event


def whole(client: Any, model: str) -> None:
    assert client.messages.create(model=model, **ASK).id == "msg_1"


def streamed(client: Any, model: str) -> None:
    with client.messages.create(model=model, **ASK, stream=True) as events:
        assert [event.type for event in events][-1] == "message_stop"


def helped(client: Any, model: str) -> None:
    with client.with_options(timeout=5).messages.stream(model=model, **ASK) as stream:
        assert stream.get_final_message().usage.output_tokens == 21


Where = dict[str, str]
BEDROCK: Where = {"provider": "anthropic", "platform": "bedrock"}
VERTEX: Where = {"provider": "anthropic", "platform": "vertex"}
CLIENTS: list[tuple[Callable[[ModelApi], Any], str, str, Where]] = [
    (bedrock, BEDROCK_MODEL, BEDROCK_MODEL, BEDROCK),
    (mantle, "anthropic.claude-sonnet-4-6", "anthropic.claude-sonnet-4-6", BEDROCK),
    (aws, SERVED, SERVED, {"provider": "anthropic", "platform": "claude-platform-on-aws"}),
    (vertex, VERTEX_MODEL, SERVED, {**VERTEX, "routing": "regional"}),
    (lambda api: vertex(api, "global"), VERTEX_MODEL, SERVED, {**VERTEX, "routing": "global"}),
    (foundry, SERVED, SERVED, {"platform": "foundry"}),
]


@pytest.mark.parametrize("call", [whole, streamed, helped])
@pytest.mark.parametrize(("make", "asked", "model", "where"), CLIENTS)
def test_a_call_says_which_model_answered_and_where(
    api: ModelApi,
    app: Breakeven,
    make: Callable[[ModelApi], Any],
    asked: str,
    model: str,
    where: Where,
    call: Callable[[Any, str], None],
) -> None:
    call(watched(make(api), api, app), asked)
    event = the_event(app)
    assert event["usage"] == ANTHROPIC_USAGE
    assert event["model"] == model
    assert {name: event.get(name) for name in ("provider", "platform", "routing")} == {
        "provider": None,
        "routing": None,
        **where,
    }
    assert (event["id"], event["request_id"], event["stop_reason"]) == ("msg_1", "req_1", "end_turn")
    assert ("ttft_ms" in event) == (call is not whole)
    assert [entry["tokens"] for entry in event["prefix"]] == [1200]
    assert "tags" not in event


def test_an_inference_profile_of_ones_own_is_known_by_the_model_that_answered(
    api: ModelApi, app: Breakeven
) -> None:
    profile = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123"
    whole(watched(bedrock(api), api, app), profile)
    assert api.paths == [f"/model/{profile}/invoke"]
    event = the_event(app)
    assert (event["model"], event["platform"]) == (SERVED, "bedrock")


def test_a_prompt_has_the_same_prefix_wherever_it_is_sent(api: ModelApi, app: Breakeven) -> None:
    first = Anthropic(api_key="k", http_client=http(api))
    for client, model in ((first, SERVED), (bedrock(api), BEDROCK_MODEL), (vertex(api), VERTEX_MODEL)):
        watched(client, api, app).messages.create(model=model, **ASK)
    assert capture.flush()
    ids = [[entry["id"] for entry in event["prefix"]] for event in app.events]
    assert len(ids) == 3 and ids[0] == ids[1] == ids[2]


def test_a_conversation_that_grows_keeps_how_it_began(api: ModelApi, app: Breakeven) -> None:
    client = watched(bedrock(api), api, app)
    asking: dict[str, Any] = {**ASK, "cache_control": {"type": "ephemeral"}}
    client.messages.create(model=BEDROCK_MODEL, **asking)
    more = [
        *ASK["messages"],
        {"role": "assistant", "content": "SECRET"},
        {"role": "user", "content": "SECRET"},
    ]
    client.messages.create(model=BEDROCK_MODEL, **{**asking, "messages": more})
    assert capture.flush()
    first, second = ([entry["id"] for entry in event["prefix"]] for event in app.events)
    assert second[: len(first)] == first and len(second) == len(first) + 2


def test_a_stream_of_bedrock_that_is_closed_early_is_flagged(api: ModelApi, app: Breakeven) -> None:
    with watched(bedrock(api), api, app).messages.create(model=BEDROCK_MODEL, **ASK, stream=True) as events:
        next(iter(events))
    event = the_event(app)
    assert event["tags"] == {"capture": "interrupted"}
    assert event["usage"]["cache_read_input_tokens"] == 900


async def bedrock_async(api: ModelApi, app: Breakeven) -> None:
    http_client = httpx2.AsyncClient(transport=AsyncToStub(api))
    async with AsyncAnthropicBedrock(api_key="k", aws_region="us-east-1", http_client=http_client) as client:
        events = await capture.watch(client, url=app.url, key=KEY).messages.create(
            model=BEDROCK_MODEL, **ASK, stream=True
        )
        assert [event.type async for event in events][-1] == "message_stop"


async def vertex_async(api: ModelApi, app: Breakeven) -> None:
    http_client = httpx2.AsyncClient(transport=AsyncToStub(api))
    async with AsyncAnthropicVertex(
        region="us", project_id="p", access_token="t", http_client=http_client
    ) as client:
        capture.watch(client, url=app.url, key=KEY)
        async with client.messages.stream(model=VERTEX_MODEL, **ASK) as stream:
            assert (await stream.get_final_message()).id == "msg_1"


@pytest.mark.parametrize("call", [bedrock_async, vertex_async])
def test_an_asynchronous_call_is_reported_once(
    api: ModelApi, app: Breakeven, call: Callable[[ModelApi, Breakeven], Awaitable[None]]
) -> None:
    async def main() -> None:
        await call(api, app)

    asynchronous.run(main())
    event = the_event(app)
    assert event["usage"] == ANTHROPIC_USAGE
    assert event["platform"] == ("bedrock" if call is bedrock_async else "vertex")
    assert 0 <= event["ttft_ms"] <= event["latency_ms"]


CHAT: dict[str, Any] = {
    "model": "our-deployment",
    "messages": [{"role": "user", "content": "SECRET question"}],
    "stream_options": {"include_usage": True},
}


def test_azure_is_the_platform_of_azures_client(api: ModelApi, app: Breakeven) -> None:
    client = watched(azure(api), api, app)
    assert len(list(client.chat.completions.create(**CHAT, stream=True))) > 20
    event = the_event(app)
    assert (event["provider"], event["platform"]) == ("openai", "azure")
    assert event["usage"] == {**CHAT_USAGE, "service_tier": "default"}
    assert api.paths == ["/openai/deployments/our-deployment/chat/completions"]


def test_azures_asynchronous_client_is_watched(api: ModelApi, app: Breakeven) -> None:
    async def main() -> None:
        async with AsyncAzureOpenAI(
            api_key="k",
            azure_endpoint="https://r.openai.azure.com",
            api_version="2026-01-01",
            http_client=cast(Any, httpx2.AsyncClient(transport=AsyncToStub(api))),
        ) as client:
            capture.watch(client, url=app.url, key=KEY)
            await client.chat.completions.create(model="our-deployment", messages=CHAT["messages"])

    asynchronous.run(main())
    assert the_event(app)["platform"] == "azure"


def frame(payload: bytes) -> bytes:
    """A message of Amazon's event stream without headers; nobody here looks at its checksums."""
    return struct.pack(">III", 16 + len(payload), 0, 0) + payload + bytes(4)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_frames_are_found_wherever_the_stream_is_cut(size: int) -> None:
    sent = [b"one", b"", b"three" * 50]
    stream = b"".join(map(frame, sent))
    found, rest = [], b""
    for at in range(0, len(stream), size):
        frames, rest = capture._frames(rest + stream[at : at + size])
        found += frames
    assert (found, rest) == (sent, b"")


@pytest.mark.parametrize(
    "data",
    [
        b"data: this is no event stream at all",
        struct.pack(">III", 15, 0, 0) + bytes(8),
        struct.pack(">III", 20, 9, 0) + bytes(8),
        b"\xff" * 40,
    ],
)
def test_what_is_no_frame_is_let_go(data: bytes) -> None:
    assert capture._frames(frame(b"one") + data) == ([b"one"], b"")


def test_a_long_stream_of_frames_is_not_kept(api: ModelApi) -> None:
    place = capture._place_of("bedrock-runtime.us-east-1.amazonaws.com", f"/model/{BEDROCK_MODEL}/invoke")
    assert place is not None
    call = capture._Call(place, b"{}", {})
    call.streamed = call.framed = True
    event = base64.b64encode(json.dumps({"type": "ping", "x": "y" * 500}).encode()).decode()
    for _ in range(2_000):
        call.note(frame(json.dumps({"bytes": event}).encode()))
    assert call.weight() < 20_000
