"""`make bench`: every figure beside its floor, measured in the same run on the same rows."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from tests.bench.report import Figure
from tests.bench.world import world

# In this order: the last ones share the large store that `pages` makes.
PARTS = ("ingest", "fill", "memory", "import", "formats", "stream", "replay", "pages", "what-if")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=PARTS, help="measure only this part (repeatable)")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[1_000_000, 10_000_000], help="store sizes for the pages"
    )
    options = parser.parse_args()
    with world() as installation:
        from tests.bench import caching, every_format, filling, importing, reading, what_if, writing

        parts: dict[str, Callable[[], list[Figure]]] = {
            "ingest": lambda: writing.measure(installation),
            "fill": filling.measure,
            "memory": filling.measure_memory,
            "import": lambda: importing.measure(installation),
            "formats": every_format.measure,
            "stream": importing.measure_stream,
            "replay": caching.measure,
            "pages": lambda: reading.measure(installation, options.sizes),
            "what-if": lambda: what_if.measure(installation),
        }
        for name in PARTS:
            if options.only and name not in options.only:
                continue
            if name == "pages":
                _empty()
            for figure in parts[name]():
                print(figure.line(), flush=True)


def _empty() -> None:
    """The page figures are about a store of a known size."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE event, event_prefix, event_identity, dirty_bucket, fill_state, rollup_hour, rollup_day,"
            " rollup_lane_day, rollup_short_prefix_hour, rollup_short_prefix, rollup_lane_short_prefix,"
            " rollup_gap, rollup_lane_gap, gap_state, reported_usage, reported_cost, ledger_entry"
        )


if __name__ == "__main__":
    main()
