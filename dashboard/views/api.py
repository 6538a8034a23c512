"""The read half of the public API: exact costs and cache rates, what they leave out, how fresh they are."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

import pandas as pd
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from ninja import Field, Query, Router, Schema

from dashboard import pricebook
from dashboard.errors import error_response
from dashboard.filters import DIMENSIONS, FilterError, Filters
from dashboard.queries import cache, database, freshness, spend

# The address that mounts this router gives it its auth: any key that may read.
router = Router(tags=["read"])

_TIME = "a date (a day of the reporting zone) or an RFC 3339 time"
_VALUES = "Filter; repeat for alternatives, leave empty for none."


class Question(Schema):
    """What the documentation lists. `tag:NAME=VALUE` filters too; a URL cannot declare a name that the user
    makes up.
    """

    start: str = Field("", description=f"First moment, {_TIME}. All of history when absent.")
    end: str = Field("", description=f"First moment after the range, {_TIME}. Open when absent.")
    grain: Literal["", "total", "hour", "day", "month"] = Field(
        "", description="total (default), hour (UTC), or day or month of the reporting zone."
    )
    group_by: list[str] = Field([], description=f"{', '.join(DIMENSIONS)} or tag:NAME; repeatable.")
    model: list[str] = Field([], description=_VALUES)
    provider: list[str] = Field([], description=_VALUES)
    platform: list[str] = Field([], description=_VALUES)
    service_tier: list[str] = Field([], description=_VALUES)
    speed: list[str] = Field([], description=_VALUES)
    inference_geo: list[str] = Field([], description=_VALUES)
    workspace_id: list[str] = Field([], description=_VALUES)
    api_key_id: list[str] = Field([], description=_VALUES)
    user_id: list[str] = Field([], description=_VALUES)
    session_id: list[str] = Field([], description=_VALUES)
    source: list[str] = Field([], description=_VALUES)
    format: Literal["", "json", "csv"] = Field("", description="json (default), or csv: the same rows.")


class Freshness(Schema):
    up_to_date: bool = Field(description="Everything accepted is in these figures.")
    data_version: int = Field(description="Grows when figures may have changed.")
    last_fill_at: str | None
    pending_buckets: int = Field(description="Hours with events that are not in the rollups yet.")
    oldest_pending_bucket: str | None
    pending_since: str | None


class Answer(Schema):
    """The answer of both calls; the keys of rows are the words used to ask, and the call's own figures."""

    rows: list[dict[str, int | str | None]]
    totals: dict[str, int | str | None]
    unpriced: list[dict[str, int | str | None]] = Field(
        description="What the money leaves out, by model, and why."
    )
    freshness: Freshness
    price_version: str = Field(description="Which price files the money was worked out with.")


@router.get("/costs", response=Answer, summary="Token counts and list cost", operation_id="costs")
def costs(request: HttpRequest, question: Query[Question]) -> HttpResponseBase:
    """Meters and `requests` count everything; `list_cost` (USD, an exact decimal string) covers what has a
    price and is null where nothing has; `unpriced` names what has none. Grouped by `meter`, a row has one
    meter's quantity and cost."""
    return _answer(request, question, spend.report)


@router.get("/cache", response=Answer, summary="Cache hit rates and savings", operation_id="cache")
def cache_use(request: HttpRequest, question: Query[Question]) -> HttpResponseBase:
    """token_hit_rate = read tokens / total input tokens; request_hit_rate = requests with a read / requests;
    reads_per_write = read tokens / written tokens; null where the divisor is 0. cache_saving = no_cache_cost
    - list_cost in USD, where no_cache_cost has every read and written token at its own uncached price;
    negative when writes cost more than reads saved."""
    return _answer(request, question, cache.report)


Ask = Callable[[Filters, Sequence[str], str], "spend.Report | cache.Report"]


def _answer(request: HttpRequest, question: Question, ask: Ask) -> HttpResponseBase:
    try:
        filters = Filters.from_query(
            request.GET,
            now=timezone.now(),
            zone=database.reporting_zone(),
            default_range="",
            strict=True,
            allow=("format",),
        )
        fresh = freshness.state()  # before the figures: what it calls up to date is then in them
        report = ask(filters, filters.group_by, filters.grain or "total")
        rows = report.rows  # worked out here: it may turn out to be too long
    except FilterError as error:
        return error_response(422, error.message, error.field)
    if question.format == "csv":
        return _csv(rows, f"{question_name(ask)}.csv", fresh)
    body = {
        "rows": list(records(rows)),
        "totals": {name: plain(value) for name, value in report.totals.items()},
        "unpriced": list(records(report.unpriced)),
        "freshness": {name: plain(getattr(fresh, name)) for name in freshness.Freshness.__slots__},
        "price_version": pricebook.current().version,
    }
    return HttpResponse(json.dumps(body, ensure_ascii=False), content_type="application/json")


def question_name(ask: Ask) -> str:
    """What a download is called."""
    return "costs" if ask is spend.report else "cache"


def records(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Rows as JSON has them: times in ISO 8601, money as exact decimal text, None where there is nothing."""
    names = [str(name) for name in rows.columns]
    columns = [rows[name].astype(object) for name in rows.columns]
    for values in zip(*columns, strict=True):
        yield {name: plain(value) for name, value in zip(names, values, strict=True)}


def plain(value: Any) -> Any:
    """One value as JSON has it."""
    if value is None or isinstance(value, (bool, str, dict)):
        return value
    if isinstance(value, Decimal):
        return pricebook.as_text(value)
    if isinstance(value, datetime):
        text = value.isoformat()
        return text.removesuffix("+00:00") + "Z" if value.utcoffset() == UTC.utcoffset(None) else text
    return int(value)


class _Line:
    """A file for csv.writer that hands each line straight on."""

    def write(self, text: str) -> str:
        return text


def _csv(rows: pd.DataFrame, name: str, fresh: freshness.Freshness) -> StreamingHttpResponse:
    """Exactly the rows of the JSON answer; what stands beside them there is in the headers."""
    writer = csv.writer(_Line())

    def lines() -> Iterator[str]:
        yield writer.writerow([str(column) for column in rows.columns])
        for record in records(rows):
            yield writer.writerow(["" if value is None else value for value in record.values()])

    response = StreamingHttpResponse(lines(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="breakeven-{name}"'
    response["X-Breakeven-Rows"] = str(len(rows))
    response["X-Breakeven-Data-Version"] = str(fresh.data_version)
    response["X-Breakeven-Price-Version"] = pricebook.current().version
    return response
