"""The what-if page: its form and result, exports, saved scenarios, and what people say about classes of calls."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from urllib.parse import parse_qsl, urlencode, urlsplit

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from dashboard import pricebook
from dashboard.analysis.scenario import ScenarioError
from dashboard.filters import FilterError
from dashboard.models import SavedScenario
from dashboard.panels import REGISTRY
from dashboard.panels import run as panels
from dashboard.panels import what_if as panel_module
from dashboard.panels import what_if_export as export
from dashboard.panels.base import Ask
from dashboard.panels.scenario_knobs import BATCH_BY, CAN_WAIT, KNOBS, SAVED, is_batch_dimension, knobs_in
from dashboard.queries import classes
from dashboard.views.asking import asks
from dashboard.views.pages import elsewhere, page_context, pairs_of
from dashboard.views.what_if_form import form_of

MOST_SAVED = 200
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@require_GET
@asks("what_if")
def page(request: HttpRequest, ask: Ask) -> HttpResponseBase:
    """Sliders on the left, the scenario beside what was observed on the right; as CSV or XLSX with `format`."""
    if request.GET.get("format") in ("csv", "xlsx"):
        return _export(ask, request.GET["format"])
    panel = REGISTRY["what-if"]
    result = panels.run(panel, ask)
    if instead := elsewhere(request, ask, {panel.slug: result}):
        return instead
    context = page_context(
        ask,
        result=panels.render(panel, ask, result),
        form=form_of(ask),
        form_hidden=[pair for pair in pairs_of(ask.query()) if pair[0] not in KNOBS],
        reset=ask.without_knobs(),
        result_url="/panels/what-if/",
        classes_url=reverse("what_if_classes"),
    )
    return render(request, "dashboard/what_if.html", context, status=422 if result.status == 422 else 200)


def _export(ask: Ask, form: str) -> HttpResponseBase:
    """Exactly the tables of the page, and above them what they are about."""
    try:
        data = panel_module.fetch(ask)
    except (FilterError, ScenarioError) as error:
        return HttpResponse(error.message, status=422, content_type="text/plain; charset=utf-8")
    sheets = export.sheets(data, ask)
    response: HttpResponseBase
    if form == "csv":
        response = StreamingHttpResponse(export.csv_lines(sheets), content_type="text/csv; charset=utf-8")
    else:
        response = HttpResponse(export.xlsx(sheets), content_type=XLSX)
    response["Content-Disposition"] = f'attachment; filename="breakeven-what-if-{export.span(ask)}.{form}"'
    response["X-Breakeven-Price-Version"] = pricebook.current().version
    return response


View = Callable[[HttpRequest], HttpResponseBase]


def _then_back(view: Callable[[HttpRequest], None]) -> View:
    """A POST that changes something and returns to the page it came from."""

    @login_required
    @require_POST
    @wraps(view)
    def wrapped(request: HttpRequest) -> HttpResponseBase:
        view(request)
        back = own_path(request.POST.get("back", ""))
        if request.headers.get("HX-Request"):
            return HttpResponse(status=204, headers={"HX-Redirect": back})
        return redirect(back)

    return wrapped


@_then_back
def save(request: HttpRequest) -> None:
    """Keep the knobs under a name; the same name again replaces them."""
    name = " ".join(request.POST.get("scenario_name", "").replace("\x00", "").split())[:120]
    given = {key: request.POST.getlist(key) for key in request.POST}
    knobs = {key: text for key, text in knobs_in(given).items() if key in SAVED}
    if not name:
        messages.error(request, "A scenario needs a name.")
    elif not knobs:
        messages.error(request, "Nothing is changed yet, so there is nothing to save.")
    elif SavedScenario.objects.count() >= MOST_SAVED and not SavedScenario.objects.filter(name=name).exists():
        messages.error(request, f"There are {MOST_SAVED} saved scenarios already: delete some first.")
    else:
        _, created = SavedScenario.objects.update_or_create(
            name=name, defaults={"knobs": knobs, "saved_by": request.user.get_username()}
        )
        messages.success(request, f"{'Saved' if created else 'Replaced'} the scenario “{name}”.")


@_then_back
def delete(request: HttpRequest) -> None:
    """Forget a saved scenario."""
    name = request.POST.get("scenario_name", "").replace("\x00", "")
    if SavedScenario.objects.filter(name=name).delete()[0]:
        messages.success(request, f"Deleted the scenario “{name}”.")
    else:
        messages.error(request, "There is no such scenario any more.")


@login_required
@require_POST
def remember_classes(request: HttpRequest) -> HttpResponse:
    """Keep the marks of the form: what is ticked can wait, for what else was shown somebody is waiting."""
    dimension = request.POST.get(BATCH_BY, "")
    shown = {
        value for value in request.POST.getlist("shown") if 0 < len(value) <= 256 and "\x00" not in value
    }
    if not is_batch_dimension(dimension) or len(dimension) > 68 or not shown:
        return HttpResponse("Choose classes first.", status=422, content_type="text/plain; charset=utf-8")
    ticked = set(request.POST.getlist(CAN_WAIT))
    classes.remember(dimension, {value: value in ticked for value in sorted(shown)[: classes.MOST_CLASSES]})
    return HttpResponse(status=204, headers={"HX-Refresh": "true"})


def own_path(address: str) -> str:
    """The part of an address that stays on this page; anything else leads to the page itself."""
    parts = urlsplit(address)
    home = reverse("what_if")
    if parts.scheme or parts.netloc or parts.path != home:
        return home
    return f"{home}?{urlencode(parse_qsl(parts.query, keep_blank_values=True))}"
