"""One log, every way in: the API, `import_logs` and the upload page store the same rows and say the same of them.

And only calls become events: what a provider has summed is stored beside them.
"""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import transaction
from django.test import Client

from dashboard.filters import Filters
from dashboard.queries import spend
from ingest import formats, import_jobs, interning, ledger, partitions
from ingest.auth import create_key
from ingest.fill import fill_due
from ingest.models import ApiKey, ImportJob
from tests.support.pages import signed_in
from tests.support.tables import event_count, rollup, rows

pytestmark = pytest.mark.django_db

WIRE = Path(__file__).parent.parent / "wire"
AT = "2026-03-02T00:00"  # for formats without a time
SHOWN = 5  # rejections of a file that a terminal shows

Refusal = tuple[int, str, str, str]  # line from 1, reason, field, detail
Counts = tuple[int, int, int, int, int]  # received, stored, merged, duplicate, rejected


@dataclass(frozen=True, slots=True)
class Said:
    """What one way in said of one file."""

    counts: Counts
    refused: list[Refusal]


class Doors:
    """The ways in. Each takes the name of a format, a file's bytes and its name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        _, self.key = create_key("app", ApiKey.Scope.INGEST)
        self.browser = signed_in()

    def api(self, name: str, body: bytes, file_name: str) -> Said:
        told = (
            Client()
            .post(
                f"/api/v1/logs/{name}?source=s&at={AT}:00Z",
                body,
                content_type="application/octet-stream",
                headers={"Authorization": f"Bearer {self.key}"},
            )
            .json()
        )
        assert "error" not in told, told
        refused = [(row["index"] + 1, row["reason"], row["field"], row["detail"]) for row in told["rejected"]]
        counts = (told["received"], told["stored"], told["merged"], told["duplicate"], len(refused))
        return Said(counts, refused[:SHOWN])

    def api_by_auto_gzipped(self, name: str, body: bytes, file_name: str) -> Said:
        return self.api("auto", gzip.compress(body), file_name)

    def standard_input(self, name: str, body: bytes, file_name: str) -> Said:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(body)))
            return self._command("-", name)

    def gzipped_file_by_auto(self, name: str, body: bytes, file_name: str) -> Said:
        path = self.folder / f"{file_name}.gz"
        path.write_bytes(gzip.compress(body))
        return self._command(str(path), "auto")

    def _command(self, place: str, name: str) -> Said:
        out, err = io.StringIO(), io.StringIO()
        call_command("import_logs", place, format=name, source="s", at=f"{AT}:00Z", stdout=out, stderr=err)
        sums = re.search(
            r"1 file: received (\d+) = stored (\d+) \+ merged (\d+) \+ duplicate (\d+) \+ rejected (\d+)$",
            out.getvalue().strip(),
        )
        assert sums, out.getvalue()
        received, stored, merged, duplicate, rejected = map(int, sums.groups())
        lines = re.findall(r"^.*?:(\d+): (\w+)(?: \((.*?)\))?: (.*)$", err.getvalue(), re.MULTILINE)
        refused = [(int(line), reason, field, detail) for line, reason, field, detail in lines]
        return Said((received, stored, merged, duplicate, rejected), refused)

    def upload(self, name: str, body: bytes, file_name: str) -> Said:
        form = {"file": SimpleUploadedFile(file_name, body), "source": "s", "at": AT, "format": "auto"}
        address = self.browser.post("/upload/", form)["Location"]
        job = ImportJob.objects.get(pk=address.strip("/").rpartition("/")[2])
        if preview := import_jobs.asks_for_mapping(job, 0):
            import_jobs.confirm(job, 0, preview.columns, preview.guess)
        assert import_jobs.run_due() == 1
        job.refresh_from_db()
        (told,) = job.files
        assert (job.state, told["format"]) == ("done", name), job.problem
        refused = [(row["line"], row["reason"], row["field"], row["detail"]) for row in told["first"]]
        counts = (told["received"], told["stored"], told["merged"], told["duplicate"], told["rejected"])
        return Said(counts, refused[:SHOWN])


Way = Callable[[str, bytes, str], Said]


def stored() -> dict[str, list[Any]]:
    """Every stored row but for what only some ways in can know: the name of a file, so its session and project."""
    keys = (
        "'id', 'source_id', 'natural_key', 'received_at',"
        " 'event_key', 'lane_id', 'label_set_id', 'session_key', 'stop_reason_id'"
    )
    plain = f"(to_jsonb(t) - ARRAY[{keys}])::text"
    return {
        "identities": rows("SELECT identity_hash::text FROM event_identity ORDER BY 1"),
        "events": sorted(
            rows(
                f"SELECT {plain}, (to_jsonb(lane) - 'id')::text, coalesce(stop_reason.name, '') FROM event t"
                " JOIN lane ON lane.id = t.lane_id LEFT JOIN stop_reason ON stop_reason.id = t.stop_reason_id"
            )
        ),
        "usage": sorted(rows(f"SELECT {plain} FROM reported_usage t")),
        "cost": sorted(rows(f"SELECT {plain} FROM reported_cost t")),
    }


def sent(way: Way, name: str) -> tuple[list[Said], dict[str, list[Any]]]:
    """What was said of each golden file of a format, and what is stored after all of them."""
    paths = [path for path in sorted((WIRE / name).iterdir()) if not path.name.endswith(".expected.json")]
    return [way(name, path.read_bytes(), path.name) for path in paths], stored()


@contextmanager
def undone() -> Iterator[None]:
    """What happens inside is rolled back, and what the process has cached of it forgotten."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
    for forget in (interning.forget_all, ledger.forget_sources, partitions.forget_known):
        forget()


@pytest.mark.parametrize("name", sorted(formats.all_formats()))
def test_every_way_in_stores_the_same_rows_and_says_the_same_of_them(
    name: str, settings: Any, tmp_path: Path
) -> None:
    settings.UPLOADS_DIR = tmp_path / "uploads"
    doors = Doors(tmp_path)
    with undone():
        expected = sent(doors.api, name)
    assert any(said.counts[1] for said in expected[0]), "golden files store something"
    for way in (doors.api_by_auto_gzipped, doors.standard_input, doors.gzipped_file_by_auto):
        with undone():
            assert sent(way, name) == expected, way.__name__
    assert sent(doors.upload, name) == expected
    for way in (doors.api, doors.gzipped_file_by_auto):  # and once more by other ways: nothing is new
        said, after = sent(way, name)
        assert after == expected[1] and not any(each.counts[1] for each in said), way.__name__


REPORTS = ("anthropic_analytics", "anthropic_claude_code_report", "anthropic_cost_report", "anthropic_usage_report",
           "focus_cost", "openai_costs", "openai_usage")  # fmt: skip


@pytest.mark.parametrize("name", sorted(formats.all_formats()))
def test_sums_of_a_provider_never_become_events(name: str, tmp_path: Path) -> None:
    said, after = sent(Doors(tmp_path).api, name)
    fill_due()
    assert (not after["usage"] and not after["cost"]) or name in (*REPORTS, "otlp"), "a format of calls alone"
    if name in REPORTS:
        assert len(after["usage"] + after["cost"]) == sum(each.counts[1] for each in said) > 0
        assert (after["events"], after["identities"], rollup("rollup_hour"), rollup("rollup_day")) == (
            [],
            [],
            [],
            [],
        )
        assert spend.total(Filters())["requests"] == 0
    else:
        assert event_count() == sum(each.counts[1] for each in said) - len(after["usage"] + after["cost"]) > 0
