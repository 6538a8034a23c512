"""Settings: keys are shown once, made and revoked by staff alone."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from ingest.models import ApiKey
from tests.support.builders import make_event, settle
from tests.support.pages import signed_in, table_rows, text_of

pytestmark = pytest.mark.django_db


def test_a_key_is_shown_once_and_works() -> None:
    client = signed_in()
    page = client.post("/settings/", {"action": "create", "name": "ci", "scope": "ingest"})
    secret = re.search(r'<pre id="new-key"><code>(\S+)</code>', page.content.decode())[1]  # type: ignore[index]
    assert secret not in client.get("/settings/").content.decode()
    answer = Client().post(
        "/api/v1/events",
        '{"occurred_at":"2026-03-02T10:00:00Z","model":"claude-sonnet-4-6","usage":{"input_tokens":1,"output_tokens":1}}',
        content_type="application/json",
        headers={"Authorization": f"Bearer {secret}"},
    )
    assert answer.status_code == 200


def test_a_revoked_key_is_refused_and_said_to_be_revoked() -> None:
    client = signed_in()
    client.post("/settings/", {"action": "create", "name": "ci", "scope": "ingest"})
    key = ApiKey.objects.get()
    page = client.post("/settings/", {"action": "revoke", "key": key.pk}, follow=True)
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert "revoked" in text_of(page)


@pytest.mark.parametrize(
    "form",
    [
        {"name": "", "scope": "ingest"},
        {"name": "x" * 101, "scope": "ingest"},
        {"name": "x", "scope": "root"},
        {},
    ],
)
def test_a_key_without_a_name_or_with_a_made_up_scope_is_not_made(form: dict[str, str]) -> None:
    assert signed_in().post("/settings/", {"action": "create", **form}).status_code == 422
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("key", ["", "0", "x", "9" * 30, "²"])
def test_revoking_what_is_not_there_says_so(key: str) -> None:
    page = signed_in().post("/settings/", {"action": "revoke", "key": key}, follow=True)
    assert "no such key" in text_of(page)


def test_others_than_staff_may_look_and_not_touch() -> None:
    client = signed_in(staff=False)
    assert "Only staff may make or revoke keys" in text_of(client.get("/settings/"))
    assert client.post("/settings/", {"action": "create", "name": "x", "scope": "admin"}).status_code == 403
    assert not ApiKey.objects.exists()


def test_a_form_without_its_token_is_refused() -> None:
    client = signed_in()
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies
    assert strict.post("/settings/", {"action": "create", "name": "x", "scope": "ingest"}).status_code == 403


def test_sources_show_a_ledger_that_balances() -> None:
    settle([make_event("a"), make_event("b")], source="importer")
    settle([make_event("a")], source="importer")
    row = next(row for row in table_rows(signed_in().get("/settings/")) if row and row[0] == "importer")
    received, stored, merged, duplicate, rejected = map(int, row[2:])
    assert received == stored + merged + duplicate + rejected == 3 and stored == 2


def test_the_price_book_says_what_it_knows_and_from_where() -> None:
    page = signed_in().get("/settings/").content.decode()
    assert "models in our own price files" in page
    assert "genai-prices-0.2.3" in page
