"""Tell Breakeven what your model calls cost and how their caches were used, without showing it a prompt.

    import breakeven_capture
    client = breakeven_capture.watch(Anthropic(), url="https://breakeven.example", key="YOUR_INGEST_KEY")

Works with Anthropic, AsyncAnthropic, OpenAI and AsyncOpenAI, and with their clients for Amazon Bedrock
(AnthropicBedrock, AnthropicBedrockMantle, BedrockOpenAI), Google Vertex (AnthropicVertex), Google Cloud
(AnthropicGoogleCloud), Claude Platform on AWS (AnthropicAWS), Foundry (AnthropicFoundry) and Azure (AzureOpenAI):
clients whose calls end in /v1/messages, /chat/completions or /responses, in Bedrock's /invoke or in Vertex's
:rawPredict. Whole answers and streams. Python 3.9 or newer, one file, standard library only. `url` and `key` default to
the variables BREAKEVEN_URL and BREAKEVEN_KEY; without them the client is left as it is. The very client that was given
is watched and returned; so are its copies.

What is sent, per answered call: the provider's usage object, model, ids, times, stop reason, the labels you set, and
`prefix`: for each block of the prompt (tools, system, messages, in the order in which the provider caches them) a
hash that stands for everything up to and including it, and an estimate of its tokens. The hashes are keyed with a
salt that never leaves your machines. No text is sent, not even a hash that could be tried out without the salt.

The salt is made once and kept in ~/.breakeven_capture_salt (or BREAKEVEN_SALT_FILE). Give all processes that share a
cache the same one, by copying the file or setting BREAKEVEN_SALT, so that the same prefix gets the same hash in all.

What it costs: hooks of the SDK's own HTTP client note the times and keep a reference to the bytes that were sent
anyway. Reading, hashing and sending happen in two background threads. Errors in here are counted (`stats()`) and never
reach the program. While Breakeven is away, events wait in a bounded buffer; what does not fit is dropped and counted.

A stream that ends early is reported if its usage was seen (Anthropic tells the input side at the start), with the tag
`capture=interrupted`: its output is a lower bound. OpenAI chat streams carry usage only if the program asks for it
(`stream_options={"include_usage": True}`); the request is never altered, such calls are counted as `without_usage`.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import contextvars
import gzip
import hashlib
import http.client
import inspect
import json
import logging
import os
import queue
import re
import secrets
import struct
import threading
import time
import urllib.error
import urllib.request
import zlib
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Iterator, Mapping
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

__all__ = ["about", "flush", "stats", "watch"]
__version__ = "1"

Client = TypeVar("Client")
logger = logging.getLogger("breakeven_capture")
JITTER = secrets.SystemRandom()  # a program that seeds `random` has its numbers to itself

MAX_PREFIX = 512  # entries that Breakeven takes
TAIL = 96  # the last blocks are never merged: the next turn of a conversation begins there
MAX_MARKS = 4  # breakpoints that a request can have
MEDIA_BYTES = 6_000  # an image or a document counts as this much text: its bytes say nothing about its tokens
REMEMBERED = 50_000  # prefixes whose token counts are kept, so that a prefix has the same count in every call
HEAD_LINES, TAIL_LINES = 4, 12  # of a stream: where providers put ids and usage
LONGEST_STREAM = 32 * 1024 * 1024  # of a compressed stream, which can only be read as a whole
LONGEST_FRAME = 16 * 1024 * 1024  # of Bedrock's event stream
BATCH_EVENTS, BATCH_BYTES = 500, 1_000_000
LINGER, TIMEOUT, EXIT_SECONDS = 1.0, 10.0, 2.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
LONGEST_WORD, LONGEST_ID, MAX_TAGS = 64, 256, 31  # Breakeven takes 32 tags; one is ours
CALL = "breakeven_capture"  # where a request carries its call

PATHS = {"/v1/messages": "anthropic", "/chat/completions": "chat", "/responses": "responses"}
# Bedrock and Vertex name the model in the path, and Vertex the place, which has its price.
BEDROCK = re.compile(r"/model/(?P<model>.+)/invoke(-with-response-stream)?$")
VERTEX = re.compile(
    r"/locations/(?P<place>[^/]+)/publishers/anthropic/models/(?!count-tokens:)(?P<model>[^/:]+)"
    r":(rawPredict|streamRawPredict)$"
)
EVENT_STREAM = "application/vnd.amazon.eventstream"  # what Bedrock streams instead of server-sent events
HOSTS = {
    "api.anthropic.com": {"provider": "anthropic", "platform": "anthropic"},
    # Anthropic's own API behind Google's door: no prices of its own are known.
    "claude.googleapis.com": {"provider": "anthropic", "platform": "anthropic"},
    "bedrock-*.api.aws": {"platform": "bedrock"},
    "bedrock-*.amazonaws.com": {"platform": "bedrock"},
    "aws-external-anthropic.*.api.aws": {"provider": "anthropic", "platform": "claude-platform-on-aws"},
    "api.openai.com": {"provider": "openai", "platform": "openai"},
    "*.openai.azure.com": {"provider": "openai", "platform": "azure"},
    "*.cognitiveservices.azure.com": {"provider": "openai", "platform": "azure"},
    "*.services.ai.azure.com": {"platform": "foundry"},
}
# The ends of a stream, by provider: after these nothing is missing.
ENDS = frozenset({"message_stop", "response.completed", "response.incomplete", "response.failed"})
COUNTERS = (
    "calls",  # answered calls that were seen
    "sent",  # events that Breakeven took
    "rejected",  # events that Breakeven refused, each with its reason in the log of Breakeven
    "refused",  # events in batches that were refused as a whole: a wrong key or address
    "dropped",  # calls or events that did not fit into the buffer
    "without_usage",  # calls whose answer told no usage
    "without_prefix",  # events of a prompt that the provider keeps in part, or that did not fit into the buffer
    "interrupted",  # streams that ended early but told their usage
    "retries",  # attempts to send that failed and were repeated
    "errors",  # mistakes in here, swallowed
    "waiting",  # calls and events in the buffer now
)

# ------------------------------------------------------------------------------------------------ for your program

_labels: contextvars.ContextVar[Mapping[str, Any]] = contextvars.ContextVar("breakeven_labels", default={})  # noqa: B039


def watch(
    client: Client,
    url: str | None = None,
    key: str | None = None,
    *,
    salt: str | bytes | None = None,
    workspace_id: str | None = None,
    api_key_id: str | None = None,
    user_id: str | None = None,
    session_id: str | None = None,
    tags: Mapping[str, str] | None = None,
    max_events: int = 10_000,
    max_bytes: int = 64 * 1024 * 1024,
) -> Client:
    """Watch this client and its copies; returns it. Never raises: what is wrong is logged, and the client is untouched.

    The labels hold for every call of this client; `about` sets further ones for a stretch of code. Clients with the
    same `url`, `key` and `salt` share one buffer of at most `max_events` calls and `max_bytes` bytes. A client that is
    watched already stays as it is.
    """
    try:
        address, secret = (
            url or os.environ.get("BREAKEVEN_URL", ""),
            key or os.environ.get("BREAKEVEN_KEY", ""),
        )
        if not address or not secret:
            logger.warning("Not watching: url and key (or BREAKEVEN_URL and BREAKEVEN_KEY) are needed.")
            return client
        if not address.lower().startswith(("http://", "https://")):
            logger.warning("Not watching: url must begin with http:// or https://.")
            return client
        labels = _label_fields(workspace_id, api_key_id, user_id, session_id, tags)
        _attach(
            client, _Watch(_pipe(address.rstrip("/"), secret, _key_of(salt), max_events, max_bytes), labels)
        )
    except Exception as error:
        logger.warning("Not watching: %s.", type(error).__name__)
    return client


@contextlib.contextmanager
def about(
    *,
    workspace_id: str | None = None,
    api_key_id: str | None = None,
    user_id: str | None = None,
    session_id: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Iterator[None]:
    """Labels for the calls made inside `with about(session_id=...):`, in this thread or task; they nest."""
    fresh = _label_fields(workspace_id, api_key_id, user_id, session_id, tags)
    token = _labels.set(_joined(_labels.get(), fresh))
    try:
        yield
    finally:
        _labels.reset(token)


def stats() -> dict[str, int]:
    """What has happened since the start of this process, by counter; the names are in COUNTERS."""
    pipes = list(_pipes.values())
    return {name: sum(pipe.counts[name] for pipe in pipes) for name in COUNTERS}


def flush(timeout: float = 5.0) -> bool:
    """Wait until everything is sent, at most `timeout` seconds; whether it was. Happens by itself at exit, for 2 s."""
    deadline = time.monotonic() + timeout
    results = [pipe.flush(deadline) for pipe in list(_pipes.values())]  # each gets its turn
    return all(results)


def _label_fields(
    workspace_id: str | None,
    api_key_id: str | None,
    user_id: str | None,
    session_id: str | None,
    tags: Mapping[str, str] | None,
) -> dict[str, Any]:
    named = {
        "workspace_id": workspace_id,
        "api_key_id": api_key_id,
        "user_id": user_id,
        "session_id": session_id,
    }
    fields: dict[str, Any] = {
        name: str(value)[:LONGEST_ID] for name, value in named.items() if value is not None
    }
    if tags:
        fields["tags"] = {str(name)[:64]: str(value)[:256] for name, value in tags.items()}
    return fields


def _joined(outer: Mapping[str, Any], inner: Mapping[str, Any]) -> dict[str, Any]:
    both = {**outer, **inner}
    if "tags" in outer and "tags" in inner:
        both["tags"] = {**outer["tags"], **inner["tags"]}
    return both


# ----------------------------------------------------------------------------------------------------- the watched call


class _Place(NamedTuple):
    """Where a call went: the shape of its body, the model if the address names it, and what says where it ran."""

    kind: str
    model: str
    labels: Mapping[str, str]


def _place_of(host: str, path: str) -> _Place | None:
    """None for calls that are no model's."""
    path = path.rstrip("/")
    bedrock, vertex = BEDROCK.search(path), VERTEX.search(path)
    if bedrock:
        return _Place("anthropic", bedrock["model"], {"provider": "anthropic", "platform": "bedrock"})
    if vertex:
        routing = "global" if vertex["place"] == "global" else "regional"
        labels = {"provider": "anthropic", "platform": "vertex", "routing": routing}
        return _Place("anthropic", vertex["model"], labels)
    for end, kind in PATHS.items():
        if path.endswith(end):
            known = next((labels for pattern, labels in HOSTS.items() if fnmatchcase(host, pattern)), None)
            if known and kind == "anthropic":  # clouds serve others' models by other paths
                known = {"provider": "anthropic", **known}
            return _Place(kind, "", known or {})
    return None


def _frames(data: bytearray) -> list[bytes]:
    """Take the whole messages of Amazon's event stream off the front; their payloads. Each has its length, the length
    of its headers, a checksum of the two, headers, payload, and a checksum. What is no message is dropped."""
    found: list[bytes] = []
    at = 0
    while len(data) - at >= 12:
        size, headers, checksum = struct.unpack_from(">III", data, at)
        if zlib.crc32(data[at : at + 8]) != checksum or not 16 + headers <= size <= LONGEST_FRAME:
            at = len(data)
        elif len(data) - at < size:
            break
        else:
            found.append(bytes(data[at + 12 + headers : at + size - 4]))
            at += size
    del data[:at]
    return found


class _Call:
    """One call while it runs: times, and references to the bytes that pass by."""

    def __init__(self, place: _Place, request: bytes, labels: Mapping[str, Any]) -> None:
        self.place, self.request, self.labels = place, request, labels
        self.started_at, self.started = time.time(), time.perf_counter()
        self.first: float | None = None
        self.last = self.started
        self.streamed = self.framed = self.done = False
        self.encoding = self.request_id = self.workspace = ""
        self.make: Any = None  # the type of the response: it knows how to decompress
        self.chunks: list[bytes] = []
        self.size = 0
        self.rest = bytearray()  # of a line or frame that has not ended
        self.head: list[bytes] = []
        self.tail: deque[bytes] = deque(maxlen=TAIL_LINES)

    def note(self, chunk: bytes) -> None:
        """A piece of the answer. Of a plain stream only its first and last events are kept."""
        if self.done:
            return  # the other thread has it now
        self.last = time.perf_counter()
        if self.first is None:
            self.first = self.last
        if not self.streamed or self.encoding:
            self.size += len(chunk)
            if self.size <= LONGEST_STREAM or not self.streamed:
                self.chunks.append(chunk)
            return
        self.take(chunk)

    def take(self, chunk: bytes) -> None:
        """The events of a piece of a stream, as far as they are whole."""
        self.rest += chunk
        if self.framed:
            for payload in _frames(self.rest):
                self.keep(payload)
        elif b"\n" in chunk:  # a long line is looked at once, not with each of its pieces
            *lines, self.rest = self.rest.split(b"\n")
            for line in lines:
                if line.startswith(b"data:"):
                    self.keep(bytes(line[5:].strip()))

    def keep(self, event: bytes) -> None:
        (self.head if len(self.head) < HEAD_LINES else self.tail).append(event)

    def weight(self) -> int:
        """Bytes held while the call waits to be read."""
        return (
            len(self.request)
            + self.size
            + len(self.rest)
            + sum(map(len, self.head))
            + sum(map(len, self.tail))
        )


class _Watch:
    """The hooks of one client. Whatever goes wrong in them is counted and forgotten."""

    def __init__(self, pipe: _Pipe, labels: Mapping[str, Any]) -> None:
        self.pipe, self.labels = pipe, labels

    def begin(self, request: Any) -> None:
        try:
            if request.method != "POST":
                return
            place = _place_of(request.url.host, request.url.path)
            if place is not None:
                labels = _joined(self.labels, _labels.get())
                request.extensions[CALL] = _Call(place, request.content, labels)
        except Exception:
            self.pipe.count("errors")

    def answer(self, response: Any) -> None:
        try:
            call = response.request.extensions.pop(CALL, None)
            if call is None or not 200 <= response.status_code < 300:
                return
            headers = response.headers
            ids = (headers.get(name) for name in ("request-id", "x-request-id", "x-amzn-requestid"))
            call.request_id = next(filter(None, ids), "")
            call.workspace = headers.get("anthropic-workspace-id") or headers.get("openai-project") or ""
            content_type = headers.get("content-type", "")
            call.framed = content_type.startswith(EVENT_STREAM)
            call.streamed = call.framed or content_type.startswith("text/event-stream")
            call.encoding = headers.get("content-encoding", "").replace("identity", "")
            call.make = type(response)
            if response.is_closed:  # it came as a whole, from a cache or a test
                call.encoding = ""
                call.note(response.content)
                self.finish(call)
            else:
                response.stream = _tee(response.stream)(response.stream, call, self)
        except Exception:
            self.pipe.count("errors")

    async def begin_async(self, request: Any) -> None:
        self.begin(request)

    async def answer_async(self, response: Any) -> None:
        self.answer(response)

    def note(self, call: _Call, chunk: bytes) -> None:
        try:
            call.note(chunk)
        except Exception:
            self.pipe.count("errors")

    def finish(self, call: _Call) -> None:
        """The answer has ended, one way or another; called again, it does nothing."""
        try:
            if not call.done:
                call.done = True
                self.pipe.put(call)
        except Exception:
            self.pipe.count("errors")


class _Tee:
    """A response's stream that lets every piece pass and notes it."""

    def __init__(self, inner: Any, call: _Call, watch: _Watch) -> None:
        self._inner, self._call, self._watch = inner, call, watch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._inner:
                self._watch.note(self._call, chunk)
                yield chunk
        finally:
            self._watch.finish(self._call)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._inner:
                self._watch.note(self._call, chunk)
                yield chunk
        finally:
            self._watch.finish(self._call)

    def close(self) -> None:
        try:
            self._inner.close()
        finally:
            self._watch.finish(self._call)

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            self._watch.finish(self._call)


_tees: dict[tuple[type, ...], Any] = {}


def _tee(stream: Any) -> Any:
    """_Tee as a subclass of the stream bases of whichever HTTP library the SDK uses: it checks for them."""
    bases = tuple(t for t in type(stream).__mro__ if t.__name__ in ("SyncByteStream", "AsyncByteStream"))
    if bases not in _tees:
        _tees[bases] = type("_TeeStream", (_Tee, *bases), {})
    return _tees[bases]


def _attach(client: Any, watch: _Watch) -> None:
    """Hook the client's HTTP client (copies share it) and see to copies that get another one."""
    http = client._client
    hooks = http.event_hooks
    if not any(isinstance(getattr(hook, "__self__", None), _Watch) for hook in hooks["request"]):
        is_async = inspect.iscoroutinefunction(http.send)
        hooks["request"].append(watch.begin_async if is_async else watch.begin)
        hooks["response"].append(watch.answer_async if is_async else watch.answer)
    if "copy" not in vars(client):
        _follow_copies(client, watch)


def _follow_copies(client: Any, watch: _Watch) -> None:
    make = client.copy

    def copy(*args: Any, **kwargs: Any) -> Any:
        made = make(*args, **kwargs)
        try:
            _attach(made, watch)
        except Exception:
            watch.pipe.count("errors")
        return made

    client.copy = client.with_options = copy


# -------------------------------------------------------------------------------------------------- prefixes as hashes


class _Block(NamedTuple):
    """One block of a prompt: what is hashed, how long it is in bytes of text, whether it ends in a breakpoint."""

    data: bytes
    weight: int
    marked: bool


class _Prompt(NamedTuple):
    blocks: list[_Block]
    automatic: bool  # the provider puts the breakpoint at the end


def _plain(value: object) -> bytes:
    """As it was sent, keys in their order: providers are as particular about it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _is_media(block: Mapping[str, Any]) -> bool:
    source = block.get("source")
    if isinstance(source, Mapping):
        return source.get("type") in ("base64", "url", "file")
    return block.get("type") in ("image_url", "input_image", "input_file", "file", "input_audio")


def _weight(block: object, size: int) -> int:
    if not isinstance(block, Mapping):
        return size
    if _is_media(block):
        return MEDIA_BYTES
    inner = block.get("content")
    if isinstance(inner, list) and any(isinstance(part, Mapping) and _is_media(part) for part in inner):
        return sum(_weight(part, len(_plain(part))) for part in inner)
    return size


def _block(section: str, block: object) -> _Block:
    """A block without its breakpoint marks: moving one does not change what is cached."""
    marked = False
    if isinstance(block, Mapping):
        marked = block.get("cache_control") is not None
        block = {name: value for name, value in block.items() if name != "cache_control"}
        inner = block.get("content")
        if isinstance(inner, list):
            marked = marked or any(
                isinstance(p, Mapping) and p.get("cache_control") is not None for p in inner
            )
            block["content"] = [
                {n: v for n, v in p.items() if n != "cache_control"} if isinstance(p, Mapping) else p
                for p in inner
            ]
    data = _plain(block)
    return _Block(section.encode() + b"\0" + data, _weight(block, len(data)), marked)


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _parts(content: object) -> list[Any]:
    """The parts of a message; a bare string is the same prompt as one text block."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else _listed(content)


def _has_image(content: object) -> bool:
    return any(
        isinstance(part, Mapping) and (part.get("type") == "image" or _has_image(part.get("content")))
        for part in _listed(content)
    )


def _settings(blocks: list[_Block], first: int, settings: Mapping[str, object]) -> None:
    """Let settings that break the cache from here on change the hashes from here on."""
    if first < len(blocks) and any(value is not None and value is not False for value in settings.values()):
        block = blocks[first]
        blocks[first] = block._replace(data=_plain(settings) + b"\0" + block.data)


def _anthropic_prompt(body: Mapping[str, Any]) -> _Prompt:
    blocks = [_block("tool", tool) for tool in _listed(body.get("tools"))]
    system_at = len(blocks)
    blocks += [_block("system", part) for part in _parts(body.get("system"))]
    messages_at = len(blocks)
    images = False
    for message in _listed(body.get("messages")):
        if isinstance(message, Mapping):
            images = images or _has_image(message.get("content"))
            blocks += [_block(str(message.get("role")), part) for part in _parts(message.get("content"))]
    speed, output = body.get("speed"), body.get("output_config")
    if system_at < messages_at:
        _settings(blocks, system_at, {"speed": speed})
    choice, thinking = body.get("tool_choice"), body.get("thinking")
    rest = {
        "tool_choice": None if choice == {"type": "auto"} else choice,  # the same as none
        "thinking": None if thinking == {"type": "disabled"} else thinking,
        "effort": output.get("effort") if isinstance(output, Mapping) else None,
    }
    _settings(blocks, messages_at, {"speed": speed, **rest, "images": images})
    marked = any(block.marked for block in blocks)
    return _Prompt(blocks, body.get("cache_control") is not None or not marked)


def _openai_prompt(body: Mapping[str, Any], kind: str) -> _Prompt | None:
    """Chat and Responses alike; None when part of the prompt is kept by the provider."""
    if any(body.get(name) is not None for name in ("previous_response_id", "conversation", "prompt")):
        return None
    blocks = [_block("tool", tool) for tool in [*_listed(body.get("tools")), *_listed(body.get("functions"))]]
    if isinstance(body.get("instructions"), str):
        blocks.append(_block("system", {"type": "text", "text": body["instructions"]}))
    items = body.get("messages" if kind == "chat" else "input")
    for item in [{"role": "user", "content": items}] if isinstance(items, str) else _listed(items):
        if not isinstance(item, Mapping):
            continue
        role = str(item.get("role", ""))
        others = {
            name: value
            for name, value in item.items()
            if name not in ("role", "content") and value is not None
        }
        if others and others != {"type": "message"}:
            blocks.append(_block(role, others))
        blocks += [_block(role, part) for part in _parts(item.get("content"))]
    text = body.get("text")
    schema = body.get("response_format") or (text.get("format") if isinstance(text, Mapping) else None)
    _settings(blocks, 0, {"schema": schema})
    return _Prompt(blocks, True)


def _chain(key: bytes, blocks: list[_Block]) -> list[str]:
    """The id of each prefix: its block hashed together with the id before."""
    before, ids = b"", []
    for block in blocks:
        digest = hashlib.blake2b(before, digest_size=16, key=key, person=b"breakeven-1")
        digest.update(block.data)
        before = digest.digest()
        ids.append(before.hex())
    return ids


def _kept(blocks: list[_Block]) -> list[int]:
    """Which prefixes to name when there are too many: breakpoints, the last ones, and every 2nd, 4th, 8th... before.

    The choice depends on a block's place from the start, so a longer prompt with the same beginning names the same.
    """
    count = len(blocks)
    if count <= MAX_PREFIX:
        return list(range(count))
    marks = [place for place, block in enumerate(blocks) if block.marked][-MAX_MARKS:]
    stride = 2
    while count // stride > MAX_PREFIX - TAIL - MAX_MARKS:
        stride *= 2
    return sorted({*marks, *range(stride - 1, count, stride), *range(count - TAIL, count)})


class _Sizes:
    """Token counts of prefixes seen before, so that one prefix has one count; used by one thread."""

    def __init__(self) -> None:
        self.known: OrderedDict[tuple[str, str], int] = OrderedDict()

    def counts(self, model: str, ids: list[str], weights: list[int], total: int) -> list[int]:
        """Cumulative tokens: what is known stays, the rest shares what is left of `total` by its weight."""
        values = [self.known.get((model, name)) for name in ids]
        seen = max((place for place, value in enumerate(values) if value is not None), default=-1)
        counts: list[int] = []
        for value in values[: seen + 1]:
            counts.append(max(value or 0, counts[-1] if counts else 0))
        base = counts[-1] if counts else 0
        if base > total or (seen == len(ids) - 1 and base != total):
            seen, base, counts = -1, 0, []  # an earlier estimate was wrong: spread anew
        left = sum(weights[seen + 1 :])
        so_far = 0
        for weight in weights[seen + 1 :]:
            so_far += weight
            counts.append(base + (total - base) * so_far // max(left, 1))
        for place, name in enumerate(ids):
            self.known[model, name] = counts[place]
            self.known.move_to_end((model, name))
        while len(self.known) > REMEMBERED:
            self.known.popitem(last=False)
        return counts


def _input_tokens(kind: str, usage: Mapping[str, Any]) -> tuple[int, int]:
    """(all, cached by the request's own breakpoints: read or written) tokens of the prompt."""
    if kind == "chat":
        return _whole(usage.get("prompt_tokens")), 0
    if kind == "responses":
        return _whole(usage.get("input_tokens")), 0
    for step in _listed(usage.get("iterations"))[:1]:  # of several steps, only the first is this prompt
        if isinstance(step, Mapping) and step.get("input_tokens") is not None:
            usage = step
    written = _whole(usage.get("cache_creation_input_tokens"))
    split = usage.get("cache_creation")
    if not written and isinstance(split, Mapping):
        written = sum(_whole(value) for value in split.values())
    cached = _whole(usage.get("cache_read_input_tokens")) + written
    return _whole(usage.get("input_tokens")) + cached, cached


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _prefix(
    kind: str, body: Mapping[str, Any], model: str, usage: Mapping[str, Any], key: bytes, sizes: _Sizes
) -> list[dict[str, Any]] | None:
    """The prefix list of a request, up to its last breakpoint; None when it cannot be known."""
    prompt = _anthropic_prompt(body) if kind == "anthropic" else _openai_prompt(body, kind)
    total, cached = _input_tokens(kind, usage)
    if prompt is None or not prompt.blocks or not total:
        return None
    blocks = prompt.blocks
    if not prompt.automatic:
        whole = sum(block.weight for block in blocks)
        last = max(place for place, block in enumerate(blocks) if block.marked)
        blocks = blocks[: last + 1]
        # Below the minimum length nothing is cached; then the share of the bytes has to do.
        total = cached or total * sum(block.weight for block in blocks) // max(whole, 1)
    elif cached:
        total = cached
    ids = _chain(key, blocks)
    counts = sizes.counts(model, ids, [block.weight for block in blocks], total)
    return [{"id": ids[place], "tokens": counts[place]} for place in _kept(blocks)]


# ------------------------------------------------------------------------------------------------ answers into events


def _counts_only(value: Any, depth: int = 0) -> Any:
    """A usage object with everything that could be text taken out: numbers, flags and short words stay."""
    if isinstance(value, dict) and depth < 4:
        return {
            name: _counts_only(inner, depth + 1) for name, inner in value.items() if len(name) <= LONGEST_WORD
        }
    if isinstance(value, list) and depth < 4:
        return [_counts_only(inner, depth + 1) for inner in value[:1000]]
    if isinstance(value, str):
        return value if len(value) <= LONGEST_WORD and " " not in value else None
    return value if value is None or isinstance(value, (bool, int, float)) else None


class _Answer:
    """What an answer says about itself, gathered from one object or from the events of a stream."""

    def __init__(self) -> None:
        self.id = self.model = self.stop_reason = ""
        self.usage: dict[str, Any] = {}
        self.tier = ""
        self.ended = self.edited = False

    def read(self, value: Any) -> None:
        """One object: a message, a chat completion or chunk, a response, or an event that wraps one of them."""
        if not isinstance(value, dict):
            return
        self.ended = self.ended or value.get("type") in ENDS
        inner = value.get("message") if value.get("type") == "message_start" else value.get("response")
        if isinstance(inner, dict):
            self.read(inner)
            return
        self.id = self.id or _word(value.get("id"))
        self.model = _word(value.get("model")) or self.model
        self.tier = _word(value.get("service_tier")) or self.tier
        usage = value.get("usage")
        if isinstance(usage, dict):
            self.usage.update({name: count for name, count in usage.items() if count is not None})
        edits = value.get("context_management")
        self.edited = self.edited or bool(isinstance(edits, dict) and edits.get("applied_edits"))
        self.stop_reason = _stop_reason(value) or self.stop_reason


def _stop_reason(value: Mapping[str, Any]) -> str:
    delta, details = value.get("delta"), value.get("incomplete_details")
    choices = _listed(value.get("choices"))
    found = value.get("stop_reason")
    if isinstance(delta, dict):
        found = found or delta.get("stop_reason")
    if choices and isinstance(choices[0], dict):
        found = found or choices[0].get("finish_reason")
    if value.get("object") == "response":
        found = (details.get("reason") if isinstance(details, dict) else None) or value.get("status")
    return _word(found)[:LONGEST_WORD]


def _word(value: object, longest: int = 200) -> str:
    return value[:longest] if isinstance(value, str) else ""


def _read_answer(call: _Call) -> _Answer:
    answer = _Answer()
    body = b"".join(call.chunks)
    if call.encoding and body:
        body = call.make(200, headers={"content-encoding": call.encoding}, content=body).content
    if not call.streamed:
        with contextlib.suppress(ValueError):  # an answer that was cut off
            answer.read(json.loads(body))
        answer.ended = True
        return answer
    call.take(body + b"\n" if body else b"\n")  # the last line may have no end
    for event in [*call.head, *call.tail]:
        if event == b"[DONE]":
            answer.ended = True
            continue
        try:
            value = json.loads(event)
            if call.framed:  # an event within an event
                value = json.loads(base64.b64decode(value["bytes"]))
        except (ValueError, LookupError, TypeError):  # cut off, or an error in the place of an event
            continue
        answer.read(value)
    return answer


def _moment(seconds: float) -> str:
    whole, millis = divmod(int(seconds * 1000), 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{millis:03d}Z"


def _model(call: _Call, answer: _Answer, body: Mapping[str, Any]) -> str:
    """The model that answered; on Bedrock the name it was asked by, which says whether the call was routed globally."""
    asked = call.place.model or _word(body.get("model"))
    return asked if "anthropic." in asked else answer.model or asked


def _event(call: _Call, key: bytes, sizes: _Sizes, count: Any) -> bytes | None:
    """The canonical event of a finished call as a line of JSON; None when the answer told no usage."""
    answer = _read_answer(call)
    usage = _counts_only(answer.usage)
    if not usage:
        count("without_usage")
        return None
    if call.place.kind != "anthropic" and answer.tier:
        usage.setdefault("service_tier", answer.tier)  # OpenAI tells it beside the usage, and it has a price
    body = json.loads(call.request)
    model = _model(call, answer, body)
    event: dict[str, Any] = {
        "occurred_at": _moment(call.started_at),
        "model": model,
        "usage": usage,
        "latency_ms": max(0, round((call.last - call.started) * 1000)),
        **call.place.labels,
        **({"workspace_id": call.workspace} if call.workspace else {}),
        **call.labels,
    }
    if call.streamed and call.first is not None:
        event["ttft_ms"] = max(0, round((call.first - call.started) * 1000))
    for name, value in (
        ("id", answer.id),
        ("request_id", call.request_id),
        ("stop_reason", answer.stop_reason),
    ):
        if value:
            event[name] = value
    if "tags" in event:
        event["tags"] = dict(list(event["tags"].items())[:MAX_TAGS])
    if not answer.ended:
        count("interrupted")
        event["tags"] = {**event.get("tags", {}), "capture": "interrupted"}
    try:
        prefix = None if answer.edited else _prefix(call.place.kind, body, model, usage, key, sizes)
    except Exception:
        count("errors")
        prefix = None
    if prefix:
        event["prefix"] = prefix
    else:
        count("without_prefix")
    return json.dumps(event, separators=(",", ":")).encode()


# ------------------------------------------------------------------------------------------------ buffering and sending


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirected POST would become a GET of some page, and look like success."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


class _Pipe:
    """A bounded buffer with two background threads: one turns calls into events, one sends them.

    The threads start with the first call, in whichever process it is made; a forked child begins with an empty buffer.
    """

    def __init__(self, url: str, secret: str, key: bytes, max_events: int, max_bytes: int) -> None:
        self.address, self.secret, self.key = f"{url}/api/v1/events", secret, key
        self.max_events, self.max_bytes = max_events, max_bytes
        self.opener = urllib.request.build_opener(_NoRedirects)
        self.reset()

    def reset(self) -> None:
        # Reentrant, and the queue too: a stream may be finished by the garbage collector in the middle of anything.
        self.lock = threading.RLock()
        self.counts = dict.fromkeys(COUNTERS, 0)
        self.held = 0
        self.inbox: queue.SimpleQueue[tuple[_Call, int]] = queue.SimpleQueue()
        self.outbox: deque[bytes] = deque()
        self.ready, self.hurry = threading.Event(), threading.Event()
        self.started = False

    def count(self, name: str, by: int = 1) -> None:
        with self.lock:
            self.counts[name] += by

    def hold(self, events: int, size: int) -> bool:
        """Take room in the buffer, or give it back; False when there is none."""
        with self.lock:
            full = self.counts["waiting"] + events > self.max_events or self.held + size > self.max_bytes
            if full and events > 0:
                return False
            self.counts["waiting"] += events
            self.held += size
            return True

    def put(self, call: _Call) -> None:
        """Never blocks. When the prompt does not fit, the call goes without it: what it cost is worth more."""
        self.count("calls")
        weight = call.weight()
        if not self.hold(1, weight):
            weight -= len(call.request)
            call.request = b"{}"
            if not self.hold(1, weight):
                self.count("dropped")
                return
        self.inbox.put((call, weight))
        if not self.started:
            self.start()

    def start(self) -> None:
        with self.lock:
            if not self.started:
                for work in (self.digest, self.deliver):
                    threading.Thread(target=work, name=f"breakeven-{work.__name__}", daemon=True).start()
                self.started = True

    def digest(self) -> None:
        """Calls into events, for ever."""
        sizes = _Sizes()
        inbox = self.inbox
        while True:
            call, weight = inbox.get()
            line = None
            try:
                line = _event(call, self.key, sizes, self.count)
            except Exception:
                self.count("errors")
            with self.lock:
                self.hold(-1, -weight)
                if line is not None and self.hold(1, len(line)):
                    self.outbox.append(line)
                    self.ready.set()
                elif line is not None:
                    self.count("dropped")
            del call

    def deliver(self) -> None:
        """Events to Breakeven, for ever, in batches."""
        pause = FIRST_PAUSE
        while True:
            self.ready.wait()
            if not self.hurry.is_set() and len(self.outbox) < BATCH_EVENTS:
                self.hurry.wait(LINGER)
            batch = self.batch()
            if not batch:
                self.ready.clear()
                if self.outbox:  # filled in between
                    self.ready.set()
                continue
            try:
                wait = self.attempt(batch)
            except Exception:
                self.count("errors")
                wait = 0.0
            if wait is None:
                pause = FIRST_PAUSE
                continue
            self.count("retries")
            # A flush shortens the pause, but a server that is down is not asked more than ten times a second.
            self.hurry.wait(max(wait, pause * JITTER.uniform(0.5, 1.0)))
            time.sleep(0.1)
            pause = min(pause * 2, LONGEST_PAUSE)

    def batch(self) -> list[bytes]:
        lines: list[bytes] = []
        size = 0
        with self.lock:
            waiting = list(islice(self.outbox, BATCH_EVENTS))
        for line in waiting:
            size += len(line)
            if lines and size > BATCH_BYTES:
                break
            lines.append(line)
        return lines

    def attempt(self, batch: list[bytes]) -> float | None:
        """Send one batch. None when it is settled, for good or bad; else the seconds to wait before the next try."""
        try:
            receipt: dict[str, Any] | None = self.post(batch)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 429 or error.code >= 500:
                    return _seconds(error.headers.get("Retry-After"))
                if error.code == 413 and len(batch) > 1:
                    half = len(batch) // 2
                    wait = self.attempt(batch[:half])
                    return wait if wait is not None else self.attempt(batch[half:])
                receipt = _receipt(error.read()) if error.code == 422 else None
                if receipt is None and not self.counts["refused"]:
                    logger.warning("Breakeven refuses events with status %d: check url and key.", error.code)
        except (OSError, ValueError, http.client.HTTPException):
            return 0.0  # not reachable, too slow, or something else answers there
        self.settle(batch, receipt)
        return None

    def post(self, batch: list[bytes]) -> dict[str, Any]:
        headers = {
            "Authorization": f"Bearer {self.secret}",
            "Content-Type": "application/x-ndjson",
            "Content-Encoding": "gzip",
            "User-Agent": f"breakeven-capture/{__version__}",
        }
        body = gzip.compress(b"\n".join(batch), 5)
        request = urllib.request.Request(self.address, body, headers, method="POST")
        with self.opener.open(request, timeout=TIMEOUT) as answer:
            receipt = _receipt(answer.read(4_000_000))
        if receipt is None:
            raise ValueError("no receipt")
        return receipt

    def settle(self, batch: list[bytes], receipt: dict[str, Any] | None) -> None:
        """Let go of the first events of the buffer and count what became of them."""
        rejected = _listed(receipt.get("rejected")) if receipt else []
        with self.lock:
            for line in batch:
                self.outbox.popleft()
                self.hold(-1, -len(line))
            self.counts["rejected"] += len(rejected)
            self.counts["sent" if receipt is not None else "refused"] += len(batch) - len(rejected)
        for row in rejected[:1]:
            logger.warning("Breakeven rejected an event: %s in %s.", row.get("reason"), row.get("field"))

    def flush(self, deadline: float) -> bool:
        self.hurry.set()
        try:
            while self.counts["waiting"] and time.monotonic() < deadline:
                time.sleep(0.01)
            return not self.counts["waiting"]
        finally:
            self.hurry.clear()


def _receipt(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) and "received" in value else None


def _seconds(text: str | None) -> float:
    return min(float(text), LONGEST_PAUSE) if text is not None and text.isdigit() else 0.0


_pipes: dict[tuple[str, str, bytes], _Pipe] = {}
_making = threading.Lock()


def _pipe(url: str, secret: str, key: bytes, max_events: int, max_bytes: int) -> _Pipe:
    with _making:
        if (url, secret, key) not in _pipes:
            _pipes[url, secret, key] = _Pipe(url, secret, key, max_events, max_bytes)
        return _pipes[url, secret, key]


def _after_fork() -> None:
    """A child has neither the threads nor the events of its parent, and no lock may stay held."""
    global _making
    _making = threading.Lock()
    for pipe in _pipes.values():
        pipe.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
atexit.register(flush, EXIT_SECONDS)

# ------------------------------------------------------------------------------------------------------------ the salt


def _key_of(salt: str | bytes | None) -> bytes:
    """The key of the hashes, 32 bytes, from the salt that was given or from the kept one."""
    given = salt or os.environ.get("BREAKEVEN_SALT") or _kept_salt()
    return hashlib.sha256(given.encode() if isinstance(given, str) else given).digest()


def _kept_salt() -> str:
    """The salt in the user's file, made on first use; only for this process if no file can be kept."""
    path = Path(os.environ.get("BREAKEVEN_SALT_FILE") or Path.home() / ".breakeven_capture_salt")
    try:
        if not path.exists():
            # Written aside and then linked, so that two processes that start at once agree on one salt.
            aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
            with open(
                os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii"
            ) as file:
                file.write(secrets.token_hex(32))
            try:
                os.link(aside, path)
            except FileExistsError:
                pass
            finally:
                aside.unlink()
        salt = path.read_text(encoding="utf-8").strip()
        if salt:
            return salt
    except (OSError, RuntimeError) as error:
        logger.warning(
            "No salt file can be kept (%s): prefixes match within this process only.", type(error).__name__
        )
    return secrets.token_hex(32)
