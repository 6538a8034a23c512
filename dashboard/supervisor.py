"""Runs the product's processes side by side: starts them, restarts what dies, stops them all. Knows no Django."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from dashboard.embedded_guard import die_with_parent
from dashboard.embedded_host import rotate

STOP_S = 8.0
LOOP_S = 0.25
BACK_OFF_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
MOST_LOG_BYTES = 20_000_000
HEALTHY_S = 60.0  # a process that lived this long starts its back-off anew
# The level where Python's, granian's and Celery's log lines have it; a word in a message or a banner is not a level.
WORTH_SHOWING = re.compile(r"^(\[?\d{4}-\S+ \S+ |\[)(WARN|WARNING|ERROR|CRITICAL)\b")

Say = Callable[[str], None]


class Stop(BaseException):
    """A signal asked us to stop. Not an Exception: no handler on the way may swallow it."""


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Inside this block SIGINT, SIGTERM and SIGHUP raise `Stop`, once; later ones are ignored while we clean up."""

    def on_signal(number: int, frame: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise Stop

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass
class Child:
    """One process of the product and its log file."""

    name: str
    command: list[str]
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    failures: int = 0
    restart_at: float = 0.0
    shown: int = 0  # bytes of the log already looked at

    def start(self) -> None:
        rotate(self.log)
        self.shown = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, **self.environment},
                start_new_session=True,  # Ctrl-C in the terminal reaches only the supervisor, which stops all in order
                preexec_fn=prepare_child,
            )
        self.started_at = time.monotonic()

    def ask_to_stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def end(self) -> None:
        """Whatever is left of it and of the processes it made."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def fresh_lines(self) -> list[str]:
        """What it logged since we last looked."""
        with contextlib.suppress(OSError), open(self.log, "rb") as file:
            file.seek(self.shown)
            text = file.read(1_000_000)
            whole = text.rfind(b"\n") + 1
            self.shown += whole
            return text[:whole].decode("utf-8", "replace").splitlines()
        return []


def prepare_child() -> None:
    """Between fork and exec: signals as a program expects them, and an end with ours even by kill -9."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    die_with_parent(signal.SIGTERM)


class Supervisor:
    """Children by name; `watch()` is one round of looking after them."""

    def __init__(self, say: Say) -> None:
        self.children: list[Child] = []
        self.say = say

    def start(self, children: list[Child]) -> None:
        """Theirs from now on; not all at once, since the first page should not wait for the processor."""
        for child in children:
            self.children.append(child)
            child.start()

    def watch(self) -> None:
        now = time.monotonic()
        for child in self.children:
            self.echo(child)
            if child.process is not None and child.process.poll() is not None:
                child.end()
                if now - child.started_at > HEALTHY_S:
                    child.failures = 0
                pause = BACK_OFF_S[min(child.failures, len(BACK_OFF_S) - 1)]
                child.failures += 1
                code = child.process.returncode
                self.say(
                    f"{child.name} stopped (exit {code}); starting it again in {pause:g} s. Log: {child.log}"
                )
                child.process, child.restart_at = None, now + pause
            elif child.process is None and now >= child.restart_at:
                child.start()

    def echo(self, child: Child) -> None:
        for line in child.fresh_lines():
            if WORTH_SHOWING.search(line):
                self.say(f"{child.name}: {line[:500]}")
        with contextlib.suppress(OSError):
            if child.shown > MOST_LOG_BYTES:
                # The child keeps its file open for appending, so the file is copied and emptied, not renamed.
                shutil.copyfile(child.log, child.log.with_suffix(".log.1"))
                os.truncate(child.log, 0)
                child.shown = 0

    def stop(self) -> None:
        """All at once, then by force. Every task and request can be cut off: the database keeps whole steps only."""
        for child in self.children:
            child.ask_to_stop()
        deadline = time.monotonic() + STOP_S
        while time.monotonic() < deadline and any(running(child) for child in self.children):
            time.sleep(0.02)
        for child in self.children:
            if running(child):
                self.say(f"{child.name} did not stop within {STOP_S:.0f} s and was ended by force")
            child.end()


def running(child: Child) -> bool:
    return child.process is not None and child.process.poll() is None


def python_command(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def run_to_end(command: list[str], environment: dict[str, str], meanwhile: Callable[[], None]) -> int:
    """One command with our output, while the others are looked after."""
    options: dict[str, Any] = {"start_new_session": True, "preexec_fn": prepare_child}
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, env={**os.environ, **environment}, **options
    ) as process:
        try:
            while process.poll() is None:
                meanwhile()
                time.sleep(LOOP_S)
        except BaseException:
            process.terminate()
            raise
    return process.returncode
