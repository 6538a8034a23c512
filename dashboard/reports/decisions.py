"""What people decided about advice, and what came of what is done: predicted beside realised."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone

from dashboard.analysis.recommendations.finding import Monthly
from dashboard.analysis.recommendations.realised import Period, Realised, measure_of, period, realised
from dashboard.filters import DIMENSIONS, METER, TAG_PREFIX, Filters
from dashboard.models import Recommendation
from dashboard.pricebook import as_text
from dashboard.queries import traffic
from dashboard.reports import stored
from dashboard.reports.recommended import MOST_REQUESTS, RECOMMENDATIONS
from dashboard.reports.words import SCENARIO

REALISED = "realised"
Status = Recommendation.Status
ACCEPT, DISMISS, DONE, UNDO = "accept", "dismiss", "done", "undo"
DECISIONS = {ACCEPT: Status.ACCEPTED, DISMISS: Status.DISMISSED, DONE: Status.DONE}
_DAY = timedelta(days=1)


class CannotDecide(Exception):
    """What was to be decided about is not there; one sentence says why."""


def statuses(keys: Sequence[str]) -> dict[str, str]:
    """What was decided about these, for as many as something was."""
    return dict(Recommendation.objects.filter(key__in=keys).values_list("key", "status"))


def decide(key: str, decision: str, filters: Filters) -> str:
    """Decide about the advice of this key, as the report for `filters` has it, or undo what was decided.

    Returns its title. CannotDecide when there is no such advice, or nothing to undo.
    """
    with transaction.atomic():
        row = Recommendation.objects.select_for_update().filter(key=key).first()
        if decision == UNDO:
            if row is None:
                raise CannotDecide("There is nothing to undo: nothing was decided about this.")
            return _undone(row)
        if decision not in DECISIONS:
            raise CannotDecide("Choose accept, dismiss, done or undo.")
        if row is None:
            row = _from_card(_card(key, filters))
        now = timezone.now()
        row.status, row.decided_at = DECISIONS[decision], now
        row.done_at = now if decision == DONE else None
        row.save()
        return str(row.body["title"])


def follow_scenario(
    name: str, knobs: dict[str, str], saving: Decimal, filters: Filters, span: tuple[str, str]
) -> Recommendation:
    """A what-if that somebody wants to carry out: accepted from the start, and followed like other advice.

    The same again changes nothing.

    saving  USD a month; span  when the traffic was that it was worked out from, ISO texts, "" = open
    """
    scope = [list(pair) for pair in filters.chips()]
    told = {
        "title": name,
        "action": SCENARIO,
        "scope": scope,
        "knobs": knobs,
        "evidence": ["Worked out on the what-if page."],
        "start": span[0],
        "end": span[1],
    }
    key = hashlib.sha256(json.dumps([SCENARIO, name, knobs, sorted(scope)]).encode()).hexdigest()
    row, _ = Recommendation.objects.get_or_create(
        key=key,
        defaults={
            "action": SCENARIO,
            "scope": scope,
            "body": told,
            "predicted_monthly": saving,
            "predicted_low": saving,
            "predicted_high": saving,
            "status": Status.ACCEPTED,
            "decided_at": timezone.now(),
            "done_at": None,
        },
    )
    return row


def _undone(row: Recommendation) -> str:
    """One step back: done advice was accepted before, a dismissed scenario too; anything else is open again."""
    title = str(row.body["title"])
    if row.status == Status.DONE or (row.status == Status.DISMISSED and row.action == SCENARIO):
        row.status, row.done_at = Status.ACCEPTED, None
        row.save()
    else:
        row.delete()
    return title


def _card(key: str, filters: Filters) -> dict[str, Any]:
    body = stored.look(RECOMMENDATIONS, filters).body or {"recommendations": []}
    for card in body["recommendations"]:
        if card["key"] == key:
            return dict(card)
    raise CannotDecide("This advice is no longer there: the figures behind it have changed.")


def _from_card(card: dict[str, Any]) -> Recommendation:
    estimate = Decimal(card["monthly_saving"])
    return Recommendation(
        key=card["key"],
        action=card["action"],
        scope=card["scope"],
        policy=card["policy"],
        body=card,
        predicted_monthly=estimate,
        predicted_low=Decimal(card["low"]) if card["low"] is not None else estimate,
        predicted_high=Decimal(card["high"]) if card["high"] is not None else estimate,
    )


# --- what came of it --------------------------------------------------------------------------------------------------


def question_of(row: Recommendation) -> Filters:
    """The requests that a done recommendation is about, since then: what its report is asked by."""
    return Filters(start=row.done_at, where=_where(row))


def realised_report(filters: Filters) -> dict[str, Any]:
    """By key, what came of the advice that was done when this question begins, and where it asks."""
    now = timezone.now()
    rows = [row for row in Recommendation.objects.filter(status=Status.DONE) if question_of(row) == filters]
    return {row.key: _told(_realised(row, now)) for row in rows}


def _realised(row: Recommendation, now: datetime) -> Realised:
    assert row.done_at is not None
    done, where = row.done_at, _where(row)
    start, end = (
        datetime.fromisoformat(text) if (text := row.body[name]) else None for name in ("start", "end")
    )
    before = _period(row, Filters(start=start, end=min(end or done, done), where=where), Decimal(1))
    days = Decimal((now - done) // timedelta(microseconds=1)) / (_DAY // timedelta(microseconds=1))
    return realised(before, _period(row, question_of(row), days))


def _period(row: Recommendation, filters: Filters, days: Decimal) -> Period:
    loaded, _ = traffic.load(filters, MOST_REQUESTS, waiting=False)
    chosen = loaded.within((str(name), str(value)) for name, value in row.scope)
    return period(loaded, chosen, measure_of(row.action), days)


def _where(row: Recommendation) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The scope as filters. What is no dimension of stored requests is chosen afterwards; requests are never cut into
    meters."""
    found: dict[str, tuple[str, ...]] = {}
    for name, value in row.scope:
        if name != METER and (name in DIMENSIONS or name.startswith(TAG_PREFIX)):
            found[name] = (*found.get(name, ()), value)
    return tuple(found.items())


def _told(found: Realised) -> dict[str, Any]:
    amount: Monthly | None = found.monthly
    return {
        "monthly_saving": as_text(amount.estimate) if amount else None,
        "low": as_text(amount.low) if amount and amount.low is not None else None,
        "high": as_text(amount.high) if amount and amount.high is not None else None,
        "sessions": found.sessions,
        "sessions_before": found.sessions_before,
        "days": str(found.days.quantize(Decimal("0.01"))),
        "before": _text(found.before),
        "after": _text(found.after),
    }


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else as_text(amount)


def history() -> list[dict[str, Any]]:
    """Everything that was decided, the latest first; `realised` is None until it is worked out, or when it
    cannot be: then `problem` says why."""
    return [_line(row) for row in Recommendation.objects.all()]


def _line(row: Recommendation) -> dict[str, Any]:
    came_of, problem = None, ""
    if row.status == Status.DONE:
        report = stored.look(REALISED, question_of(row))
        came_of, problem = (report.body or {}).get(row.key), report.problem
    return {
        "key": row.key,
        "action": row.action,
        "title": row.body["title"],
        "scope": row.scope,
        "policy": row.policy,
        "status": str(row.status),
        "decided_at": row.decided_at,
        "done_at": row.done_at,
        "predicted": {
            "monthly_saving": as_text(row.predicted_monthly),
            "low": as_text(row.predicted_low),
            "high": as_text(row.predicted_high),
        },
        "measure": measure_of(row.action),
        "realised": came_of,
        "problem": problem,
        "knobs": row.body.get("knobs"),
    }
