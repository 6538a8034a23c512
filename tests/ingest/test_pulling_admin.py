"""Pulling the Admin reports from a stub that behaves as the provider's API: every day counts once, whatever happens."""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ingest.models import PulledSource, ReportedCost, ReportedUsage
from ingest.pulling import admin_reports, sources
from ingest.pulling.run import claim, pull_due
from tests.support.admin_api_stub import AdminApi, serving
from tests.support.pages import body_of, signed_in
from tests.support.tables import rows

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TODAY = NOW.date()
BEGIN = date(2026, 10, 1)
DAYS = [BEGIN + timedelta(days=n) for n in range((TODAY - BEGIN).days + 1)]


class Clock:
    """A clock that moves only when told to."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def on(self, **delta: float) -> None:
        self.now += timedelta(**delta)


@pytest.fixture
def api(settings: Any) -> Iterator[AdminApi]:
    stub = AdminApi(usage={day: 1000 + n for n, day in enumerate(DAYS)}, cents=dict.fromkeys(DAYS, "1050.25"))
    with serving(stub):
        settings.BREAKEVEN_ANTHROPIC_URL = stub.url
        yield stub


@pytest.fixture
def clock() -> Clock:
    return Clock()


def add(key: str = "sk-ant-admin01-right", every_minutes: int = 1440) -> PulledSource:
    return sources.add(
        "anthropic_admin", "admin", every_minutes=every_minutes, now=NOW, key=key, begin=BEGIN.isoformat()
    )


def minutes(clock: Clock, count: int) -> None:
    """What beat does: look for work again and again, here once a minute."""
    for _ in range(count):
        pull_due(clock=clock)
        clock.on(minutes=1)


def usage_days() -> dict[date, int]:
    return {row.bucket_start.date(): row.uncached_input_tokens for row in ReportedUsage.objects.all()}


def test_both_reports_are_read_to_their_end_page_by_page(api: AdminApi, clock: Clock) -> None:
    add()
    minutes(clock, 8)
    assert usage_days() == api.usage
    assert ReportedCost.objects.count() == len(DAYS)
    assert {row.billed_cost for row in ReportedCost.objects.all()} == {Decimal("10.5025")}
    source = PulledSource.objects.get()
    assert (source.last_error, source.failures) == ("", 0) and source.last_success_at is not None


def test_an_api_that_gives_seven_days_a_page_is_followed_to_the_end(api: AdminApi, clock: Clock) -> None:
    api.days_per_page = 7
    add()
    minutes(clock, 20)
    assert usage_days() == api.usage
    assert len(api.asked) == 2 * -(-len(DAYS) // 7)


def test_the_api_is_called_at_most_once_a_minute(api: AdminApi, clock: Clock) -> None:
    api.days_per_page = 7
    add()
    for _ in range(12):  # two minutes, looking every ten seconds
        pull_due(clock=clock)
        clock.on(seconds=10)
    assert len(api.asked) == 2
    sources.run_now(PulledSource.objects.get().pk, clock())
    pull_due(clock=clock)
    sources.run_now(PulledSource.objects.get().pk, clock())
    pull_due(clock=clock)
    assert len(api.asked) == 3


def test_the_next_round_reads_the_last_two_days_again_and_takes_what_changed(
    api: AdminApi, clock: Clock
) -> None:
    add()
    minutes(clock, 8)
    asked = len(api.asked)
    clock.on(days=1)
    late = TODAY - timedelta(days=1)
    api.usage[late] = 5_000_000
    api.usage[TODAY + timedelta(days=1)] = 42
    minutes(clock, 4)
    assert usage_days() == api.usage
    assert len(api.asked) == asked + 2
    assert f"starting_at={TODAY - timedelta(days=1)}" in api.asked[asked]


def test_an_outage_in_the_middle_keeps_what_was_fetched_and_goes_on_there(
    api: AdminApi, clock: Clock
) -> None:
    api.days_per_page = 7
    add()
    minutes(clock, 2)
    api.plan = [(503, {}), (529, {})]
    minutes(clock, 1)
    assert len(usage_days()) == 14
    source = PulledSource.objects.get()
    assert "503" in source.last_error and source.failures == 1
    minutes(clock, 30)
    assert usage_days() == api.usage
    assert len(set(api.asked)) == 2 * -(-len(DAYS) // 7), "no page but the failed ones was asked for again"
    assert PulledSource.objects.get().last_error == ""


def test_an_answer_that_breaks_off_writes_no_half_day(api: AdminApi, clock: Clock) -> None:
    api.cut = True
    add()
    minutes(clock, 1)
    assert usage_days() == {}
    assert "broke" in PulledSource.objects.get().last_error
    minutes(clock, 12)
    assert usage_days() == api.usage


def test_trouble_makes_the_pauses_longer_and_success_ends_that(api: AdminApi, clock: Clock) -> None:
    api.plan = [(500, {})] * 5
    add()
    waits = []
    for _ in range(5):
        pull_due(clock=clock)
        source = PulledSource.objects.get()
        waits.append((source.due_at - clock()).total_seconds())
        clock.now = source.due_at
    assert waits == [60, 120, 240, 480, 960]
    minutes(clock, 8)
    assert PulledSource.objects.get().failures == 0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("300", 300), ("5", 60), ("Mon, 23 Nov 2026 12:10:00 GMT", 600), ("soon", 60), ("999999999", 21600)],
)
def test_a_rate_limit_answer_is_obeyed(api: AdminApi, clock: Clock, header: str, seconds: int) -> None:
    api.plan = [(429, {"Retry-After": header})]
    add()
    pull_due(clock=clock)
    source = PulledSource.objects.get()
    assert (source.due_at - NOW).total_seconds() == seconds
    assert source.failures == 0 and "wait" in source.last_error
    clock.now = source.due_at
    minutes(clock, 8)
    assert usage_days() == api.usage


def test_a_wrong_key_is_said_and_not_tried_every_minute(
    api: AdminApi, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    add(key="sk-ant-admin01-WRONG", every_minutes=5)
    minutes(clock, 30)
    source = PulledSource.objects.get()
    assert len(api.asked) == 1 and "401" in source.last_error
    assert "WRONG" not in source.last_error + str(source.state) + caplog.text
    sources.replace_key(source.pk, api.key, clock())
    minutes(clock, 8)
    assert usage_days() == api.usage


def test_a_cursor_that_is_no_longer_known_begins_after_what_is_stored(api: AdminApi, clock: Clock) -> None:
    api.days_per_page = 7
    add()
    minutes(clock, 3)
    source = PulledSource.objects.get()
    source.state["round"]["page"] = "page_gone"
    source.save()
    minutes(clock, 30)
    assert usage_days() == api.usage
    assert ReportedUsage.objects.count() == len(DAYS)


def test_the_same_source_is_run_by_one_worker_at_a_time(api: AdminApi) -> None:
    add()
    first = claim(NOW)
    assert first is not None and claim(NOW) is None
    assert claim(NOW + timedelta(minutes=11)) is not None, "the lease of a worker that died runs out"


def test_a_paused_source_is_left_alone(api: AdminApi, clock: Clock) -> None:
    source = add()
    sources.pause(source.pk, True)
    minutes(clock, 3)
    assert api.asked == []
    sources.pause(source.pk, False)
    minutes(clock, 1)
    assert len(api.asked) == 1


def test_another_secret_key_asks_for_the_key_again(api: AdminApi, clock: Clock, settings: Any) -> None:
    source = add()
    assert not sources.needs_key(source)
    settings.SECRET_KEY = "another"
    assert sources.needs_key(source)
    minutes(clock, 1)
    assert api.asked == []
    assert "Enter the key again" in PulledSource.objects.get().last_error


def test_the_key_lies_encrypted_in_the_table() -> None:
    source = add()
    sealed = bytes(PulledSource.objects.get(pk=source.pk).secret or b"")
    assert sealed and b"right" not in sealed and b"sk-ant" not in sealed


def every_cell() -> str:
    """Everything that the database holds, as text, bytes as hexadecimal digits."""
    tables = rows("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'")
    return "\n".join(str(text) for (name,) in tables for (text,) in rows(f"SELECT t::text FROM {name} t"))


def test_a_key_is_in_no_table_no_log_and_no_page_whatever_happened_to_it(
    api: AdminApi, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    browser = signed_in()
    admin = {"kind": "anthropic_admin", "name": "admin", "every_minutes": "60", "begin": BEGIN.isoformat()}
    said = body_of(browser.post("/settings/pulled/", {"action": "add", "key": api.key, **admin}, follow=True))
    PulledSource.objects.update(due_at=clock())  # the page goes by the real time
    api.plan = [(503, {}), (429, {"Retry-After": "60"}), (302, {"Location": api.url}), (401, {})]
    troubles = set()
    for _ in range(100):
        minutes(clock, 1)
        trouble = PulledSource.objects.get().last_error
        if trouble not in troubles:
            said += body_of(browser.get("/settings/")) + body_of(browser.get("/"))
        troubles.add(trouble)
    source = PulledSource.objects.get()
    for word in ("503", "wait 60 seconds", "302", "401"):
        assert any(word in trouble for trouble in troubles), f"no answer was met with {word}"
    again = {"action": "key", "source": source.pk, "key": api.key}
    said += body_of(browser.post("/settings/pulled/", again, follow=True))
    PulledSource.objects.update(due_at=clock())
    minutes(clock, 10)
    assert usage_days() == api.usage
    held = every_cell()
    assert "anthropic_admin" in held and source.name in said, "the search sees what is there"
    for secret in (
        api.key,
        api.key.removeprefix("sk-ant-"),
        api.key.encode().hex(),
        b64encode(api.key.encode()).decode(),
    ):
        assert secret not in held + said + caplog.text


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"data":1}', b'{"data":[],"has_more":true}', b"\xff", b"[" * 9999]
)
def test_an_answer_that_is_no_page_is_trouble_and_not_a_crash(body: bytes) -> None:
    from ingest.pulling.http import Answer

    step = admin_reports.step(
        {},
        key="k",
        base_url="",
        begin="",
        every=timedelta(days=1),
        source="s",
        now=NOW,
        fetch=lambda url, headers: Answer(200, body),
    )
    assert step.failed and "cannot be read" in step.problem


def test_a_redirect_is_not_followed(api: AdminApi, clock: Clock) -> None:
    api.plan = [(302, {"Location": f"{api.url}/elsewhere"})]
    add()
    minutes(clock, 1)
    assert len(api.asked) == 1
    assert "302" in PulledSource.objects.get().last_error
