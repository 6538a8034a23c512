"""The recommendations call of the public API."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from ninja import Field, Query, Router, Schema

from dashboard import pricebook
from dashboard.errors import error_response
from dashboard.filters import METER, FilterError
from dashboard.queries import freshness
from dashboard.reports import decisions, stored
from dashboard.reports.recommended import RECOMMENDATIONS, recommendations
from dashboard.views.api import Freshness, Question, plain
from dashboard.views.cache_api import answer, filters_of

# The address that mounts this router gives it its auth: any key that may read.
router = Router(tags=["read"])


class RecommendationsAnswer(Schema):
    """USD as exact decimal strings."""

    recommendations: list[dict[str, Any]] = Field(
        description="Ranked. key, action, policy, title, scope ([dimension, value] pairs that all hold), monthly_saving"
        " with low and high (95 % by session; null where one session is all there is), basis (exact or estimated), sure"
        " (likely, fair or unsure: the interval reaches down to 0), evidence, risk, change, snippet, overlaps (keys of"
        " advice about some of the same money), status (open, accepted, dismissed or done)."
    )
    together: str = Field(
        description="USD a month of what is sure, without what overlaps something ranked higher."
    )
    decided: list[dict[str, Any]] = Field(
        description="What was accepted, dismissed or done, of any question: predicted and, once done, realised."
    )
    requests: int
    exact_requests: int = Field(description="How many of them rest on prefix lists.")
    sampled: str = Field(
        description="Share of the sessions that were read; 1 = all. Months are scaled up from it."
    )
    start: str
    end: str
    days: str = Field(description="What 30 days are scaled from.")
    unpriced: list[dict[str, Any]]
    freshness: Freshness
    price_version: str


@router.get(
    "/cache/recommendations",
    response=RecommendationsAnswer,
    summary="What to change, and what it saves a month",
    operation_id="cache_recommendations",
)
def cache_recommendations(request: HttpRequest, question: Query[Question]) -> HttpResponseBase:
    """Advice for the requests of the range, ranked by dollars a month: cache policies by workspace, key, model, tag or
    length of session, prefixes that change, breakpoints, fan-outs, batches. Worked out anew when anything changed."""
    try:
        filters = filters_of(request)
        if filters.values(METER):
            raise FilterError(METER, "advice is about whole requests: it cannot be limited to single meters")
        report = stored.look(RECOMMENDATIONS, filters)
        body = report.body if report.current and report.body is not None else recommendations(filters)
        fresh = freshness.state()
    except FilterError as error:
        return error_response(422, error.message, error.field)
    status = decisions.statuses([card["key"] for card in body["recommendations"]])
    cards = [{**card, "status": status.get(card["key"], "open")} for card in body["recommendations"]]
    decided = [
        {**line, **{name: plain(line[name]) for name in ("decided_at", "done_at")}}
        for line in decisions.history()
    ]
    return answer(
        {
            **body,
            "recommendations": cards,
            "decided": decided,
            "freshness": {name: plain(getattr(fresh, name)) for name in freshness.Freshness.__slots__},
            "price_version": pricebook.current().version,
        }
    )
