"""What must be true before the first request: a usable database, its tables, the collected static files."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor

from dashboard.embedded_host import DatabaseError

OLDEST_POSTGRES = 15
NOT_SERVED = ["redoc*", "__pycache__"]  # what lies beside the static files but is asked for by nobody
MIGRATING = 0x6272656B  # any number, as long as it is the same on every machine that shares the database

Say = Callable[[str], None]


def pending_migrations() -> list[str]:
    """What `migrate` would do, without doing it."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def migrate(say: Say) -> None:
    """Bring the tables up to date; several machines may start at once, one of them does it."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SHOW server_version_num")
            version = int(cursor.fetchone()[0]) // 10_000
            if version < OLDEST_POSTGRES:
                raise DatabaseError(
                    f"DATABASE_URL names a PostgreSQL {version}; {OLDEST_POSTGRES} or newer is needed."
                )
            if not pending_migrations():
                return
            cursor.execute("SELECT pg_advisory_lock(%s)", [MIGRATING])
            if pending := pending_migrations():
                say(f"Preparing the tables ({len(pending)} migrations)")
                call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
            cursor.execute("SELECT pg_advisory_unlock(%s)", [MIGRATING])
    except OperationalError as error:
        raise DatabaseError(f"The database does not answer: {str(error).strip()}") from error


def note_reporting_zone(say: Say) -> None:
    """Days are built in one zone; days of two zones side by side would count some hours twice."""
    from ingest import install_state

    built_in = install_state.read("reporting_time_zone")
    if built_in is None:
        install_state.write("reporting_time_zone", settings.REPORTING_TIME_ZONE)
    elif built_in != settings.REPORTING_TIME_ZONE:
        say(
            f"WARNING: the days in the database were built in {built_in}, but REPORTING_TIME_ZONE is "
            f"{settings.REPORTING_TIME_ZONE}. Run `manage.py rebuild` to build them anew."
        )


def static_stamp() -> str:
    """Changes when any source file does: names, sizes and times, which costs milliseconds instead of seconds."""
    digest = hashlib.sha256()
    for finder in get_finders():
        for name, storage in finder.list(NOT_SERVED):
            found = storage.path(name)
            status = Path(found).stat()
            digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def collect_static(say: Say) -> None:
    """Gather, hash and compress what browsers load, when a source changed since the last time."""
    stamp_file = settings.BREAKEVEN_HOME / "static.stamp"
    stamp = static_stamp()
    with contextlib.suppress(OSError):
        if stamp_file.read_text(encoding="ascii") == stamp and settings.STATIC_ROOT.is_dir():
            return
    say("Collecting the static files")
    call_command("collectstatic", verbosity=0, interactive=False, clear=True, ignore_patterns=NOT_SERVED)
    stamp_file.write_text(stamp, encoding="ascii")


def empty_broker() -> None:
    """Nudges from before are worthless: beat sends the next one in two seconds."""
    if settings.EMBEDDED_BROKER:
        shutil.rmtree(settings.BROKER_DIR, ignore_errors=True)
        settings.BROKER_DIR.mkdir(parents=True, exist_ok=True)
