"""A throw-away installation to measure: embedded database with fsync on, web workers, a key, a signed-in session."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class World:
    """Where the measured installation is."""

    home: Path
    port: int
    key: str
    cookie: str
    web: subprocess.Popen[bytes]

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def get(self, path: str) -> bytes:
        """A page or panel, signed in."""
        request = urllib.request.Request(self.url(path), headers={"Cookie": self.cookie})
        with urllib.request.urlopen(request, timeout=120) as answer:
            return bytes(answer.read())

    def call(self, path: str, body: object = None) -> bytes:
        """An API call with the key: POST when there is a body."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(
            urllib.request.Request(self.url(path), data, headers), timeout=300
        ) as answer:
            return bytes(answer.read())

    def web_worker_memory(self) -> list[int]:
        """Resident bytes of each web worker, largest first."""
        return sorted((m for name, m in _descendants(self.web.pid) if "granian" in name), reverse=True)


@contextlib.contextmanager
def world() -> Iterator[World]:
    """Set the environment up, start the database and the web server, and take everything down again."""
    home = Path(tempfile.mkdtemp(prefix="breakeven-bench-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ.update(BREAKEVEN_HOME=str(home), PORT=str(port), DJANGO_SETTINGS_MODULE="dashboard.settings")
    os.environ.pop("DATABASE_URL", None)
    import django

    django.setup()
    from django.core.management import call_command

    from dashboard.embedded import Cluster

    try:
        with Cluster(home).use():
            call_command("migrate", verbosity=0)
            from dashboard.preparation import note_reporting_zone

            note_reporting_zone(print)
            web = subprocess.Popen(
                [sys.executable, "manage.py", "up", "--only", "web"],
                cwd=ROOT,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
            try:
                _wait_until_ready(port, web)
                yield World(home, port, _key(), _cookie(), web)
            finally:
                os.killpg(web.pid, signal.SIGINT)
                web.wait(60)
                from django.db import connections

                connections.close_all()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _wait_until_ready(port: int, web: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and web.poll() is None:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5),
        ):
            return
        time.sleep(0.2)
    raise SystemExit("The web server did not become ready.")


def _key() -> str:
    from ingest.auth import create_key

    return create_key("bench", "admin")[1]


def _cookie() -> str:
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
    from django.contrib.sessions.backends.db import SessionStore

    user = get_user_model().objects.create_superuser("bench", password=None)
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return f"{settings.SESSION_COOKIE_NAME}={session.session_key}"


def _descendants(pid: int) -> Iterator[tuple[str, int]]:
    """Name and resident bytes of every process below this one."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(path.name))
    pending = [pid]
    while pending:
        for child in children.get(pending.pop(), []):
            pending.append(child)
            with contextlib.suppress(OSError):
                name = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                status = Path(f"/proc/{child}/status").read_text()
                resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
                yield name, int(resident.split()[1]) * 1024


def peak_memory() -> int:
    """Highest resident bytes of this process so far."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024
