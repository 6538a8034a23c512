"""The recommendations page: advice in order, what was decided about it, and what came of that."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from urllib.parse import parse_qsl, urlencode, urlsplit

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from dashboard.filters import FilterError, Filters
from dashboard.models import Recommendation
from dashboard.panels.base import Ask
from dashboard.panels.scenario_knobs import SAVED
from dashboard.queries.database import reporting_zone
from dashboard.reports import decisions
from dashboard.reports.words import SCENARIO
from dashboard.views.asking import asks
from dashboard.views.pages import elsewhere, first_outcomes, page_context

WORDS = {
    decisions.ACCEPT: "Accepted",
    decisions.DISMISS: "Dismissed",
    decisions.DONE: "Marked as done",
    decisions.UNDO: "Undone",
}
MOST_SCENARIOS = 200
LARGEST = Decimal(10) ** 15  # USD a month


@require_GET
@asks("recommendations")
def page(request: HttpRequest, ask: Ask) -> HttpResponseBase:
    """Ranked cards, and the history of what was decided."""
    outcomes = first_outcomes(ask)
    shown = {"recommendations": outcomes["recommendations"]}
    instead = elsewhere(request, ask, shown)
    return instead or render(request, "dashboard/cache.html", page_context(ask, outcomes))


@login_required
@require_POST
def decide(request: HttpRequest) -> HttpResponseBase:
    """Accept, dismiss, mark as done, or undo."""
    key, decision = request.POST.get("key", ""), request.POST.get("decision", "")
    try:
        title = decisions.decide(key.replace("\x00", "")[:64], decision, _filters(request))
        messages.success(request, f"{WORDS[decision]}: {title}.")
    except FilterError as error:
        messages.error(request, f"{error.message}.")
    except decisions.CannotDecide as error:
        messages.error(request, str(error))
    return _back(request)


@login_required
@require_POST
def from_scenario(request: HttpRequest) -> HttpResponseBase:
    """A what-if to carry out: its name, knobs, predicted saving a month, and the question it was worked out from."""
    name = " ".join(request.POST.get("name", "").replace("\x00", "").split())[:120]
    try:
        knobs = _knobs(request.POST.get("scenario", ""))
        saving = _saving(request.POST.get("predicted_monthly", ""))
        filters = _filters(request)
    except FilterError as error:
        messages.error(request, f"{error.message}.")
        return _back(request)
    if not name:
        messages.error(request, "A scenario needs a name.")
        return _back(request)
    if Recommendation.objects.filter(action=SCENARIO).count() >= MOST_SCENARIOS:
        messages.error(request, f"There are {MOST_SCENARIOS} scenarios here already: undo some first.")
        return _back(request)
    start, end = (each.isoformat() if each else "" for each in filters.instants(reporting_zone()))
    decisions.follow_scenario(name, knobs, saving, filters, (start, end))
    messages.success(request, f"Accepted: {name}. Mark it as done here when it is live.")
    return _back(request)


def _knobs(text: str) -> dict[str, str]:
    """The knobs of a scenario, from a JSON object of texts. FilterError for anything else."""
    try:
        given = json.loads(text or "null")
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise FilterError("scenario", "The scenario must be a JSON object of knobs")
    knobs = {name: value for name, value in given.items() if name in SAVED and isinstance(value, str)}
    if not knobs or len(knobs) != len(given) or "\x00" in "".join(knobs.values()):
        raise FilterError(
            "scenario", "The scenario holds something that is no knob of the what-if page, or nothing"
        )
    return {name: value[:1000] for name, value in knobs.items()}


def _saving(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or abs(amount) > LARGEST:
        raise FilterError("predicted_monthly", "The predicted saving must be an amount in USD, such as 12.50")
    return amount.quantize(Decimal(1).scaleb(-12))


def _filters(request: HttpRequest) -> Filters:
    """The question that the advice was worked out from."""
    question = request.POST.get("question", "")
    return Filters.from_query(question, now=timezone.now(), zone=reporting_zone(), default_range="")


def _back(request: HttpRequest) -> HttpResponseBase:
    """Back to the page, with the question it came from."""
    home, parts = reverse("recommendations"), urlsplit(request.POST.get("back", ""))
    own = parts.path == home and not parts.scheme and not parts.netloc
    query = urlencode(parse_qsl(parts.query, keep_blank_values=True)) if own else ""
    back = f"{home}?{query}" if query else home
    if request.headers.get("HX-Request"):
        return HttpResponse(status=204, headers={"HX-Redirect": back})
    return redirect(back)
