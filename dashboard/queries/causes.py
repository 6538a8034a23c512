"""Why the tokens of a question were written to the cache: by cause and time, by request, by session and by prefix."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import numpy as np

from dashboard.filters import FilterError, Filters
from dashboard.queries import database, dividing, replayed
from dashboard.queries.dividing import divided
from dashboard.queries.remembering import Memory
from dashboard.queries.request_log import RequestLog
from ingest.core.cache.bill import ESTIMATED_BASIS, EXACT_BASIS, cost_of, observed, sum_by
from ingest.core.cache.causes import CAUSES, COLD_START, GROWTH, MODEL_CHANGED, NUMBER, Attribution, attribute
from ingest.core.cache.log import CacheLog, InputPrices, Ints
from ingest.core.pricing import EXACT, total
from ingest.core.timegrain import day_bucket_micros, day_of, from_micros, local_day_start
from ingest.models import Session

GRAINS = ("total", "day", "month")
DEAREST = 20
MOST_DAYS = 100  # a longer log is told by months where nobody said a grain
# New tokens: written for the first time, so no policy could have read them.
NEW = (COLD_START, MODEL_CHANGED, GROWTH)
AGAIN = tuple(cause for cause in CAUSES if cause not in NEW)
_AGAIN_NUMBERS = np.array([NUMBER[cause] for cause in AGAIN], dtype=np.int64)


@dataclass(frozen=True)
class Cost:
    """Written tokens; USD that writing them cost, and USD of that above reading the same tokens."""

    cause: str
    tokens: int
    write_cost: Decimal
    extra_cost: Decimal
    bucket_start: datetime | None = None


@dataclass(frozen=True)
class InputBill:
    """The input side as billed; the three costs add up to `input_list_cost`, `write_cost` is that of all causes."""

    uncached_input_tokens: int
    cache_read_input_tokens: int
    written_tokens: int
    uncached_cost: Decimal
    read_cost: Decimal
    write_cost: Decimal
    input_list_cost: Decimal


@dataclass(frozen=True)
class Chain:
    """Requests that belong together and what writing again in them cost.

    name    the id of the session; the number of the block that all these prefixes begin with, as hexadecimal text
    cause   the dearest one
    prefix_tokens  of that first block; 0 for sessions
    """

    name: str
    model: str
    workspace_id: str
    sessions: int
    requests: int
    prefix_tokens: int
    cause: str
    tokens: int
    extra_cost: Decimal
    start: datetime
    end: datetime


@dataclass(frozen=True)
class CostlyRequest:
    """One request that wrote again what had been in the cache."""

    occurred_at: datetime
    model: str
    workspace_id: str
    session_id: str
    cause: str
    tokens: int
    extra_cost: Decimal


@dataclass(frozen=True)
class Caused:
    """causes: all of them, dearest first; rows: by bucket of `grain`, only causes that occurred. The rest as in
    RequestLog."""

    basis: str
    grain: str
    requests: int
    sampled: Decimal
    bill: InputBill
    causes: tuple[Cost, ...]
    rows: tuple[Cost, ...]
    requests_dearest: tuple[CostlyRequest, ...]
    sessions_dearest: tuple[Chain, ...]
    prefixes_dearest: tuple[Chain, ...]
    unpriced: list[dict[str, Any]]


_told: Memory[Caused] = Memory(replayed.KEPT)


def causes(
    filters: Filters, most: int = dividing.MOST, between: Callable[[], object] = lambda: None
) -> Caused:
    """Every written token with its cause, at the prices that were billed. Grain: total, day, month, or unsaid, which
    means days, of a long log months. FilterError for what cannot be asked.

    With more than `most` requests from some sessions; `between` is called after each part."""
    replayed.refuse_meters(filters)
    if filters.grain and filters.grain not in GRAINS:
        raise FilterError("grain", f"grain must be one of {', '.join(GRAINS)} here: causes are told by day")

    def work() -> Caused:
        zone = database.reporting_zone()
        # A session may go from model to model, which is a cause: its requests stay together.
        parts = divided(filters, most, ("workspace_id",))
        found = []
        for part in parts:
            requests = replayed.load(part, None if len(parts) > 1 else dividing.PART, prompt_steps=True)
            found.append(told(requests, filters.grain or ("day" if len(parts) > 1 else ""), zone))
            between()
        return found[0] if len(found) == 1 else _merged(found, filters.grain, zone)

    return _told.answer(filters, (most, filters.grain), work)


def _merged(parts: Sequence[Caused], grain: str, zone: ZoneInfo) -> Caused:
    """One account of several, of requests that share no cache."""
    rows = [row for part in parts for row in part.rows]
    if not grain:
        days = [row.bucket_start for row in rows if row.bucket_start is not None]
        grain = "month" if days and (max(days) - min(days)).days >= MOST_DAYS else "day"
        if grain == "month":
            rows = [
                replace(row, bucket_start=_bucket(row.bucket_start, grain, zone))
                for row in rows
                if row.bucket_start is not None
            ]
    return Caused(
        basis=EXACT_BASIS if all(part.basis == EXACT_BASIS for part in parts) else ESTIMATED_BASIS,
        grain=grain,
        requests=sum(part.requests for part in parts),
        sampled=Decimal(1),
        bill=InputBill(
            *(sum(getattr(part.bill, name) for part in parts) for name in _TOKENS),
            *(total(getattr(part.bill, name) for part in parts) for name in _COSTS),
        ),
        causes=tuple(_dearest_first(_added(row for part in parts for row in part.causes))),
        rows=tuple(_added(rows)),
        requests_dearest=_top(part.requests_dearest for part in parts),
        sessions_dearest=_top(part.sessions_dearest for part in parts),
        prefixes_dearest=_top(part.prefixes_dearest for part in parts),
        unpriced=replayed.added_up(row for part in parts for row in part.unpriced),
    )


_TOKENS = ("uncached_input_tokens", "cache_read_input_tokens", "written_tokens")
_COSTS = ("uncached_cost", "read_cost", "write_cost", "input_list_cost")


def _added(costs: Iterable[Cost]) -> list[Cost]:
    """Those of the same cause and bucket as one, by bucket and in the order of causes."""
    groups: dict[tuple[datetime | None, str], list[Cost]] = {}
    for cost in costs:
        groups.setdefault((cost.bucket_start, cost.cause), []).append(cost)
    first = datetime.min.replace(tzinfo=UTC)
    return [
        Cost(
            cause,
            sum(each.tokens for each in members),
            total(each.write_cost for each in members),
            total(each.extra_cost for each in members),
            start,
        )
        for (start, cause), members in sorted(
            groups.items(), key=lambda item: (item[0][0] or first, CAUSES.index(item[0][1]))
        )
    ]


def _dearest_first(costs: Iterable[Cost]) -> list[Cost]:
    return sorted(costs, key=lambda cost: (-cost.write_cost, CAUSES.index(cost.cause)))


Dear = TypeVar("Dear", Chain, CostlyRequest)


def _top(lists: Iterable[Sequence[Dear]]) -> tuple[Dear, ...]:
    return tuple(
        sorted((each for some in lists for each in some), key=lambda each: -each.extra_cost)[:DEAREST]
    )


def told(requests: RequestLog, grain: str, zone: ZoneInfo) -> Caused:
    """The attribution of a log in the words of a report."""
    found = attribute(requests.log)
    totals = [
        Cost(cause, found.tokens[cause], found.write_cost[cause], found.extra_cost[cause]) for cause in CAUSES
    ]
    grain = grain or grain_of(requests.log, zone)
    return Caused(
        basis=found.basis,
        grain=grain,
        requests=len(requests.log),
        sampled=requests.sampled,
        bill=_bill(requests.log),
        causes=tuple(_dearest_first(totals)),
        rows=tuple(_by_time(requests.log, found, grain, zone)) if grain != "total" else (),
        requests_dearest=tuple(_costly(requests, found)),
        sessions_dearest=tuple(_sessions(requests, found)),
        prefixes_dearest=tuple(_prefixes(requests, found)),
        unpriced=replayed.unpriced([requests]),
    )


def grain_of(log: CacheLog, zone: ZoneInfo) -> str:
    """Days where there are not too many of them."""
    if not len(log):
        return "day"
    first, last = (day_of(from_micros(int(at)), zone) for at in (log.start.min(), log.start.max()))
    return "day" if (last - first).days < MOST_DAYS else "month"


def _bill(log: CacheLog) -> InputBill:
    bill = observed(log)
    uncached, read, *written = (int(count) for count in bill.sums[:, :4].sum(axis=0))

    def cost(*meters: int) -> Decimal:
        kept = np.zeros_like(bill.sums)
        kept[:, meters] = bill.sums[:, meters]
        return cost_of(kept, log.prices)

    return InputBill(uncached, read, sum(written), cost(0), cost(1), cost(2, 3), bill.input_list_cost)


def _by_time(log: CacheLog, found: Attribution, grain: str, zone: ZoneInfo) -> Iterator[Cost]:
    if not len(log):
        return
    starts, at = np.unique(day_bucket_micros(log.start, zone), return_inverse=True)
    moments = [_bucket(from_micros(int(start)), grain, zone) for start in starts]
    buckets = sorted(set(moments))
    number = np.array([buckets.index(moment) for moment in moments], dtype=np.int64)[at.reshape(-1)]
    cells = number * len(log.prices) + found.price
    shape = (len(buckets), len(log.prices))
    for place, cause in enumerate(CAUSES):
        hour = sum_by(cells, found.in_1h[:, place], len(buckets) * len(log.prices)).reshape(shape)
        both = sum_by(cells, found.by_request[:, place], len(buckets) * len(log.prices)).reshape(shape)
        for bucket in np.flatnonzero(both.sum(axis=1)).tolist():
            costs = _costs(both[bucket], hour[bucket], log.prices)
            yield Cost(cause, int(both[bucket].sum()), *costs, buckets[bucket])


def _bucket(moment: datetime, grain: str, zone: ZoneInfo) -> datetime:
    day: date = day_of(moment, zone)
    return local_day_start(day.replace(day=1) if grain == "month" else day, zone).astimezone(zone)


def _costs(tokens: Ints, in_1h: Ints, prices: Sequence[InputPrices]) -> tuple[Decimal, Decimal]:
    """USD of writing these tokens [price class], and above reading them."""
    none = np.zeros_like(tokens)
    writing = cost_of(np.stack([none, none, tokens - in_1h, in_1h], axis=1), prices)
    reading = cost_of(np.stack([none, tokens, none, none], axis=1), prices)
    return writing, EXACT.subtract(writing, reading)


def _costly(requests: RequestLog, found: Attribution) -> Iterator[CostlyRequest]:
    costliest = list(found.costliest(DEAREST))
    names = _session_names([int(requests.session_key[each.position]) for each in costliest])
    for each in costliest:
        at = each.position
        yield CostlyRequest(
            occurred_at=from_micros(int(requests.log.start[at])),
            model=requests.lanes[int(requests.lane_id[at])].model,
            workspace_id=str(requests.label_sets[int(requests.label_set_id[at])]["workspace_id"]),
            session_id=names.get(int(requests.session_key[at]), ""),
            cause=each.cause,
            tokens=each.tokens,
            extra_cost=each.extra_cost,
        )


def _sessions(requests: RequestLog, found: Attribution) -> Iterator[Chain]:
    """Sessions in which writing again cost most; calls without a session belong to none."""
    numbers = np.where(requests.session_key > 0, requests.log.session, -1)
    chains = list(_dearest(requests, found, numbers))
    names = _session_names([int(requests.session_key[first]) for first, _ in chains])
    for first, chain in chains:
        yield Chain(name=names.get(int(requests.session_key[first]), ""), prefix_tokens=0, **chain)


def _prefixes(requests: RequestLog, found: Attribution) -> Iterator[Chain]:
    """Prefixes, told apart by the block they begin with, in which writing again cost most."""
    log = requests.log
    prefixes = log.prefixes
    if prefixes is None:
        return
    heads = np.full(len(log), 0, dtype=np.int64)
    some = log.has_prefix
    heads[some] = prefixes.ids[prefixes.ptr[:-1][some]]
    # The same id in two caches is two prefixes.
    _, number = np.unique(np.stack([log.domain, heads]), axis=1, return_inverse=True)
    for first, chain in _dearest(requests, found, np.where(some, number.reshape(-1), -1)):
        yield Chain(
            name=block_name(int(heads[first])),
            prefix_tokens=int(prefixes.tokens[prefixes.ptr[first]]),
            **chain,
        )


def block_name(block: int) -> str:
    """The number of a block as 16 hexadecimal digits."""
    return f"{block % 2**64:016x}"


def block_of(name: str) -> int:
    """The number of a block from its name. ValueError for what is none."""
    if len(name) != 16 or not set(name) <= set("0123456789abcdef"):
        raise ValueError(f"a prefix has 16 hexadecimal digits, not {name[:40]!r}")
    number = int(name, 16)
    return number - 2**64 if number >= 2**63 else number


def _dearest(requests: RequestLog, found: Attribution, numbers: Ints) -> Iterator[tuple[int, dict[str, Any]]]:
    """Position of the first request of each of the dearest groups, and what is known of it; -1 = in no group."""
    log = requests.log
    inside = numbers >= 0
    if not inside.any():
        return
    ids, dense = np.unique(numbers[inside], return_inverse=True)
    group = np.full(len(log), len(ids), dtype=np.int64)
    group[inside] = dense.reshape(-1)
    extra = found.extra_costs_by(group, len(ids) + 1)[:-1, _AGAIN_NUMBERS]
    worth = extra.sum(axis=1)
    for place in np.argsort(-worth, kind="stable")[:DEAREST].tolist():
        if worth[place] <= 0:
            return
        members = np.flatnonzero(group == place)
        again = found.by_request[np.ix_(members, _AGAIN_NUMBERS)].sum(axis=1)
        hour = found.in_1h[np.ix_(members, _AGAIN_NUMBERS)].sum(axis=1)
        classes = len(log.prices)
        price = found.price[members]
        _, above = _costs(sum_by(price, again, classes), sum_by(price, hour, classes), log.prices)
        first = int(members[np.argmin(log.start[members])])
        models = {requests.lanes[number].model for number in set(requests.lane_id[members].tolist())}
        spaces = {
            str(requests.label_sets[number]["workspace_id"])
            for number in set(requests.label_set_id[members].tolist())
        }
        yield (
            first,
            {
                "model": next(iter(models)) if len(models) == 1 else "",
                "workspace_id": next(iter(spaces)) if len(spaces) == 1 else "",
                "sessions": len(np.unique(log.session[members])),
                "requests": len(members),
                "cause": AGAIN[int(extra[place].argmax())],
                "tokens": int(again.sum()),
                "extra_cost": above,
                "start": from_micros(int(log.start[members].min())),
                "end": from_micros(int(log.start[members].max())),
            },
        )


def _session_names(keys: Sequence[int]) -> dict[int, str]:
    return dict(Session.objects.filter(pk__in=set(keys)).values_list("pk", "session_id"))
