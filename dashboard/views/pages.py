"""The pages: which panels, in which rows, under which header."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from urllib.parse import parse_qsl

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from dashboard import keys, numbers, pricebook
from dashboard.filters import RANGES, TAG_PREFIX
from dashboard.panels import REGISTRY, shape
from dashboard.panels import run as panels
from dashboard.panels import spend as spend_panels
from dashboard.panels.base import Ask
from dashboard.queries import freshness, labels, ledger
from dashboard.views import samples
from dashboard.views.asking import asks


@dataclass(frozen=True)
class Slot:
    """A panel's place: its width in twelfths, and whether it is part of the first answer."""

    slug: str
    span: int = 12
    first: bool = False


PAGE_ROWS: dict[str, tuple[tuple[Slot, ...], ...]] = {
    "overview": (
        (Slot("headline", first=True),),
        (Slot("cost-by-model", 8, first=True), Slot("worth-a-look", 4)),
        (Slot("input-mix", 6), Slot("top-groups", 6)),
    ),
    "spend": ((Slot("spend-over-time", first=True),), (Slot("spend-table"),), (Slot("reported"),)),
    "cache": (
        (Slot("cache-headline", first=True),),
        (Slot("cache-policies", 6, first=True), Slot("cache-ttl", 6)),
        (Slot("cache-gaps", 6), Slot("cache-saving", 6)),
        (Slot("cache-causes"),),
        (Slot("cache-dearest"),),
        (Slot("input-mix", 6), Slot("hit-rates", 6)),
        (Slot("cache-by-model"),),
        (Slot("cache-by-workspace"),),
    ),
    "chain": ((Slot("cache-chain", first=True),),),
    "recommendations": (
        (Slot("recommendations", first=True),),
        (Slot("recommendation-history", first=True),),
    ),
    "what_if": ((Slot("saved-scenarios"),), (Slot("headroom"),)),
    "upload": (),
    "settings": (),
}
TITLES = {
    "overview": "Overview",
    "spend": "Spend",
    "cache": "Cache",
    "chain": "Cache timeline",
    "recommendations": "Recommendations",
    "what_if": "What-if",
    "upload": "Upload",
    "settings": "Settings",
}
SEGMENTS = (("7d", "7 d", "w"), ("30d", "30 d", ""), ("month", "Month", "m"), ("quarter", "Quarter", ""))
assert {segment[0] for segment in SEGMENTS} <= set(RANGES)


@dataclass(frozen=True)
class PageContext:
    """What every page's template is given."""

    page: str = field(metadata={"help": "name of the page: marks the current link"})
    title: str = field(metadata={"help": "what the header and the browser's tab say"})
    ask: Ask = field(metadata={"help": "the question; its link() makes addresses"})
    strip: str = field(metadata={"help": "the honesty strip, rendered"})
    rows: tuple[tuple[tuple[int, str], ...], ...] = field(metadata={"help": "rows of (span, rendered panel)"})
    header: dict[str, Any] = field(metadata={"help": "ranges, compare link, chips, hidden fields of forms"})


def pairs_of(query: str) -> list[tuple[str, str]]:
    """A query string as the hidden fields of a form."""
    return parse_qsl(query, keep_blank_values=True)


def header_of(ask: Ask) -> dict[str, Any]:
    """Range segments, compare toggle, chips: all links, so that the address is the only state."""
    filters = ask.filters
    segments = [
        {
            "label": label,
            "href": ask.link(filters.with_range(preset, ask.today)),
            "current": filters.range == preset,
            "key": key,
        }
        for preset, label, key in SEGMENTS
    ]
    preset_names = {segment[0] for segment in SEGMENTS}
    return {
        "segments": segments,
        "today": ask.link(filters.with_range("today", ask.today)),
        "presets": [
            {
                "label": label,
                "href": ask.link(filters.with_range(preset, ask.today)),
                "current": filters.range == preset,
            }
            for preset, label in (
                ("today", "Today"),
                ("90d", "90 days"),
                ("year", "365 days"),
                ("all", "All time"),
            )
        ],
        "custom": filters.range not in preset_names,
        "range": shape.range_text(filters.start, filters.end, ask),
        "zone": ask.zone.key,
        "start": _day(filters.start),
        "end": _day(filters.end, last=True),
        "earlier": _stepped(ask, -1),
        "later": _stepped(ask, 1),
        "comparable": ask.page not in {"what_if", "chain", "recommendations"},
        "compare": filters.compare,
        "compare_href": ask.link(
            filters.with_(compare=not filters.compare), compare=None if not filters.compare else "0"
        ),
        "chips": _chips(ask),
        "clear": ask.link(filters.with_(where=())) if filters.where else "",
        "choices": ask.panel_url("filter-choices"),
        "hidden": [pair for pair in pairs_of(ask.query()) if pair[0] not in {"start", "end", "range"}],
    }


def _chips(ask: Ask) -> list[dict[str, str]]:
    return [
        {
            "name": shape.word(dimension),
            "value": shape.shown(value),
            "remove": ask.link(ask.filters.without(dimension, value)),
        }
        for dimension, value in ask.filters.chips()
    ]


def _day(moment: date | None, *, last: bool = False) -> str:
    """A bound as a date field wants it; the last day is shown inclusive."""
    if moment is None:
        return ""
    if isinstance(moment, datetime):
        return moment.date().isoformat()
    return (moment - samples.ONE_DAY if last else moment).isoformat()


def _stepped(ask: Ask, direction: int) -> str:
    """The same question one range length earlier or later; "" where there is nowhere to go."""
    start, end = ask.filters.start, ask.filters.end
    if start is None or end is None or isinstance(start, datetime) != isinstance(end, datetime):
        return ""
    length = end - start
    if direction > 0 and not isinstance(start, datetime) and end > ask.today:
        return ""
    return ask.link(ask.filters.with_(start=start + length * direction, end=end + length * direction))


Outcomes = dict[str, panels.Outcome]


def first_outcomes(ask: Ask) -> Outcomes:
    """The panels of the first answer, run; without JavaScript that is all of them."""
    slots = [slot for row in PAGE_ROWS[ask.page] for slot in row]
    return {slot.slug: panels.run(REGISTRY[slot.slug], ask) for slot in slots if slot.first or ask.inline}


def page_context(ask: Ask, outcomes: Outcomes | None = None, **extra: Any) -> dict[str, Any]:
    strip = REGISTRY["strip"]
    ready = outcomes or {}
    context = PageContext(
        page=ask.page,
        title=TITLES[ask.page],
        ask=ask,
        strip=panels.render(strip, ask, panels.run(strip, ask)),
        rows=tuple(
            tuple((slot.span, panels.render(REGISTRY[slot.slug], ask, ready.get(slot.slug))) for slot in row)
            for row in PAGE_ROWS[ask.page]
        ),
        header=header_of(ask),
    )
    return {**context.__dict__, **extra}


def elsewhere(request: HttpRequest, ask: Ask, outcomes: Outcomes) -> HttpResponse | None:
    """Where to go instead of an empty page: the way to the first event, or all of time when nobody chose a range."""
    if any(outcome.state != "empty" for outcome in outcomes.values()):
        return None
    books = ledger.totals()
    if int(books["stored"]) == 0:  # also when a first try was rejected: no other range has anything
        return _welcome(request, ask, int(books["rejected"]))
    chosen = {"range", "start", "end"} & request.GET.keys() or ask.filters.where
    if chosen or not freshness.state().up_to_date:  # what has just arrived is about to appear by itself
        return None
    return redirect(ask.link(ask.filters.with_range("all", ask.today)))


def _welcome(request: HttpRequest, ask: Ask, rejected: int) -> HttpResponse:
    secret = ""
    if request.method == "POST" and ask.staff:
        _, secret = keys.create_key("first events", "ingest")
    context = {"page": ask.page, "title": TITLES[ask.page], "ask": ask}
    context["rejected"] = numbers.count(rejected) if rejected else ""
    return render(
        request, "dashboard/welcome.html", {**context, **samples.first_event(request, secret, ask.now)}
    )


@never_cache
@require_http_methods(["GET", "POST"])
@asks("overview")
def overview(request: HttpRequest, ask: Ask) -> HttpResponse:
    """The first screen. A POST asks for a key in the line that sends the first event."""
    outcomes = first_outcomes(ask)
    instead = elsewhere(request, ask, outcomes)
    return instead or render(request, "dashboard/overview.html", page_context(ask, outcomes))


@require_GET
@asks("spend")
def spend(request: HttpRequest, ask: Ask) -> HttpResponseBase:
    """One grouping, drawn and tabled; as CSV with `format=csv`."""
    if request.GET.get("format") == "csv":
        return _csv(ask)
    outcomes = first_outcomes(ask)
    if instead := elsewhere(request, ask, outcomes):
        return instead
    current = spend_panels.dimension_of(ask)
    dimensions = [name for name in shape.DIMENSION_WORDS if name != "session_id"]
    dimensions += [f"{TAG_PREFIX}{name}" for name in labels.tag_names()]
    if current not in dimensions:
        dimensions.append(current)
    choices = [{"value": name, "label": shape.word(name), "current": name == current} for name in dimensions]
    hidden = [pair for pair in pairs_of(ask.query(sort=None)) if pair[0] != "group_by"]
    context = page_context(ask, outcomes, dimensions=choices, group_hidden=hidden, csv=ask.link(format="csv"))
    return render(request, "dashboard/spend.html", context)


def _csv(ask: Ask) -> StreamingHttpResponse:
    """Exactly the table of the page, every row of it."""
    content = spend_panels.present_table(spend_panels.fetch_table(ask), ask, most=None)
    lines: Iterator[str] = iter(()) if content is None or content.table is None else content.table.csv_lines()
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    span = f"{_day(ask.filters.start) or 'all'}_{_day(ask.filters.end, last=True) or 'now'}"
    name = spend_panels.dimension_of(ask).replace(":", "-")
    safe = "".join(char if (char.isascii() and char.isalnum()) or char in "-_" else "_" for char in name)
    response["Content-Disposition"] = f'attachment; filename="breakeven-spend-by-{safe}-{span}.csv"'
    response["X-Breakeven-Price-Version"] = pricebook.current().version
    return response


@require_GET
@asks("cache")
def cache(request: HttpRequest, ask: Ask) -> HttpResponse:
    """How much came from the cache, and whether writing to it paid."""
    outcomes = first_outcomes(ask)
    instead = elsewhere(request, ask, outcomes)
    return instead or render(request, "dashboard/cache.html", page_context(ask, outcomes))


@require_GET
@asks("chain")
def chain(request: HttpRequest, ask: Ask) -> HttpResponse:
    """One session or one prefix, request by request."""
    return render(request, "dashboard/cache.html", page_context(ask, first_outcomes(ask)))


@require_GET
@login_required
def patterns(request: HttpRequest) -> HttpResponse:
    """Every component once."""
    if not settings.DEBUG:
        raise Http404
    return render(request, "dashboard/patterns.html", samples.every_component())
