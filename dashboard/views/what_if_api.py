"""POST /api/v1/what-if: what a range would have cost under a scenario, in exact decimal strings."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from ninja import Field, Router, Schema

from dashboard import pricebook
from dashboard.analysis import what_if
from dashboard.analysis.assumptions import assumptions
from dashboard.analysis.scenario import Scenario, ScenarioError
from dashboard.analysis.scenario_json import from_json, to_json
from dashboard.errors import error_response
from dashboard.filters import FilterError, Filters, is_dimension
from dashboard.queries import database, lanes, policy_effects
from dashboard.views.api import plain, records
from ingest.core.pricing import METERS

# The address that mounts this router gives it its auth: any key that may read.
router = Router(tags=["read"])


class WhatIfQuestion(Schema):
    """The range, the filters, and the knobs that are turned."""

    start: str = Field(
        "", description="First moment, a date (a day of the reporting zone) or an RFC 3339 time."
    )
    end: str = Field("", description="First moment after the range.")
    filters: dict[str, str | list[str] | None] = Field(
        {}, description="Values by dimension, as in GET /api/v1/costs; null stands for none."
    )
    scenario: dict[str, Any] = Field({}, description="What is changed; {} changes nothing.")


class WhatIfAnswer(Schema):
    """Both sides, and the way from one to the other."""

    observed: dict[str, int | str]
    scenario: dict[str, int | str]
    steps: list[dict[str, str]] = Field(description="In a fixed order; deltas sum to scenario - observed.")
    by_model: list[dict[str, Any]] = Field(description="Dearest first, each with its meters.")
    assumptions: list[str]
    not_moved: list[dict[str, int | str]] = Field(
        description="Requests that a knob could not reach, and why."
    )
    unpriced: list[dict[str, int | str | None]]
    knobs: dict[str, Any] = Field(description="The scenario in its normal form.")
    price_version: str


@router.post(
    "/what-if",
    response=WhatIfAnswer,
    summary="The same range under other prices and habits",
    operation_id="what_if",
)
def what_if_(request: HttpRequest, question: WhatIfQuestion) -> HttpResponseBase:
    """Every knob that moves prices or moves tokens between meters is exact: token sums times price vectors. What is
    assumed is said in `assumptions`."""
    book = pricebook.current()
    try:
        filters = filters_of(question)
        scenario = from_json(question.scenario, book, policy_effects.is_known)
        replayed = policy_effects.of(filters, scenario.policy) if scenario.is_replayed else None
        log = lanes.log(filters, scenario.dimensions)
        result = what_if.apply(log, book, scenario, replayed)
    except (FilterError, ScenarioError) as error:
        return error_response(422, error.message, error.field)
    body = answer_of(result, scenario, replayed)
    return HttpResponse(json.dumps(body, ensure_ascii=False), content_type="application/json")


def filters_of(question: WhatIfQuestion) -> Filters:
    """The question's range and filters. FilterError for what cannot be asked."""
    query: dict[str, str | list[str]] = {"start": question.start, "end": question.end}
    for name, given in question.filters.items():
        if not is_dimension(name):
            raise FilterError(name[:100], f"cannot filter by {name[:100]!r}")
        query[name] = (
            [given or ""] if given is None or isinstance(given, str) else [each or "" for each in given]
        )
    return Filters.from_query(query, now=timezone.now(), zone=database.reporting_zone(), default_range="")


def answer_of(
    result: what_if.Comparison, scenario: Scenario, replayed: what_if.Replayed | None
) -> dict[str, Any]:
    """The answer as JSON values."""
    book = pricebook.current()
    meters: dict[tuple[str, str], list[dict[str, Any]]] = {}
    sums = {side: dict.fromkeys(METERS, Decimal(0)) for side in ("observed", "scenario")}
    for row in result.meters.to_dict("records"):
        meters.setdefault((row["model"], row["provider"]), []).append(
            {str(name): plain(row[name]) for name in row if name not in ("model", "provider")}
        )
        for side, sum_of in sums.items():
            sum_of[row["meter"]] += row[f"{side}_quantity"]
    return {
        "observed": {
            "list_cost": plain(result.observed),
            "requests": int(sum(result.models["requests"])),
            **{meter: int(quantity) for meter, quantity in sums["observed"].items()},
        },
        "scenario": {
            "list_cost": plain(result.scenario),
            **{meter: plain(quantity) for meter, quantity in sums["scenario"].items()},
        },
        "steps": [{"name": step.name, "delta": plain(step.delta)} for step in result.steps],
        "by_model": [
            {**row, "by_meter": meters.get((str(row["model"]), str(row["provider"])), [])}
            for row in records(result.models)
        ],
        "assumptions": list(assumptions(scenario, result, book, replayed)),
        "not_moved": [
            {"knob": each.knob, "model": each.model, "reason": each.reason, "requests": each.requests}
            for each in result.kept
        ],
        "unpriced": list(records(result.unpriced)),
        "knobs": to_json(scenario),
        "price_version": book.version,
    }
