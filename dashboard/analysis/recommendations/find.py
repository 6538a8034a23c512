"""All advice for some traffic: each kind at the level of detail that says most, ranked, nothing claimed twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

import numpy as np

from dashboard.analysis.recommendations import breakpoints, caching, waste
from dashboard.analysis.recommendations.finding import STABLE_PREFIX, STAGGER, Finding, a_month
from dashboard.analysis.recommendations.traffic import SESSION_CLASS, Traffic
from ingest.core.cache.bill import observed
from ingest.core.cache.causes import attribute
from ingest.core.pricing import ZERO, total

SMALL_SHARE = Decimal("0.005")  # of the input bill; less is not worth a card
BETTER = Decimal("1.2")  # a later dimension has to say so much more than one people know better
MOST = 40

Scope = tuple[tuple[str, str], ...]
ByDimension = dict[str, list[Finding]]


def find(traffic: Traffic) -> list[Finding]:
    """Ranked by dollars a month, what is sure before what is not. `overlaps` are positions in this list."""
    if not len(traffic.log):
        return []
    kinds: dict[str, ByDimension] = {}
    least = a_month(observed(traffic.log).input_list_cost, traffic.days, traffic.sampled) * SMALL_SHARE
    for kind, finding in _all(traffic):
        kinds.setdefault(kind, {}).setdefault(finding.scope[0][0], []).append(finding)
    kept = [finding for by_dimension in kinds.values() for finding in _clearest(by_dimension, least)]
    kept.sort(key=lambda each: (each.sure == "unsure", -each.monthly.estimate, each.action, each.scope))
    return _with_overlaps(kept[:MOST])


def together(findings: Sequence[Finding]) -> Decimal:
    """USD a month of all that is sure, where nothing that overlaps something ranked higher is added."""
    amounts: list[Decimal] = []
    counted: set[int] = set()
    for number, finding in enumerate(findings):
        if finding.sure != "unsure" and counted.isdisjoint(finding.overlaps):
            counted.add(number)
            amounts.append(finding.monthly.estimate)
    return total(amounts) if amounts else ZERO


def _all(traffic: Traffic) -> Iterator[tuple[str, Finding]]:
    """Every finding with its kind; findings of one kind about the same requests exclude each other."""
    screened = caching.screen(traffic)
    causes = attribute(traffic.log)
    for dimension, value, chosen in traffic.scopes():
        scope: Scope = ((dimension, value),)
        yield from (("policy", each) for each in caching.policy_advice(screened, scope, chosen))
        yield from (("breakpoint", each) for each in breakpoints.breakpoint_advice(traffic, scope, chosen))
        for action in (STABLE_PREFIX, STAGGER):
            yield from ((action, each) for each in waste.rewrites(traffic, causes, action, scope, chosen))
        yield from (("batch", each) for each in waste.batch_advice(traffic, scope, chosen))


def _clearest(by_dimension: Mapping[str, list[Finding]], least: Decimal) -> list[Finding]:
    """The findings of the dimension that saves most: the values of one dimension have no request in common.

    What is too small for a card still speaks for its dimension, unless hardly anything of it is larger.
    """
    best: list[Finding] = []
    for large_alone in (False, True):
        best = []
        for dimension, findings in by_dimension.items():
            better = BETTER if best else Decimal(1)
            if dimension == SESSION_CLASS:
                better *= BETTER  # nobody can filter by it: only where it says clearly more
            candidates = _large(findings, least) if large_alone else findings
            if _worth(candidates) > _worth(best) * better:
                best = candidates
        if _worth(_large(best, least)) * 2 >= _worth(best):
            break
    return _large(best, least)


def _large(findings: Sequence[Finding], least: Decimal) -> list[Finding]:
    return [finding for finding in findings if finding.monthly.estimate > least]


def _worth(findings: Sequence[Finding]) -> Decimal:
    """What is sure counts whole, what is not a tenth."""
    weights = ((each, Decimal(1) if each.sure != "unsure" else Decimal("0.1")) for each in findings)
    return sum((each.monthly.estimate * weight for each, weight in weights), ZERO)


def _with_overlaps(findings: Sequence[Finding]) -> list[Finding]:
    masks = [finding.chosen for finding in findings]
    return [
        finding.with_overlaps(
            tuple(
                other
                for other, mask in enumerate(masks)
                if other != number and bool(np.any(mask & finding.chosen))
            )
        )
        for number, finding in enumerate(findings)
    ]
