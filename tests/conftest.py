"""Fixtures only. The database is DATABASE_URL, or one embedded cluster in a temporary folder for the whole session."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from dashboard import env
from dashboard.embedded import Cluster

CLUSTER = pytest.StashKey[tuple[Cluster, Path]]()


def pytest_configure(config: pytest.Config) -> None:
    """Nothing a test does may touch the data folder, the broker or the static files of a real installation."""
    settings.CELERY_BROKER_URL = "memory://"
    settings.STATIC_ROOT = settings.BASE_DIR / "static"  # whitenoise wants a folder that exists
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.MD5PasswordHasher"
    ]  # slow hashes test nothing here
    distributing = config.getoption("numprocesses", None) and not hasattr(config, "workerinput")
    if distributing and settings.EMBEDDED_DATABASE:
        start_cluster(config)  # before the workers exist: they find it in their environment


def pytest_unconfigure(config: pytest.Config) -> None:
    if started := config.stash.get(CLUSTER, None):
        cluster, home = started
        cluster.release()
        shutil.rmtree(home, ignore_errors=True)


def start_cluster(config: pytest.Config) -> None:
    home = Path(tempfile.mkdtemp(prefix="breakeven-tests-"))
    # No test survives a power cut, so none has to wait for the disk.
    cluster = Cluster(home, extra={"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"})
    config.stash[CLUSTER] = (cluster, home)
    cluster.acquire()
    os.environ["DATABASE_URL"] = cluster.url()
    settings.DATABASES["default"].update(env.database(cluster.url()) | {"OPTIONS": {"connect_timeout": 10}})


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    request: pytest.FixtureRequest, django_db_modify_db_settings_parallel_suffix: None
) -> None:
    """Started by the first test that needs a database, so that the pure tests stay quick."""
    if settings.EMBEDDED_DATABASE and CLUSTER not in request.config.stash:
        start_cluster(request.config)


@pytest.fixture(autouse=True)
def forget_what_is_cached() -> None:
    """What the process has cached belongs to rows that the last test rolled back."""
    from dashboard.queries import remembering
    from ingest import interning, ledger, partitions

    for forget in (
        interning.forget_all,
        ledger.forget_sources,
        partitions.forget_known,
        remembering.forget_all,
    ):
        forget()


@pytest.fixture(autouse=True)
def empty_hot_tables(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that commits leaves events behind: Django's flush knows only tables that have models."""
    marker = request.node.get_closest_marker("django_db")
    commits = (marker and marker.kwargs.get("transaction")) or {"transactional_db", "live_server"} & set(
        request.fixturenames
    )
    if commits:
        request.getfixturevalue("transactional_db")  # set up before, so torn down after, the TRUNCATE below
    yield
    if commits:
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute(
                "TRUNCATE event, event_identity, event_prefix, dirty_bucket, fill_state,"
                " rollup_hour, rollup_day, rollup_lane_day,"
                " rollup_short_prefix_hour, rollup_short_prefix, rollup_lane_short_prefix"
            )
