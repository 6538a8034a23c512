"""Pulling the Anthropic Admin usage and cost reports: one page a step, at most one call a minute.

A round goes through both reports, from two days before what was covered up to the end of today, because late data can
change days that were fetched. A page holds whole days and is stored in one transaction, so no day is half written; what
was fetched stays, and the next step goes on where the last one ended, also after an outage.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from ingest import formats
from ingest.accept import accept
from ingest.core.errors import Reason, Rejection
from ingest.formats import BadBody, ParseContext
from ingest.pulling.http import Answer, Fetch, Outage, seconds_to_wait
from ingest.pulling.steps import Step

EVERY = timedelta(seconds=60)  # between two calls
LATE_DAYS = 2
BACK_DAYS = 90  # how far the first round goes back when nobody says
DAYS_PER_PAGE = 31
LONGEST_WAIT_S = 6 * 3600.0
VERSION = "2023-06-01"


@dataclass(frozen=True, slots=True)
class Report:
    """One of the two reports: its address, how it is grouped, and the words its rows are grouped by with us."""

    format: str
    path: str
    group_by: tuple[str, ...]
    grouping: str


REPORTS = {
    "usage": Report(
        "anthropic_usage_report",
        "/v1/organizations/usage_report/messages",
        ("model", "service_tier", "context_window", "inference_geo", "workspace_id"),
        "context_window,inference_geo,model,service_tier,workspace_id",
    ),
    "cost": Report(
        "anthropic_cost_report",
        "/v1/organizations/cost_report",
        ("description", "workspace_id"),
        "context_window,cost_type,inference_geo,line_item,model,service_tier,token_type,workspace_id",
    ),
}


@dataclass(frozen=True, slots=True)
class Round:
    """Where a round stands: which report is being read, its request, and the page that comes next ('' = the first)."""

    report: str
    start: date
    end: date
    page: str = ""

    def to_object(self) -> dict[str, str]:
        return {
            "report": self.report,
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "page": self.page,
        }

    @classmethod
    def from_object(cls, value: dict[str, str]) -> Round:
        return cls(
            value["report"],
            date.fromisoformat(value["start"]),
            date.fromisoformat(value["end"]),
            value["page"],
        )


def first_day(text: str, today: date) -> date:
    """Where the first round begins: the day that was asked for, or some months ago."""
    return date.fromisoformat(text) if text else today - timedelta(days=BACK_DAYS)


def step(
    state: dict[str, Any],
    *,
    key: str,
    base_url: str,
    begin: str,
    every: timedelta,
    source: str,
    now: datetime,
    fetch: Fetch,
) -> Step:
    """Fetch and store one page. `state` is what the step before returned, {} at first."""
    if waiting := _too_soon(state, now):
        return Step(state, waiting)
    current = _current(state, begin, now)
    state = {**state, "round": current.to_object(), "called_at": now.isoformat()}
    headers = {
        "x-api-key": key,
        "anthropic-version": VERSION,
        "accept": "application/json",
        "user-agent": "breakeven",
    }
    try:
        answer = fetch(base_url + address(current), headers)
    except Outage as outage:
        return Step(state, now, str(outage), failed=True)
    if answer.status != 200:
        return _refused(state, current, answer, every, now)
    try:
        page = _Page.read(answer.body, current)
    except BadBody as bad:
        return Step(
            state, now, f"The Admin API's {current.report} report cannot be read: {bad.detail}.", failed=True
        )
    receipt = accept(page.items, source)
    problem = _of_rejected(current, receipt.rejected)
    covered = dict(state.get("covered", {}))
    covered[current.report] = max(covered.get(current.report, ""), page.covered.isoformat())
    state["covered"] = covered
    if page.next_page:
        state["round"] = Round(current.report, current.start, current.end, page.next_page).to_object()
        return Step(state, now + EVERY, problem)
    if current.report == "usage":
        state["round"] = _begin("cost", state, begin, current.end, now).to_object()
        return Step(state, now + EVERY, problem)
    del state["round"]
    return Step(state, now + max(every, EVERY), problem, round_done=True)


def address(current: Round) -> str:
    """Path and query of one page; every page of a report is asked for with the same parameters."""
    report = REPORTS[current.report]
    query = [
        ("starting_at", f"{current.start}T00:00:00Z"),
        ("ending_at", f"{current.end}T00:00:00Z"),
        ("bucket_width", "1d"),
        ("limit", str(DAYS_PER_PAGE)),
        *(("group_by[]", name) for name in report.group_by),
        *([("page", current.page)] if current.page else []),
    ]
    return f"{report.path}?{urlencode(query)}"


def _too_soon(state: dict[str, Any], now: datetime) -> datetime | None:
    called = state.get("called_at")
    if not isinstance(called, str):
        return None
    earliest = datetime.fromisoformat(called) + EVERY
    return earliest if now < earliest <= now + EVERY else None  # a clock that was set back must not stop us


def _current(state: dict[str, Any], begin: str, now: datetime) -> Round:
    if "round" in state:
        return Round.from_object(state["round"])
    return _begin("usage", state, begin, now.astimezone(UTC).date() + timedelta(days=1), now)


def _begin(report: str, state: dict[str, Any], begin: str, end: date, now: datetime) -> Round:
    """A report from two days before what was covered; all of today is asked for, and asked for again tomorrow."""
    today = now.astimezone(UTC).date()
    start = first_day(begin, today)
    covered = state.get("covered", {}).get(report)
    if covered:
        start = max(start, min(date.fromisoformat(covered), today) - timedelta(days=LATE_DAYS))
    return Round(report, min(start, end - timedelta(days=1)), end)


def _refused(state: dict[str, Any], current: Round, answer: Answer, every: timedelta, now: datetime) -> Step:
    """What an answer other than 200 means. Its body is not quoted."""
    if answer.status == 429:
        wait = seconds_to_wait(answer.retry_after, now.timestamp())
        seconds = min(max(EVERY.total_seconds(), wait or 0.0), LONGEST_WAIT_S)
        return Step(
            state, now + timedelta(seconds=seconds), f"The Admin API asked to wait {seconds:.0f} seconds."
        )
    if answer.status in (401, 403):
        problem = f"The Admin API refused the key ({answer.status}). Enter an admin key that is in use."
        return Step(state, now + max(every, timedelta(hours=1)), problem)
    if answer.status == 400 and current.page:
        # The cursor is no longer known: begin anew after the days that are stored.
        again = _begin(current.report, state, current.start.isoformat(), current.end, now)
        state["round"] = again.to_object()
        return Step(state, now + EVERY, "The Admin API no longer knew the page; the report is read anew.")
    if answer.status >= 500 or answer.status in (408, 425):
        return Step(state, now, f"The Admin API answered {answer.status}.", failed=True)
    state.pop("round", None)
    return Step(
        state, now + max(every, timedelta(hours=1)), f"The Admin API refused the request ({answer.status})."
    )


def _of_rejected(current: Round, rejected: list[Rejection]) -> str:
    if not rejected:
        return ""
    first = rejected[0]
    where = f" ({first.field})" if first.field else ""
    return f"{len(rejected)} rows of the {current.report} report were refused; the first: {first.reason.value}{where}."


@dataclass(frozen=True, slots=True)
class _Page:
    """One page: rows as reported items, the day up to which the report is now known, and the next page if any."""

    items: list[formats.Item]
    covered: date
    next_page: str

    @classmethod
    def read(cls, body: bytes, current: Round) -> _Page:
        """Raises BadBody for what is no page of a report."""
        try:
            page = json.loads(body)
        except (ValueError, RecursionError):
            raise BadBody(Reason.INVALID_JSON, "it is not JSON") from None
        if not isinstance(page, dict) or not isinstance(page.get("data"), list):
            raise BadBody(Reason.MISSING_FIELD, "it has no list named data", "data")
        next_page = page.get("next_page") if page.get("has_more") else ""
        if page.get("has_more") and (
            not isinstance(next_page, str) or not next_page or next_page == current.page
        ):
            raise BadBody(Reason.INVALID_VALUE, "it says that there is more, but not where", "next_page")
        report = REPORTS[current.report]
        context = ParseContext(datetime.now(UTC), defaults={"grouping": report.grouping})
        items = list(formats.get(report.format).parse(io.BytesIO(body), context))
        days = [day for bucket in page["data"] if (day := _end_of(bucket))]
        covered = min(max(days, default=current.start), current.end) if next_page else current.end
        return cls(items, covered, next_page or "")


def _end_of(bucket: object) -> date | None:
    text = bucket.get("ending_at") if isinstance(bucket, dict) else None
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC).date() if text else None
    except (ValueError, AttributeError):
        return None
