"""`make bench`: every figure beside its floor, measured in the same run on the same rows."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from tests.bench.report import Figure
from tests.bench.world import world

PARTS = ("ingest", "fill", "memory", "import", "pages")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=PARTS, help="measure only this part (repeatable)")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[1_000_000, 10_000_000], help="store sizes for the pages"
    )
    options = parser.parse_args()
    with world() as installation:
        from tests.bench import filling, importing, reading, writing

        parts: dict[str, Callable[[], list[Figure]]] = {
            "ingest": lambda: writing.measure(installation),
            "fill": filling.measure,
            "memory": filling.measure_memory,
            "import": importing.measure,
            "pages": lambda: reading.measure(installation, options.sizes),
        }
        for name in options.only or PARTS:
            if name == "pages":
                _empty()
            for figure in parts[name]():
                print(figure.line(), flush=True)


def _empty() -> None:
    """The page figures are about a store of a known size."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE event, event_identity, dirty_bucket, fill_state, rollup_hour, rollup_day, rollup_lane_day,"
            " ledger_entry"
        )


if __name__ == "__main__":
    main()
