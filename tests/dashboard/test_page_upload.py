"""The upload page: what is sent waits for a worker and becomes a ledger; what cannot be taken is said in words."""

from __future__ import annotations

import gzip
import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from ingest.import_jobs import run_due
from ingest.models import ImportJob
from tests.support.builders import wire_event
from tests.support.pages import body_of, signed_in, text_of
from tests.support.tables import event_count, rows

pytestmark = pytest.mark.django_db

XHR = {"X-Requested-With": "XMLHttpRequest"}
TABLE = b"Date,Model,Prompt Tokens,Completion Tokens,Odd\n2026-03-02 10:00,gpt-5.4,100,10,x\n"


@pytest.fixture(autouse=True)
def uploads(settings: Any, tmp_path: Path) -> Path:
    settings.UPLOADS_DIR = tmp_path / "uploads"
    return tmp_path / "uploads"


def file(name: str = "log.jsonl", body: bytes | None = None) -> SimpleUploadedFile:
    text = "\n".join(json.dumps(wire_event(f"m{n}")) for n in range(3)).encode()
    return SimpleUploadedFile(name, text if body is None else body)


def test_a_plain_form_leads_to_the_ledger() -> None:
    client = signed_in()
    page = client.post(
        "/upload/", {"file": [file(), file("b.json", b'{"id":"x"}')], "format": "events"}, follow=True
    )
    assert "waiting for its turn" in text_of(page)
    run_due()
    text = text_of(client.get(page.redirect_chain[0][0]))
    assert "log.jsonl events received 3 = stored 3 + merged 0 + duplicate 0 + rejected 0" in text
    assert "b.json events received 1 = stored 0 + merged 0 + duplicate 0 + rejected 1" in text
    assert "missing_field occurred_at" in text
    assert "done" in text_of(client.get("/upload/"))


def test_a_script_gets_the_address_of_the_upload_and_files_keep_their_folders() -> None:
    client = signed_in()
    form = {"file": [file("s.jsonl")], "path": ["-home-dev-shop/sessions/s.jsonl"], "source": "laptop"}
    answer = client.post("/upload/", form, headers=XHR)
    assert answer.status_code == 201
    job = ImportJob.objects.get()
    assert answer.json() == {"job": f"/upload/{job.pk}/"}
    assert (job.files[0]["name"], job.source) == ("-home-dev-shop/sessions/s.jsonl", "laptop")


def test_a_path_that_is_not_the_files_own_is_not_believed() -> None:
    signed_in().post("/upload/", {"file": [file("s.jsonl")], "path": ["../../etc/passwd"]})
    assert ImportJob.objects.get().files[0]["name"] == "s.jsonl"


def test_gzip_is_recognised_by_content_and_time_is_given_to_formats_without_one() -> None:
    usage = {"input_tokens": 1, "output_tokens": 2}
    message = {"id": "msg_1", "type": "message", "model": "claude-sonnet-4-6", "usage": usage}
    packed = file("m.json", gzip.compress(json.dumps(message).encode()))
    signed_in().post("/upload/", {"file": [packed], "at": "2026-03-02T10:15"})
    run_due()
    assert rows("SELECT (occurred_at AT TIME ZONE 'UTC')::text FROM event") == [("2026-03-02 10:15:00",)]


@pytest.mark.parametrize(
    ("form", "status", "words"),
    [
        ({}, 422, "Choose one or more files"),
        ({"format": "xml"}, 422, "no such format"),
        ({"source": "s" * 201}, 422, "at most 200"),
        ({"at": "yesterday"}, 422, "must look like"),
        ({"at": "0001-01-01T00:00"}, 422, "must look like"),
    ],
)
def test_what_cannot_be_taken_is_said_and_leaves_nothing(
    form: dict[str, Any], status: int, words: str, uploads: Path
) -> None:
    client = signed_in()
    sent = {**form, "file": [file()]} if form else {}
    answer = client.post("/upload/", sent)
    assert answer.status_code == status and words in text_of(answer)
    again = client.post("/upload/", {**form, "file": [file()]} if form else {}, headers=XHR)
    assert again.status_code == status and words in again.json()["error"]["message"]
    assert not ImportJob.objects.exists() and not list(uploads.glob("*"))


def test_too_much_is_refused_with_the_limit_and_leaves_nothing(settings: Any, uploads: Path) -> None:
    settings.UPLOAD_MAX_BYTES = 2_000
    answer = signed_in().post(
        "/upload/", {"file": [file(body=b"x" * 1_500), file(body=b"x" * 1_500)]}, headers=XHR
    )
    assert answer.status_code == 413
    assert (
        "2.0 kB" in answer.json()["error"]["message"]
        and "UPLOAD_MAX_BYTES" in answer.json()["error"]["message"]
    )
    assert not ImportJob.objects.exists() and not list(uploads.glob("*"))


def test_a_data_folder_that_cannot_be_written_is_said(settings: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings.UPLOADS_DIR = tmp_path / "file" / "uploads"
    answer = signed_in().post("/upload/", {"file": [file()]}, headers=XHR)
    assert answer.status_code == 507 and "data folder" in answer.json()["error"]["message"]


def test_unknown_and_empty_files_are_named_beside_what_was_read() -> None:
    client = signed_in()
    files = [
        file("notes.txt", b"just SECRET notes"),
        file("empty.jsonl", b""),
        file("x.zip", b"PK\x03\x04abc"),
        file(),
    ]
    page = client.post("/upload/", {"file": files}, follow=True)
    run_due()
    text = text_of(client.get(page.redirect_chain[0][0]))
    assert "No known log format" in text and "claude_code" in text
    assert "The file is empty" in text and "zip archive" in text and "SECRET" not in text
    assert event_count() == 3


def test_only_staff_may_upload_and_everyone_signed_in_may_look() -> None:
    client = signed_in(staff=False)
    assert "Only staff may upload" in text_of(client.get("/upload/"))
    assert client.post("/upload/", {"file": [file()]}).status_code == 403
    assert not ImportJob.objects.exists()


def test_a_form_without_its_token_is_refused_and_leaves_nothing(uploads: Path) -> None:
    client = signed_in()
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies
    assert strict.post("/upload/", {"file": [file()]}).status_code == 403
    assert not ImportJob.objects.exists() and not list(uploads.glob("*"))


def test_the_status_tells_how_far_it_is_and_then_asks_for_the_whole_page() -> None:
    client = signed_in()
    client.post("/upload/", {"file": [file()]})
    job = ImportJob.objects.get()
    ImportJob.objects.update(
        state="running",
        read_bytes=job.total_bytes // 2,
        received=2,
        lease_until=datetime.now(UTC) + timedelta(hours=1),
    )
    answer = client.get(f"/upload/{job.pk}/status/")
    assert 'value="49"' in body_of(answer) or 'value="50"' in body_of(answer)
    assert "2 rows" in text_of(answer) and "HX-Refresh" not in answer
    ImportJob.objects.update(state="waiting")
    run_due()
    assert client.get(f"/upload/{job.pk}/status/")["HX-Refresh"] == "true"


def test_an_upload_that_is_not_there_is_404() -> None:
    assert signed_in().get("/upload/00000000-0000-0000-0000-000000000000/").status_code == 404


def test_a_table_is_read_after_its_columns_were_confirmed() -> None:
    client = signed_in()
    address = client.post("/upload/", {"file": [file("usage.csv", TABLE)]})["Location"]
    page = client.get(address)
    assert "What do the columns of usage.csv mean?" in text_of(page)
    assert '<option value="Prompt Tokens" selected>' in body_of(page)
    wrong = client.post(address, {"file": "0", "column-occurred_at": "Date", "column-model": ""})
    assert wrong.status_code == 422 and "name the column" in text_of(wrong)
    right = {
        "file": "0",
        "column-occurred_at": "Date",
        "column-model": "Model",
        "column-input_tokens": "Prompt Tokens",
        "column-output_tokens": "Completion Tokens",
        "input_includes_cached": "no",
        "time_format": "pattern",
        "time_pattern": "%Y-%m-%d %H:%M",
        "zone": "Europe/Berlin",
    }
    assert client.post(address, right).status_code == 302
    run_due()
    assert "csv_rows received 1 = stored 1" in text_of(client.get(address))
    assert rows("SELECT (occurred_at AT TIME ZONE 'UTC')::text FROM event") == [("2026-03-02 09:00:00",)]


@pytest.mark.parametrize("number", ["", "7", "x", "²", "9" * 30])
def test_confirming_a_file_that_is_not_there_says_so(number: str) -> None:
    client = signed_in()
    address = client.post("/upload/", {"file": [file("usage.csv", TABLE)]})["Location"]
    answer = client.post(address, {"file": number})
    assert answer.status_code == 422 and "no such file" in text_of(answer)


def test_others_than_staff_may_not_say_what_columns_mean() -> None:
    address = signed_in().post("/upload/", {"file": [file("usage.csv", TABLE)]})["Location"]
    other = signed_in(staff=False)
    assert "What do the columns" in text_of(other.get(address)) and "<select" not in body_of(
        other.get(address)
    )
    assert other.post(address, {"file": "0"}).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_without_a_worker_on_the_data_folder_the_web_server_reads_it_when_somebody_looks() -> None:
    client = signed_in()
    client.post("/upload/", {"file": [file()]})
    job = ImportJob.objects.get()
    client.get(f"/upload/{job.pk}/status/")
    assert not reading(job), "at first it is left to a worker"
    ImportJob.objects.update(created_at=datetime.now(UTC) - timedelta(seconds=10))
    client.get(f"/upload/{job.pk}/status/")
    for thread in reading(job):
        thread.join(20)
    job.refresh_from_db()
    assert job.state == "done" and event_count() == 3


def reading(job: ImportJob) -> list[threading.Thread]:
    """Threads that read this upload."""
    return [thread for thread in threading.enumerate() if thread.name == f"upload-{job.pk}"]
