"""A watched folder: new and grown files are imported, calls count once, and nothing outside is ever read."""

from __future__ import annotations

import gzip
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest.models import PulledFile, PulledSource
from ingest.pulling import sources
from ingest.pulling.run import pull_due
from tests.support.builders import wire_event
from tests.support.tables import event_count, ledger, rows

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC) + timedelta(hours=1)  # files written by the test are settled by then


@pytest.fixture
def watched(settings: Any, tmp_path: Path) -> Path:
    root = tmp_path / "watch"
    (root / "logs").mkdir(parents=True)
    settings.BREAKEVEN_WATCH = root.resolve()
    return root / "logs"


def lines(*ids: str) -> str:
    return "".join(json.dumps(wire_event(each)) + "\n" for each in ids)


def add(path: Path | str) -> PulledSource:
    return sources.add("folder", "gateway", every_minutes=5, now=NOW - timedelta(hours=2), path=str(path))


def look(at: datetime = NOW) -> PulledSource:
    """One look at the folder at this time."""
    PulledSource.objects.update(due_at=at)
    pull_due(clock=lambda: at)
    return PulledSource.objects.get()


def test_new_and_grown_files_are_imported_and_calls_count_once(watched: Path) -> None:
    (watched / "a.jsonl").write_text(lines("a", "b"))
    (watched / "b.jsonl.gz").write_bytes(gzip.compress(lines("c").encode()))
    add(watched)
    assert look().last_error == ""
    assert event_count() == 3 and rows("SELECT name FROM source") == [("gateway",)]
    received = ledger()[0]
    look()
    assert ledger()[0] == received, "what has not changed is not read again"
    with (watched / "a.jsonl").open("a") as file:
        file.write(lines("d"))
    look(NOW + timedelta(minutes=5))
    assert event_count() == 4
    assert {file.path for file in PulledFile.objects.all()} == {"a.jsonl", "b.jsonl.gz"}


def test_a_file_that_is_being_written_waits_until_it_is_whole(watched: Path) -> None:
    (watched / "a.jsonl").write_text(lines("a") + '{"id": "half')
    now = datetime.fromtimestamp((watched / "a.jsonl").stat().st_mtime, UTC) + timedelta(seconds=1)
    source = add(watched)
    PulledSource.objects.filter(pk=source.pk).update(created_at=now)
    look(now)
    assert event_count() == 0 and ledger()[0] == 0
    look(now + timedelta(seconds=30))
    assert event_count() == 1 and ledger()[4] == 1, "settled: what is broken now is broken for good, and said"


def test_a_file_that_never_rests_is_read_up_to_its_last_whole_line(watched: Path) -> None:
    path = watched / "a.jsonl"
    path.write_text(lines("a", "b") + '{"id": "half')
    add(watched)
    moment = NOW.timestamp() - 1
    os.utime(path, (moment, moment))
    look()
    assert event_count() == 2 and ledger()[4] == 0


@pytest.mark.parametrize("path", ["/etc", "../..", "logs/../..", "/", "\0", "x" * 5000])
def test_a_folder_outside_cannot_be_watched(watched: Path, path: str) -> None:
    with pytest.raises(sources.BadSource) as error:
        add(path)
    assert "must lie below" in str(error.value) or "no such folder" in str(error.value)
    assert not PulledSource.objects.exists()


def test_links_that_lead_out_are_not_followed(watched: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.jsonl").write_text(lines("secret"))
    (watched / "file.jsonl").symlink_to(outside / "secret.jsonl")
    (watched / "folder").symlink_to(outside)
    (watched / "loop").symlink_to(watched)
    (watched / "good.jsonl").write_text(lines("good"))
    add(watched)
    assert "leads out" in look().last_error
    assert event_count() == 1
    with pytest.raises(sources.BadSource):
        sources.add("folder", "other", every_minutes=5, now=NOW, path=str(watched / "folder"))


def test_a_folder_that_goes_away_is_said_and_comes_back(watched: Path) -> None:
    add("logs")
    watched.rename(watched.with_name("gone"))
    assert "no such folder" in look().last_error
    watched.mkdir()
    (watched / "a.jsonl").write_text(lines("a"))
    assert look().last_error == ""
    assert event_count() == 1


def test_without_an_allowed_folder_watching_is_off(watched: Path, settings: Any) -> None:
    add(watched)
    settings.BREAKEVEN_WATCH = None
    assert "switched off" in look().last_error
    with pytest.raises(sources.BadSource, match="switched off"):
        sources.add("folder", "other", every_minutes=5, now=NOW, path=str(watched))


def test_a_file_of_no_known_format_is_named_and_the_rest_goes_on(watched: Path) -> None:
    (watched / "a.txt").write_text("SECRET notes")
    (watched / "b.jsonl").write_text(lines("b"))
    add(watched)
    error = look().last_error
    assert "a.txt" in error and "No known log format" in error and "SECRET" not in error
    assert event_count() == 1


def test_a_look_that_runs_out_of_time_goes_on_with_the_next(watched: Path) -> None:
    for name in "abc":
        (watched / f"{name}.jsonl").write_text(lines(name))
    add(watched)
    PulledSource.objects.update(due_at=NOW)
    from ingest.pulling.run import claim, run

    for _ in range(4):
        source = claim(NOW)
        if source is not None:
            run(
                source,
                clock=lambda: NOW,
                fetch=lambda *_: pytest.fail("no call"),
                between=lambda: None,
                most_s=-1,
            )
    assert event_count() == 0 and PulledSource.objects.get().due_at <= NOW
    look()
    assert event_count() == 3
