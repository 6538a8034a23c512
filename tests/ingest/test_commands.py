"""The commands of the write side."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from ingest.auth import find_key
from tests.support.builders import wire_event
from tests.support.tables import event_count, ledger, rollup, rows

pytestmark = pytest.mark.django_db


def run(name: str, *args: str) -> str:
    out = io.StringIO()
    call_command(name, *args, stdout=out, stderr=io.StringIO())
    return out.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(wire_event(f"m{i}")) for i in range(5)))
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.jsonl.gz").write_bytes(
        gzip.compress("\n".join(json.dumps(wire_event(f"m{i}")) for i in range(3, 8)).encode())
    )
    return tmp_path


def test_create_key_prints_only_the_key() -> None:
    secret = run("create_key", "laptop", "--scope", "read").strip()
    key = find_key(secret)
    assert key is not None
    assert (key.name, key.scope) == ("laptop", "read")


def test_a_folder_is_imported_and_the_ledger_printed(folder: Path) -> None:
    out = run("import_logs", str(folder), "--source", "laptop")
    assert "received 10 = stored 8 + merged 0 + duplicate 2 + rejected 0" in out
    assert event_count() == 8
    assert rows("SELECT name FROM source") == [("laptop",)]


def test_importing_again_adds_nothing(folder: Path) -> None:
    run("import_logs", str(folder))
    assert "stored 0" in run("import_logs", str(folder))
    assert event_count() == 8


def test_a_file_that_breaks_keeps_what_came_before(tmp_path: Path) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text(json.dumps(wire_event("m1")) + "\n" + json.dumps(wire_event("m2"))[:40])
    assert "stored 1 + merged 0 + duplicate 0 + rejected 1" in run("import_logs", str(path))


def test_a_truncated_gzip_keeps_what_came_before(tmp_path: Path) -> None:
    path = tmp_path / "broken.jsonl.gz"
    lines = "\n".join(json.dumps(wire_event(f"m{i}")) for i in range(3_000)).encode()
    path.write_bytes(gzip.compress(lines, compresslevel=0)[:-5_000])
    run("import_logs", str(path), "--format", "events")
    received, stored, _, _, rejected = ledger()
    assert 0 < stored < 3_000
    assert rejected >= 1
    assert received == stored + rejected


def test_strict_turns_rejections_into_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"nonsense": 1}\n' + json.dumps(wire_event()))
    with pytest.raises(SystemExit) as stop:
        run("import_logs", str(tmp_path), "--strict", "--format", "events")
    assert stop.value.code == 1


def test_a_missing_path_is_exit_code_2() -> None:
    with pytest.raises(CommandError) as error:
        run("import_logs", "no/such/file")
    assert error.value.returncode == 2


def test_a_file_of_no_known_format_is_a_rejection(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("just some notes\n")
    run("import_logs", str(tmp_path))
    assert rows("SELECT reason FROM rejected_row") == [("unknown_format",)]


def test_at_gives_a_time_to_formats_without_one(tmp_path: Path) -> None:
    message = {
        "id": "msg_1",
        "type": "message",
        "model": "claude-sonnet-4-6",
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }
    (tmp_path / "m.json").write_text(json.dumps(message))
    run("import_logs", str(tmp_path), "--at", "2026-03-02T10:00:00+01:00")
    assert rows("SELECT (occurred_at AT TIME ZONE 'UTC')::text FROM event") == [("2026-03-02 09:00:00",)]


def test_fill_rollups_fills_and_rebuild_changes_nothing(folder: Path) -> None:
    run("import_logs", str(folder))
    assert "from 8 events" in run("fill_rollups")
    before = rollup("rollup_hour")
    assert before
    run("rebuild")
    assert rollup("rollup_hour") == before


def test_rebuild_follows_a_change_of_the_reporting_zone(folder: Path, settings: object) -> None:
    run("import_logs", str(folder))
    run("fill_rollups")
    settings.REPORTING_TIME_ZONE = "Asia/Tokyo"  # type: ignore[attr-defined]
    run("rebuild")
    assert [row[0].hour for row in rollup("rollup_day")] == [0], (
        "10:00 UTC lies in the Tokyo day that began at 15:00 UTC the day before"
    )
