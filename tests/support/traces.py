"""Request traces without text, as they lie beside a checkout: read as cache logs and as canonical events."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ingest.core.cache.log import CacheLog, InputPrices, Prefixes, make_log

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "traces"
CODING = FOLDER / "coding_agent_sessions.jsonl"
CHAT = FOLDER / "chat_conversation.jsonl"
T0 = datetime(2026, 3, 20, tzinfo=UTC)
CHAT_MODEL = "claude-sonnet-4-6"  # the chat trace names none
CHAT_BLOCK = 512

# USD per million input tokens of the models in the traces; writes 1.25 and 2 times that, reads a tenth.
INPUT_PRICE = {"opus-4-1": Decimal(15), "opus": Decimal(5), "sonnet": Decimal(3), "haiku": Decimal(1)}


class Call(NamedTuple):
    """One request of a trace. Times are seconds; `blocks` are (id, cumulative tokens), root first."""

    workspace: str
    session: str
    model: str
    start: float
    latency: float
    ttft: float
    input_tokens: int
    output_tokens: int
    stop: str
    blocks: tuple[tuple[int, int], ...]


def coding_calls(every: int = 1, path: Path = CODING) -> Iterator[Call]:
    """The coding-agent sessions, one workspace each; every n-th of them."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            if number % every == 0:
                yield from _session(json.loads(line))


def chat_calls(path: Path = CHAT) -> Iterator[Call]:
    """The chat requests: one workspace, each request a session of its own."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            row = json.loads(line)
            size = row["input_length"]
            blocks = tuple(
                (block, min((n + 1) * CHAT_BLOCK, size)) for n, block in enumerate(row["hash_ids"])
            )
            start = row["timestamp"] / 1000
            yield Call(
                "chat", str(number), CHAT_MODEL, start, 2.0, 2.0, size, row["output_length"], "", blocks
            )


def log_of(calls: list[Call]) -> CacheLog:
    """The calls as a log; its counters are what 5-minute caching everywhere would have been billed: see `billed_5m`."""
    workspaces: dict[tuple[str, str], int] = {}
    sessions: dict[str, int] = {}
    families = list(INPUT_PRICE)
    lengths = [len(call.blocks) for call in calls]
    written = billed_5m(calls)
    sizes = [call.blocks[-1][1] if call.blocks else 0 for call in calls]
    return make_log(
        start=[round(call.start * 1e6) for call in calls],
        domain=[workspaces.setdefault((call.workspace, call.model), len(workspaces)) for call in calls],
        session=[sessions.setdefault(call.session, len(sessions)) for call in calls],
        price=[families.index(family(call.model)) for call in calls],
        prices=tuple(prices(INPUT_PRICE[name]) for name in families),
        uncached=[max(0, call.input_tokens - size) for call, size in zip(calls, sizes, strict=True)],
        read=[size - write for size, write in zip(sizes, written, strict=True)],
        write_5m=written,
        output=[call.output_tokens for call in calls],
        latency_ms=[int(call.latency * 1000) for call in calls],
        ttft_ms=[int(call.ttft * 1000) for call in calls],
        prefixes=Prefixes(
            np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
            np.array([block for call in calls for block, _ in call.blocks], dtype=np.int64),
            np.array([tokens for call in calls for _, tokens in call.blocks], dtype=np.int64),
        ),
    )


def billed_5m(calls: list[Call]) -> list[int]:
    """Tokens each call would have written, had every prefix been cached for 5 minutes: a plain replay."""
    trees: dict[tuple[str, str], dict[int, tuple[float, float]]] = defaultdict(dict)
    written = [0] * len(calls)
    for position in sorted(range(len(calls)), key=lambda n: calls[n].start):
        call = calls[position]
        tree = trees[call.workspace, call.model]
        read, reading = 0, True
        for block, tokens in call.blocks:
            expiry, ready = tree.get(block, (-1.0, 0.0))
            alive = expiry >= call.start
            reading = reading and alive and ready <= call.start
            if reading:
                read = tokens
            else:
                begins = call.start + call.ttft
                ready = min(ready, begins) if alive else begins
            tree[block] = (call.start + 300, ready)
        written[position] = (call.blocks[-1][1] if call.blocks else 0) - read
    return written


def canonical_event(call: Call, event_id: str, written: int) -> dict[str, Any]:
    """The call as a client sends it, billed for writing so much at 5 minutes and reading the rest of its prefix."""
    size = call.blocks[-1][1] if call.blocks else 0
    return {
        "id": event_id,
        "occurred_at": (T0 + timedelta(seconds=call.start)).isoformat(),
        "model": call.model,
        "workspace_id": call.workspace,
        "session_id": call.session,
        "latency_ms": int(call.latency * 1000),
        "ttft_ms": int(call.ttft * 1000),
        "stop_reason": call.stop or None,
        "prefix": [{"id": f"{call.workspace}:{block}", "tokens": tokens} for block, tokens in call.blocks],
        "usage": {
            "input_tokens": max(0, call.input_tokens - size),
            "output_tokens": call.output_tokens,
            "cache_read_input_tokens": size - written,
            "cache_creation_input_tokens": written,
            "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
        },
    }


def family(model: str) -> str:
    return next(name for name in INPUT_PRICE if name in model)


def prices(per_million: Decimal) -> InputPrices:
    """USD per token at the usual multiples."""
    base = per_million / 1_000_000
    return InputPrices(base, base * Decimal("0.1"), base * Decimal("1.25"), base * 2)


def _session(session: dict[str, Any]) -> Iterator[Call]:
    """Requests and those of sub-agents; block ids cut at every run boundary that the session has for a model."""
    by_model: dict[str, list[tuple[str, float, dict[str, Any]]]] = defaultdict(list)
    for chain, start, row in _flat(session["requests"], "main", 0.0):
        by_model[row["model"]].append((chain, start, row))
    for model, rows in by_model.items():
        runs = [_runs(row) for _, _, row in rows]
        edges = np.array(
            sorted({edge for run in runs for begin, count in run for edge in (begin, begin + count)})
        )
        for (chain, start, row), run in zip(rows, runs, strict=True):
            ttft = row.get("ttft") or min(row.get("api_time") or 2.0, 2.0)
            yield Call(
                session["id"],
                f"{session['id']}/{chain}",
                model,
                start,
                row.get("api_time") or 2.0,
                ttft,
                row["in"],
                row["out"],
                row.get("stop") or "",
                tuple(_pieces(run, edges, session["block_size"])),
            )


def _pieces(run: list[tuple[int, int]], edges: Any, block_size: int) -> Iterator[tuple[int, int]]:
    tokens = 0
    for begin, count in run:
        low, high = np.searchsorted(edges, [begin, begin + count])
        for left, right in zip(edges[low:high].tolist(), edges[low + 1 : high + 1].tolist(), strict=True):
            tokens += (right - left) * block_size
            yield right, tokens


def _runs(row: dict[str, Any]) -> list[tuple[int, int]]:
    numbers = row["hash_rle"]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _flat(
    rows: list[dict[str, Any]], chain: str, since: float
) -> Iterator[tuple[str, float, dict[str, Any]]]:
    for number, row in enumerate(rows):
        if "requests" in row:
            start = since + row.get("t", 0.0) - (row.get("duration_ms") or 0) / 1000.0
            yield from _flat(row["requests"], f"{chain}.{number}", start)
        elif "hash_rle" in row:
            yield chain, since + row["t"], row
