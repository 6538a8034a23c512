"""The whole product as a process: boots `manage.py up` in a data folder of its own and finds what it leaves behind."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
READY = re.compile(r"ready at (\S+) - sign in once with (\S+)")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


class Product:
    """`start()` returns when the ready line was printed; `lines` holds everything printed so far."""

    def __init__(
        self,
        home: Path,
        env: Mapping[str, str] | None = None,
        port: int | None = None,
        python: str = sys.executable,
        user: int | None = None,
    ) -> None:
        self.home, self.port = home, port or free_port()
        self.python = python
        self.as_user: dict[str, Any] = (
            {} if user is None else {"user": user, "group": user, "extra_groups": []}
        )
        kept = {
            name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "MAKELEVEL")
        }
        self.env = {**kept, "BREAKEVEN_HOME": str(home), "PORT": str(self.port), **(env or {})}
        self.lines: list[str] = []
        self._fresh: queue.Queue[str | None] = queue.Queue()
        self.process: subprocess.Popen[str] | None = None
        self.address = self.link = ""
        self.boot_s = 0.0

    def launch(self, *arguments: str) -> subprocess.Popen[str]:
        self.process = subprocess.Popen(
            [self.python, "manage.py", "up", *arguments],
            cwd=ROOT,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            **self.as_user,
        )
        threading.Thread(target=self._read, args=[self.process], daemon=True).start()
        return self.process

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self._fresh.put(line.rstrip())
        self._fresh.put(None)

    def wait_for(self, pattern: re.Pattern[str], timeout_s: float = 90) -> re.Match[str]:
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self._fresh.get(timeout=left)
            except queue.Empty:
                break
            if line is None:
                raise AssertionError("the product ended:\n" + "\n".join(self.lines))
            self.lines.append(line)
            if found := pattern.search(line):
                return found
        raise AssertionError(f"no {pattern.pattern!r} within {timeout_s} s:\n" + "\n".join(self.lines))

    def start(self, *arguments: str) -> Product:
        began = time.monotonic()
        self.launch(*arguments)
        self.address, self.link = self.wait_for(READY).groups()
        self.boot_s = time.monotonic() - began
        return self

    def manage(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [self.python, "manage.py", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=120, **self.as_user
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def request(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        client.request(method, path, raw, {"Content-Type": "application/json", **(headers or {})})
        response = client.getresponse()
        answer = (
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            response.read(),
        )
        client.close()
        return answer

    def stop(self, sig: signal.Signals = signal.SIGINT, timeout_s: float = 30) -> int:
        """As a terminal does it: the signal goes to the whole foreground group."""
        assert self.process is not None
        if self.process.poll() is None:
            os.killpg(self.process.pid, sig)
        code = self.process.wait(timeout_s)
        with contextlib.suppress(queue.Empty):  # whoever is left behind may hold the pipe open
            while (line := self._fresh.get(timeout=5)) is not None:
                self.lines.append(line)
        return code

    def processes(self) -> dict[int, str]:
        """Every process on this machine that has anything to do with our data folder."""
        return processes_of(self.home)

    def running(self, name: str) -> set[int]:
        return {pid for pid, command in self.processes().items() if name in command}

    def kill_everything(self) -> None:
        for _ in range(3):
            kill(self.processes())
        if self.process is not None:
            self.process.wait(10)

    def wait_until_gone(self, timeout_s: float) -> dict[int, str]:
        deadline = time.monotonic() + timeout_s
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return left


def kill(pids: Iterable[int]) -> None:
    """kill -9 of each; who has ended since they were listed needs none."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def processes_of(home: Path) -> dict[int, str]:
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            command = (
                folder.joinpath("cmdline")
                .read_bytes()
                .replace(b"\0", b" ")
                .decode("utf-8", "replace")
                .strip()
            )
            environment = folder.joinpath("environ").read_bytes()
            where = str((folder / "cwd").readlink())
        except OSError:
            continue
        marked = os.fsencode(f"BREAKEVEN_HOME={home}\0") in environment + b"\0"
        if command and (marked or str(home) in command or where.startswith(str(home))):
            found[int(folder.name)] = command[:160]
    return found
