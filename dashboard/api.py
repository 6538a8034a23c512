"""The HTTP API as one object: both halves' routes, and one error shape for whatever goes wrong."""

from __future__ import annotations

import logging
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, AuthorizationError, HttpError, Throttled, ValidationError

from dashboard.errors import away_response, database_away, error_response
from ingest.errors import RequestError

logger = logging.getLogger("breakeven.api")

api = NinjaAPI(
    title="Breakeven",
    version="1",
    description="Send usage logs in, read spend and cache use out. Authorization: Bearer KEY.",
    docs_url="/docs",
    openapi_url="/openapi.json",
    urls_namespace="api",
)


@api.exception_handler(ValidationError)
def invalid_parameters(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """The first complaint in words; `field` is the parameter as the client wrote it."""
    first: dict[str, Any] = error.errors[0] if error.errors else {}
    place = [str(part) for part in first.get("loc", ())]
    field = ".".join(place[2:] or place[1:] or place) or None
    return error_response(422, str(first.get("msg", "")), field)


@api.exception_handler(RequestError)
def refused(request: HttpRequest, error: RequestError) -> HttpResponse:
    return error_response(error.status, error.message, error.field or None, error.code)


@api.exception_handler(HttpError)
def http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    return error_response(error.status_code, str(error))


@api.exception_handler(AuthenticationError)
def no_key(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    return error_response(
        401, "Send a valid key: Authorization: Bearer KEY. `manage.py create_key NAME` makes one."
    )


@api.exception_handler(AuthorizationError)
def wrong_scope(request: HttpRequest, error: AuthorizationError) -> HttpResponse:
    return error_response(403, "This key may not do that.")


@api.exception_handler(Throttled)
def throttled(request: HttpRequest, error: Throttled) -> HttpResponse:
    response = error_response(429, "Too many requests.")
    if error.wait is not None:
        response["Retry-After"] = str(error.wait)
    return response


@api.exception_handler(Http404)
def not_found(request: HttpRequest, error: Http404) -> HttpResponse:
    return error_response(404)


@api.exception_handler(Exception)
def unexpected(request: HttpRequest, error: Exception) -> HttpResponse:
    """No internals for the client, all of them for the log."""
    if database_away(error):
        return away_response(request)
    logger.error("%s %s failed", request.method, request.path, exc_info=error)
    return error_response(500)
