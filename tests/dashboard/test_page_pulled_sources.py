"""Pulled sources on the settings page: staff change them, everybody sees how they are, nobody sees a key."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ingest.models import PulledSource
from tests.support.pages import body_of, signed_in, text_of

pytestmark = pytest.mark.django_db

KEY = "sk-ant-admin01-VERYSECRET"
ADMIN = {"action": "add", "kind": "anthropic_admin", "name": "admin", "key": KEY, "every_minutes": "360"}


def test_an_admin_source_is_added_and_its_key_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = signed_in()
    page = client.post("/settings/pulled/", ADMIN, follow=True)
    assert "“admin” is pulled from now on" in text_of(page) and "every 6 hours" in text_of(page)
    source = PulledSource.objects.get()
    assert source.kind == "anthropic_admin" and source.every_minutes == 360
    assert KEY not in body_of(page) + body_of(client.get("/settings/")) + caplog.text


def test_a_source_is_paused_run_given_another_key_and_removed() -> None:
    client = signed_in()
    client.post("/settings/pulled/", ADMIN)
    source = PulledSource.objects.get()
    sealed = bytes(source.secret or b"")

    def change(action: str, **fields: str) -> PulledSource | None:
        client.post("/settings/pulled/", {"action": action, "source": source.pk, **fields})
        return PulledSource.objects.filter(pk=source.pk).first()

    paused = change("pause")
    assert paused is not None and paused.paused
    assert "paused" in text_of(client.get("/settings/"))
    going = change("go_on")
    assert going is not None and not going.paused
    PulledSource.objects.update(due_at=datetime(2100, 1, 1, tzinfo=UTC))
    due = change("run")
    assert due is not None and due.due_at < datetime(2100, 1, 1, tzinfo=UTC)
    other = change("key", key="sk-ant-admin01-another")
    assert other is not None and bytes(other.secret or b"") != sealed
    assert change("remove") is None


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"name": ""}, "needs a name"),
        ({"name": "x" * 201}, "needs a name"),
        ({"key": "short"}, "admin key is one line"),
        ({"key": "sk-ant\r\nX-Other: header"}, "admin key is one line"),
        ({"every_minutes": "7"}, "Choose one of"),
        ({"every_minutes": "²"}, "Choose one of"),
        ({"begin": "1999-01-01"}, "first day must"),
        ({"begin": "soon"}, "first day must"),
        ({"kind": "ftp"}, "kind must be"),
        ({"kind": "folder", "path": "/etc"}, "switched off"),
    ],
)
def test_what_cannot_be_pulled_is_said(form: dict[str, str], words: str) -> None:
    page = signed_in().post("/settings/pulled/", {**ADMIN, **form}, follow=True)
    assert words in text_of(page)
    assert not PulledSource.objects.exists() and KEY not in body_of(page)


def test_a_name_is_taken_once() -> None:
    client = signed_in()
    client.post("/settings/pulled/", ADMIN)
    assert "of this name already" in text_of(client.post("/settings/pulled/", ADMIN, follow=True))


@pytest.mark.parametrize("source", ["", "0", "x", "9" * 30])
@pytest.mark.parametrize("action", ["pause", "run", "remove", "explode", ""])
def test_changing_what_is_not_there_says_so(action: str, source: str) -> None:
    page = signed_in().post("/settings/pulled/", {"action": action, "source": source}, follow=True)
    assert "no such pulled source" in text_of(page)


def test_a_folder_below_the_allowed_one_can_be_watched(settings: Any, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    settings.BREAKEVEN_WATCH = tmp_path.resolve()
    client = signed_in()
    form = {"action": "add", "kind": "folder", "name": "gateway", "path": "logs", "every_minutes": "5"}
    assert "is pulled from now on" in text_of(client.post("/settings/pulled/", form, follow=True))
    assert PulledSource.objects.get().settings == {"path": str(tmp_path.resolve() / "logs")}


def test_a_changed_secret_key_is_shown_as_such(settings: Any) -> None:
    client = signed_in()
    client.post("/settings/pulled/", ADMIN)
    settings.SECRET_KEY = "another"
    page = signed_in(staff=False).get("/settings/")  # the other's session was signed with the old key
    assert "enter the key again" in text_of(page)


def test_others_than_staff_may_look_and_not_touch() -> None:
    signed_in().post("/settings/pulled/", ADMIN)
    other = signed_in(staff=False)
    assert "Only staff may change pulled sources" in text_of(other.get("/settings/"))
    assert other.post("/settings/pulled/", {"action": "remove", "source": "1"}).status_code == 403
    assert other.get("/settings/pulled/").status_code == 405
    assert PulledSource.objects.count() == 1
