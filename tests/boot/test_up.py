"""`manage.py up`, which is what `make up` runs: from an empty folder to a page, and back to nothing."""

from __future__ import annotations

import http.cookies
import json
import os
import pwd
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.product import Product, answers, kill

pytestmark = [
    pytest.mark.integration,
    pytest.mark.xdist_group("processes"),
    pytest.mark.skipif(sys.platform != "linux", reason="finds processes through /proc"),
]
Make = Callable[..., Product]


def path_of(url: str) -> str:
    return "/" + url.split("/", 3)[3]


def test_from_an_empty_folder_to_a_page_and_back_to_nothing(product: Make) -> None:
    app = product().start()

    status, headers, body = app.request("GET", "/readyz")
    assert (status, json.loads(body)["status"]) == (200, "ok")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]

    # The link printed last signs in, once.
    assert app.lines[-1].endswith(app.link)
    status, headers, _ = app.request("GET", path_of(app.link))
    assert status in (200, 302), "the sign-in link must work"
    used = app.request("GET", path_of(app.link))
    assert used[0] in (302, 400, 403, 404, 410)
    cookie = http.cookies.SimpleCookie(used[1].get("set-cookie", ""))
    assert "breakeven_session" not in cookie, "a used link must not sign anybody in"

    # A command beside it uses the same database and prints only the key.
    key = app.manage("create_key", "boot", "--scope", "admin").stdout.strip()
    assert len(key.splitlines()) == 1
    status, _, body = app.request("GET", "/api/v1/costs", headers={"Authorization": f"Bearer {key}"})
    assert status == 200, body
    assert app.manage("doctor").returncode == 0

    began = time.monotonic()
    assert app.stop() == 0
    assert time.monotonic() - began < 10
    assert app.processes() == {}
    assert not answers(app.port)


def test_a_second_start_is_quick_and_sigterm_also_leaves_nothing(product: Make) -> None:
    first = product().start()
    first.stop(signal.SIGTERM)
    again = product().start()
    assert again.boot_s < 15, "a few seconds; more only because the tests share two processors"
    assert not [line for line in again.lines if "Preparing" in line or "Collecting" in line]
    again.stop(signal.SIGTERM)
    assert again.processes() == {}


def test_after_kill_9_of_everything_acknowledged_events_are_still_there(product: Make) -> None:
    app = product().start()
    key = app.manage("create_key", "boot", "--scope", "admin").stdout.strip()
    event = {"id": "kept", "occurred_at": "2026-03-02T10:00:00Z", "model": "claude-sonnet-4-6"}
    event["usage"] = {"input_tokens": 10, "output_tokens": 1}  # type: ignore[assignment]
    bearer = {"Authorization": f"Bearer {key}"}
    assert app.request("POST", "/api/v1/events", event, bearer)[0] == 200
    app.kill_everything()
    assert (app.home / "postgres" / "postmaster.pid").exists(), "this must be an unclean end"

    again = product().start()
    status, _, body = again.request("POST", "/api/v1/events", event, bearer)
    assert (status, json.loads(body)["duplicate"]) == (200, 1)
    assert again.stop() == 0


def test_kill_9_of_the_supervisor_alone_leaves_no_process(product: Make) -> None:
    app = product().start()
    assert app.process is not None
    os.kill(app.process.pid, signal.SIGKILL)
    app.process.wait()
    assert app.wait_until_gone(20) == {}


def test_a_part_that_dies_is_started_again(product: Make) -> None:
    app = product().start()
    for name in ("granian", "celery -A dashboard.celery worker", "celery -A dashboard.celery beat"):
        victims = app.running(name)
        assert victims, name
        kill(victims)
        app.wait_for(re.compile("stopped .* starting it again"), 20)
        deadline = time.monotonic() + 20
        while not (app.running(name) - victims and answers(app.port)):
            assert time.monotonic() < deadline, f"{name} did not come back"
            time.sleep(0.1)
    app.stop()
    assert app.processes() == {}


def test_a_database_that_dies_is_started_again(product: Make) -> None:
    app = product().start()
    kill(
        pid
        for pid, command in app.processes().items()
        if "postgres" in command and "guard" not in command and "-D" in command
    )
    app.wait_for(re.compile("database stopped"), 20)
    deadline = time.monotonic() + 30
    while app.request("GET", "/readyz")[0] != 200:
        assert time.monotonic() < deadline, "the database did not come back"
        time.sleep(0.2)
    app.stop()
    assert app.processes() == {}


def test_a_second_one_on_the_same_folder_says_which_process_runs(product: Make) -> None:
    app = product().start()
    assert app.process is not None
    done = product().manage("up", check=False)
    assert done.returncode == 2
    assert f"process {app.process.pid}" in done.stderr


def test_a_port_in_use_is_said_plainly(product: Make) -> None:
    app = product()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", app.port))
        taken.listen()
        done = app.manage("up", check=False)
    assert done.returncode == 2
    assert f"127.0.0.1:{app.port}" in done.stderr and f"PORT={app.port + 1} make up" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_while_it_starts_leaves_nothing(product: Make, home: Path) -> None:
    app = product()
    app.launch()
    app.wait_for(re.compile("creating the database"), 30)
    app.stop()
    assert app.wait_until_gone(5) == {}
    assert product().start().stop() == 0


def test_a_command_without_a_running_product_brings_its_own_database(product: Make) -> None:
    app = product()
    app.manage("migrate", "--verbosity", "0")
    assert app.processes() == {}
    assert app.manage("sign_in_link").stdout.startswith("http://127.0.0.1:")
    assert app.processes() == {}


def test_a_bad_variable_stops_the_start_and_is_named(product: Make) -> None:
    done = product(env={"REPORTING_TIME_ZONE": "Mars/Olympus"}).manage("up", check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("REPORTING_TIME_ZONE must be a time zone name")


@pytest.mark.skipif(os.geteuid() != 0, reason="already an ordinary user: every other test here shows it")
def test_it_runs_as_an_ordinary_user_too(product: Make, home: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    python, env = interpreter_for(nobody.pw_uid)
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    app = product(user=nobody.pw_uid, python=python, env=env).start()
    assert (home / "postgres").stat().st_uid == nobody.pw_uid
    assert len(app.manage("create_key", "boot").stdout.splitlines()) == 1
    assert app.stop() == 0
    assert app.processes() == {}


def interpreter_for(uid: int) -> tuple[str, dict[str, str]]:
    """This Python, or the system's with our packages: the one we run on may be where only root may look."""
    packages = sysconfig.get_path("purelib")
    for python, env in ((sys.executable, {}), ("/usr/bin/python3", {"PYTHONPATH": packages})):
        command = [python, "-c", "import sys, django; print(sys.version_info[:2])"]
        try:
            tried = subprocess.run(
                command,
                env=env,
                cwd="/",
                capture_output=True,
                text=True,
                user=uid,
                group=uid,
                extra_groups=[],
            )
        except OSError:
            continue
        if tried.stdout.strip() == str(sys.version_info[:2]):
            return python, {**env, "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
    pytest.skip("no Python that an ordinary user may run has our packages")
