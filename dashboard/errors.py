"""The one error shape of every HTTP answer, and what counts as the database being away."""

from __future__ import annotations

import django.db
import psycopg
from django.http import HttpRequest, HttpResponse, JsonResponse

RETRY_AFTER_S = 5
API_PATHS = ("/api/", "/v1/")
CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "body_too_large",
    415: "unsupported_media_type",
    422: "invalid",
    429: "too_many_requests",
    500: "internal_error",
    503: "unavailable",
}
MESSAGES = {
    404: "There is nothing at this address.",
    405: "This address does not take this method.",
    500: "Something went wrong on our side. The server's log says what.",
    503: "The database is not available right now. Nothing was stored; please try again.",
}
AWAY_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Database away - Breakeven</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem;color-scheme:light dark}
</style><h1>The database is not available right now</h1><p>Nothing is lost. Reload this page in a few seconds; if it
stays away, run <code>manage.py doctor</code> on the server.</p></html>"""


def wants_json(request: HttpRequest) -> bool:
    return request.path.startswith(API_PATHS) or request.path in ("/healthz", "/readyz")


def error_response(status: int, message: str = "", field: str | None = None, code: str = "") -> JsonResponse:
    body = {
        "code": code or CODES.get(status, "error"),
        "message": message or MESSAGES.get(status, "The request could not be answered."),
        "field": field,
    }
    response = JsonResponse({"error": body}, status=status)
    if status == 401:
        response["WWW-Authenticate"] = "Bearer"
    if status == 503:
        response["Retry-After"] = str(RETRY_AFTER_S)
    return response


def away_response(request: HttpRequest) -> HttpResponse:
    """503 in the shape the client reads."""
    if wants_json(request):
        return error_response(503)
    response = HttpResponse(AWAY_PAGE, status=503)
    response["Retry-After"] = str(RETRY_AFTER_S)
    return response


def database_away(error: BaseException | None) -> bool:
    """Did this fail because the database cannot be reached or cannot work, rather than because of what was asked?

    Connection trouble has no SQLSTATE or class 08; 53 is "insufficient resources" (disk full, too many connections);
    57P01 to 57P05 are shutdowns and starts. A statement timeout (57014) or a deadlock is not an outage.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
            state = error.sqlstate or ""
            return not state or state[:2] in {"08", "53"} or state.startswith("57P")
        if (
            isinstance(error, (django.db.OperationalError, django.db.InterfaceError))
            and error.__cause__ is None
        ):
            return True
        error = error.__cause__
    return False
