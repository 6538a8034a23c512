"""Moving a slider over a year, beside the bare product of quantities and prices."""

from __future__ import annotations

import statistics
import time
from datetime import date, timedelta
from decimal import localcontext

import numpy as np
from django.db import connection

from dashboard import pricebook
from dashboard.analysis import what_if
from dashboard.analysis.scenario_json import from_json
from dashboard.filters import Filters
from dashboard.queries import lanes
from ingest.core.pricing import EXACT
from tests.bench import reading, traffic
from tests.bench.report import Figure
from tests.bench.world import World

MOVES = 60
EVENTS = 1_000_000  # when the store is empty; else it is measured as it is
KNOBS = {
    "a share": "batch_share={0}",
    "several knobs": "batch_share={0}&read_multiplier={0}&growth=1.2&geo=us",
    "a model swap": "batch_share={0}&swap1_from=claude-opus-4-6&swap1_to=claude-opus-5-5",
    "classes": "batch_share={0}&batch_by=workspace_id&can_wait=~&can_wait=workspace-3",
}


def measure(world: World) -> list[Figure]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(sum(requests), 0) FROM rollup_lane_day")
        stored = int(cursor.fetchone()[0])
    if not stored:
        reading.grow(0, EVENTS)
        stored = EVENTS
    figures = [
        Figure(
            f"slider, {name}",
            _moves(world, address) * 1000,
            "ms p95",
            least=100,
            better="low",
            detail=f"as the server sees it, a year of {stored:,} events",
        )
        for name, address in KNOBS.items()
    ]
    floor, whole, rows = _product()
    figures.append(
        Figure(
            "scenario / bare matrix product",
            whole / floor,
            "ratio",
            better="low",
            detail=f"{whole * 1000:.2f} ms over {floor * 1000:.2f} ms, {rows:,} rows, four groups of knobs turned",
        )
    )
    return figures


def _moves(world: World, address: str) -> float:
    """95th percentile of the panel's time while a slider moves; the first move, which reads the quantities, counts."""
    end = traffic.YEAR_START.date() + timedelta(days=365)
    samples = []
    for move in range(MOVES):
        knobs = address.format(f"{0.01 * (move + 1):.2f}")
        path = f"/panels/what-if/?page=what_if&start={traffic.YEAR_START.date()}&end={end}&{knobs}"
        started = time.perf_counter()
        world.get(path)
        samples.append(time.perf_counter() - started)
    return statistics.quantiles(samples, n=20)[-1]


def _product() -> tuple[float, float, int]:
    """Seconds of one exact product of quantities and prices, of a whole scenario, and the rows of both."""
    start: date = traffic.YEAR_START.date()
    log = lanes.log(Filters(start=start, end=start + timedelta(days=365)))
    book = pricebook.current()
    table = log.table(what_if.Scenario())
    priced = [at for at, key in enumerate(table.keys) if book.vector(*key) is not None]
    rows = table.where(priced)
    prices = np.array([list(book.vector(*key) or ()) for key in rows.keys], dtype=object)
    scenario = from_json(
        {
            "batch": {"share": {"*": "0.4"}, "discount": "0.5"},
            "cache": {"read_multiplier": "0.05"},
            "swap": [{"from": "claude-opus-4-6", "to": "claude-opus-5-5"}],
        },
        book,
    )

    def product() -> None:
        with localcontext(EXACT):
            (rows.quantities * prices).sum()

    return _best(product), _best(lambda: what_if.apply(log, book, scenario)), len(rows.keys)


def _best(work: object, rounds: int = 20) -> float:
    assert callable(work)
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)
