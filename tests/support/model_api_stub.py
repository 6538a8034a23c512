"""Two small servers on loopback: one answers like the model providers, one takes events like Breakeven."""

from __future__ import annotations

import base64
import gzip
import json
import struct
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import unquote

ANTHROPIC_USAGE = {
    "input_tokens": 7,
    "cache_creation_input_tokens": 300,
    "cache_read_input_tokens": 900,
    "cache_creation": {"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 0},
    "output_tokens": 21,
    "service_tier": "standard",
}
CHAT_USAGE = {
    "prompt_tokens": 1200,
    "completion_tokens": 21,
    "total_tokens": 1221,
    "prompt_tokens_details": {"cached_tokens": 1024},
}
RESPONSES_USAGE = {
    "input_tokens": 1200,
    "output_tokens": 21,
    "total_tokens": 1221,
    "input_tokens_details": {"cached_tokens": 1024},
    "output_tokens_details": {"reasoning_tokens": 5},
}
# What Bedrock adds to the last event of a stream; other names for counts that were in the usage already.
METRICS = {"inputTokenCount": 7, "outputTokenCount": 21, "invocationLatency": 900, "firstByteLatency": 300}
DEPLOYMENTS = {
    "our-deployment": "gpt-5.1"
}  # Azure is asked by the customer's own name, and answers with the model's
ANSWER = "SECRET answer"  # nothing of it may ever be sent on


class Closable(Protocol):
    def close(self) -> None: ...


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def body(self) -> bytes:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is what some tests are about."""


@dataclass
class Serving:
    """A server in a thread; `close` ends it."""

    server: _Server

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def start(self) -> None:
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@dataclass
class ModelApi(Serving):
    """Messages, Chat Completions and Responses with fixed usage; `failures` answers 529 come first.

    Claude is also served in the ways of Bedrock (whose streams are binary) and Vertex. While it is `breaking`, an error
    takes the place of the last event of Bedrock's streams. `requests` are the bodies that came, `paths` where to.
    Clients that are put into `clients` are closed with it.
    """

    failures: int = 0
    compress: bool = False
    breaking: bool = False
    requests: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    clients: list[Closable] = field(default_factory=list)

    def close(self) -> None:
        for client in self.clients:
            client.close()
        super().close()


@dataclass
class Breakeven(Serving):
    """Takes events as POST /api/v1/events does.

    `statuses` are given first; while `gate` is clear, it hangs; `rejected` are the refused rows of every receipt.
    """

    statuses: list[int] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for body in self.bodies for line in body.split(b"\n")]


def model_api() -> ModelApi:
    """A running stub of the providers' APIs."""
    server = _Server(("127.0.0.1", 0), _Handler)
    api = ModelApi(server)

    class Handler(_Handler):
        def do_POST(self) -> None:
            request = json.loads(self.body())
            if api.failures:
                api.failures -= 1
                self.reply(529, b'{"type":"error","error":{"type":"overloaded_error"}}', retry_after_ms="1")
                return
            api.requests.append(request)
            path = unquote(self.path.partition("?")[0])
            api.paths.append(path)
            make = next(
                make
                for end, make in (
                    *(("/v1/messages", _messages), ("/chat/completions", _chat), ("/responses", _responses)),
                    *(("/invoke", _messages), ("/invoke-with-response-stream", _messages)),
                    *((":rawPredict", _messages), (":streamRawPredict", _messages)),
                )
                if path.endswith(end)
            )
            whole, stream = make(request, len(api.requests))
            headers = {"request_id": f"req_{len(api.requests)}"}
            if path.endswith("/v1/messages"):
                headers["anthropic_workspace_id"] = "wrkspc_1"
            elif "/model/" in path:
                headers = {"x_amzn_requestid": headers.pop("request_id")}
            if path.endswith("/invoke-with-response-stream"):
                self.stream(_framed(stream, api.breaking), headers, "application/vnd.amazon.eventstream")
                return
            if request.get("stream"):
                self.stream(stream, headers)
                return
            body = json.dumps(whole).encode()
            if api.compress:
                body, headers = gzip.compress(body), {**headers, "content_encoding": "gzip"}
            self.reply(200, body, content_type="application/json", **headers)

        def stream(
            self,
            events: Iterator[bytes],
            headers: dict[str, str],
            content_type: str = "text/event-stream; charset=utf-8",
        ) -> None:
            self.send_response(200)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Type", content_type)
            if api.compress:
                self.send_header("Content-Encoding", "gzip")
                events = iter([gzip.compress(b"".join(events))])
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for event in events:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")

    server.RequestHandlerClass = Handler
    api.start()
    return api


def breakeven() -> Breakeven:
    """A running stub of the receiving end."""
    server = _Server(("127.0.0.1", 0), _Handler)
    app = Breakeven(server)
    app.gate.set()

    class Handler(_Handler):
        def do_POST(self) -> None:
            body = self.body()
            app.gate.wait(20)
            if app.statuses:
                self.reply(app.statuses.pop(0), b'{"error":{"code":"x","message":"","field":null}}')
                return
            app.keys.append(self.headers.get("Authorization", ""))
            app.bodies.append(body)
            count = body.count(b"\n") + 1
            taken = count - len(app.rejected)
            receipt = {
                "received": count,
                "stored": taken,
                "merged": 0,
                "duplicate": 0,
                "rejected": app.rejected,
            }
            self.reply(200 if taken else 422, json.dumps(receipt).encode(), content_type="application/json")

    server.RequestHandlerClass = Handler
    app.start()
    return app


def _sse(*events: dict[str, Any], named: bool = True) -> Iterator[bytes]:
    for event in events:
        name = f"event: {event['type']}\n" if named else ""
        yield f"{name}data: {json.dumps(event)}\n\n".encode()


def _framed(events: Iterator[bytes], breaking: bool) -> Iterator[bytes]:
    """Server-sent events as the messages of Amazon's event stream, cut into pieces where nothing begins or ends."""
    *most, last = (json.loads(event.partition(b"data: ")[2]) for event in events)
    chunks = [*most, {**last, "amazon-bedrock-invocationMetrics": METRICS}]
    frames = [frame(chunk_payload(chunk)) for chunk in chunks]
    if breaking:
        error = {"message_type": "exception", "exception_type": "throttlingException"}
        frames[-1] = frame(b'{"message": "SECRET"}', **error)
    stream = b"".join(frames)
    return (stream[at : at + 100] for at in range(0, len(stream), 100))


def chunk_payload(event: dict[str, Any]) -> bytes:
    """How Bedrock wraps an event; `p` pads it."""
    inner = base64.b64encode(json.dumps(event).encode()).decode()
    return json.dumps({"bytes": inner, "p": "abcdefgh"}).encode()


def frame(payload: bytes, message_type: str = "event", **named: str) -> bytes:
    """One message of Amazon's event stream, as AWS describes it."""
    texts = {"message_type": message_type, "content_type": "application/json"}
    texts.update(named or {"event_type": "chunk"})
    headers = b"".join(
        bytes([len(name) + 1]) + b":" + name.encode() + b"\x07" + struct.pack(">H", len(text)) + text.encode()
        for name, text in ((name.replace("_", "-"), text) for name, text in texts.items())
    )
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


def _messages(request: dict[str, Any], number: int) -> tuple[dict[str, Any], Iterator[bytes]]:
    whole = {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": request.get("model", "claude-sonnet-4-6"),  # Bedrock and Vertex have it in the path
        "content": [{"type": "text", "text": ANSWER}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": ANTHROPIC_USAGE,
    }
    start = {**whole, "content": [], "stop_reason": None, "usage": {**ANTHROPIC_USAGE, "output_tokens": 1}}
    words = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": f"{word} "}}
        for word in ANSWER.split() * 10
    ]
    return whole, _sse(
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *words,
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 21},
        },
        {"type": "message_stop"},
    )


def _model_of(request: dict[str, Any]) -> str:
    asked = str(request["model"])
    return DEPLOYMENTS.get(asked, asked)


def _chat(request: dict[str, Any], number: int) -> tuple[dict[str, Any], Iterator[bytes]]:
    common = {"id": f"chatcmpl-{number}", "created": 1772445600, "model": _model_of(request)}
    message = {"role": "assistant", "content": ANSWER, "refusal": None}
    whole = {
        **common,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": CHAT_USAGE,
        "service_tier": "default",
    }
    piece = {**common, "object": "chat.completion.chunk", "service_tier": "default"}
    chunks = [
        {**piece, "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]}
        for word in ANSWER.split() * 10
    ]
    chunks.append({**piece, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if (request.get("stream_options") or {}).get("include_usage"):
        chunks = [{**chunk, "usage": None} for chunk in chunks]
        chunks.append({**piece, "choices": [], "usage": CHAT_USAGE})

    def events() -> Iterator[bytes]:
        yield from _sse(*chunks, named=False)
        yield b"data: [DONE]\n\n"

    return whole, events()


def _responses(request: dict[str, Any], number: int) -> tuple[dict[str, Any], Iterator[bytes]]:
    item = {
        "id": "msg_x",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": ANSWER, "annotations": []}],
    }
    whole = {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": 1772445600,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": request.get("instructions"),
        "model": _model_of(request),
        "output": [item],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": RESPONSES_USAGE,
        "service_tier": "priority",
    }
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    place = {"item_id": "msg_x", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": []}
    opened = {**item, "status": "in_progress", "content": []}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": opened},
        {"type": "response.content_part.added", **place, "part": part},
        *(
            {"type": "response.output_text.delta", **place, "delta": word, "logprobs": []}
            for word in ANSWER.split() * 10
        ),
        {"type": "response.completed", "response": whole},
    ]
    return whole, _sse(*({**event, "sequence_number": n} for n, event in enumerate(events)))
