"""The real SDKs' clients for the clouds, watched: each at its true address, which a transport leads to the stub."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import httpx2
import pytest
from anthropic import (
    Anthropic,
    AnthropicAWS,
    AnthropicBedrock,
    AnthropicBedrockMantle,
    AnthropicFoundry,
    AnthropicGoogleCloud,
    AnthropicVertex,
    APIStatusError,
    AsyncAnthropicAWS,
    AsyncAnthropicBedrock,
    AsyncAnthropicBedrockMantle,
    AsyncAnthropicFoundry,
    AsyncAnthropicGoogleCloud,
    AsyncAnthropicVertex,
)
from openai import AsyncAzureOpenAI, AsyncBedrockOpenAI, AsyncOpenAI, AzureOpenAI, BedrockOpenAI, OpenAI

from static.capture import breakeven_capture as capture
from tests.support import asynchronous
from tests.support.model_api_stub import ANTHROPIC_USAGE, CHAT_USAGE, RESPONSES_USAGE, Breakeven, ModelApi

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


class Cloud(NamedTuple):
    """A cloud's two clients, what both are made with, by which name the model is asked, and what an event says."""

    sync: Callable[..., Any]
    asynchronous: Callable[..., Any]
    given: dict[str, Any]
    asked: str
    told: dict[str, str]

    def client(self, api: ModelApi) -> Any:
        client = self.sync(**self.given, http_client=httpx2.Client(transport=ToStub(api)))
        api.clients.append(client)
        return client

    def async_client(self, api: ModelApi) -> Any:
        return self.asynchronous(**self.given, http_client=httpx2.AsyncClient(transport=AsyncToStub(api)))


def bedrock(model: str, told: str = "") -> Cloud:
    return Cloud(
        AnthropicBedrock,
        AsyncAnthropicBedrock,
        {"api_key": "k", "aws_region": "us-east-1"},
        model,
        {"provider": "anthropic", "platform": "bedrock", "model": told or model},
    )


def vertex(region: str, routing: str) -> Cloud:
    return Cloud(
        AnthropicVertex,
        AsyncAnthropicVertex,
        {"region": region, "project_id": "p", "access_token": "t"},
        VERTEX_MODEL,
        {"provider": "anthropic", "platform": "vertex", "routing": routing, "model": SERVED},
    )


PROFILES = "arn:aws:bedrock:us-east-1:123456789012"
WORKSPACE = {"workspace_id": "wrkspc_1"}
CLOUDS = {
    "bedrock": bedrock(BEDROCK_MODEL),
    "bedrock-global": bedrock("global.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    "bedrock-profile": bedrock(f"{PROFILES}:inference-profile/{BEDROCK_MODEL}"),
    # The name in such an ARN is the customer's own: the model that answered says more.
    "bedrock-own-profile": bedrock(f"{PROFILES}:application-inference-profile/abc123", SERVED),
    "mantle": Cloud(
        AnthropicBedrockMantle,
        AsyncAnthropicBedrockMantle,
        {"api_key": "k", "aws_region": "us-east-1"},
        "anthropic.claude-sonnet-4-6",
        {"provider": "anthropic", "platform": "bedrock", "model": "anthropic.claude-sonnet-4-6", **WORKSPACE},
    ),
    "vertex": vertex("europe-west1", "regional"),
    "vertex-us": vertex("us", "regional"),
    "vertex-eu": vertex("eu", "regional"),
    "vertex-global": vertex("global", "global"),
    "google-cloud": Cloud(
        AnthropicGoogleCloud,
        AsyncAnthropicGoogleCloud,
        {"project": "p", "workspace_id": "wrkspc_1", "token_provider": lambda: "t"},
        SERVED,
        {"provider": "anthropic", "platform": "anthropic", "model": SERVED, **WORKSPACE},
    ),
    "aws": Cloud(
        AnthropicAWS,
        AsyncAnthropicAWS,
        {"api_key": "k", "aws_region": "us-east-1", "workspace_id": "wrkspc_1"},
        SERVED,
        {"provider": "anthropic", "platform": "claude-platform-on-aws", "model": SERVED, **WORKSPACE},
    ),
    "foundry": Cloud(
        AnthropicFoundry,
        AsyncAnthropicFoundry,
        {"api_key": "k", "resource": "r"},
        SERVED,
        {"provider": "anthropic", "platform": "foundry", "model": SERVED, **WORKSPACE},
    ),
}


def watched(client: Any, app: Breakeven) -> Any:
    return capture.watch(client, url=app.url, key=KEY)


def the_event(app: Breakeven) -> dict[str, Any]:
    """The one event that was sent, and proof that nothing of the prompt or the answer was."""
    assert capture.flush()
    assert b"SECRET" not in b"".join(app.bodies) and b"question" not in b"".join(app.bodies)
    (event,) = app.events
    assert capture.stats()["errors"] == 0
    return event


def check(event: dict[str, Any], told: dict[str, Any], streamed: bool) -> None:
    """The whole event: nothing is missing and nothing else is in it."""
    assert event.pop("occurred_at").endswith("Z")
    latency, ttft = event.pop("latency_ms"), event.pop("ttft_ms", None)
    assert latency >= 0 and (ttft is not None) == streamed and (ttft or 0) <= latency
    ((hashed, tokens),) = ((entry["id"], entry["tokens"]) for entry in event.pop("prefix"))
    assert len(hashed) == 32 and tokens > 1000
    assert event == {"request_id": "req_1", **told}


def whole(client: Any, model: str) -> None:
    assert client.messages.create(model=model, **ASK).id == "msg_1"


def streamed(client: Any, model: str) -> None:
    with client.messages.create(model=model, **ASK, stream=True) as events:
        assert [event.type for event in events][-1] == "message_stop"


def helped(client: Any, model: str) -> None:
    with client.with_options(timeout=5).beta.messages.stream(model=model, **ASK) as stream:
        assert stream.get_final_message().usage.output_tokens == 21


@pytest.mark.parametrize("call", [whole, streamed, helped])
@pytest.mark.parametrize("name", CLOUDS)
def test_a_call_says_which_model_answered_and_where(
    api: ModelApi, app: Breakeven, name: str, call: Callable[[Any, str], None]
) -> None:
    cloud = CLOUDS[name]
    call(watched(cloud.client(api), app), cloud.asked)
    told = {"id": "msg_1", "usage": ANTHROPIC_USAGE, "stop_reason": "end_turn", **cloud.told}
    check(the_event(app), told, call is not whole)


async def whole_async(client: Any, model: str) -> None:
    assert (await client.messages.create(model=model, **ASK)).id == "msg_1"


async def streamed_async(client: Any, model: str) -> None:
    events = await client.messages.create(model=model, **ASK, stream=True)
    assert [event.type async for event in events][-1] == "message_stop"


async def helped_async(client: Any, model: str) -> None:
    async with client.with_options(timeout=5).beta.messages.stream(model=model, **ASK) as stream:
        assert (await stream.get_final_message()).usage.output_tokens == 21


@pytest.mark.parametrize("call", [whole_async, streamed_async, helped_async])
@pytest.mark.parametrize("name", CLOUDS)
def test_an_asynchronous_call_says_the_same(
    api: ModelApi, app: Breakeven, name: str, call: Callable[[Any, str], Awaitable[None]]
) -> None:
    cloud = CLOUDS[name]

    async def main() -> None:
        async with cloud.async_client(api) as client:
            await call(watched(client, app), cloud.asked)

    asynchronous.run(main())
    told = {"id": "msg_1", "usage": ANTHROPIC_USAGE, "stop_reason": "end_turn", **cloud.told}
    check(the_event(app), told, call is not whole_async)


def test_a_prompt_has_the_same_prefix_wherever_it_is_sent(api: ModelApi, app: Breakeven) -> None:
    own = Cloud(Anthropic, Anthropic, {"api_key": "k"}, SERVED, {})
    for cloud in (own, *CLOUDS.values()):
        for stream in (False, True):
            answer = watched(cloud.client(api), app).messages.create(model=cloud.asked, **ASK, stream=stream)
            if stream:
                list(answer)
    assert capture.flush()
    ids = [tuple(entry["id"] for entry in event["prefix"]) for event in app.events]
    assert len(ids) == 2 * (1 + len(CLOUDS)) and len(set(ids)) == 1


@pytest.mark.parametrize("name", ["bedrock", "vertex"])
def test_a_conversation_that_grows_keeps_how_it_began(api: ModelApi, app: Breakeven, name: str) -> None:
    client, model = watched(CLOUDS[name].client(api), app), CLOUDS[name].asked
    asking: dict[str, Any] = {**ASK, "cache_control": {"type": "ephemeral"}}
    client.messages.create(model=model, **asking)
    more = [
        *ASK["messages"],
        {"role": "assistant", "content": "SECRET"},
        {"role": "user", "content": "SECRET"},
    ]
    client.messages.create(model=model, **{**asking, "messages": more})
    assert capture.flush()
    first, second = ([entry["id"] for entry in event["prefix"]] for event in app.events)
    assert second[: len(first)] == first and len(second) == len(first) + 2


def check_interrupted(event: dict[str, Any]) -> None:
    assert event["tags"] == {"capture": "interrupted"}
    assert event["usage"]["cache_read_input_tokens"] == 900
    assert event["prefix"] and "stop_reason" not in event
    assert capture.stats()["interrupted"] == 1


@pytest.mark.parametrize("name", ["bedrock", "vertex"])
def test_a_stream_that_is_closed_early_is_flagged(api: ModelApi, app: Breakeven, name: str) -> None:
    client = watched(CLOUDS[name].client(api), app)
    with client.messages.create(model=CLOUDS[name].asked, **ASK, stream=True) as events:
        next(iter(events))
    check_interrupted(the_event(app))


@pytest.mark.parametrize("name", ["bedrock", "vertex"])
def test_an_asynchronous_stream_that_is_closed_early_is_flagged(
    api: ModelApi, app: Breakeven, name: str
) -> None:
    async def main() -> None:
        async with CLOUDS[name].async_client(api) as client:
            watched(client, app)
            async with await client.messages.create(model=CLOUDS[name].asked, **ASK, stream=True) as events:
                await anext(aiter(events))

    asynchronous.run(main())
    check_interrupted(the_event(app))


def test_a_stream_of_bedrock_that_breaks_is_flagged_and_the_program_is_told(
    api: ModelApi, app: Breakeven
) -> None:
    api.breaking = True
    with pytest.raises(APIStatusError):
        streamed(watched(CLOUDS["bedrock"].client(api), app), BEDROCK_MODEL)
    event = the_event(app)
    assert event["tags"] == {"capture": "interrupted"}
    assert event["usage"] == ANTHROPIC_USAGE  # all but the last event had come


def test_a_compressed_stream_of_bedrock_is_read(api: ModelApi, app: Breakeven) -> None:
    api.compress = True
    streamed(watched(CLOUDS["bedrock"].client(api), app), BEDROCK_MODEL)
    assert the_event(app)["usage"] == ANTHROPIC_USAGE


def test_counting_tokens_on_vertex_is_no_call(api: ModelApi, app: Breakeven) -> None:
    client = watched(CLOUDS["vertex"].client(api), app)
    client.messages.count_tokens(model=SERVED, messages=ASK["messages"])
    assert api.paths[0].endswith("/count-tokens:rawPredict")
    assert capture.flush() and app.events == [] and capture.stats()["calls"] == 0


# ------------------------------------------------------------------------------------------------------ OpenAI's models

CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "SECRET question"}]}
AZURE_TOLD = {"provider": "openai", "platform": "azure", "model": "gpt-5.1"}


def azure(**where: str) -> Cloud:
    given = {"api_key": "k", "api_version": "2026-01-01", **where}
    return Cloud(AzureOpenAI, AsyncAzureOpenAI, given, "our-deployment", AZURE_TOLD)


def openai_at(host: str, told: dict[str, str]) -> Cloud:
    given = {"api_key": "k", "base_url": f"https://{host}/openai/v1/"}
    return Cloud(OpenAI, AsyncOpenAI, given, "our-deployment", told)


OF_OPENAI = {
    "azure": azure(azure_endpoint="https://r.openai.azure.com"),
    "azure-deployment": azure(
        azure_endpoint="https://r.cognitiveservices.azure.com", azure_deployment="our-deployment"
    ),
    "azure-v1": openai_at("r.openai.azure.com", AZURE_TOLD),
    "foundry": openai_at("r.services.ai.azure.com", {"platform": "foundry", "model": "gpt-5.1"}),
    "bedrock": Cloud(
        BedrockOpenAI,
        AsyncBedrockOpenAI,
        {"api_key": "k", "aws_region": "us-east-1"},
        "openai.gpt-oss-120b",
        {"platform": "bedrock", "model": "openai.gpt-oss-120b"},
    ),
    "bedrock-runtime": Cloud(
        OpenAI,
        AsyncOpenAI,
        {"api_key": "k", "base_url": "https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1"},
        "openai.gpt-oss-120b",
        {"platform": "bedrock", "model": "openai.gpt-oss-120b"},
    ),
}
USAGES = {
    "chat": {**CHAT_USAGE, "service_tier": "default"},
    "responses": {**RESPONSES_USAGE, "service_tier": "priority"},
}
ENDS = {"chat": ("chatcmpl-1", "stop"), "responses": ("resp_1", "completed")}


def told_of(cloud: Cloud, kind: str) -> dict[str, Any]:
    own_id, stop_reason = ENDS[kind]
    return {"id": own_id, "usage": USAGES[kind], "stop_reason": stop_reason, **cloud.told}


def asked_of(client: Any, cloud: Cloud, kind: str, stream: bool) -> Any:
    if kind == "responses":
        return client.responses.create(model=cloud.asked, input="SECRET question", stream=stream)
    options: dict[str, Any] = {"stream_options": {"include_usage": True}} if stream else {}
    return client.chat.completions.create(model=cloud.asked, **CHAT, stream=stream, **options)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", ["chat", "responses"])
@pytest.mark.parametrize("name", OF_OPENAI)
def test_a_call_of_openais_models_says_where(
    api: ModelApi, app: Breakeven, name: str, kind: str, stream: bool
) -> None:
    cloud = OF_OPENAI[name]
    answer = asked_of(watched(cloud.client(api), app), cloud, kind, stream)
    if stream:
        assert len(list(answer)) > 20
    check(the_event(app), told_of(cloud, kind), stream)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", ["chat", "responses"])
@pytest.mark.parametrize("name", ["azure", "azure-v1", "bedrock"])
def test_an_asynchronous_call_of_openais_models_says_the_same(
    api: ModelApi, app: Breakeven, name: str, kind: str, stream: bool
) -> None:
    cloud = OF_OPENAI[name]

    async def main() -> None:
        async with cloud.async_client(api) as client:
            answer = await asked_of(watched(client, app), cloud, kind, stream)
            if stream:
                assert len([event async for event in answer]) > 20

    asynchronous.run(main())
    check(the_event(app), told_of(cloud, kind), stream)


def test_azure_is_asked_in_its_own_ways(api: ModelApi, app: Breakeven) -> None:
    for name in ("azure", "azure-deployment", "azure-v1"):
        for kind in ("chat", "responses"):
            asked_of(watched(OF_OPENAI[name].client(api), app), OF_OPENAI[name], kind, False)
    deployed = "/openai/deployments/our-deployment/chat/completions"
    assert api.paths == [
        *(deployed, "/openai/responses"),
        *(deployed, "/openai/responses"),
        *("/openai/v1/chat/completions", "/openai/v1/responses"),
    ]
    assert capture.flush() and capture.stats()["sent"] == 6
