"""Advice for a question as JSON values, made by the worker: cards in order, money as exact decimal text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from dashboard.analysis.recommendations.find import find, together
from dashboard.analysis.recommendations.finding import Finding
from dashboard.analysis.recommendations.traffic import Traffic
from dashboard.filters import Filters
from dashboard.pricebook import as_text
from dashboard.queries import replayed, traffic
from dashboard.reports.words import words
from ingest.core.timegrain import from_micros

RECOMMENDATIONS = "recommendations"
# As many as other reports read: the worker has other things to do.
MOST_REQUESTS = 150_000

Scope = Sequence[tuple[str, str]]


def recommendations(filters: Filters) -> dict[str, Any]:
    """The body of the report: cards, what they come to together, and what all of it rests on."""
    loaded, requests = traffic.load(filters, MOST_REQUESTS)
    found = find(loaded)
    keys = [key_of(each.action, each.policy, scope_of(filters, each.scope)) for each in found]
    begin, end = span(loaded)
    return {
        "recommendations": [_card(loaded, filters, finding, keys, begin, end) for finding in found],
        "together": as_text(together(found)),
        "requests": len(loaded.log),
        "exact_requests": int(loaded.log.has_prefix.sum()),
        "sampled": str(loaded.sampled.normalize()),
        "start": begin,
        "end": end,
        "days": str(loaded.days.quantize(Decimal("0.01"))),
        "unpriced": replayed.unpriced([requests]),
    }


def key_of(action: str, policy: str, scope: Scope) -> str:
    """What tells one piece of advice from another: what is to be done, and where."""
    return hashlib.sha256(json.dumps([action, policy, sorted(scope)]).encode()).hexdigest()


def scope_of(filters: Filters, narrower: Scope) -> list[tuple[str, str]]:
    """Where advice holds: what the question was limited to, and what the advice narrows that to."""
    named = {dimension for dimension, _ in narrower}
    return [*((name, value) for name, value in filters.chips() if name not in named), *narrower]


def span(loaded: Traffic) -> tuple[str, str]:
    """When the traffic was, as ISO texts: half-open, as long as its `days`."""
    if not len(loaded.log):
        return "", ""
    begin = from_micros(int(loaded.log.start.min()))
    end: datetime = begin + timedelta(seconds=float(loaded.days) * 86_400)
    return begin.isoformat(), end.isoformat()


def _card(
    loaded: Traffic, filters: Filters, finding: Finding, keys: Sequence[str], begin: str, end: str
) -> dict[str, Any]:
    scope = scope_of(filters, finding.scope)
    providers = tuple(sorted({str(name) for name in loaded.provider[finding.chosen]}))
    told = words(finding, providers)
    amount = finding.monthly
    return {
        "key": key_of(finding.action, finding.policy, scope),
        "action": finding.action,
        "policy": finding.policy,
        "title": told.title,
        "scope": [list(pair) for pair in scope],
        "monthly_saving": as_text(amount.estimate),
        "low": _text(amount.low),
        "high": _text(amount.high),
        "basis": finding.basis,
        "sure": finding.sure,
        "evidence": list(told.evidence),
        "risk": told.risk,
        "change": told.change,
        "snippet": told.snippet,
        "saving_in_range": as_text(finding.saving),
        "facts": _facts(finding.facts),
        "requests": int(finding.chosen.sum()),
        "sessions": len(np.unique(loaded.unit[finding.chosen])),
        "overlaps": [keys[other] for other in finding.overlaps],
        "start": begin,
        "end": end,
    }


def _facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: as_text(value) if isinstance(value, Decimal) else value for name, value in facts.items()}


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else as_text(amount)
