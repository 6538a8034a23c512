"""Nothing is shown or taken without the right to it: every address and every call is walked, new ones included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from dashboard.api import api
from dashboard.panels import REGISTRY
from ingest.auth import create_key
from ingest.models import ApiKey

pytestmark = pytest.mark.django_db

# What is open to everybody, and why.
PUBLIC = {
    "healthz",  # alive: for load balancers
    "readyz",  # ready: likewise
    "sign_in",  # the way in
    "sign_in_link",  # the other way in: the token is the right
    "sign_out",  # nothing to lose
    "capture_module",  # code without data, fetched with curl by the machines whose programs it watches
}
READ_BY_POST = {"/api/v1/what-if"}  # a scenario does not fit into an address
SAMPLE = {
    "slug": "headline",
    "token": "no-such-token",
    "format_name": "auto",
    "job_id": "00000000-0000-0000-0000-000000000000",
}


def addresses(patterns: Any = None, before: str = "") -> Iterator[tuple[str, str]]:
    """(name, address) of every URL pattern, with sample arguments."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, before + str(pattern.pattern))
        elif isinstance(pattern, URLPattern):
            address = before + str(pattern.pattern)
            for name in pattern.pattern.converters:
                converter = next(part for part in address.split("<") if part.partition(">")[0].endswith(name))
                address = address.replace(f"<{converter.partition('>')[0]}>", SAMPLE[name])
            yield pattern.name or "", "/" + address.removesuffix("$")


def test_every_page_sends_strangers_to_the_sign_in_page(client: Client) -> None:
    walked = 0
    for name, address in addresses():
        if name in PUBLIC or address.startswith("/api/"):
            continue
        for method in (client.get, client.post):
            answer = method(address)
            assert answer.status_code in (302, 401, 403, 405), (name, address)
            if answer.status_code == 302:
                assert answer["Location"].startswith("/sign-in/"), (name, address)
        walked += 1
    assert walked >= 6


@pytest.mark.parametrize("slug", sorted(panel for panel in REGISTRY))
def test_every_panel_is_refused_to_strangers(client: Client, slug: str) -> None:
    answer = client.get(f"/panels/{slug}/")
    assert answer.status_code in (302, 401, 403)


def operations() -> list[tuple[str, str]]:
    """(method, path) of every call of the API, from its own description."""
    with_samples = []
    for path, methods in api.get_openapi_schema(path_prefix="/api/v1/")["paths"].items():
        for name, value in SAMPLE.items():
            path = path.replace(f"{{{name}}}", value)
        with_samples += [(method, path) for method in methods]
    return with_samples


def test_every_call_needs_a_key_that_is_in_use(client: Client) -> None:
    key, secret = create_key("gone", ApiKey.Scope.ADMIN)
    ApiKey.objects.filter(pk=key.pk).update(revoked_at=key.created_at)
    found = operations()
    assert len(found) >= 4
    for method, path in found:
        for headers in ({}, {"Authorization": "Bearer nope"}, {"Authorization": f"Bearer {secret}"}):
            answer = getattr(client, method)(path, headers=headers)
            assert answer.status_code == 401, (method, path, headers)


def test_every_call_needs_a_key_of_its_own_scope(client: Client) -> None:
    reader, sender = (create_key(scope, scope)[1] for scope in ("read", "ingest"))
    for method, path in operations():
        wrong = reader if method == "post" and path not in READ_BY_POST else sender
        answer = getattr(client, method)(path, headers={"Authorization": f"Bearer {wrong}"})
        assert answer.status_code == 403, (method, path)


def test_a_signed_in_person_is_no_key(client: Client) -> None:
    client.force_login(get_user_model().objects.create_superuser("boss", password=None))
    for method, path in operations():
        assert getattr(client, method)(path).status_code == 401, (method, path)
