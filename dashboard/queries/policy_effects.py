"""What the cache engine says about one policy, model by model: where the input tokens of a question would have gone."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np

from dashboard.analysis.replayed import INPUTS, Replayed
from dashboard.filters import Filters
from dashboard.queries import replayed
from dashboard.queries.remembering import Memory
from ingest.core.cache.bill import EXACT_BASIS, Bill, observed
from ingest.core.cache.compare import evaluate
from ingest.core.cache.estimate import estimate, estimate_ends
from ingest.core.cache.log import CacheLog
from ingest.core.cache.policies import Policy, parse_policy
from ingest.core.cache.reuse import ReuseTable
from ingest.core.pricing import EXACT, total

# What the page offers beside "observed" and "off"; the API takes any policy that the engine knows.
OFFERED = ("5m", "1h", "5m+3pings", "1h+1ping")
MOST_REQUESTS = 100_000  # more are answered from some of their sessions: a slider's first move waits for this
_PLACES = 18


_effects: Memory[Replayed | None] = Memory(replayed.KEPT)


def of(filters: Filters, policy: str, steady_s: float = 0.0) -> Replayed | None:
    """The policy replayed on the question's requests, remembered (see `Memory`); None without any request.

    `policy` is a name that the engine knows. Reads single events, so a month whose events are gone is not in it."""
    return _effects.answer(filters, policy, lambda: _replayed(filters, policy), steady_s)


def is_known(policy: str) -> bool:
    """Whether the engine can replay a policy of this name."""
    try:
        parse_policy(policy)
    except ValueError:
        return False
    return True


def _replayed(filters: Filters, policy: str) -> Replayed | None:
    requests = replayed.load(filters, MOST_REQUESTS, prompt_steps=False)
    if not len(requests.log):
        return None
    asked, table = parse_policy(policy), replayed.reuse_table(requests.log)
    bill, before = evaluate(requests.log, [asked], table)[0], observed(requests.log)
    models = requests.labels("model")
    shares: dict[str, tuple[Decimal, Decimal, Decimal, Decimal]] = {}
    extra: dict[str, Decimal] = {}
    for model in np.unique(models.astype(str)):
        at = models == model
        tokens = _sums(bill, at)
        whole = sum(tokens)
        if not whole or (tokens == _sums(before, at) and not bill.pings[at].any()):
            continue  # nothing would change: it stays as it was, to the last digit
        parts = [_share(each, whole) for each in tokens[1:]]
        # What rounding leaves over is uncached: the shares of a model are exactly all of its tokens.
        shares[str(model)] = (EXACT.subtract(Decimal(1), total(parts)), parts[0], parts[1], parts[2])
        extra[str(model)] = _share(int(bill.pings[at].sum()), whole)
    return Replayed(
        policy,
        shares,
        extra,
        _error(requests.log, asked, bill, table),
        _basis(requests.log, requests.sampled),
    )


def _sums(bill: Bill, at: Any) -> list[int]:
    sums = [int(meter[at].sum()) for meter in (bill.uncached, bill.read, bill.write_5m, bill.write_1h)]
    assert len(sums) == INPUTS
    return sums


def _share(part: int, whole: int) -> Decimal:
    return EXACT.scaleb(Decimal(part * 10**_PLACES // whole), -_PLACES)


def _error(log: CacheLog, policy: Policy, bill: Bill, table: ReuseTable) -> Decimal | None:
    """Half width of the estimated part's range, as a share of the whole input bill; None on the exact basis."""
    guessed = log.where(~log.has_prefix)
    if bill.basis == EXACT_BASIS or not len(guessed) or not bill.input_list_cost:
        return None
    middle = estimate(guessed, [policy], table)[0].input_list_cost
    ends = [end.input_list_cost for end in estimate_ends(guessed, [policy], table)[0]]
    width = max(abs(end - middle) for end in ends)
    return (width / bill.input_list_cost).quantize(Decimal("0.001"))


def _basis(log: CacheLog, sampled: Decimal) -> str:
    exact = int(log.has_prefix.sum())
    parts = [
        f"Replayed on the prefix lists of {exact:,} of {len(log):,} requests"
        if exact
        else f"Estimated from the counters of {len(log):,} requests, which carry no prefix lists"
    ]
    if sampled < 1:
        parts.append(f"a sample of {sampled:.1%} of the sessions")
    return "; ".join(parts) + "."
