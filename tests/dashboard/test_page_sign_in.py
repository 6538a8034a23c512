"""Signing in, and that everything else asks for it."""

from __future__ import annotations

import uuid

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from dashboard import sign_in
from tests.support.pages import signed_in, text_of

pytestmark = pytest.mark.django_db
OPEN = {"sign_in", "sign_in_link", "healthz", "readyz", "capture_module"}
PARAMETERS = {"slug": "headline", "token": "x", "job_id": uuid.uuid4()}


def pages() -> list[tuple[str, str]]:
    """Every named address of ours that is not the API, with parameters filled in."""
    from django.urls import reverse

    found = []
    for entry in get_resolver().url_patterns:
        if isinstance(entry, URLResolver) or not isinstance(entry, URLPattern) or not entry.name:
            continue
        names = entry.pattern.converters
        found.append((entry.name, reverse(entry.name, kwargs={name: PARAMETERS[name] for name in names})))
    return found


def test_no_page_is_shown_to_strangers() -> None:
    walked = [(name, path) for name, path in pages() if name not in OPEN]
    assert {"overview", "spend", "cache", "what_if", "settings", "panel", "sign_out"} <= {
        name for name, _ in walked
    }
    for name, path in walked:
        answer = Client().get(path)
        if name == "sign_out":  # harmless
            continue
        if answer.status_code == 405:
            answer = Client().post(path)
        if path.startswith("/v1/"):  # for programs: a key, not a session
            assert answer.status_code == 401, path
            continue
        assert answer.status_code == 302 and answer["Location"].startswith("/sign-in/?next="), path


def test_a_password_leads_to_where_one_wanted_to_go() -> None:
    User.objects.create_user("ada", password="a-long-password")
    answer = Client().post("/sign-in/?next=/spend/", {"username": "ada", "password": "a-long-password"})
    assert (answer.status_code, answer["Location"]) == (302, "/spend/")


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "/panels/headline/", "\\\\evil"],
)
def test_nobody_is_led_away(target: str) -> None:
    User.objects.create_user("ada", password="a-long-password")
    answer = Client().post("/sign-in/", {"username": "ada", "password": "a-long-password", "next": target})
    assert answer["Location"] == "/"


def test_a_wrong_password_is_refused_without_saying_which_part_was_wrong() -> None:
    User.objects.create_user("ada", password="a-long-password")
    wrong = Client().post("/sign-in/", {"username": "ada", "password": "x"})
    unknown = Client().post("/sign-in/", {"username": "nobody", "password": "x"})
    assert wrong.status_code == unknown.status_code == 401
    assert text_of(wrong) == text_of(unknown)


def test_a_link_signs_in_once() -> None:
    path = sign_in.create_link("http://testserver").removeprefix("http://testserver")
    first, second = Client(), Client()
    assert first.get(path)["Location"] == "/"
    assert first.get("/settings/").status_code == 200
    again = second.get(path)
    assert again.status_code == 410 and "does not work any more" in text_of(again)
    assert first.get(path).status_code == 302  # clicked twice in the same browser: still signed in


def test_signing_out_needs_a_form_and_works() -> None:
    client = signed_in()
    assert client.get("/sign-out/").status_code == 405
    assert client.post("/sign-out/").status_code == 302
    assert client.get("/").status_code == 302
