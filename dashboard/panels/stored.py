"""Panels that show a report which the worker makes: its body and age, or that it is being worked out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from dashboard import numbers
from dashboard.filters import METER, FilterError
from dashboard.panels.base import Ask, Content
from dashboard.queries import request_log
from dashboard.reports.stored import Report, look

ASK_AGAIN_S = 2  # while a report is being worked out
LOOK_AGAIN_S = 30  # while an old one stands in for the next


@dataclass(frozen=True)
class Stored:
    """The report as far as it is made, and whether its question has any requests."""

    report: Report
    any_requests: bool


def fetching(kind: str) -> Callable[[Ask], Stored]:
    """A panel's fetch that looks at the report of this kind. FilterError for what no report can answer."""

    def fetch(ask: Ask) -> Stored:
        if ask.filters.values(METER):
            raise FilterError(METER, "a replay is of whole requests: it cannot be limited to single meters")
        found = look(kind, ask.filters)
        if found.problem:
            raise FilterError("", found.problem.rstrip("."))
        # Until it is made, the rollups know whether there is anything to wait for.
        some = found.body is not None and found.body["requests"] > 0
        return Stored(found, some or request_log.requests_in(ask.filters) > 0)

    return fetch


def pending(what: str) -> Content:
    """What stands in a panel whose report is not made yet; it asks again by itself."""
    return Content(extra={"pending": what, "ask_again": ASK_AGAIN_S})


def unpriced(body: dict[str, Any]) -> Content:
    """What stands in a panel when requests are there but none has a price."""
    said = " ".join(of_what(body)) or "A replay is of requests that have a price."
    return Content(extra={"pending": said, "instead": "Nothing here has a price"})


def presenting(
    present: Callable[[dict[str, Any], Ask], Content | None], what: str
) -> Callable[[Stored, Ask], Content | None]:
    """A panel's presenter from one of the report's body: waits, says how old it is, and looks for a newer one."""

    def presented(data: Stored, ask: Ask) -> Content | None:
        if not data.any_requests:
            return None
        report = data.report
        if report.body is None or (not report.body["requests"] and not report.current):
            return pending(what)
        if not report.body["requests"]:
            return unpriced(report.body)
        content = present(report.body, ask)
        if content is None:
            return None
        extra = dict(content.extra)
        if not report.current and report.computed_at is not None:
            extra["age"] = (
                f"As of {numbers.ago(ask.now - report.computed_at)}; newer figures are being worked out."
            )
            extra["ask_again"] = LOOK_AGAIN_S
        return replace(content, extra=extra)

    return presented


def of_what(body: dict[str, Any]) -> list[str]:
    """Which requests a body is about: sampled sessions, models without a price."""
    said = []
    sampled = Decimal(body["sampled"])
    if sampled < 1:
        said.append(
            f"Read from {numbers.percent(sampled)} of the sessions, the same ones every time; tokens and dollars are"
            " theirs alone."
        )
    if body["unpriced"]:
        names = ", ".join(dict.fromkeys(row["model"] for row in body["unpriced"]))
        count = sum(row["requests"] for row in body["unpriced"])
        said.append(f"{numbers.count(count)} requests have no price and are left out: {names}.")
    return said
