"""How fast transcripts are read and stored, beside ccusage on the same folder; memory while a long file streams in."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ingest import formats
from ingest.finding import find_files
from ingest.formats import ParseContext
from ingest.importing import import_file, total
from tests.bench import traffic
from tests.bench.report import Figure
from tests.bench.world import ROOT, World

TRANSCRIPTS = 200_000_000
STREAM_SIZE = 2_000_000_000
CCUSAGE = "ccusage@20.0.24"


def measure(world: World) -> list[Figure]:
    """Transcripts: what reading them costs, what importing them costs, and a report afterwards."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "projects" / "bench"
        folder.mkdir(parents=True)
        size = traffic.transcripts(folder, TRANSCRIPTS)
        files = find_files([folder])
        read = min(_seconds(lambda: _parse(files)) for _ in range(3))
        ccusage = _Ccusage.install(Path(name))
        scan = min(ccusage.seconds() for _ in range(3)) if ccusage else None
        started = time.perf_counter()
        reports = [import_file(path, "auto", "transcripts", datetime.now(UTC)) for path in files]
        seconds = time.perf_counter() - started
        again = ccusage.seconds() if ccusage else None
        tokens = ccusage.tokens() if ccusage else None
    receipt = total(reports)
    figures = [
        Figure(
            "import of Claude Code transcripts",
            size / seconds / 1e6,
            "MB/s",
            detail=f"{receipt.received:,} calls; reading and parsing alone {size / read / 1e6:,.0f} MB/s",
        )
    ]
    if scan is None or again is None:
        return [
            *figures,
            Figure("beside ccusage", 0, "", detail="not measured: npm or its registry is not there"),
        ]
    _fill()
    answer, ours = _report(world)
    if tokens != ours:
        raise SystemExit(f"ccusage counts {tokens} tokens in the same transcripts, we count {ours}")
    return [
        *figures,
        Figure(
            "reading transcripts / ccusage's scan",
            scan / read,
            "ratio",
            least=0.5,
            detail=f"{size / read / 1e6:,.0f} MB/s over {size / scan / 1e6:,.0f} MB/s; {ours:,} tokens both",
        ),
        Figure(
            "ccusage's next scan / a report after the import",
            again / answer,
            "times",
            least=20,
            detail=f"{again * 1000:,.0f} ms over {answer * 1000:,.1f} ms",
        ),
    ]


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _parse(files: list[Path]) -> int:
    read = 0
    for path in files:
        with path.open("rb", buffering=1 << 18) as stream:
            context = ParseContext(datetime.now(UTC), path.name)
            read += sum(1 for _ in formats.get("claude_code").parse(stream, context))
    return read


def _fill() -> None:
    from ingest.fill import fill_due

    fill_due()


def _report(world: World) -> tuple[float, int]:
    """The quickest of ten answers, and the tokens it counts of the transcripts."""
    query = "/api/v1/costs?group_by=model&source=transcripts"
    times = []
    for _ in range(10):
        started = time.perf_counter()
        body = json.loads(world.call(query))
        times.append(time.perf_counter() - started)
    meters = [name for name in body["totals"] if name.endswith("input_tokens") or name == "output_tokens"]
    return min(times), sum(int(body["totals"][name]) for name in meters)


class _Ccusage:
    """The tool that people scan their transcripts with, on the same folder."""

    def __init__(self, program: Path, home: Path) -> None:
        self._command = [str(program), "claude", "daily", "--json", "--offline", "-z", "UTC"]
        self._environment = {**os.environ, "CLAUDE_CONFIG_DIR": str(home), "HOME": str(home)}
        self._answer: dict[str, Any] = {}

    @classmethod
    def install(cls, home: Path) -> _Ccusage | None:
        if shutil.which("npm") is None:
            return None
        command = [
            "npm",
            "install",
            "--silent",
            "--no-audit",
            "--no-fund",
            "--prefix",
            str(home / "npm"),
            CCUSAGE,
        ]
        if subprocess.run(command, capture_output=True, timeout=300).returncode:
            return None
        return cls(home / "npm" / "node_modules" / ".bin" / "ccusage", home)

    def seconds(self) -> float:
        started = time.perf_counter()
        done = subprocess.run(
            self._command, env=self._environment, capture_output=True, check=True, timeout=300
        )
        seconds = time.perf_counter() - started
        self._answer = json.loads(done.stdout)
        return seconds

    def tokens(self) -> int:
        return int(self._answer["totals"]["totalTokens"])


# A long stream -------------------------------------------------------------------------------------------------------


def measure_stream() -> list[Figure]:
    """Memory of `import_logs -` while so many bytes stream in, against its memory after a tenth of them."""
    with tempfile.TemporaryDirectory() as name:
        traffic.transcripts(Path(name), 40_000_000)
        chunk = b"".join(path.read_bytes() for path in sorted(Path(name).iterdir()))
    command = [
        sys.executable,
        "manage.py",
        "import_logs",
        "-",
        "--format",
        "claude_code",
        "--source",
        "stream",
    ]
    program = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    assert program.stdin is not None
    early = peak = sent = number = 0
    started = time.perf_counter()
    while sent < STREAM_SIZE:
        number += 1
        piece = chunk.replace(b'"id":"msg_', b'"id":"msg_%d_' % number).replace(
            b'Id":"req_', b'Id":"req_%d_' % number
        )
        for at in range(0, len(piece), 1 << 20):
            program.stdin.write(piece[at : at + (1 << 20)])
        sent += len(piece)
        resident = _resident(program.pid)
        if sent <= STREAM_SIZE / 10:
            early = max(early, resident)
        peak = max(peak, resident)
    program.stdin.close()
    if program.wait(600):
        raise SystemExit("import_logs failed on the stream")
    seconds = time.perf_counter() - started
    return [
        Figure(
            "memory while 2 GB stream in / after a tenth",
            peak / early,
            "ratio",
            aim=1.25,
            better="low",
            detail=f"peak {peak / 1e6:,.0f} MB; {sent / seconds / 1e6:,.0f} MB/s",
        )
    ]


def _resident(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text).group(1)) * 1024  # type: ignore[union-attr]
