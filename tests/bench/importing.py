"""How fast Claude Code transcripts are imported."""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from ingest.importing import find_files, import_file, total
from tests.bench import traffic
from tests.bench.report import Figure

SIZE = 60_000_000


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = traffic.transcripts(folder, SIZE)
        files = find_files([folder])
        scan = _scan(files)
        started = time.perf_counter()
        reports = [import_file(path, "auto", "bench", datetime.now(UTC), lambda n: None) for path in files]
        seconds = time.perf_counter() - started
    receipt = total(reports)
    return [
        Figure(
            "import of Claude Code transcripts",
            size / seconds / 1e6,
            "MB/s",
            detail=f"{receipt.received:,} lines with usage, {receipt.stored:,} calls;"
            f" reading the bytes alone {size / scan / 1e6:,.0f} MB/s",
        )
    ]


def _scan(files: list[Path]) -> float:
    started = time.perf_counter()
    for path in files:
        path.read_bytes().count(b"\n")
    return time.perf_counter() - started
