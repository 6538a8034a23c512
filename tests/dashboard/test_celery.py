"""Celery is bound to the project, and messages in the data folder arrive whole, once, and go away."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from kombu.connection import Connection

from dashboard import broker


def test_the_tasks_that_beat_sends_exist_and_expire() -> None:
    schedule = current_app.conf.beat_schedule
    assert {entry["task"] for entry in schedule.values()} >= {
        "ingest.fill_due",
        "ingest.maintain",
        "ingest.pull_due",
        "ingest.run_imports",
    }
    current_app.loader.import_default_modules()
    for entry in schedule.values():
        assert entry["task"] in current_app.tasks
        assert entry["options"]["expires"] > entry["schedule"] or entry["options"]["expires"] >= 600


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    options = {
        "data_folder_in": str(tmp_path),
        "data_folder_out": str(tmp_path),
        "control_folder": str(tmp_path),
    }
    connect: Any = Connection  # kombu has no types
    with connect(transport=broker.Transport, transport_options={**options, "polling_interval": 0.01}) as link:
        yield link, tmp_path


def test_messages_arrive_once_in_order_and_leave_no_file(folder: Any) -> None:
    link, path = folder
    with link.SimpleQueue("q") as queue:
        for number in range(20):
            queue.put({"number": number})
        assert len(list(path.glob("*.q.msg"))) == 20
        got = []
        for _ in range(20):
            message = queue.get(timeout=1)
            got.append(message.payload["number"])
            message.ack()
        assert sorted(got) == list(range(20))
        assert list(path.glob("*.msg")) == []
        assert list(path.glob(".*")) == []


def test_a_message_that_is_still_being_written_is_not_taken(folder: Any) -> None:
    link, path = folder
    with link.SimpleQueue("q") as queue:
        (path / ".1_half").write_text('{"bo')
        with pytest.raises(queue.Empty):
            queue.get(timeout=0.05)


def test_the_worker_gets_to_look_for_signals_twice_a_second(folder: Any) -> None:
    link, _ = folder
    with link.SimpleQueue("q") as queue:
        queue.consumer.consume()
        with pytest.raises(socket.timeout):
            link.drain_events(timeout=60)
