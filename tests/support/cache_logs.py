"""Cache logs for tests: by hand, and random trees of prefixes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np

from ingest.core.cache.bill import Bill
from ingest.core.cache.log import CacheLog, InputPrices, Ints, Prefixes, make_log

# Costs come out in multiples of the uncached price, as in formulas.
UNIT = InputPrices(Decimal(1), Decimal("0.1"), Decimal("1.25"), Decimal(2))
CHEAP_READS = InputPrices(Decimal(3), Decimal("0.075"), Decimal("3.75"), Decimal(6))
Path = Sequence[tuple[int, int]]  # (block id, tokens of the block alone), root first


def log_of_paths(
    requests: Sequence[tuple[float, Path]],
    *,
    tail: int = 0,
    prices: tuple[InputPrices, ...] = (UNIT,),
    **columns: Any,
) -> CacheLog:
    """Requests given as (second, path), uncached as billed, with `tail` tokens after the prefix.

    One domain and session, and answers that begin at once, unless `columns` say otherwise.
    """
    sizes = [sum(tokens for _, tokens in path) for _, path in requests]
    given: dict[str, Any] = {"domain": 0, "session": 0, "ttft_ms": 0, **columns}
    given.setdefault("uncached", [size + tail for size in sizes])
    return make_log(
        start=[round(second * 1e6) for second, _ in requests],
        prices=prices,
        prefixes=prefixes_of([path for _, path in requests]),
        **given,
    )


def prefixes_of(paths: Sequence[Path]) -> Prefixes:
    """Paths as one list, tokens made cumulative."""
    ids = [block for path in paths for block, _ in path]
    tokens = [int(each) for path in paths for each in np.cumsum([size for _, size in path])]
    ptr = np.concatenate(([0], np.cumsum([len(path) for path in paths])))
    return Prefixes(ptr.astype(np.int64), np.array(ids, dtype=np.int64), np.array(tokens, dtype=np.int64))


def random_log(
    seed: int, *, most: int = 40, wait: bool = True, minimum: bool = True, chained: bool = True
) -> CacheLog:
    """Some requests of two workspaces or models: shared and diverging paths, gaps on and around the TTLs, equal times,
    answers that begin at once, late or absurdly late, and requests without a prefix, in no order.

    `chained=False` takes ids at random, as no correct client would send them.
    """
    rng = np.random.default_rng(seed)
    count = int(rng.integers(0, most))
    gaps = np.array([0, 0, 0.5, 1, 30, 299.999999, 300, 300.000001, 700, 3599, 3600, 3601, 9000, 80_000])
    seconds = rng.permutation(np.cumsum(rng.choice(gaps, count)))
    domain = rng.integers(0, 2, count)
    known: list[list[list[tuple[int, int]]]] = [[[]], [[]]]
    paths: list[list[tuple[int, int]]] = []
    fresh = 0
    for here in domain:
        if not chained:
            paths.append([(int(block), 10) for block in rng.integers(0, 4, rng.integers(0, 5))])
            continue
        trunk = known[here][rng.integers(0, len(known[here]))]
        path = trunk[: int(rng.integers(0, len(trunk) + 1))] if rng.random() < 0.4 else list(trunk)
        for _ in range(int(rng.integers(0, 4))):
            fresh += 1
            path.append((fresh, int(rng.integers(1, 200))))
        known[here].append(path)
        paths.append(path)
    return log_of_paths(
        list(zip(seconds.tolist(), paths, strict=True)),
        tail=int(rng.integers(0, 30)),
        prices=(UNIT, CHEAP_READS),
        domain=domain,
        session=rng.integers(0, 4, count),
        price=domain,
        call_class=rng.integers(0, 3, count),
        class_names=("main", "helper", "batch"),
        ttft_ms=rng.choice([0, 400, 2000, 700_000, -1], count) if wait else 0,
        latency_ms=rng.choice([-5, 0, 1500, 90_000], count),
        min_tokens=rng.choice([0, 0, 60, 250], count) if minimum else 0,
    )


def billed_under(log: CacheLog, bill: Bill) -> CacheLog:
    """The same requests with the counters that a policy would have given them."""
    return with_meters(log, bill.uncached, bill.read, bill.write_5m, bill.write_1h)


def with_meters(log: CacheLog, uncached: Ints, read: Ints, write_5m: Ints, write_1h: Ints) -> CacheLog:
    """The same requests with other counters."""
    return replace(log, uncached=uncached, read=read, write_5m=write_5m, write_1h=write_1h, _memo={})


def without_prefixes(log: CacheLog) -> CacheLog:
    """What most logs have: counters alone."""
    return replace(log, prefixes=None, _memo={})
