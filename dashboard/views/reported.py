"""The call that reads what providers reported: usage rows and cost rows, as they came, with exact decimals."""

from __future__ import annotations

import json

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Field, Query, Router, Schema

from dashboard.errors import error_response
from dashboard.filters import FilterError, Filters
from dashboard.queries import database, reported
from dashboard.views.api import records

# The address that mounts this router gives it its auth: any key that may read.
router = Router(tags=["read"])


class ReportedQuestion(Schema):
    start: str = Field(
        "", description="First moment in which a bucket may begin; a date or an RFC 3339 time."
    )
    end: str = Field("", description="First moment after that range. Open when absent.")
    kind: str = Field("", description="One report only, such as anthropic_usage_report.")
    provider: list[str] = Field([], description="Filter; repeat for alternatives.")


class ReportedAnswer(Schema):
    """Rows as providers reported them. Nothing here is in the figures of the other calls, nor they in these."""

    usage: list[dict[str, int | str | dict[str, str] | None]] = Field(
        description="The disjoint meters of a bucket and combination of dimensions; requests is null if not said."
    )
    cost: list[dict[str, int | str | dict[str, str] | None]] = Field(
        description="billed_cost, list_cost, contracted_cost and estimated_cost as the report gives them (exact decimal"
        " strings in whole units of currency, null if not given); never the list_cost that Breakeven computes."
    )


@router.get(
    "/reported",
    response=ReportedAnswer,
    summary="Usage and cost that providers reported",
    operation_id="reported",
)
def reported_rows(request: HttpRequest, question: Query[ReportedQuestion]) -> HttpResponse:
    """Imported or pulled provider reports, beside the counted events and never added to them. Rows of one kind and
    source can be summed; different kinds tell the same usage in other words. Of a day reported in several groupings
    only the latest is listed."""
    try:
        filters = Filters.from_query(
            {name: request.GET.getlist(name) for name in request.GET if name != "kind"},
            now=timezone.now(),
            zone=database.reporting_zone(),
            default_range="",
            strict=True,
        )
        others = filters.dimensions() - {"provider"}
        if others or filters.group_by or filters.grain or filters.compare:
            name = next(iter(sorted(others)), "group_by" if filters.group_by else "grain")
            raise FilterError(name, f"there is no parameter {name!r} here: start, end, kind and provider")
        kind = question.kind.strip()
        if "\x00" in kind:
            raise FilterError("kind", "kind holds characters that cannot occur")
        body = {
            "usage": list(records(reported.usage(filters, kind))),
            "cost": list(records(reported.cost(filters, kind))),
        }
    except FilterError as error:
        return error_response(422, error.message, error.field)
    return HttpResponse(json.dumps(body, ensure_ascii=False), content_type="application/json")
