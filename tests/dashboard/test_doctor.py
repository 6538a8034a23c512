"""manage.py doctor on background work: what is wrong is named with what to do, and exit code 1; the rest is well."""

from __future__ import annotations

import io
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from dashboard.filters import Filters
from dashboard.management.commands import _doctor_duties as duties
from dashboard.management.commands import doctor
from dashboard.management.commands._finding import Finding
from dashboard.models import StoredReport
from dashboard.reports import stored
from ingest.gaps import fill_gaps_due
from ingest.models import ImportJob, PulledSource
from ingest.pulling import sources
from tests.support.builders import make_event, settle

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def wrong(found: Any) -> list[Finding]:
    return [finding for finding in found if finding.advice]


def job(state: str, **fields: Any) -> ImportJob:
    now = timezone.now()
    values = {"created_at": now, "default_time": now, "source": "laptop", "format": "auto", "files": []}
    return ImportJob.objects.create(id=uuid.uuid4(), state=state, total_bytes=1, **{**values, **fields})


def pulled(**fields: Any) -> PulledSource:
    now = timezone.now()
    source = sources.add("anthropic_admin", "admin", every_minutes=1440, now=now, key="sk-ant-admin01-right")
    PulledSource.objects.filter(pk=source.pk).update(
        **{"last_run_at": now, "last_success_at": now, "due_at": now + HOUR, **fields}
    )
    return source


def test_an_installation_that_has_just_begun_is_well() -> None:
    for check in (duties.uploads, duties.pulled_sources, duties.gap_days, duties.reports):
        assert wrong(check()) == []


def test_the_command_names_every_check_and_fails_when_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    for check in (duties.uploads, duties.pulled_sources, duties.gap_days, duties.reports):
        assert check in doctor.CHECKS
    monkeypatch.setattr(doctor, "CHECKS", (duties.uploads, duties.reports))
    out = io.StringIO()
    call_command("doctor", stdout=out)
    assert out.getvalue().endswith("All is well.\n")
    job("failed", finished_at=timezone.now(), problem="It was given up.")
    with pytest.raises(CommandError) as failure:
        call_command("doctor", stdout=out)
    assert failure.value.returncode == 1
    assert "wrong uploads: " in out.getvalue()


@pytest.mark.parametrize(
    ("state", "fields", "said"),
    [
        ("waiting", {"created_at": timezone.now() - HOUR}, "is not being read"),
        ("running", {"lease_until": timezone.now() - HOUR}, "is not being read"),
        ("asking", {"created_at": timezone.now() - HOUR}, "waits for an answer"),
        ("failed", {"finished_at": timezone.now(), "problem": "Broken off 3 times."}, "Broken off 3 times."),
    ],
)
def test_an_upload_that_does_not_get_on_is_named(state: str, fields: dict[str, Any], said: str) -> None:
    job(state, **fields)
    (finding,) = wrong(duties.uploads())
    assert said in finding.text
    assert "'laptop'" in finding.text


@pytest.mark.parametrize(
    ("state", "fields"),
    [
        ("waiting", {}),
        ("running", {"lease_until": timezone.now() + HOUR}),
        ("done", {"finished_at": timezone.now()}),
        ("failed", {"finished_at": timezone.now() - timedelta(days=3), "problem": "It was given up."}),
    ],
)
def test_uploads_that_get_on_or_are_history_are_not(state: str, fields: dict[str, Any]) -> None:
    job(state, **fields)
    assert wrong(duties.uploads()) == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"failures": 2, "last_error": "The Admin API answered 503."},
            "2 times in a row: The Admin API answered 503.",
        ),
        ({"last_error": "The Admin API refused the key (401)."}, "refused the key"),
        ({"due_at": timezone.now() - HOUR}, "has been due since"),
    ],
)
def test_a_pulled_source_that_does_not_come_in_is_named(fields: dict[str, Any], said: str) -> None:
    pulled(**fields)
    (finding,) = wrong(duties.pulled_sources())
    assert finding.text.startswith("pulled sources: admin: ")
    assert said in finding.text


def test_a_key_that_cannot_be_read_must_be_entered_again(settings: Any) -> None:
    pulled()
    assert wrong(duties.pulled_sources()) == []
    settings.SECRET_KEY = "another"
    (finding,) = wrong(duties.pulled_sources())
    assert "SECRET_KEY has changed" in finding.text
    assert "Enter the key again" in finding.advice


def test_waiting_as_asked_is_no_failure_and_paused_sources_are_left_alone() -> None:
    now = timezone.now()
    source = pulled(last_error="The Admin API asked to wait 60 seconds.", due_at=now + timedelta(minutes=1))
    assert wrong(duties.pulled_sources()) == []
    PulledSource.objects.filter(pk=source.pk).update(failures=9, paused=True)
    assert [finding.text for finding in duties.pulled_sources()] == ["pulled sources: 0 in order, 1 paused"]


def test_days_whose_gaps_stay_due_are_counted() -> None:
    settle([make_event()])
    assert [finding.text for finding in duties.gap_days()] == ["gaps: 1 days in work"]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE fill_state SET filled_at = filled_at - interval '1 hour'")
    (finding,) = wrong(duties.gap_days())
    assert finding.text == "gaps: 1 days, the first 2026-03-02, have waited for 60 minutes"
    fill_gaps_due()
    assert [finding.text for finding in duties.gap_days()] == ["gaps: up to date"]


def test_days_that_can_no_longer_be_worked_out_are_not_waited_for() -> None:
    settle([make_event()])
    with connection.cursor() as cursor:
        cursor.execute("UPDATE fill_state SET filled_at = filled_at - interval '1 hour'")
        cursor.execute("INSERT INTO retired_month (month, retired_at) VALUES ('2026-03-01', now())")
    assert wrong(duties.gap_days()) == []


def test_reports_that_failed_are_named_and_questions_without_an_answer_are_not() -> None:
    stored.look("policies", Filters())
    StoredReport.objects.update(problem="advice is about whole requests", computed_at=timezone.now())
    assert wrong(duties.reports()) == []
    StoredReport.objects.update(problem=stored.FAILED)
    (finding,) = wrong(duties.reports())
    assert finding.text == "reports: 1 could not be made: policies"


def test_a_report_whose_worker_did_not_live_to_finish_it_is_named() -> None:
    stored.look("causes", Filters())
    StoredReport.objects.update(claimed_at=timezone.now())
    assert wrong(duties.reports()) == []
    StoredReport.objects.update(claimed_at=timezone.now() - stored.LEASE - HOUR)
    (finding,) = wrong(duties.reports())
    assert finding.text == "reports: 1 were begun and not finished: causes"
