"""One panel by its own address: loads, times out and fails alone, with its true status code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from dashboard.filters import FilterError
from dashboard.panels import REGISTRY
from dashboard.panels import run as panels
from dashboard.views.asking import ask_of, page_of


@require_GET
def panel(request: HttpRequest, slug: str) -> HttpResponse:
    """The panel's HTML alone."""
    if not request.user.is_authenticated:
        return _signed_out(request)
    found = REGISTRY.get(slug)
    if found is None:
        raise Http404(f"There is no panel {slug!r}.")
    try:
        ask = ask_of(request, page_of(request))
    except FilterError as error:
        return HttpResponse(error.message, status=422, content_type="text/plain; charset=utf-8")
    outcome = panels.run(found, ask)
    response = HttpResponse(panels.render(found, ask, outcome), status=outcome.status)
    response["Cache-Control"] = "no-store"
    if slug == "what-if":
        # The knobs are the address: what one copies is what one sees. Replaced, so that Back leaves the page at once.
        response["HX-Replace-Url"] = ask.link()
    if slug == "strip" and outcome.content is not None:
        _announce(request, response, outcome.content.extra)
    if outcome.status == 503:
        response["Retry-After"] = "5"
    return response


def _announce(request: HttpRequest, response: HttpResponse, strip: Mapping[str, Any]) -> None:
    """The strip asks again every few seconds; when the figures behind the page have changed, the panels are told."""
    known = request.GET.get("version")
    if known is not None and known != str(strip["data_version"]):
        response["HX-Trigger-After-Swap"] = "new-data"
    if request.GET.get("until") == "first-event" and strip["any_received"] and strip["data_version"]:
        response["HX-Redirect"] = reverse("overview")


def _signed_out(request: HttpRequest) -> HttpResponse:
    """A redirect would be followed into the panel's frame; the whole page has to go."""
    if request.headers.get("HX-Request"):
        return HttpResponse(status=401, headers={"HX-Redirect": reverse("sign_in")})
    return redirect_to_login(request.get_full_path(), reverse("sign_in"))
