"""How fast each format is imported, in MB/s and rows/s."""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from ingest import formats
from ingest.core.events import UsageEvent
from ingest.formats import Format, ParseContext
from ingest.importing import import_file, total
from tests.bench import traffic
from tests.bench.report import Figure
from tests.bench.world import ROOT

FORMAT_SIZE = 3_000_000
MOST_FILES = 300
WIRE = ROOT / "tests" / "wire"


def measure() -> list[Figure]:
    """Each format's largest fixture, repeated under other ids, through the whole import."""
    return [figure for log_format in formats.all_formats().values() for figure in _format(log_format)]


def _format(log_format: Format) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as name:
        found = _repeated(log_format, Path(name))
        if found is None:
            return
        size, files = found
        started = time.perf_counter()
        receipt = total(
            import_file(path, log_format.name, f"bench-{log_format.name}", datetime.now(UTC))
            for path in files
        )
        seconds = time.perf_counter() - started
    yield Figure(
        f"import of {log_format.name}",
        size / seconds / 1e6,
        "MB/s",
        detail=f"{receipt.received / seconds:,.0f} rows/s, {size / max(receipt.received, 1):,.0f} bytes a row"
        + (f", in {len(files):,} files" if len(files) > 1 else ""),
    )


def _repeated(log_format: Format, folder: Path) -> tuple[int, list[Path]] | None:
    """The fixture again and again, each time with ids of its own: in one file where the format has lines."""
    cases = [
        path
        for path in WIRE.glob(f"{log_format.name}/*")
        if not path.name.endswith(".expected.json") and path.suffix not in {".gz", ".pb", ".parquet"}
    ]
    best = max(
        ((_events(log_format, path), path) for path in cases), key=lambda each: len(each[0]), default=None
    )
    if best is None or not best[0]:
        return None
    ids, body = best[0], best[1].read_bytes()
    if best[1].suffix in {".json", ".jsonl"}:
        body = b"\n".join(_one_line_each(body)) + b"\n"
    pattern = re.compile(
        b"|".join(re.escape(each) for each in sorted(ids, key=len, reverse=True) if each) or b"(?!)"
    )
    copies = [
        pattern.sub(lambda found, n=number: found.group() + b"-%d" % n, body)  # type: ignore[misc]
        for number in range(max(1, FORMAT_SIZE // len(body)))
    ]
    whole = folder / f"all{best[1].suffix}"
    whole.write_bytes(b"".join(copies))
    if len(_events(log_format, whole)) >= len(ids) * len(copies):
        return whole.stat().st_size, [whole]
    whole.unlink()
    paths = []
    for number, copy in enumerate(copies[:MOST_FILES]):
        paths.append(folder / f"{number}{best[1].suffix}")
        paths[-1].write_bytes(copy)
    return sum(path.stat().st_size for path in paths), paths


def _events(log_format: Format, path: Path) -> list[bytes]:
    """The ids of the events in a file."""
    context = ParseContext(datetime(2026, 3, 2, tzinfo=UTC), path.name)
    try:
        items = list(log_format.parse(BytesIO(path.read_bytes()), context))
    except formats.BadBody:
        return []
    return [item.id.encode() for item in items if isinstance(item, UsageEvent)]


def _one_line_each(body: bytes) -> list[bytes]:
    """One compact line a JSON value, where the bytes are that."""
    try:
        return [traffic.compact(json.loads(body)).encode()]
    except ValueError:
        return [line for line in body.splitlines() if line.strip()]
