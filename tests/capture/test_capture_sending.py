"""Buffering, sending and what goes wrong there: the watched program notices none of it."""

from __future__ import annotations

import ast
import gc
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from anthropic import Anthropic

from static.capture import breakeven_capture as capture
from tests.support.model_api_stub import ANTHROPIC_USAGE, Breakeven

MODULE = Path(str(capture.__file__))
NOWHERE = "http://127.0.0.1:9"  # the discard port: nobody listens
ASK: dict[str, Any] = {
    "model": "claude-sonnet-4-6",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "SECRET question"}],
}


def answering(respond: Callable[[httpx2.Request], httpx2.Response] | None = None) -> Anthropic:
    """A real client whose calls are answered in this process, each with an id of its own."""
    numbers = iter(range(1000))

    def usual(request: httpx2.Request) -> httpx2.Response:
        message = {"id": f"msg_{next(numbers)}", "type": "message", "role": "assistant", "content": []}
        return httpx2.Response(200, json={**message, "model": "claude-sonnet-4-6", "usage": ANTHROPIC_USAGE})

    http = httpx2.Client(transport=httpx2.MockTransport(respond or usual))
    return Anthropic(api_key="sk", http_client=http, max_retries=0)


def watched(url: str, **options: Any) -> Anthropic:
    return capture.watch(answering(), url=url, key="bk", **options)


def ids_at(app: Breakeven) -> list[str]:
    return sorted(event["id"] for event in app.events)


def ask(client: Anthropic, times: int = 1) -> None:
    for _ in range(times):
        assert client.messages.create(**ASK).usage.output_tokens == 21


def test_calls_are_answered_while_breakeven_hangs_and_sent_later(app: Breakeven) -> None:
    app.gate.clear()
    ask(watched(app.url), 5)
    assert not capture.flush(0.05)
    assert capture.stats()["sent"] == 0 and capture.stats()["waiting"] == 5
    app.gate.set()
    assert capture.flush()
    assert ids_at(app) == [f"msg_{n}" for n in range(5)]
    assert capture.stats()["sent"] == 5


def test_calls_are_answered_while_nobody_listens() -> None:
    ask(watched(NOWHERE), 3)
    assert not capture.flush(0.3)
    counts = capture.stats()
    assert (counts["sent"], counts["waiting"], counts["errors"]) == (0, 3, 0)
    assert counts["retries"] >= 1


def test_the_numbers_of_a_program_that_seeds_random_stay_the_same() -> None:
    before = random.getstate()
    ask(watched(NOWHERE), 3)
    assert not capture.flush(0.3)
    assert capture.stats()["retries"] >= 1
    assert random.getstate() == before


def test_a_full_buffer_drops_with_a_counter(app: Breakeven) -> None:
    app.gate.clear()
    ask(watched(app.url, max_events=2), 6)
    assert capture.stats()["dropped"] == 4
    app.gate.set()
    assert capture.flush()
    assert ids_at(app) == ["msg_0", "msg_1"]
    assert capture.stats()["calls"] == 6


def test_a_buffer_is_bounded_in_bytes_too(app: Breakeven) -> None:
    client = watched(app.url, max_bytes=5_000)
    client.messages.create(**{**ASK, "system": "x" * 6_000})  # its usage fits, its prompt does not
    ask(client)
    ask(watched(app.url, max_bytes=10, salt="another buffer"))
    assert capture.flush()
    assert {event["id"]: "prefix" in event for event in app.events} == {"msg_0": False, "msg_1": True}
    assert capture.stats()["dropped"] == 1


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_failure_that_may_pass_is_tried_again(app: Breakeven, status: int) -> None:
    app.statuses += [status, status]
    ask(watched(app.url))
    assert capture.flush()
    assert ids_at(app) == ["msg_0"] and capture.stats()["retries"] == 2


@pytest.mark.parametrize("status", [401, 403, 404, 302])
def test_a_refusal_is_final_and_counted(
    app: Breakeven, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    app.statuses.append(status)
    client = watched(app.url)
    ask(client)
    assert capture.flush()
    ask(client)
    assert capture.flush()
    assert ids_at(app) == ["msg_1"] and capture.stats()["refused"] == 1
    assert str(status) in caplog.text and "SECRET" not in caplog.text


def test_a_rejected_event_is_counted_and_named_in_the_log(
    app: Breakeven, caplog: pytest.LogCaptureFixture
) -> None:
    app.rejected.append({"index": 0, "reason": "invalid_value", "field": "model", "detail": ""})
    ask(watched(app.url))
    assert capture.flush()
    assert (capture.stats()["rejected"], capture.stats()["sent"], capture.stats()["refused"]) == (1, 0, 0)
    assert "invalid_value in model" in caplog.text


def test_many_threads_lose_and_double_nothing(app: Breakeven) -> None:
    client = watched(app.url)
    threads = [threading.Thread(target=ask, args=(client, 25)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert capture.flush(20)
    assert ids_at(app) == sorted(f"msg_{n}" for n in range(200))


def test_a_batch_that_is_too_large_is_halved(app: Breakeven, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "LINGER", 60.0)  # until the flush
    app.statuses.append(413)
    ask(watched(app.url), 5)
    (pipe,) = capture._pipes.values()
    while len(pipe.outbox) < 5:
        time.sleep(0.005)
    assert capture.flush()
    assert ids_at(app) == [f"msg_{n}" for n in range(5)]
    assert [body.count(b"\n") + 1 for body in app.bodies] == [2, 3]
    assert capture.stats()["sent"] == 5


def test_whatever_answers_in_the_place_of_breakeven_is_not_taken_for_it(app: Breakeven) -> None:
    app.statuses.append(200)  # a page of something else
    ask(watched(app.url))
    assert capture.flush()
    assert ids_at(app) == ["msg_0"] and capture.stats()["retries"] == 1


def test_a_prompt_that_the_provider_shortened_has_no_prefix(app: Breakeven) -> None:
    edits = {"applied_edits": [{"type": "clear_tool_uses_20250919", "cleared_input_tokens": 50}]}
    message = {
        "id": "msg_e",
        "type": "message",
        "model": "m",
        "usage": ANTHROPIC_USAGE,
        "context_management": edits,
    }
    client = answering(lambda _: httpx2.Response(200, json={**message, "role": "assistant", "content": []}))
    capture.watch(client, url=app.url, key="bk").messages.create(**ASK)
    assert capture.flush()
    assert "prefix" not in app.events[0] and capture.stats()["without_prefix"] == 1


def test_a_mistake_in_the_hooks_is_swallowed_and_counted(
    app: Breakeven, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise ZeroDivisionError

    client = watched(app.url)
    for holder, name in ((capture, "_joined"), (capture._Call, "note"), (capture, "_event")):
        with monkeypatch.context() as patch:
            patch.setattr(holder, name, broken)
            ask(client)
            assert capture.flush()
    ask(client)
    assert capture.flush()
    assert capture.stats()["errors"] == 3
    assert ids_at(app) == ["msg_3"]


def test_a_prompt_that_cannot_be_read_still_has_its_usage_sent(
    app: Breakeven, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "_anthropic_prompt", lambda body: 1 / 0)
    ask(watched(app.url))
    assert capture.flush()
    (event,) = app.events
    assert event["usage"] == ANTHROPIC_USAGE and "prefix" not in event
    assert (capture.stats()["errors"], capture.stats()["without_prefix"]) == (1, 1)


def test_a_stream_that_is_dropped_without_being_closed_is_reported(app: Breakeven) -> None:
    start = {
        "id": "msg_s",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "usage": ANTHROPIC_USAGE,
    }
    event = {"type": "message_start", "message": start}
    lines = [f"event: message_start\ndata: {json.dumps(event)}\n\n".encode(), b"event: ping\ndata: {}\n\n"]

    class Slowly(httpx2.SyncByteStream):
        def __iter__(self) -> Any:
            yield from lines

    respond = lambda _: httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=Slowly())  # noqa: E731
    client = capture.watch(answering(respond), url=app.url, key="bk")
    stream = client.messages.create(**ASK, stream=True)
    next(stream)
    del stream
    gc.collect()
    assert capture.flush()
    assert app.events[0]["tags"] == {"capture": "interrupted"}


@pytest.mark.parametrize("url", ["", "ftp://x", "breakeven.example", None])
def test_a_wrong_address_leaves_the_client_alone(url: str | None, caplog: pytest.LogCaptureFixture) -> None:
    client = answering()
    assert capture.watch(client, url=url, key="bk") is client
    assert client._client.event_hooks == {"request": [], "response": []}
    assert "Not watching" in caplog.text


def test_what_is_no_client_is_returned_as_it_is(app: Breakeven) -> None:
    thing = object()
    assert capture.watch(thing, url=app.url, key="bk") is thing


def test_address_and_key_may_come_from_the_environment(
    app: Breakeven, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BREAKEVEN_URL", app.url + "/")
    monkeypatch.setenv("BREAKEVEN_KEY", "bk_env")
    ask(capture.watch(answering()))
    assert capture.flush()
    assert app.keys == ["Bearer bk_env"]


def test_the_salt_is_made_once_and_is_the_users_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "salt"
    threads_found: list[str] = []
    threads = [threading.Thread(target=lambda: threads_found.append(capture._kept_salt())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(threads_found) == {path.read_text()} and len(path.read_text()) == 64
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["salt"]
    monkeypatch.setenv("BREAKEVEN_SALT", "shared")
    assert capture._key_of(None) == capture._key_of("shared") != capture._key_of(path.read_text())


def test_without_a_place_for_the_salt_one_is_used_for_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BREAKEVEN_SALT_FILE", "/proc/no/such/place")
    assert len(capture._kept_salt()) == 64


PROGRAM = """
import os, sys
import breakeven_capture
from anthropic import Anthropic
client = breakeven_capture.watch(Anthropic(api_key="sk", base_url=sys.argv[1]), url=sys.argv[2], key="bk")
ask = dict(model="claude-sonnet-4-6", max_tokens=9, messages=[{"role": "user", "content": "SECRET"}])
client.messages.create(**ask)
child = os.fork()
if child:
    os.waitpid(child, 0)
else:
    client.messages.create(**ask)
    print("forked", flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_sends_its_own_calls_and_all_are_sent_at_exit(app: Breakeven, tmp_path: Path) -> None:
    """The parent's event waits at the fork; neither process flushes by itself."""
    from tests.support.model_api_stub import model_api

    api = model_api()
    app.gate.clear()
    environment = {
        **os.environ,
        "PYTHONPATH": str(MODULE.parent),
        "BREAKEVEN_SALT_FILE": str(tmp_path / "salt"),
    }
    with subprocess.Popen(
        [sys.executable, "-B", "-c", PROGRAM, api.url, app.url],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"forked\n"
        app.gate.set()
        _, errors = program.communicate(timeout=30)
    api.close()
    assert (program.returncode, errors) == (0, b"")
    assert ids_at(app) == ["msg_1", "msg_2"]
    assert len({event["prefix"][-1]["id"] for event in app.events}) == 1  # one salt for both


def test_the_module_needs_only_the_standard_library_of_python_3_9() -> None:
    tree = ast.parse(MODULE.read_text(encoding="utf-8"), feature_version=(3, 9))
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert names and {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
