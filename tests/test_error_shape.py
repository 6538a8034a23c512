"""One error shape for every client, whatever went wrong and wherever."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from django.db import OperationalError
from django.test import Client

from dashboard.errors import database_away
from ingest.auth import create_key


class Away(psycopg.OperationalError):
    """What psycopg raises when a connection is gone."""


def shape(response: Any) -> dict[str, Any]:
    body = json.loads(response.content)
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "field"}
    assert body["error"]["message"]
    assert response["Content-Type"] == "application/json"
    return dict(body["error"])


@pytest.fixture
def quiet_client() -> Client:
    """Answers as a server does, instead of raising into the test."""
    return Client(raise_request_exception=False)


@pytest.fixture
def bearer(db: None) -> dict[str, str]:
    return {"HTTP_AUTHORIZATION": "Bearer " + create_key("test", "admin")[1]}


@pytest.mark.django_db
def test_no_key_and_a_wrong_key_are_401(client: Client) -> None:
    for headers in ({}, {"HTTP_AUTHORIZATION": "Bearer nope"}, {"HTTP_AUTHORIZATION": "Basic eA=="}):
        response = client.get("/api/v1/costs", **headers)  # type: ignore[arg-type]
        assert response.status_code == 401
        assert response["WWW-Authenticate"] == "Bearer"
        assert shape(response)["code"] == "unauthorized"


@pytest.mark.django_db
def test_the_wrong_scope_is_403(client: Client) -> None:
    key = create_key("reader", "read")[1]
    response = client.post("/api/v1/events", b"{}", "application/json", HTTP_AUTHORIZATION=f"Bearer {key}")
    assert response.status_code == 403
    assert shape(response)["code"] == "forbidden"


def test_a_bad_parameter_is_422_and_named(client: Client, bearer: dict[str, str]) -> None:
    response = client.get("/api/v1/costs?grain=week", **bearer)  # type: ignore[arg-type]
    assert response.status_code == 422
    assert shape(response)["field"] == "grain"


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/", "/v1/nothing", "/api/v1/logs/none"])
def test_an_unknown_address_is_404(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code in (404, 405)
    if response.status_code == 404:
        assert shape(response)["code"] == "not_found"


def test_an_unexpected_failure_is_500_without_internals(
    quiet_client: Client, bearer: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("the secret of the inner ring")

    monkeypatch.setattr("dashboard.views.api.freshness.state", fail)
    response = quiet_client.get("/api/v1/costs", **bearer)  # type: ignore[arg-type]
    assert response.status_code == 500
    assert "secret" not in shape(response)["message"]


def test_a_database_that_goes_away_is_503_with_retry_after(
    quiet_client: Client, bearer: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise OperationalError("gone") from Away("gone")

    monkeypatch.setattr("dashboard.views.api.freshness.state", fail)
    response = quiet_client.get("/api/v1/costs", **bearer)  # type: ignore[arg-type]
    assert response.status_code == 503
    assert int(response["Retry-After"]) > 0
    assert shape(response)["code"] == "unavailable"


def test_a_database_that_is_away_while_the_session_loads_is_a_503_page(
    quiet_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise OperationalError("gone") from Away("gone")

    monkeypatch.setattr("django.contrib.sessions.backends.db.SessionStore.load", fail)
    quiet_client.cookies["breakeven_session"] = "x" * 32
    response = quiet_client.get("/")
    assert response.status_code == 503
    assert int(response["Retry-After"]) > 0
    assert b"database is not available" in response.content


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (Away("server closed the connection"), True),
        (psycopg.errors.AdminShutdown("x"), True),
        (psycopg.errors.DiskFull("x"), True),
        (psycopg.errors.TooManyConnections("x"), True),
        (psycopg.InterfaceError("the connection is closed"), True),
        (psycopg.errors.QueryCanceled("statement timeout"), False),
        (psycopg.errors.DeadlockDetected("x"), False),
        (psycopg.errors.UniqueViolation("x"), False),
        (ValueError("x"), False),
    ],
)
def test_only_a_database_that_cannot_work_counts_as_away(error: Exception, away: bool) -> None:
    assert database_away(error) is away


@pytest.mark.django_db
def test_pages_have_a_strict_content_security_policy(client: Client) -> None:
    for path in ("/sign-in/", "/healthz", "/nothing", "/api/v1/costs"):
        policy = client.get(path)["Content-Security-Policy"]
        assert "script-src 'self'" in policy and "unsafe-eval" not in policy
        assert "frame-ancestors 'none'" in policy


@pytest.mark.django_db
def test_the_api_docs_load_nothing_from_elsewhere(client: Client) -> None:
    page = client.get("/api/v1/docs").content.decode()
    assert "swagger-ui-bundle" in page
    assert "http://" not in page and "https://" not in page
    assert client.get("/api/v1/openapi.json").json()["info"]["title"] == "Breakeven"


@pytest.mark.django_db
def test_health_and_readiness_answer(client: Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json()["status"] == "ok"
