"""From a request to the question it asks: filters, the page's own knobs, the clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone

from dashboard.filters import FilterError, Filters
from dashboard.panels.base import PATHS, Ask
from dashboard.panels.cache_chain import KNOBS as CHAIN_KNOBS
from dashboard.panels.scenario_knobs import KNOBS, knobs_in
from dashboard.queries.database import reporting_zone

# What each page's address may hold beside the filters.
PAGE_KNOBS = {"spend": ("sort",), "chain": CHAIN_KNOBS, "what_if": KNOBS}
PANEL_KNOBS = ("q",)

View = Callable[..., HttpResponseBase]


def ask_of(request: HttpRequest, page: str) -> Ask:
    """The question of this request. Raises FilterError for what cannot be asked.

    Comparing is the default on pages; `compare=0` switches it off, and stays in every link as a knob because the
    filters themselves only know "on".
    """
    zone, now = reporting_zone(), timezone.now()
    filters = Filters.from_query(request.GET, now=now, zone=zone)
    names = (*PAGE_KNOBS.get(page, ()), *PANEL_KNOBS)
    knobs = {name: request.GET[name][:200] for name in names if request.GET.get(name)}
    if page == "what_if":
        given = {name: request.GET.getlist(name) for name in request.GET}
        knobs = {**{name: text for name, text in knobs.items() if name not in KNOBS}, **knobs_in(given)}
    if "compare" not in request.GET:
        filters = filters.with_(compare=True)
    if not filters.compare:
        knobs["compare"] = "0"
    return Ask(
        filters=filters,
        now=now,
        zone=zone,
        page=page,
        knobs=tuple(knobs.items()),
        inline=request.GET.get("inline") == "1",
        staff=bool(getattr(request.user, "is_staff", False)),
    )


def page_of(request: HttpRequest) -> str:
    """Which page a panel stands on; its links lead back there."""
    page = request.GET.get("page", "")
    return page if page in PATHS else "overview"


def asks(page: str) -> Callable[[View], View]:
    """A page for signed-in people that is given its question; one that cannot be asked is explained with a 422."""

    def decorate(view: View) -> View:
        @login_required
        @wraps(view)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if "last" in request.GET:
                return _with_end(request)
            try:
                ask = ask_of(request, page)
            except FilterError as error:
                context = {"message": error.message, "field": error.field, "back": PATHS[page]}
                return render(request, "dashboard/bad_filter.html", context, status=422)
            return view(request, ask, *args, **kwargs)

        return wrapped

    return decorate


def _with_end(request: HttpRequest) -> HttpResponseRedirect:
    """The range form asks for the last day, as people count; addresses hold the half-open end."""
    query = request.GET.copy()
    last = query.pop("last")[-1]
    try:
        query["end"] = (date.fromisoformat(last) + timedelta(days=1)).isoformat() if last else ""
    except (ValueError, OverflowError):
        query["end"] = last[:100]  # refused by the filters, which say what a date looks like
    return HttpResponseRedirect(f"{request.path}?{query.urlencode()}")
