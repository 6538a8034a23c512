"""What Django calls when no view answered: the one error shape for clients, a page for people."""

from __future__ import annotations

import sys

from django.http import HttpRequest, HttpResponse
from django.views import defaults

from dashboard.errors import away_response, database_away, error_response, wants_json


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_response(400) if wants_json(request) else defaults.bad_request(request, exception)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_response(403) if wants_json(request) else defaults.permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_response(404) if wants_json(request) else defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Also where a middleware ends that lost the database, for example while it loaded a session."""
    if database_away(sys.exc_info()[1]):
        return away_response(request)
    return error_response(500) if wants_json(request) else defaults.server_error(request)
