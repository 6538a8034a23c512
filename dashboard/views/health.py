"""/healthz: the process lives. /readyz: it can take and show data."""

from __future__ import annotations

import logging

from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache

from dashboard.errors import error_response
from dashboard.preparation import pending_migrations

logger = logging.getLogger("breakeven.health")
_migrated = (
    False  # once true it stays true for this process, and asking again would cost a graph of all migrations
)


@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"status": "ok"})


@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    global _migrated
    try:
        if _migrated:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        elif pending := pending_migrations():
            return error_response(503, f"{len(pending)} migrations are not applied; run `manage.py migrate`.")
        else:
            _migrated = True
    except Error as error:
        logger.warning("not ready: %s", error)
        return error_response(503, "The database does not answer.")
    return JsonResponse({"status": "ok", "database": "ok", "migrations": "ok"})
