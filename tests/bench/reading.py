"""Page times at two sizes of the store, as the server sees them."""

from __future__ import annotations

import re
import statistics
import time
from itertools import islice

from django.db import connection

from dashboard.reports import kinds  # noqa: F401  (registers what can be wanted)
from dashboard.reports.stored import make_due
from ingest.accept import accept
from ingest.fill import fill_due
from ingest.gaps import fill_gaps_due
from tests.bench import traffic
from tests.bench.report import Figure
from tests.bench.world import World

ROUNDS = 30
MARKS_AN_HOUR = 25
# Both lie within the traffic: a range up to today would hold ever less of it.
RANGES = {"30 days": "start=2026-10-01&end=2026-10-31", "a year": "start=2025-11-01&end=2026-11-01"}
PAGES = ("/", "/spend/?group_by=model", "/cache/", "/recommendations/", "/what-if/")


def measure(world: World, sizes: list[int]) -> list[Figure]:
    figures: list[Figure] = []
    times: dict[int, dict[str, float]] = {}
    stored = 0
    for size in sizes:
        grow(stored, size)
        stored = size
        times[size] = _page_times(world)
        for page, seconds in times[size].items():
            figures.append(
                Figure(
                    f"{page} at {size:,}",
                    seconds * 1000,
                    "ms p95",
                    detail="page and all its panels, one after another",
                )
            )
    if len(sizes) > 1:
        small, large = times[sizes[0]], times[sizes[-1]]
        ratios = {page: large[page] / small[page] for page in small}
        worst = max(ratios, key=lambda page: ratios[page])
        total = sum(large.values()) / sum(small.values())
        figures.append(
            Figure(
                "page time, largest / smallest store",
                total,
                "ratio",
                least=1.5,
                better="low",
                detail=f"worst page {worst}: {ratios[worst]:.2f}",
            )
        )
    last = times[sizes[-1]]
    for span in RANGES:
        figures.append(
            Figure(
                f"cache page / overview, {span}",
                last[f"/cache/ {span}"] / last[f"/ {span}"],
                "ratio",
                aim=1,
                better="low",
                detail=f"p95 at {sizes[-1]:,} events",
            )
        )
    figures.append(_backlog(world))
    memory = world.web_worker_memory()
    figures.append(
        Figure(
            "web worker's resident memory",
            (memory[0] if memory else 0) / 1e6,
            "MB",
            aim=200,
            better="low",
            detail=f"{len(memory)} processes",
        )
    )
    return figures


def grow(stored: int, size: int) -> None:
    """Add events spread over the same year until there are `size`; then fill."""
    stream = traffic.events(size - stored, first=stored)
    while batch := list(islice(stream, 20_000)):
        accept(batch, "bench")
    fill_due()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    fill_gaps_due()


def _page_times(world: World) -> dict[str, float]:
    """95th percentile over rounds of the time a page and its panels take, by page and range. Pages take turns, so that
    a machine that is slower for a while is so for all of them."""
    samples: dict[str, list[float]] = {}
    for span, query in RANGES.items():
        parts = {page: _parts(world, page, query) for page in PAGES}
        make_due(most_seconds=600)
        for _ in range(ROUNDS):
            for page, paths in parts.items():
                samples.setdefault(f"{page.split('?')[0]} {span}", []).append(_seconds(world, paths))
    return {name: statistics.quantiles(taken, n=20)[-1] for name, taken in samples.items()}


def _backlog(world: World) -> Figure:
    """What pages take while a year's hours wait to be filled, each marked by many batches."""
    paths = [path for page in PAGES for path in _parts(world, page, RANGES["30 days"])]

    def median() -> float:
        return statistics.median(_seconds(world, paths) for _ in range(ROUNDS // 3))

    usual = median()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO dirty_bucket (bucket_start, marked_at) SELECT bucket_start, clock_timestamp()"
            " FROM (SELECT DISTINCT bucket_start FROM rollup_hour) AS hours, generate_series(1, %s)",
            [MARKS_AN_HOUR],
        )
        marks = cursor.rowcount
        cursor.execute("ANALYZE dirty_bucket")
        waiting = median()
        cursor.execute("TRUNCATE dirty_bucket")
    detail = f"{waiting * 1000:.0f} ms over {usual * 1000:.0f} ms; {marks:,} marks"
    return Figure(
        "pages while a year waits / filled", waiting / usual, "ratio", aim=2, better="low", detail=detail
    )


def _seconds(world: World, paths: list[str]) -> float:
    """What these take one after another, for the first to look since new data came in."""
    _new_data()
    started = time.perf_counter()
    for path in paths:
        world.get(path)
    return time.perf_counter() - started


def _parts(world: World, page: str, query: str) -> list[str]:
    """The addresses of a page and its panels. All are asked once: that is what makes reports wanted; the worker makes
    them, not the page."""
    address = f"{page}{'&' if '?' in page else '?'}{query}"
    html = world.get(address).decode()
    panels = [path.replace("&amp;", "&") for path in re.findall(r'hx-get="(/panels/[^"]+)"', html)]
    for path in panels:
        world.get(path)
    return [address, *panels]


def _new_data() -> None:
    """As after every fill: what web workers remember is out of date, so a round is that of the first to look."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE fill_state SET filled_at = clock_timestamp()"
            " WHERE utc_day = (SELECT max(utc_day) FROM fill_state)"
        )
