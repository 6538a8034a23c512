"""The cache tuning calls of the public API: policies and floors, the TTL curve, causes of writes."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from ninja import Field, Query, Router, Schema

from dashboard import pricebook
from dashboard.errors import error_response
from dashboard.filters import FilterError, Filters
from dashboard.queries import causes as cause_queries
from dashboard.queries import database, freshness, gaps, replayed
from dashboard.reports import kinds
from dashboard.views.api import Freshness, Question, plain
from ingest.core.cache.log import SECOND_US
from ingest.core.cache.policies import STANDARD, Policy, parse_policy

MOST_TTLS = 200
LONGEST_TTL_S = 86_400  # gaps of more than a day are not kept

# The address that mounts this router gives it its auth: any key that may read.
router = Router(tags=["read"])


class PoliciesQuestion(Question):
    """The usual filters, and which policies to replay."""

    policy: list[str] = Field(
        [], description="none, 5m, 1h, 5m+3pings, 1h+1ping, ...; repeatable. The usual ones when absent."
    )


class PoliciesAnswer(Schema):
    """Input-side list cost in USD, exact decimal strings."""

    basis: str = Field(
        description="exact: every request was replayed on its prefix list; estimated: from counters."
    )
    requests: int
    exact_requests: int = Field(description="How many of them rest on prefix lists.")
    sampled: str = Field(
        description="Share of the sessions that were read; 1 = all. Money is that of the sample."
    )
    observed: dict[str, Any] = Field(
        description="Priced as the policies are: each model at its price for short prompts. What long ones cost more is"
        " `prompt_step_premium`."
    )
    policies: list[dict[str, Any]]
    best_per_chain: dict[str, Any] = Field(description="Each session with the policy that suits it best.")
    floor: dict[str, str]
    captured_share: str | None
    reuse: dict[str, Any] | None = Field(
        description="What estimates rest on: the share of a prompt that is used again, by gap, with its range."
    )
    unpriced: list[dict[str, Any]]
    freshness: Freshness
    price_version: str


@router.get(
    "/cache/policies",
    response=PoliciesAnswer,
    summary="What other cache policies would have cost",
    operation_id="cache_policies",
)
def policies(request: HttpRequest, question: Query[PoliciesQuestion]) -> HttpResponseBase:
    """Replays the requests of the range under each policy, and works out the least possible bill: without keep-alive
    pings, with them, and for a cache that never forgets. Only the input side of requests that have a price."""
    try:
        filters = filters_of(request, "policy")
        asked = _policies(question.policy)
        fresh = freshness.state()
        found = replayed.policies(filters, asked)
    except FilterError as error:
        return error_response(422, error.message, error.field)
    body = {
        **kinds.policies_body(found),
        "freshness": {name: plain(getattr(fresh, name)) for name in freshness.Freshness.__slots__},
        "price_version": pricebook.current().version,
    }
    return answer(body)


class CurveQuestion(Question):
    """The usual filters, and TTLs in seconds."""

    ttl: list[int] = Field(
        [], description="Seconds; repeatable, up to 200. 5 minutes and 1 hour when absent."
    )


class CurveAnswer(Schema):
    """What every prefix always written and living so long would have given."""

    basis: str = Field(description="exact: from prefix lists; estimated: some requests have none.")
    start: str | None = Field(description="First UTC day covered: ranges are widened to whole days.")
    end: str | None
    points: list[dict[str, int | str | None]] = Field(
        description="ttl (seconds), token_hit_rate, input_list_cost (USD, at the cheapest tier that lasts so long;"
        " as with the policies, each model at its price for short prompts)."
    )
    first_use_tokens: int = Field(description="Tokens of prefixes that were needed for the first time.")
    uncached_input_tokens: int = Field(description="Tokens that are part of no prefix.")
    unpriced_tokens: int
    pending_days: int = Field(description="Days whose gaps are still to be worked out.")
    price_version: str


@router.get(
    "/cache/curve",
    response=CurveAnswer,
    summary="Token hit rate and cost at any TTL",
    operation_id="cache_curve",
)
def curve(request: HttpRequest, question: Query[CurveQuestion]) -> HttpResponseBase:
    """From the gaps between uses of the same prefix, kept by day; exact at 5 minutes and at 1 hour."""
    try:
        filters = filters_of(request, "ttl")
        ttls = _ttls(question.ttl)
        found = gaps.histogram(filters)
    except FilterError as error:
        return error_response(422, error.message, error.field)
    histogram = found.histogram
    return answer(
        {
            "basis": histogram.basis,
            "start": found.start and found.start.isoformat(),
            "end": found.end and found.end.isoformat(),
            "points": [
                {
                    "ttl": ttl,
                    "token_hit_rate": kinds.rate_text(histogram.token_hit_rate(ttl * SECOND_US)),
                    "input_list_cost": pricebook.as_text(histogram.input_list_cost(ttl * SECOND_US)),
                }
                for ttl in ttls
            ],
            "first_use_tokens": int(histogram.first.sum()),
            "uncached_input_tokens": int(histogram.uncached.sum()),
            "unpriced_tokens": found.unpriced_tokens,
            "pending_days": found.pending_days,
            "price_version": pricebook.current().version,
        }
    )


class CausesAnswer(Schema):
    """USD as billed, long prompts included, in exact decimal strings."""

    basis: str = Field(
        description="exact: every writing request has its prefix list; estimated: some are judged by counters."
    )
    grain: str = Field(description="That of `rows`: day or month of the reporting zone, or total (no rows).")
    requests: int
    sampled: str = Field(
        description="Share of the sessions that were read; 1 = all. Tokens and money are those of the sample."
    )
    causes: list[dict[str, Any]] = Field(
        description="Each cause with its tokens, its list_cost (USD of writing them; all causes together are"
        " `input.write_list_cost`) and its extra_cost (USD above reading the same tokens). Dearest first."
    )
    rows: list[dict[str, Any]] = Field(description="The same by bucket_start; causes that occurred.")
    input: dict[str, Any] = Field(
        description="The input bill: uncached + read + write = input_list_cost, to the last digit."
    )
    dearest: list[dict[str, Any]] = Field(
        description="The requests whose writing again cost most above reading."
    )
    unpriced: list[dict[str, Any]]
    freshness: Freshness
    price_version: str


@router.get(
    "/cache/causes",
    response=CausesAnswer,
    summary="Why tokens were written to the cache",
    operation_id="cache_causes",
)
def causes(request: HttpRequest, question: Query[Question]) -> HttpResponseBase:
    """Gives every written token one cause: growth, cold start, a lapse, a changed prefix, and so on; what cannot be
    told is `unknown`. Grain: total, day or month; without one days, of more than 100 days months."""
    try:
        filters = filters_of(request)
        fresh = freshness.state()
        found = cause_queries.causes(filters)
    except FilterError as error:
        return error_response(422, error.message, error.field)
    body = {
        **kinds.causes_body(found),
        "freshness": {name: plain(getattr(fresh, name)) for name in freshness.Freshness.__slots__},
        "price_version": pricebook.current().version,
    }
    return answer(body)


def filters_of(request: HttpRequest, *allow: str) -> Filters:
    """The usual filters of a call that is of whole requests. FilterError for what cannot be asked."""
    return Filters.from_query(
        request.GET,
        now=timezone.now(),
        zone=database.reporting_zone(),
        default_range="",
        strict=True,
        allow=allow,
    )


def answer(body: dict[str, Any]) -> HttpResponse:
    return HttpResponse(json.dumps(body, ensure_ascii=False), content_type="application/json")


def _policies(names: list[str]) -> tuple[Policy, ...]:
    if not names:
        return STANDARD
    if len(names) > 20:
        raise FilterError("policy", "at most 20 policies can be asked at once")
    try:
        return tuple(dict.fromkeys(parse_policy(name) for name in names))
    except ValueError as error:
        raise FilterError("policy", str(error)) from None


def _ttls(asked: list[int]) -> list[int]:
    if len(asked) > MOST_TTLS:
        raise FilterError("ttl", f"at most {MOST_TTLS} TTLs can be asked at once")
    for ttl in asked:
        if not 0 <= ttl <= LONGEST_TTL_S:
            raise FilterError("ttl", f"ttl must be from 0 to {LONGEST_TTL_S} seconds, not {ttl}")
    return asked or [300, 3600]
