"""Uploads survive what processes do: crashes, two readers at once, a machine without the files; rows count once."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest import import_jobs, mappings, tasks
from ingest.import_jobs import Spooled, claim, create, folder_of, run, run_due, tidy
from ingest.importing import Advance, import_stream
from ingest.models import ColumnMapping, ImportJob
from tests.support.builders import wire_event
from tests.support.tables import event_count, rows

pytestmark = pytest.mark.django_db

TABLE = (
    "Date,Model,Prompt Tokens,Completion Tokens\n"
    "2026-03-02T10:00:00,gpt-5.4,100,10\n2026-03-02T11:00:00,gpt-5.4,1,2\n"
)


@pytest.fixture(autouse=True)
def uploads(settings: Any, tmp_path: Path) -> Path:
    settings.UPLOADS_DIR = tmp_path / "uploads"
    return tmp_path / "uploads"


def lines(*ids: str) -> str:
    return "\n".join(json.dumps(wire_event(each)) for each in ids)


def spool(*files: tuple[str, str], now: datetime | None = None, source: str = "upload") -> ImportJob:
    job_id = uuid.uuid4()
    folder_of(job_id).mkdir(parents=True)
    spooled = []
    for number, (name, text) in enumerate(files):
        (folder_of(job_id) / str(number)).write_text(text)
        spooled.append(Spooled(name, len(text)))
    now = now or datetime.now(UTC)
    return create(job_id, spooled, by="ada", source=source, format_name="auto", at=now, now=now)


def test_a_job_is_read_file_by_file_and_its_files_are_deleted() -> None:
    job = spool(("a.jsonl", lines("a", "b")), ("b.jsonl", lines("b", "c") + '\n{"oops"'))
    assert run_due() == 1
    job.refresh_from_db()
    assert job.state == "done" and job.read_bytes == job.total_bytes and job.finished_at is not None
    first, second = job.files
    assert (first["format"], first["received"], first["stored"]) == ("events", 2, 2)
    assert (second["received"], second["stored"], second["duplicate"], second["rejected"]) == (3, 1, 1, 1)
    assert second["first"][0]["line"] == 3 and "oops" not in json.dumps(second)
    assert not folder_of(job.pk).exists() and event_count() == 3
    assert rows("SELECT name FROM source") == [("upload",)]


def test_a_reader_that_dies_leaves_a_job_that_goes_on_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    job = spool(("a.jsonl", lines("a")), ("b.jsonl", lines("b", "c")))
    claimed = claim(datetime.now(UTC))
    assert claimed is not None

    class Killed(BaseException):
        """What no handler of ours catches."""

    def killed_after(file: Any, path: Path, reading: Any, on_bytes: Advance, on_rows: Advance) -> Any:
        report = import_stream(file, path, reading, on_bytes, on_rows)
        if path.name == "b.jsonl":
            raise Killed
        return report

    monkeypatch.setattr(import_jobs, "import_stream", killed_after)
    with pytest.raises(Killed):
        run(claimed)
    monkeypatch.undo()
    assert claim(datetime.now(UTC)) is None, "its lease has not run out"
    ImportJob.objects.update(lease_until=datetime.now(UTC) - timedelta(seconds=1))
    run_due()
    job.refresh_from_db()
    assert job.state == "done"
    assert [file["again"] for file in job.files] == [False, True]
    assert (job.files[1]["stored"], job.files[1]["duplicate"]) == (0, 2)
    assert event_count() == 3


def test_a_file_that_kills_every_reader_is_given_up() -> None:
    job = spool(("a.jsonl", lines("a")))
    for _ in range(import_jobs.MOST_ATTEMPTS):
        assert claim(datetime.now(UTC)) is not None
        ImportJob.objects.update(lease_until=datetime.now(UTC) - timedelta(seconds=1))
    run_due()
    job.refresh_from_db()
    assert job.state == "failed" and "broken off" in job.problem and not folder_of(job.pk).exists()


def test_a_reader_whose_job_was_taken_over_stops() -> None:
    job = spool(("a.jsonl", lines("a")))
    claimed = claim(datetime.now(UTC))
    assert claimed is not None
    ImportJob.objects.update(lease="another")
    run(claimed)
    job.refresh_from_db()
    assert job.state == "running" and job.lease == "another" and folder_of(job.pk).exists()


def test_a_machine_without_the_files_leaves_the_job_to_others(uploads: Path) -> None:
    job = spool(("a.jsonl", lines("a")))
    uploads.rename(uploads.with_name("elsewhere"))
    assert run_due() == 0
    job.refresh_from_db()
    assert job.state == "waiting"


def test_an_unforeseen_error_ends_the_job_with_words(monkeypatch: pytest.MonkeyPatch) -> None:
    job = spool(("a.jsonl", lines("a")))

    def broken(*args: Any) -> Any:
        raise RuntimeError("SECRET text of a file")

    monkeypatch.setattr(import_jobs, "import_stream", broken)
    run_due()
    job.refresh_from_db()
    assert job.state == "failed" and "SECRET" not in job.problem and not folder_of(job.pk).exists()


def test_a_table_asks_what_its_columns_mean_once_for_a_source_and_header() -> None:
    job = spool(("usage.csv", TABLE))
    assert job.state == "asking" and run_due() == 0
    preview = import_jobs.asks_for_mapping(job, 0)
    assert preview is not None and preview.guess.columns["model"] == "Model"
    import_jobs.confirm(job, 0, preview.columns, preview.guess)
    assert run_due() == 1
    job.refresh_from_db()
    assert (job.files[0]["format"], job.files[0]["stored"]) == ("csv_rows", 2)
    assert ColumnMapping.objects.count() == 1
    assert spool(("again.csv", TABLE)).state == "waiting"
    assert spool(("other.csv", TABLE), source="other").state == "asking"


def test_a_mapping_that_does_not_fit_is_refused() -> None:
    job = spool(("usage.csv", TABLE))
    preview = import_jobs.asks_for_mapping(job, 0)
    assert preview is not None
    with pytest.raises(mappings.MappingError):
        import_jobs.confirm(job, 0, preview.columns, mappings.Mapping(columns={"model": "Model"}))
    job.refresh_from_db()
    assert job.state == "asking"


def test_what_nobody_reads_is_deleted_after_a_day(uploads: Path) -> None:
    now = datetime.now(UTC)
    job = spool(("usage.csv", TABLE), now=now)
    stray = uploads / str(uuid.uuid4())
    stray.mkdir()
    tidy(now)
    assert stray.exists() and folder_of(job.pk).exists()
    tidy(now + timedelta(days=1, minutes=1))
    job.refresh_from_db()
    assert job.state == "failed" and list(uploads.iterdir()) == []
    tidy(now + timedelta(days=31))
    assert not ImportJob.objects.exists()


def test_the_worker_reads_uploads_and_keeps_the_figures_coming_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = spool(("a.jsonl", lines("a", "b")))
    monkeypatch.setattr(tasks, "FILL_EVERY_S", 0.0)
    assert tasks.run_imports() == 1
    job.refresh_from_db()
    assert job.state == "done"
    assert tasks.pull_due() == 0


def test_a_fill_that_fails_does_not_stop_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**kwargs: Any) -> Any:
        raise RuntimeError("a fill failed")

    job = spool(("a.jsonl", lines("a", "b")))
    monkeypatch.setattr(tasks, "FILL_EVERY_S", -1.0)
    monkeypatch.setattr("ingest.fill.fill_due", broken)
    tasks.run_imports()
    job.refresh_from_db()
    assert job.state == "done"
