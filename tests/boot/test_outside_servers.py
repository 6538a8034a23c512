"""The same product on a PostgreSQL, Redis and RabbitMQ of one's own: the real servers of this machine's loopback."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.support.product import Product

pytestmark = [
    pytest.mark.integration,
    pytest.mark.xdist_group("processes"),
    pytest.mark.skipif(sys.platform != "linux", reason="finds processes through /proc"),
]
Make = Callable[..., Product]

# Other servers than the usual ones can be named for a test run.
POSTGRES = os.environ.get("TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
REDIS = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/13")
RABBITMQ = os.environ.get("TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672//")


def needs(url: str) -> str:
    parts = urlsplit(url)
    with socket.socket() as client:
        client.settimeout(1)
        if client.connect_ex((parts.hostname or "127.0.0.1", parts.port or 0)):
            pytest.skip(f"no server answers at {parts.hostname}:{parts.port}")
    return url


@pytest.fixture
def postgres() -> Iterator[str]:
    """The address of a fresh database on an outside server, dropped afterwards."""
    try:
        admin = psycopg.connect(needs(POSTGRES), autocommit=True, connect_timeout=3)
    except psycopg.OperationalError as error:
        pytest.skip(f"no PostgreSQL for tests: {error}")
    name = f"breakeven_boot_{os.getpid()}"
    with admin:
        admin.execute(f"DROP DATABASE IF EXISTS {name}")
        admin.execute(f"CREATE DATABASE {name}")
        yield POSTGRES.rpartition("/")[0] + f"/{name}"
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def send_and_wait(app: Product, number: int, timeout_s: float) -> float:
    """Post so many events; the seconds until the read API counts them all."""
    key = app.manage("create_key", "outside", "--scope", "admin").stdout.strip()
    bearer = {"Authorization": f"Bearer {key}"}
    usage = {"input_tokens": 1000, "output_tokens": 10}
    events = [
        {"id": f"e{i}", "occurred_at": "2026-03-02T10:00:00Z", "model": "claude-sonnet-4-6", "usage": usage}
        for i in range(number)
    ]
    status, _, body = app.request("POST", "/api/v1/events", events, bearer)
    assert (status, json.loads(body)["stored"]) == (200, number)
    began = time.monotonic()
    while time.monotonic() - began < timeout_s:
        status, _, body = app.request("GET", "/api/v1/costs?start=2026-03-01&end=2026-03-04", None, bearer)
        assert status == 200, body
        answer = json.loads(body)
        # Freshness is asked before the figures, so a fill between the two is in the figures alone.
        if answer["totals"]["requests"] == number and answer["freshness"]["up_to_date"]:
            return time.monotonic() - began
        time.sleep(0.1)
    raise AssertionError(f"not visible after {timeout_s} s: {body!r}\n" + "\n".join(app.lines))


def wait_until_few(folder: Path, few: int, timeout_s: float) -> int:
    """How many messages wait. On a busy machine a worker is behind for a while, not for ever."""
    deadline = time.monotonic() + timeout_s
    while (left := len(list(folder.glob("*.msg")))) > few and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


@pytest.mark.parametrize("broker", [REDIS, RABBITMQ, ""], ids=["redis", "rabbitmq", "filesystem"])
def test_events_reach_the_pages_within_seconds(product: Make, postgres: str, broker: str) -> None:
    env = {"DATABASE_URL": postgres, **({"CELERY_BROKER_URL": needs(broker)} if broker else {})}
    app = product(env=env).start()
    assert not (app.home / "postgres").exists(), "the embedded database must stay out of it"
    assert send_and_wait(app, 50, 15) < 15
    assert app.manage("doctor").stdout.endswith("All is well.\n")
    if not broker:
        time.sleep(3)
        assert wait_until_few(app.home / "broker", 2, 10) <= 2, "messages must not pile up"
    assert app.stop() == 0
    assert app.processes() == {}
    assert not [line for line in app.lines if "by force" in line]


def test_events_reach_the_pages_within_seconds_with_everything_embedded(product: Make) -> None:
    app = product().start()
    assert send_and_wait(app, 50, 15) < 15
    app.stop()


def test_events_are_taken_at_once_while_the_broker_is_away_and_filled_by_hand(product: Make) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = unused.getsockname()[1]
    app = product(env={"CELERY_BROKER_URL": f"redis://127.0.0.1:{nobody}/0"}).start()
    key = app.manage("create_key", "outside", "--scope", "admin").stdout.strip()
    event = {
        "occurred_at": "2026-03-02T10:00:00Z",
        "model": "claude-sonnet-4-6",
        "usage": {"output_tokens": 1, "input_tokens": 1},
    }
    began = time.monotonic()
    status, _, body = app.request("POST", "/api/v1/events", event, {"Authorization": f"Bearer {key}"})
    assert (status, json.loads(body)["stored"]) == (200, 1)
    assert time.monotonic() - began < 5
    doctor = app.manage("doctor", check=False)
    assert doctor.returncode == 1
    assert "CELERY_BROKER_URL" in doctor.stdout
    app.manage("fill_rollups")
    status, _, body = app.request("GET", "/api/v1/costs", None, {"Authorization": f"Bearer {key}"})
    assert json.loads(body)["totals"]["requests"] == 1
    assert app.stop() == 0
    assert app.processes() == {}


def test_a_database_that_is_away_is_said_plainly(product: Make) -> None:
    done = product(env={"DATABASE_URL": "postgresql://nobody:secret@127.0.0.1:1/none"}).manage(
        "up", check=False
    )
    assert done.returncode == 2
    assert "The database does not answer" in done.stderr
    assert "secret" not in done.stderr and "Traceback" not in done.stderr
