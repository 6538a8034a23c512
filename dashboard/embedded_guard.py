"""Runs the embedded PostgreSQL for as long as anybody uses it. A program of its own: standard library only.

Everybody who uses the database holds a shared lock on one file. The kernel drops a lock with its process, however that
ends, so when this program can take the lock alone nobody is left, and it stops the database. It is started as
`python embedded_guard.py USERS_LOCK LOG UID GID POSTGRES ARGS...`; UID -1 means "as we are".
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from types import FrameType
from typing import Any

POLL_S = 0.1
STOP_S = 60.0  # a fast shutdown writes a checkpoint; on a slow disk that takes a while
PR_SET_PDEATHSIG = 1


def die_with_parent(sig: int) -> None:
    """Ask Linux for `sig` when the parent is gone, even by kill -9; elsewhere there is no such thing."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(sig), 0, 0, 0)


def stop(server: subprocess.Popen[Any]) -> int:
    """Fast shutdown: open transactions are rolled back, committed ones are safe."""
    with contextlib.suppress(ProcessLookupError):
        server.send_signal(signal.SIGINT)
    try:
        return server.wait(STOP_S)
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGQUIT)  # the next start recovers from the log of writes
        return server.wait()


def main() -> int:
    users_lock, log, uid, gid, *command = sys.argv[1:]
    asked_to_stop = False

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal asked_to_stop
        asked_to_stop = True

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, on_signal)
    as_user: dict[str, Any] = {} if uid == "-1" else {"user": int(uid), "group": int(gid), "extra_groups": []}
    with open(log, "ab", buffering=0) as out:
        server = subprocess.Popen(
            command,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(signal.SIGINT),
            **as_user,
        )
    lock = os.open(users_lock, os.O_RDWR)
    while (code := server.poll()) is None:
        if asked_to_stop:
            return stop(server)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(POLL_S)
            continue
        # Kept until we exit: whoever comes now waits, then starts a new server.
        return stop(server)
    return code


if __name__ == "__main__":
    sys.exit(main())
