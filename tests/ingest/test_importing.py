"""Importing what people have, in whatever order, twice, and while the same calls arrive by API: the totals agree."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import threading
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client

from ingest.auth import create_key
from ingest.fill import fill_due
from ingest.finding import find_files
from ingest.models import ApiKey
from tests.support.builders import wire_event
from tests.support.tables import event_count, ledger, rollup, rows

T = "2026-03-02T{:02d}:{:02d}:00Z"


def run(
    *args: str, stdin: bytes | None = None, monkeypatch: pytest.MonkeyPatch | None = None
) -> tuple[str, str]:
    if stdin is not None and monkeypatch is not None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
    out, err = io.StringIO(), io.StringIO()
    call_command("import_logs", *args, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def lines(*ids: str) -> str:
    return "\n".join(json.dumps(wire_event(each)) for each in ids)


def answer(number: int, output: int, stop: str | None) -> dict[str, Any]:
    """A line of a transcript: the same call is written while it grows, and again at its end."""
    return {
        "type": "assistant",
        "sessionId": f"session-{number % 7}",
        "requestId": f"req_{number}",
        "timestamp": T.format(number // 60 % 24, number % 60),
        "message": {
            "id": f"msg_{number}",
            "model": "claude-sonnet-4-6",
            "stop_reason": stop,
            "usage": {
                "input_tokens": 10 + number,
                "output_tokens": output,
                "cache_read_input_tokens": number * 3,
            },
        },
    }


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Transcripts whose calls stand in several files, with repeats, in three formats."""
    chance = random.Random(7)
    folder = tmp_path / "logs"
    folder.mkdir()
    for part in range(6):
        chosen = [number for number in range(240) if number % 6 in (part, (part + 1) % 6)]
        written = [answer(n, 1, None) for n in chosen] + [
            answer(n, 50 + n, "end_turn") for n in chosen if n % 5
        ]
        chance.shuffle(written)
        (folder / f"t{part}.jsonl").write_text("\n".join(map(json.dumps, written)))
    events = [wire_event(f"event_{n}", usage={"input_tokens": n, "output_tokens": 2}) for n in range(300)]
    (folder / "e.json").write_text(json.dumps(events[:200]))
    (folder / "f.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, events[100:])).encode()))
    return folder


def totals() -> list[tuple[Any, ...]]:
    fill_due()
    return rows(
        "SELECT sum(requests)::int, sum(uncached_input_tokens)::int, sum(cache_read_input_tokens)::int,"
        " sum(output_tokens)::int FROM rollup_hour"
    )


EXPECTED_REQUESTS = 240 + 300
EXPECTED_OUTPUT = sum(50 + n if n % 5 else 1 for n in range(240)) + 300 * 2


@pytest.mark.django_db
def test_importing_twice_and_in_another_order_changes_nothing(logs: Path) -> None:
    files = [str(path) for path in find_files([logs])]
    run(*files)
    first, hours = totals(), rollup("rollup_hour")
    assert first[0][0] == EXPECTED_REQUESTS and first[0][3] == EXPECTED_OUTPUT
    run(*reversed(files))
    assert totals() == first and rollup("rollup_hour") == hours


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("backwards", [False, True])
def test_half_by_api_at_the_same_time_gives_the_same_totals(logs: Path, backwards: bool) -> None:
    """Two connections that overlap in every call, one of them the command and one the API."""
    _, secret = create_key("sender", ApiKey.Scope.INGEST)
    files = find_files([logs])
    if backwards:
        files.reverse()
    problems: list[BaseException] = []
    barrier = threading.Barrier(2)

    def both(work: Any) -> None:
        try:
            barrier.wait()
            work()
        except BaseException as error:
            problems.append(error)
        finally:
            connection.close()

    def by_command() -> None:
        run(*(str(path) for path in files))

    def by_api() -> None:
        client = Client()
        for path in [*files[::2], *files[1::4]]:
            name = "claude_code" if path.name.startswith("t") else "events"
            headers = {"Authorization": f"Bearer {secret}"}
            if path.suffix == ".gz":
                headers["Content-Encoding"] = "gzip"
            sent = client.post(
                f"/api/v1/logs/{name}",
                path.read_bytes(),
                content_type="application/octet-stream",
                headers=headers,
            )
            assert sent.status_code == 200, sent.content

    threads = [threading.Thread(target=both, args=[work]) for work in (by_command, by_api)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert problems == []
    (found,) = totals()
    assert found[0] == EXPECTED_REQUESTS and found[3] == EXPECTED_OUTPUT
    received, stored, merged, duplicate, rejected = ledger()
    assert (
        received == stored + merged + duplicate + rejected and rejected == 0 and stored == EXPECTED_REQUESTS
    )


# The command ---------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_quoted_pattern_finds_what_the_shell_would_have_found(tmp_path: Path) -> None:
    for name in ("a/x.jsonl", "a/b/y.jsonl", "a/z.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(lines(name))
    out, _ = run(str(tmp_path / "**" / "*.jsonl"))
    assert "2 files: received 2 = stored 2" in out


@pytest.mark.django_db
def test_standard_input_is_read_gzipped_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "1 file: received 1 = stored 1" in run("-", stdin=lines("a").encode(), monkeypatch=monkeypatch)[0]
    packed = gzip.compress(lines("a", "b").encode())
    assert "stored 1 + merged 0 + duplicate 1" in run("-", stdin=packed, monkeypatch=monkeypatch)[0]


@pytest.mark.django_db
def test_loops_dead_links_hidden_files_and_pipes_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "back").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (tmp_path / "dead.jsonl").symlink_to(tmp_path / "nothing")
    (tmp_path / ".hidden.jsonl").write_text(lines("hidden"))
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "deep" / "a.jsonl").write_text(lines("a"))
    out, err = run(str(tmp_path))
    assert "1 file: received 1 = stored 1" in out
    assert "dead.jsonl: Passed over: a link that leads nowhere" in err and "self: Passed over" in err


@pytest.mark.django_db
def test_a_file_that_cannot_be_read_is_said_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text(lines(name))
    opened = Path.open

    def refuse(self: Path, *args: Any, **kwargs: Any) -> Any:  # as root, no file refuses by itself
        if self.name == "a.jsonl":
            raise PermissionError(13, "Permission denied")
        return opened(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)
    out, err = run(str(tmp_path))
    assert "1 file: received 1 = stored 1" in out
    assert "a.jsonl: It cannot be read: Permission denied." in err
    with pytest.raises(SystemExit):
        run(str(tmp_path), "--strict")


@pytest.mark.django_db
def test_the_ledger_names_formats_reasons_and_lines_but_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(lines("a", "b") + '\nSECRET {"\n' + lines("c"))
    (tmp_path / "t.jsonl").write_text(json.dumps(answer(1, 5, "end_turn")))
    (tmp_path / "n.txt").write_text("SECRET notes")
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04SECRET")
    (tmp_path / "empty").write_text("")
    out, err = run(str(tmp_path))
    assert "events: 1 file: received 4 = stored 3 + merged 0 + duplicate 0 + rejected 1" in out
    assert "claude_code: 1 file: received 1" in out
    assert "rejected: unknown_format 2, invalid_json 1" in out
    assert "5 files: received 7" in out
    assert f"{tmp_path / 'a.jsonl'}:3: invalid_json" in err
    assert "a zip archive" in err and "The file is empty." in err
    assert "SECRET" not in out + err
    assert event_count() == 4


@pytest.mark.django_db
def test_millions_of_bad_lines_are_counted_and_only_the_first_are_kept(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    from ingest.importing import FIRST_KEPT, import_file

    (tmp_path / "a.jsonl").write_text('{"x":1}\n' * 12_000)
    report = import_file(tmp_path / "a.jsonl", "events", "s", datetime.now(UTC))
    assert report.tally.rejected == 12_000 and len(report.tally.first) == FIRST_KEPT
    assert [row.index for row in report.tally.first] == list(range(FIRST_KEPT))


@pytest.mark.django_db
def test_small_files_share_a_batch_and_rejections_stay_with_their_file(
    tmp_path: Path, django_assert_max_num_queries: Any
) -> None:
    for number in range(40):
        text = lines(f"a{number}", f"b{number}") + ("\n{oops" if number == 17 else "")
        (tmp_path / f"{number:02}.jsonl").write_text(text)
    with django_assert_max_num_queries(60):  # a batch a file would be several hundred
        out, err = run(str(tmp_path))
    assert "40 files: received 81 = stored 80 + merged 0 + duplicate 0 + rejected 1" in out
    assert err.count(".jsonl") == 1 and f"{tmp_path / '17.jsonl'}:3: " in err


@pytest.mark.django_db
def test_a_file_larger_than_a_batch_gives_every_row_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.gathering.ROWS_PER_BATCH", 7)
    (tmp_path / "a.jsonl").write_text(lines(*(f"a{n}" for n in range(20))))
    (tmp_path / "b.jsonl").write_text(lines(*(f"b{n}" for n in range(3))))
    assert "2 files: received 23 = stored 23" in run(str(tmp_path))[0]


@pytest.mark.django_db
def test_a_table_is_read_with_the_mapping_that_is_given(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("wann,wer,rein,raus\n2026-03-02T10:00:00Z,gpt-5.4,100,10\n")
    columns = {"occurred_at": "wann", "model": "wer", "input_tokens": "rein", "output_tokens": "raus"}
    (tmp_path / "m.json").write_text(json.dumps({"columns": columns}))
    out, _ = run(str(tmp_path / "t.csv"), "--format", "csv_rows", "--mapping", str(tmp_path / "m.json"))
    assert "stored 1" in out
