"""The embedded PostgreSQL: shared by whoever needs it, gone with the last of them, and hard to keep from starting."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from dashboard.embedded import Cluster
from dashboard.embedded_host import DatabaseError, explain_text, works_in
from tests.support.product import ROOT, kill, processes_of

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("processes")]
needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")
HOLD = """
import sys, time
from pathlib import Path
from dashboard.embedded import Cluster
Cluster(Path(sys.argv[1])).acquire()
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""


def quiet(home: Path) -> Cluster:
    return Cluster(home, say=lambda text: None)


def number(cluster: Cluster, statement: str) -> int:
    with psycopg.connect(cluster.url()) as connection:
        row = connection.execute(statement).fetchone()
    assert row is not None
    return int(row[0])


def postmaster(home: Path) -> int:
    return int((home / "postgres" / "postmaster.pid").read_text().splitlines()[0])


def wait_until_empty(home: Path, timeout_s: float = 20) -> dict[int, str]:
    deadline = time.monotonic() + timeout_s
    while (left := processes_of(home)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    """One fresh installation, copied by every test: making it takes a second, copying it a tenth of that."""
    home = Path(tempfile.mkdtemp(prefix="breakeven-pg-"))
    with quiet(home).use() as cluster, psycopg.connect(cluster.url()) as connection:
        connection.execute("CREATE TABLE kept (n int)")
        connection.execute("INSERT INTO kept VALUES (42)")
    yield home
    shutil.rmtree(home)


@pytest.fixture
def home(template: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="breakeven-pg-"))
    copy_installation(template, folder)
    yield folder
    kill(processes_of(folder))
    shutil.rmtree(folder, ignore_errors=True)


def copy_installation(template: Path, home: Path) -> None:
    subprocess.run(["cp", "-a", str(template / "postgres"), str(home / "postgres")], check=True)


def test_it_is_the_postgres_the_settings_ask_for(home: Path) -> None:
    with quiet(home).use() as cluster, psycopg.connect(cluster.url()) as connection:
        shown = {
            name: connection.execute(f"SHOW {name}").fetchone()
            for name in ("server_version_num", "listen_addresses", "fsync", "synchronous_commit", "jit")
        }
    assert shown.pop("server_version_num", ("",))[0].startswith("18")  # type: ignore[index]
    assert shown == {
        "listen_addresses": ("",),
        "fsync": ("on",),
        "synchronous_commit": ("on",),
        "jit": ("off",),
    }


def test_other_users_of_the_machine_cannot_reach_it(home: Path) -> None:
    with quiet(home).use() as cluster:
        folder = cluster.socket_dir.stat()
        assert stat.S_IMODE(folder.st_mode) & 0o077 == 0
        assert stat.S_IMODE((cluster.socket_dir / ".s.PGSQL.5432").stat().st_mode) & 0o077 == 0


@needs_proc
def test_a_second_user_joins_and_the_last_one_stops_it(home: Path) -> None:
    first, second = quiet(home), quiet(home)
    first.acquire()
    server = postmaster(home)
    second.acquire()
    assert postmaster(home) == server
    first.release()
    assert number(second, "SELECT n FROM kept") == 42
    second.release()
    assert wait_until_empty(home) == {}


@needs_proc
def test_it_ends_with_a_user_that_was_killed(home: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(home), "60"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        holder.kill()
    assert wait_until_empty(home) == {}


@needs_proc
def test_several_that_start_at_once_share_one_server(home: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(home), "2"]
    holders = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    lines = [holder.stdout.readline() for holder in holders if holder.stdout is not None]
    servers = [pid for pid, line in processes_of(home).items() if "bin/postgres -D" in line]
    for holder in holders:
        assert holder.stdout is not None
        holder.stdout.close()
        assert holder.wait(30) == 0
    assert lines == ["held\n"] * 4
    assert len(servers) == 1
    assert wait_until_empty(home) == {}


@needs_proc
def test_committed_rows_survive_kill_9_of_every_process(home: Path) -> None:
    cluster = quiet(home)
    cluster.acquire()
    with psycopg.connect(cluster.url()) as connection:
        connection.execute("UPDATE kept SET n = 43")
    kill(processes_of(home))
    cluster.release()
    assert (home / "postgres" / "postmaster.pid").exists()
    with quiet(home).use() as again:
        assert number(again, "SELECT n FROM kept") == 43


@needs_proc
def test_orphans_of_a_killed_server_do_not_block_the_next_one(home: Path) -> None:
    cluster = quiet(home)
    cluster.acquire()
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)  # cannot notice that its server is gone
        kill(pid for pid, line in processes_of(home).items() if "guard" in line or "bin/postgres -D" in line)
        cluster.release()
        with quiet(home).use() as again:
            assert number(again, "SELECT n FROM kept") == 42
        assert not works_in(backend, home / "postgres")


def test_a_stale_file_that_names_a_living_process_does_not_block_the_start(home: Path) -> None:
    stale = f"{os.getpid()}\n{home}/postgres\n1\n5432\n{home}/postgres\n\n\nready   \n"
    (home / "postgres" / "postmaster.pid").write_text(stale)
    (home / "postgres" / ".s.PGSQL.5432.lock").write_text(f"{os.getpid()}\n")
    with quiet(home).use() as cluster:
        assert number(cluster, "SELECT n FROM kept") == 42


@needs_proc
def test_a_server_whose_guard_was_killed_ends_too(home: Path) -> None:
    cluster = quiet(home)
    cluster.acquire()
    kill(pid for pid, line in processes_of(home).items() if "embedded_guard" in line)
    deadline = time.monotonic() + 20
    while cluster.alive() and time.monotonic() < deadline:
        time.sleep(0.05)
    cluster.acquire()  # what the supervisor does then
    assert number(cluster, "SELECT n FROM kept") == 42
    cluster.release()
    assert wait_until_empty(home) == {}


@pytest.mark.parametrize("name", ["a folder with spaces", "Ausgaben-für-Modelle", "it's", "x" * 100])
def test_any_folder_name_will_do(template: Path, name: str) -> None:
    above = Path(tempfile.mkdtemp(prefix="breakeven-pg-"))
    home = above / name
    home.mkdir()
    copy_installation(template, home)
    cluster = quiet(home)
    assert len(os.fsencode(cluster.socket_dir / ".s.PGSQL.5432")) < 108
    try:
        with cluster.use():
            assert number(cluster, "SELECT n FROM kept") == 42
    finally:
        shutil.rmtree(above)
        if cluster.socket_dir.parent == Path("/tmp"):
            shutil.rmtree(cluster.socket_dir, ignore_errors=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to change folders for the database's user")
def test_root_opens_a_private_folder_only_for_passing_through(template: Path) -> None:
    above = Path(tempfile.mkdtemp(prefix="breakeven-pg-"))
    assert stat.S_IMODE(above.stat().st_mode) == 0o700
    copy_installation(template, above)
    with quiet(above).use():
        assert stat.S_IMODE(above.stat().st_mode) == 0o701
        assert (above / "postgres").stat().st_uid != 0
    shutil.rmtree(above)


def test_what_an_interrupted_first_start_left_is_made_again() -> None:
    home = Path(tempfile.mkdtemp(prefix="breakeven-pg-"))
    (home / "postgres.new" / "base").mkdir(parents=True)
    with quiet(home).use() as cluster:
        assert number(cluster, "SELECT 1") == 1
    assert not (home / "postgres.new").exists()
    shutil.rmtree(home)


def test_data_of_another_major_version_is_left_alone(home: Path) -> None:
    (home / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(DatabaseError, match="written by PostgreSQL 16, this release runs 18"):
        quiet(home).acquire()


def test_a_broken_configuration_is_quoted_and_leaves_nothing_running(home: Path) -> None:
    (home / "postgres" / "local.conf").write_text("shared_buffers = 'a lot'\n")
    with pytest.raises(DatabaseError, match="shared_buffers"):
        quiet(home).acquire()
    assert wait_until_empty(home) == {}


def test_local_settings_win(home: Path) -> None:
    (home / "postgres" / "local.conf").write_text("work_mem = '33MB'\n")
    with quiet(home).use() as cluster, psycopg.connect(cluster.url()) as connection:
        assert connection.execute("SHOW work_mem").fetchone() == ("33MB",)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("FATAL:  could not write to file: No space left on device", "The disk that holds /data is full."),
        ('FATAL:  could not open file "x": Permission denied', "may not use /data"),
        ("OSError: Read-only file system", "is read-only"),
        ("LOG:  a\nFATAL:  the last straw\nLOG:  b", "did not start: FATAL:  the last straw"),
        ("", "no reason given"),
    ],
)
def test_trouble_is_told_in_a_plain_sentence(said: str, told: str) -> None:
    assert told in explain_text(said, Path("/data"))
