"""The embedded PostgreSQL: real server binaries from a wheel, run from the data folder over a unix socket.

Nobody owns the server. Whoever needs it (`make up`, a command, a test run) calls `Cluster.use()`: the first
one starts it under a guard (embedded_guard.py), which stops it when the last user is gone, whatever the reason.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dashboard.embedded_host import (
    MAJOR,
    NAME,
    DatabaseError,
    as_account,
    can_run,
    copy_programs,
    end,
    explain,
    explain_text,
    open_the_way,
    processes_in,
    rotate,
    unprivileged_account,
    wheel_binaries,
    works_in,
)

SLOW_S = 3.0  # after this long a wait is explained
NOTHING_NEEDS_IT = frozenset(
    {"help", "version", "up", "collectstatic", "findstatic", "compilemessages", "test"}
)

CONFIGURATION = {
    # One machine shared with the web server and the worker: enough to be quick, not enough to be noticed.
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    "shared_buffers": "128MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "fsync": "on",
    "wal_compression": "on",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "jit": "off",  # costs more than it gains on queries of milliseconds
    "random_page_cost": "1.1",  # disks no longer have heads
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "log_checkpoints": "off",
    "logging_collector": "off",  # stderr goes to a file the supervisor rotates
}

Say = Callable[[str], None]


def to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Cluster:
    """One embedded PostgreSQL in one data folder. Making the object starts nothing."""

    def __init__(self, home: Path, extra: Mapping[str, str] | None = None, say: Say = to_stderr) -> None:
        self.home = home
        self.data = home / "postgres"
        self.log = home / "logs" / "postgres.log"
        self.users_lock = home / "postgres.users"
        self.start_lock = home / "postgres.start"
        self.extra = dict(extra or {})
        self.say = say
        self.guard: subprocess.Popen[bytes] | None = None
        self._held: int | None = None

    # Where it is --------------------------------------------------------------------------------------------------

    @property
    def socket_dir(self) -> Path:
        """The data folder, or a short one for paths that a socket address cannot hold (108 bytes) or libpq misreads."""
        path = str(self.data)
        if len(os.fsencode(path)) < 90 and re.fullmatch(r"[\w./+-]+", path, re.ASCII):
            return self.data
        return Path("/tmp") / f"breakeven-{hashlib.sha256(os.fsencode(path)).hexdigest()[:12]}"

    def address(self) -> dict[str, Any]:
        """The connection as Django's settings."""
        return {"NAME": NAME, "USER": NAME, "PASSWORD": "", "HOST": str(self.socket_dir), "PORT": ""}

    def url(self, database: str = NAME) -> str:
        return f"postgresql://{NAME}@/{database}?host={self.socket_dir}"

    # Using it -----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def use(self) -> Iterator[Cluster]:
        """The server runs inside this block, and after it only while somebody else uses it."""
        self.acquire()
        try:
            yield self
        finally:
            self.release()

    def acquire(self) -> None:
        """Count ourselves as a user, then start the server unless it runs. Safe to call again after it died."""
        try:
            self._make_home()
            for attempt in range(3):
                with self._exclusive_start():
                    self._hold()
                    if not self._running():
                        self._start()
                if self._database_answers(last=attempt == 2):
                    return
                time.sleep(0.2)  # it was ending just as we came
        except OSError as error:
            self.release()
            raise DatabaseError(explain(error, self.home)) from error
        except BaseException:
            self.release()
            raise

    def release(self, wait_s: float = 70.0) -> None:
        """Stop counting as a user. If we started the server and were the last, wait until it is down."""
        if self._held is not None:
            os.close(self._held)
            self._held = None
        if self.guard is None:
            return
        deadline = time.monotonic() + wait_s
        while self.guard.poll() is None and time.monotonic() < deadline:
            if self._used_by_others():
                self.guard.returncode = 0  # it goes on for them and is no longer ours to wait for
                break
            time.sleep(0.02)
        self.guard = None

    def alive(self) -> bool:
        return self._running() and (self.guard is None or self.guard.poll() is None)

    def _hold(self) -> None:
        if self._held is not None:
            return
        handle = os.open(self.users_lock, os.O_RDWR | os.O_CREAT, 0o600)
        waited = Patience(self.say, "The database is still shutting down; waiting for it.")
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                waited.tick()
                continue
            self._held = handle
            return

    def _used_by_others(self) -> bool:
        """Only asked after releasing: is a shared lock held by somebody, as opposed to the guard's own?"""
        handle = os.open(self.users_lock, os.O_RDWR)
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.flock(handle, fcntl.LOCK_UN)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # A shared lock was possible and an exclusive one was not: another user. Neither: the guard is stopping.
            return self._shareable()
        else:
            return False
        finally:
            os.close(handle)

    def _shareable(self) -> bool:
        handle = os.open(self.users_lock, os.O_RDWR)
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(handle)
        return True

    @contextlib.contextmanager
    def _exclusive_start(self) -> Iterator[None]:
        handle = os.open(self.start_lock, os.O_RDWR | os.O_CREAT, 0o600)
        waited = Patience(self.say, "Another command is starting the database; waiting for it.")
        try:
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    waited.tick()
            yield
        finally:
            os.close(handle)

    # Starting it --------------------------------------------------------------------------------------------------

    def _make_home(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(exist_ok=True)

    def _pidfile(self) -> list[str]:
        with contextlib.suppress(FileNotFoundError):
            return (self.data / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
        return []

    def _running(self) -> bool:
        """A postmaster of this very folder is up and past its recovery."""
        lines = self._pidfile()
        return len(lines) >= 8 and lines[7].strip() == "ready" and works_in(int(lines[0]), self.data)

    def _start(self) -> None:
        binaries, account = self._binaries_and_account()
        if not (self.data / "PG_VERSION").exists():
            self._initialise(binaries, account)
        version = (self.data / "PG_VERSION").read_text(encoding="ascii").strip()
        if version != MAJOR:
            raise DatabaseError(
                f"The data in {self.data} was written by PostgreSQL {version}, this release runs {MAJOR}. "
                f"Move it with pg_dump and restore, or set BREAKEVEN_HOME to a new folder."
            )
        self._clear_leftovers()
        self._configure(account)
        rotate(self.log)
        log_from = self.log.stat().st_size if self.log.exists() else 0
        if self.guard is not None:
            self.guard.wait(10)  # the one that died with the server
        uid, gid = (account.pw_uid, account.pw_gid) if account else (-1, -1)
        guard = Path(__file__).with_name("embedded_guard.py")
        server = [str(binaries / "postgres"), "-D", str(self.data)]
        arguments = [str(self.users_lock), str(self.log), str(uid), str(gid), *server]
        with open(self.log, "ab") as out:
            self.guard = subprocess.Popen(
                [sys.executable, "-S", "-E", "-s", str(guard), *arguments],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        waited = Patience(
            self.say,
            "The database was not shut down cleanly and recovers by itself; nothing is lost, and it takes as long as "
            "it takes.",
        )
        while not self._running():
            if (code := self.guard.poll()) is not None:
                raise DatabaseError(self._why_it_stopped(code, log_from))
            waited.tick()

    def _initialise(self, binaries: Path, account: pwd.struct_passwd | None) -> None:
        """Made under another name and renamed, so that an interrupted first start leaves nothing half done."""
        fresh = self.home / "postgres.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if account:
            os.chown(fresh, account.pw_uid, account.pw_gid)
        options = ["--auth=trust", "--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"]
        made = subprocess.run(
            [str(binaries / "initdb"), "-D", str(fresh), "-U", NAME, "--no-instructions", *options],
            cwd="/",
            capture_output=True,
            text=True,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
            **as_account(account),
        )
        if made.returncode:
            shutil.rmtree(fresh, ignore_errors=True)
            raise DatabaseError(explain_text(made.stderr or made.stdout, self.home))
        fresh.rename(self.data)

    def _configure(self, account: pwd.struct_passwd | None) -> None:
        folder = self.socket_dir
        if folder != self.data:
            folder.mkdir(mode=0o700, exist_ok=True)
            owner = account.pw_uid if account else os.geteuid()
            if account and folder.lstat().st_uid == os.geteuid():
                os.chown(folder, account.pw_uid, account.pw_gid)
            found = folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner:
                raise DatabaseError(f"{folder} belongs to somebody else; choose a shorter BREAKEVEN_HOME.")
        values = {**CONFIGURATION, "unix_socket_directories": str(folder), **self.extra}
        lines = [f"{name} = '{value}'" for name, value in values.items()]
        text = "\n".join(
            ["# Written at every start. Put your own settings into local.conf beside this file.", *lines]
        )
        (self.data / "postgresql.conf").write_text(
            text + "\ninclude_if_exists = 'local.conf'\n", encoding="utf-8"
        )

    def _clear_leftovers(self) -> None:
        """After a kill -9: no postmaster of ours lives (we hold the start lock), so neither must its children."""
        lines = self._pidfile()
        if lines and lines[0].strip().lstrip("-").isdigit() and works_in(int(lines[0]), self.data):
            # Without a guard, or caught while stopping: let it go down before a new one starts.
            end([int(lines[0])], signal.SIGINT, patience_s=60)
        end(processes_in(self.data), signal.SIGQUIT, patience_s=2)
        # PostgreSQL would refuse to start if the number in a stale file now belongs to another of our processes, or
        # to a dead one that nobody has buried yet.
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        (self.socket_dir / ".s.PGSQL.5432.lock").unlink(missing_ok=True)

    def _why_it_stopped(self, code: int, log_from: int) -> str:
        with open(self.log, "rb") as file:
            file.seek(log_from)
            text = file.read()[-20_000:].decode("utf-8", "replace")
        return explain_text(text, self.home) + f" (exit {code}, log: {self.log})"

    def _database_answers(self, last: bool) -> bool:
        """Connects, and makes the database inside the server if this is its first start."""
        import psycopg

        try:
            psycopg.connect(self.url(), connect_timeout=10).close()
        except psycopg.OperationalError as error:
            if f'database "{NAME}" does not exist' in str(error):
                with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
                    with contextlib.suppress(psycopg.errors.DuplicateDatabase):
                        connection.execute(f"CREATE DATABASE {NAME}")
                return True
            if last:
                raise DatabaseError(f"The embedded database does not answer: {error}") from error
            return False
        return True

    # Being root ---------------------------------------------------------------------------------------------------

    def _binaries_and_account(self) -> tuple[Path, pwd.struct_passwd | None]:
        """The server's programs, and whom to run them as: PostgreSQL refuses to run as root."""
        binaries = wheel_binaries()
        if os.geteuid() != 0:
            return binaries, None
        account = unprivileged_account(self.data)
        open_the_way(self.home, account, self.say)
        if can_run(binaries, account):
            return binaries, account
        # The virtual environment is in a folder that only root may enter, such as /root.
        copied = copy_programs(binaries, self.home / f"postgres-{MAJOR}-programs")
        if can_run(copied, account):
            return copied, account
        raise DatabaseError(
            f"PostgreSQL does not run as root, and the user {account.pw_name} cannot run it from {self.home}. "
            "Start Breakeven as an ordinary user, or set DATABASE_URL to a PostgreSQL of your own."
        )


class Patience:
    """Waits in small steps; explains itself after a few seconds and then every few seconds."""

    def __init__(self, say: Say, text: str, step_s: float = 0.02) -> None:
        self.say, self.text, self.step_s = say, text, step_s
        self.began = self.spoke = time.monotonic()

    def tick(self) -> None:
        now = time.monotonic()
        if now - self.spoke > SLOW_S:
            self.spoke = now
            self.say(f"{self.text} ({now - self.began:.0f} s so far)")
        time.sleep(self.step_s)
