"""Run everything: database, migrations, web server, worker and beat, until Ctrl-C."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from dashboard import preparation, sign_in
from dashboard.embedded import Cluster
from dashboard.embedded_guard import die_with_parent
from dashboard.embedded_host import DatabaseError
from dashboard.supervisor import LOOP_S, Child, Stop, Supervisor, python_command, run_to_end, stoppable

PARTS = ("web", "worker", "beat")
READY_S = 120.0
LAST_LINES = 15


class Command(BaseCommand):
    help = "Run everything: database, migrations, web server, worker and beat, until Ctrl-C."
    # Checks load every view, and with them pandas and plotly: the web server does that anyway, a second from now.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--demo", action="store_true", help="fill an empty installation with 90 days of demo data"
        )
        parser.add_argument(
            "--only",
            action="append",
            choices=PARTS,
            help="run only this part, to spread the parts over containers or machines (repeatable)",
        )

    def handle(self, *args: Any, demo: bool, only: list[str] | None, **options: Any) -> None:
        self.parts = only or list(PARTS)
        if os.environ.get("MAKELEVEL"):
            die_with_parent(signal.SIGTERM)  # nobody would find us behind a `make` that was killed with -9
        try:
            with stoppable(), self.only_one_here():
                self.run(demo)
        except Stop:
            self.say("Stopped.")
        except DatabaseError as problem:
            raise CommandError(str(problem), returncode=2) from None
        except OSError as problem:
            raise CommandError(f"Cannot start: {problem}", returncode=2) from None

    def run(self, demo: bool) -> None:
        if "web" in self.parts:
            self.check_port()
        with contextlib.ExitStack() as stack:
            cluster = Cluster(settings.BREAKEVEN_HOME, say=self.say) if settings.EMBEDDED_DATABASE else None
            if cluster is not None:
                if not cluster.data.exists():
                    self.say(f"First start: creating the database in {cluster.data}")
                stack.enter_context(cluster.use())
            preparation.migrate(self.say)
            preparation.note_reporting_zone(self.say)
            if "web" in self.parts:
                preparation.collect_static(self.say)
            preparation.empty_broker()
            supervisor = Supervisor(self.say)
            stack.callback(supervisor.stop)
            children = self.children()
            if "web" in self.parts:
                supervisor.start(children[:1])
                self.wait_until_ready(supervisor)
                children = children[1:]
            supervisor.start(children)

            def look_after() -> None:
                if cluster is not None and not cluster.alive():
                    self.say("The database stopped; starting it again.")
                    cluster.acquire()
                supervisor.watch()

            if demo and run_to_end(python_command("manage.py", "demo"), {}, look_after):
                self.say("The demo data could not be loaded completely; see above.")
            self.announce()
            while True:
                look_after()
                time.sleep(LOOP_S)

    # The parts ----------------------------------------------------------------------------------------------------

    def children(self) -> list[Child]:
        celery = ["-m", "celery", "-A", "dashboard.celery"]
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        commands = {
            "web": [
                *("-m", "granian", "--interface", "wsgi", "--no-ws"),
                *("--host", settings.BREAKEVEN_BIND, "--port", str(settings.PORT)),
                *("--workers", str(settings.WEB_WORKERS), "--blocking-threads", str(settings.WEB_THREADS)),
                *("--respawn-failed-workers", "--workers-kill-timeout", "5", "dashboard.wsgi:application"),
            ],
            # One process that does one thing at a time: more workers are more of these, on any machine.
            "worker": [*celery, "worker", "--pool", "solo", "--loglevel", "WARNING", *quiet],
            "beat": [*celery, "beat", "--loglevel", "WARNING", "--pidfile", ""],
        }
        logs = settings.BREAKEVEN_HOME / "logs"
        logs.mkdir(exist_ok=True)
        environment = {
            "DJANGO_SETTINGS_MODULE": "dashboard.settings",
            "PYTHONUNBUFFERED": "1",
            "BREAKEVEN_CHILD": "1",
            "MALLOC_ARENA_MAX": "2",  # threads that each hoard what a large batch once needed are most of the memory
            "CELERY_SKIP_CHECKS": "1",  # they load every view, twice the memory of a worker and of beat
        }
        # The path makes `-m` find the project from wherever the command was called.
        environment["PYTHONPATH"] = os.pathsep.join(
            filter(None, [str(settings.BASE_DIR), os.environ.get("PYTHONPATH", "")])
        )
        return [
            Child(name, python_command(*commands[name]), logs / f"{name}.log", environment)
            for name in PARTS
            if name in self.parts
        ]

    def wait_until_ready(self, supervisor: Supervisor) -> None:
        deadline = time.monotonic() + READY_S
        answer = ""
        while time.monotonic() < deadline:
            supervisor.watch()
            web = supervisor.children[0]
            if web.failures >= 3:
                raise CommandError(f"The web server does not start:\n{last_lines(web.log)}", returncode=1)
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection(local_host(), settings.PORT, timeout=10)
                connection.request("GET", "/readyz", headers={"Host": "localhost"})
                response = connection.getresponse()
                answer = response.read(1000).decode("utf-8", "replace")
                connection.close()
                if response.status == 200:
                    return
            time.sleep(0.05)
        raise CommandError(f"Not ready after {READY_S:.0f} s. {answer}", returncode=1)

    def announce(self) -> None:
        if "web" not in self.parts:
            self.say(f"Breakeven runs {' and '.join(self.parts)}.")
            return
        address = settings.PUBLIC_URL or f"http://{local_host()}:{settings.PORT}"
        link = sign_in.create_link(address)
        # Last and alone, so that it is what one sees; the link is for the first person, `sign_in_link` makes more.
        self.say(f"Breakeven is ready at {address}/ - sign in once with {link}")

    # Before anything starts ---------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def only_one_here(self) -> Iterator[None]:
        """Two of us in one data folder would work on the same broker files and logs."""
        home: Path = settings.BREAKEVEN_HOME
        home.mkdir(parents=True, exist_ok=True)
        with open(os.open(home / "up.json", os.O_RDWR | os.O_CREAT, 0o644), "r+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                with contextlib.suppress(ValueError, KeyError):
                    pid = json.loads(file.read())["pid"]
                    raise CommandError(
                        f"Breakeven already runs on {home} (process {pid}). "
                        "Stop it first, or set BREAKEVEN_HOME and PORT for a second one.",
                        returncode=2,
                    ) from None
                raise CommandError(f"Breakeven already runs on {home}.", returncode=2) from None
            file.truncate(0)
            json.dump({"pid": os.getpid(), "address": f"http://{local_host()}:{settings.PORT}"}, file)
            file.flush()
            yield

    def check_port(self) -> None:
        deadline = time.monotonic() + 2  # after a kill -9 the old web server needs a moment to notice
        while True:
            try:
                probe(settings.BREAKEVEN_BIND, settings.PORT)
                return
            except OSError as error:
                if time.monotonic() < deadline:
                    time.sleep(0.1)
                    continue
                where = f"{settings.BREAKEVEN_BIND}:{settings.PORT}"
                raise CommandError(
                    f"Cannot listen on {where} ({error.strerror}). "
                    f"Choose another port: PORT={settings.PORT + 1} make up",
                    returncode=2,
                ) from None

    def say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()
        sys.stdout.flush()


def probe(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1)


def local_host() -> str:
    """An address of ours that works from this machine."""
    bind = settings.BREAKEVEN_BIND
    if bind in ("0.0.0.0", "::", ""):
        return "127.0.0.1"
    return f"[{bind}]" if ":" in bind else bind


def last_lines(log: Path) -> str:
    with contextlib.suppress(OSError):
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:])
    return f"(no log at {log})"
