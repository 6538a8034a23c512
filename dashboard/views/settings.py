"""Settings: ingest keys, sources with their ledger, the price book."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from dashboard import keys, numbers, pricebook, tables
from dashboard.panels import shape
from dashboard.panels.base import Ask
from dashboard.queries import ledger
from dashboard.views import capture, pulled_sources, samples
from dashboard.views.asking import asks
from dashboard.views.pages import page_context
from ingest.models import ApiKey, RejectedRow

MAX_NAME = 100
REJECTED_SHOWN = 50


@never_cache
@require_http_methods(["GET", "POST"])
@asks("settings")
def settings(request: HttpRequest, ask: Ask) -> HttpResponse:
    """Everyone signed in may look; only staff may make or revoke keys."""
    if request.method == "POST":
        if not ask.staff:
            raise PermissionDenied("Only staff may change keys.")
        if request.POST.get("action") == "revoke":
            return _revoke(request)
        return _create(request, ask)
    return _page(request, ask)


def _create(request: HttpRequest, ask: Ask) -> HttpResponse:
    """The answer to the form holds the secret, once; it is not kept, so it cannot survive a redirect."""
    name = request.POST.get("name", "").strip()
    scope = request.POST.get("scope", "")
    if not name or len(name) > MAX_NAME:
        return _page(request, ask, status=422, problem=f"A key needs a name of 1 to {MAX_NAME} characters.")
    if scope not in ApiKey.Scope.values:
        return _page(
            request, ask, status=422, problem=f"The scope must be one of {', '.join(ApiKey.Scope.values)}."
        )
    key, secret = keys.create_key(name, scope)
    may_send = scope != ApiKey.Scope.READ
    sample = samples.first_event(request, secret, ask.now) if may_send else {}
    return _page(
        request,
        ask,
        fresh={"name": key.name, "secret": secret, "curl": sample.get("curl", "")},
        capture=capture.lines(request, secret if may_send else ""),
    )


def _revoke(request: HttpRequest) -> HttpResponse:
    number = request.POST.get("key", "")
    if number.isascii() and number.isdigit() and len(number) < 19 and keys.revoke_key(int(number)):
        messages.success(request, "The key is revoked: calls with it are refused from now on.")
    else:
        messages.error(request, "There is no such key in use.")
    return redirect("settings")


def _page(request: HttpRequest, ask: Ask, status: int = 200, **extra: Any) -> HttpResponse:
    book = pricebook.current()
    context = page_context(
        ask,
        keys=[
            {
                "key": key,
                "created": numbers.ago(ask.now - key.created_at),
                "used": numbers.ago(ask.now - key.last_used_at) if key.last_used_at else "never",
            }
            for key in ApiKey.objects.order_by("revoked_at", "-created_at")
        ],
        scopes=ApiKey.Scope.choices,
        sources=_sources(ask),
        rejected=RejectedRow.objects.select_related("source").order_by("-received_at", "-id")[
            :REJECTED_SHOWN
        ],
        book={
            "version": book.version,
            "models": len(book.models),
            "others": book.others.models if book.others else 0,
            "others_version": book.others.version if book.others else "",
            "boundaries": len(book.boundaries),
            "uncertain": len(book.uncertain),
        },
        may_change=ask.staff,
        pulled=pulled_sources.section(ask),
        **{"capture": capture.lines(request), **extra},
    )
    return render(request, "dashboard/settings.html", context, status=status)


def _sources(ask: Ask) -> tables.Table:
    columns = (
        tables.Column("source", "source", text=True),
        tables.Column("last_seen", "last seen"),
        *(tables.Column(name, name) for name in ("received", "stored", "merged", "duplicate", "rejected")),
    )
    rows, sums = [], dict.fromkeys(("received", "stored", "merged", "duplicate", "rejected"), 0)
    for row in ledger.by_source().to_dict("records"):
        seen = row["last_seen_at"]
        cells = [
            tables.name_cell(
                row["source"], href=shape.filter_link(ask, "source", row["source"], page="spend")
            ),
            tables.Cell(
                numbers.ago(ask.now - seen) if seen is not None else "never",
                title=f"{seen:%Y-%m-%d %H:%M:%S} UTC" if seen is not None else "",
            ),
        ]
        for name in sums:
            sums[name] += int(row[name])
            cells.append(tables.count_cell(row[name]))
        rows.append(tables.Row(tuple(cells)))
    total = tables.Row(
        (tables.Cell("total", "total"), tables.Cell(), *(tables.count_cell(value) for value in sums.values()))
    )
    return tables.Table("Sources and their ledger", columns, tuple(rows), total)
