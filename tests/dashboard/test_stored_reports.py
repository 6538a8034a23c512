"""Reports that the worker makes for pages: when they are made, by whom, how often, and what goes wrong with them."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from django.db.models import F
from django.utils import timezone

from dashboard import tasks
from dashboard.filters import FilterError, Filters
from dashboard.models import StoredReport
from dashboard.reports import kinds, stored
from dashboard.reports.recommended import RECOMMENDATIONS
from dashboard.reports.stored import look, make_due
from tests.support.builders import at, make_event, send, settle
from tests.support.tables import rows

pytestmark = pytest.mark.django_db
KIND = "counting"
KINDS = (kinds.POLICIES, kinds.CAUSES, RECOMMENDATIONS)  # the ones that take any question
WIRE = Path(__file__).parents[1] / "wire"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Filters]:
    """The questions that the report was made for, in order."""
    asked: list[Filters] = []

    def work(filters: Filters) -> dict[str, Any]:
        asked.append(filters)
        return {"number": len(asked)}

    works(monkeypatch, work)
    return asked


def works(monkeypatch: pytest.MonkeyPatch, work: Callable[[Filters], dict[str, Any]]) -> None:
    monkeypatch.setattr(stored, "_kinds", {KIND: lambda filters, between: work(filters)})


def ago(**fields: timedelta) -> None:
    """Let moments of all reports lie this much further back."""
    StoredReport.objects.update(**{name: F(name) - by for name, by in fields.items()})


def new_data(name: str) -> None:
    settle([make_event(name, occurred_at=at(minutes=len(name)))])


def test_asking_makes_it_wanted_and_the_worker_makes_it_once(made: list[Filters]) -> None:
    new_data("a")
    asked = look(KIND, Filters())
    assert (asked.body, asked.problem, asked.computed_at, asked.current) == (None, "", None, False)
    assert make_due(10) == 1
    found = look(KIND, Filters())
    assert (found.body, found.problem, found.current) == ({"number": 1}, "", True)
    assert found.computed_at is not None
    assert make_due(10) == 0


def test_the_question_arrives_as_it_was_asked_and_each_has_its_own_report(made: list[Filters]) -> None:
    opus = Filters(where=(("model", ("claude-opus-4-6",)),))
    look(KIND, opus)
    look(KIND, Filters())
    look(KIND, opus)
    assert make_due(10) == 2
    assert sorted(filters.where for filters in made) == [(), opus.where]


def test_how_a_page_groups_makes_no_other_report(made: list[Filters]) -> None:
    look(KIND, Filters())
    look(KIND, Filters(group_by=("model",)))
    assert make_due(10) == 1


def test_after_new_data_the_old_one_is_shown_until_the_rest_is_over(made: list[Filters]) -> None:
    new_data("a")
    look(KIND, Filters())
    make_due(10)
    new_data("ab")
    outdated = look(KIND, Filters())
    assert (outdated.body, outdated.current) == ({"number": 1}, False)
    assert make_due(10) == 0
    ago(computed_at=timedelta(seconds=stored.NOT_SOONER_THAN_S + 1))
    assert make_due(10) == 1
    assert (look(KIND, Filters()).body, look(KIND, Filters()).current) == ({"number": 2}, True)


def test_a_report_that_took_long_rests_longer(made: list[Filters]) -> None:
    look(KIND, Filters())
    make_due(10)
    StoredReport.objects.update(seconds=30.0)
    new_data("a")
    ago(computed_at=timedelta(seconds=30 * stored.REST - 60))
    assert make_due(10) == 0
    ago(computed_at=timedelta(seconds=120))
    assert make_due(10) == 1


def test_what_nobody_asks_for_any_more_is_not_made_again(made: list[Filters]) -> None:
    look(KIND, Filters())
    ago(wanted_at=stored.WANTED_FOR + timedelta(minutes=1))
    assert make_due(10) == 0
    look(KIND, Filters())
    assert make_due(10) == 1


def test_what_was_never_made_comes_before_what_is_outdated(made: list[Filters]) -> None:
    look(KIND, Filters())
    make_due(10)
    new_data("a")
    ago(computed_at=timedelta(hours=1))
    opus = Filters(where=(("model", ("claude-opus-4-6",)),))
    look(KIND, opus)
    assert make_due(10) == 2
    assert [filters.where for filters in made] == [(), opus.where, ()]


def test_data_that_come_in_while_it_is_made_leave_it_outdated(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(filters: Filters) -> dict[str, Any]:
        new_data("late")
        return {}

    works(monkeypatch, work)
    look(KIND, Filters())
    make_due(10)
    assert look(KIND, Filters()).current is False


def test_the_figures_come_first_after_each_report(made: list[Filters]) -> None:
    for model in ("a", "b", "c"):
        look(KIND, Filters(where=(("model", (model,)),)))
    seen: list[int] = []
    assert make_due(10, between=lambda: seen.append(len(made))) == 3
    assert seen == [1, 2, 3]
    new_data("a")
    ago(computed_at=timedelta(hours=1))
    assert make_due(0) == 0


def test_the_lease_of_a_dead_worker_runs_out(made: list[Filters]) -> None:
    look(KIND, Filters())
    StoredReport.objects.update(claimed_at=timezone.now())
    assert make_due(10) == 0
    ago(claimed_at=stored.LEASE + timedelta(seconds=1))
    assert make_due(10) == 1
    assert StoredReport.objects.get().claimed_at is None


def test_a_worker_that_was_taken_for_dead_leaves_the_report_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def work(filters: Filters) -> dict[str, Any]:
        StoredReport.objects.update(claimed_at=timezone.now())  # by another one, meanwhile
        return {"by": "the late one"}

    works(monkeypatch, work)
    look(KIND, Filters())
    make_due(10)
    row = StoredReport.objects.get()
    assert (row.body, row.claimed_at is None) == (None, False)


def test_a_question_that_cannot_be_answered_says_so_and_not_more_often_than_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def work(filters: Filters) -> dict[str, Any]:
        asked.append(filters)
        raise FilterError("meter", "advice is about whole requests")

    works(monkeypatch, work)
    look(KIND, Filters())
    assert make_due(10) == 1
    found = look(KIND, Filters())
    assert (found.body, found.problem, found.current) == (None, "advice is about whole requests", True)
    assert (make_due(10), len(asked)) == (0, 1)


def test_a_failure_of_ours_is_a_sentence_and_a_line_in_the_log_and_is_not_tried_for_ever(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def work(filters: Filters) -> dict[str, Any]:
        raise ZeroDivisionError("of no concern to readers")

    works(monkeypatch, work)
    look(KIND, Filters())
    with caplog.at_level(logging.ERROR, "breakeven.reports"):
        assert make_due(10) == 1
    found = look(KIND, Filters())
    assert found.body is None
    assert found.problem == "It could not be worked out; the log of the worker says why."
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "ZeroDivisionError" in caplog.text
    assert make_due(10) == 0


def test_a_report_that_failed_once_is_whole_again_after_it_worked(monkeypatch: pytest.MonkeyPatch) -> None:
    works(monkeypatch, lambda filters: {"share": 1 // 0})
    look(KIND, Filters())
    make_due(10)
    new_data("a")
    ago(computed_at=timedelta(hours=1))
    works(monkeypatch, lambda filters: {"share": 1})
    assert make_due(10) == 1
    assert (look(KIND, Filters()).body, look(KIND, Filters()).problem) == ({"share": 1}, "")


def test_the_hourly_task_forgets_what_nobody_asked_for(made: list[Filters]) -> None:
    look(KIND, Filters(where=(("model", ("old",)),)))
    ago(wanted_at=stored.KEPT_FOR + timedelta(minutes=1))
    look(KIND, Filters())
    tasks.maintain()
    assert ["old" in row.query for row in StoredReport.objects.all()] == [False]


def test_the_task_makes_reports_of_every_kind_and_fills_between_them() -> None:
    settle([make_event(f"m{n}", occurred_at=at(minutes=n), session_id="s") for n in range(5)])
    for kind in KINDS:
        look(kind, Filters())
    send([make_event("late", occurred_at=at(hours=1))])
    assert tasks.make_reports() == len(KINDS)
    assert rows("SELECT count(*) FROM dirty_bucket") == [(0,)]
    assert all(look(kind, Filters()).body for kind in KINDS)


def test_no_report_holds_text_of_a_prompt() -> None:
    logs = sorted(path for path in (WIRE / "claude_code").glob("*.jsonl") if b"SECRET" in path.read_bytes())
    assert logs
    call_command("import_logs", *map(str, logs), format="claude_code", stdout=io.StringIO())
    call_command("fill_rollups", stdout=io.StringIO())
    for kind in KINDS:
        look(kind, Filters())
    tasks.make_reports()
    stored = list(StoredReport.objects.all())
    assert all(row.body for row in stored)
    assert "SECRET" not in json.dumps([(row.body, row.query, row.problem) for row in stored])


@pytest.mark.django_db(transaction=True)
def test_two_workers_never_make_the_same_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """One begins and is held up; the other, on its own connection, finds nothing left to do."""
    begun, go_on = threading.Event(), threading.Event()
    made: list[str] = []

    def work(filters: Filters) -> dict[str, Any]:
        made.append(threading.current_thread().name)
        begun.set()
        assert go_on.wait(30)
        return {}

    works(monkeypatch, work)
    look(KIND, Filters())

    def first() -> None:
        try:
            make_due(10)
        finally:
            connections.close_all()

    worker = threading.Thread(target=first, name="first")
    worker.start()
    try:
        assert begun.wait(30)
        assert make_due(10) == 0
    finally:
        go_on.set()
        worker.join()
    assert made == ["first"]
    assert look(KIND, Filters()).body == {}
