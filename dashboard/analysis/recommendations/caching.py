"""Which cache policy suits a scope: on, off, another TTL, keep-alive pings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dashboard.analysis.recommendations.finding import (
    CACHE_OFF,
    CACHE_ON,
    KEEP_ALIVE,
    TTL_1H,
    TTL_5M,
    Finding,
    by_unit,
    monthly,
)
from dashboard.analysis.recommendations.traffic import ANTHROPIC, Traffic
from ingest.core.cache.bill import EXACT_BASIS, Bill, observed
from ingest.core.cache.compare import evaluate
from ingest.core.cache.estimate import estimate_ends
from ingest.core.cache.log import CacheLog, Mask
from ingest.core.cache.policies import FIVE_MINUTES, NONE, ONE_HOUR, STANDARD, Policy
from ingest.core.pricing import EXACT

PINGS_EARN = 1.1  # a policy with pings has to save this many times what the best one without does
FEWEST = 2  # requests that advice may rest on; how sure it is, sessions say


@dataclass(frozen=True)
class Screen:
    """The bills of the usual policies over a whole log, to choose by; what is chosen is worked out anew alone."""

    traffic: Traffic
    happened: Bill
    bills: tuple[Bill, ...]


def screen(traffic: Traffic) -> Screen:
    return Screen(traffic, observed(traffic.log), tuple(evaluate(traffic.log, STANDARD)))


def policy_advice(screen: Screen, scope: tuple[tuple[str, str], ...], chosen: Mask) -> Iterator[Finding]:
    """The policy that would have cost this scope least, if another than it has. Claude's models apart from others,
    whose caches work by themselves: there it can only be told that nothing is read."""
    for ours in (True, False):
        at = chosen & (screen.traffic.anthropic == ours)
        whole = bool(at.sum() == chosen.sum())
        if at.sum() < FEWEST or not (ours or whole):  # "all but Claude" is no scope; their models are
            continue
        narrowed = scope if whole else (*scope, ("provider", ANTHROPIC))
        current = current_policy(screen.traffic.log, at)
        candidates = [policy for policy in STANDARD if policy != current]
        if not ours:
            candidates = [FIVE_MINUTES] if current == NONE else []
        best = _best(screen, at, candidates)
        if best is not None:
            found = _worked_out(screen.traffic, narrowed, at, current, best)
            if found is not None:
                yield found


def current_policy(log: CacheLog, chosen: Mask) -> Policy | None:
    """The policy that the writes of these requests speak of; None where TTLs mix."""
    five, hour = bool(log.write_5m[chosen].any()), bool(log.write_1h[chosen].any())
    if five and hour:
        return None
    if five or hour:
        return FIVE_MINUTES if five else ONE_HOUR
    return None if log.read[chosen].any() else NONE


def _best(screen: Screen, chosen: Mask, candidates: Sequence[Policy]) -> Policy | None:
    before = screen.happened.costs[chosen].sum()
    savings = {
        policy: before - bill.costs[chosen].sum()
        for policy, bill in zip(STANDARD, screen.bills, strict=True)
        if policy in candidates
    }
    plain = {policy: saving for policy, saving in savings.items() if not policy.pings}
    best = max(plain, key=lambda policy: plain[policy], default=None)
    kept = max(savings, key=lambda policy: savings[policy], default=None)
    if best is None or kept is None or savings[kept] <= 0:
        return None
    return kept if savings[kept] > PINGS_EARN * max(plain[best], 0.0) else best


def _worked_out(
    traffic: Traffic, scope: tuple[tuple[str, str], ...], chosen: Mask, current: Policy | None, best: Policy
) -> Finding | None:
    log = traffic.log.where(chosen)
    policies = [best, *([current] if current is not None else [])]
    after, *same = evaluate(log, policies)
    before = _lower(observed(log), same)
    saving = EXACT.subtract(before.input_list_cost, after.input_list_cost)
    if saving <= 0:
        return None
    below, above = doubt(log, after, best)
    return Finding(
        action=_action(current, best),
        scope=scope,
        policy=best.name,
        chosen=chosen,
        saving=saving,
        monthly=monthly(traffic, saving, by_unit(traffic, chosen, before.costs - after.costs), below, above),
        basis=after.basis,
        facts={
            "current": current.name if current is not None else "mixed",
            "before": before.input_list_cost,
            "after": after.input_list_cost,
            "rate_before": before.token_hit_rate,
            "rate_after": after.token_hit_rate,
            "written": int(log.write_5m.sum() + log.write_1h.sum()),
            "read": int(log.read.sum()),
            **_gaps(log),
        },
    )


def _lower(happened: Bill, same: Sequence[Bill]) -> Bill:
    """The bill a change is held against: what was observed, or what a replay of the same policy gives if that is less.

    A replay knows nothing of early evictions; advice must not claim what only the replay saves."""
    return min((happened, *same), key=lambda bill: bill.input_list_cost)


def doubt(log: CacheLog, after: Bill, policy: Policy) -> tuple[float, float]:
    """USD by which a saving may be less or more, since reuse after a gap is not in the counters."""
    if after.basis == EXACT_BASIS:
        return 0.0, 0.0
    guessed = log.where(~log.has_prefix)
    cost = float(after.costs[~log.has_prefix].sum())
    ends = [float(end.input_list_cost) for end in estimate_ends(guessed, [policy])[0]]
    return max(max(ends) - cost, 0.0), max(cost - min(ends), 0.0)


def _action(current: Policy | None, best: Policy) -> str:
    if best == NONE:
        return CACHE_OFF
    if current == NONE:
        return CACHE_ON
    if best.pings:
        return KEEP_ALIVE
    return TTL_1H if best.tier == ONE_HOUR.tier else TTL_5M


def _gaps(log: CacheLog) -> dict[str, float]:
    gap = log.gap_after
    known = gap[gap >= 0]
    if not len(known):
        return {"followed": 0.0, "within_5m": 0.0, "within_1h": 0.0}
    within = [float((known <= edge * 1_000_000).mean()) for edge in (300, 3600)]
    return {"followed": len(known) / len(log), "within_5m": within[0], "within_1h": within[1]}
