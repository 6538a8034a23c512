"""The traffic that is measured: a company of 300 users in 12 workspaces, spread evenly over a year, seeded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from ingest.core.events import FLAG_FINAL, UsageEvent

YEAR_START = datetime(2025, 11, 1, tzinfo=UTC)
YEAR = timedelta(days=365)
MODELS = (
    "claude-opus-4-6",
    "claude-sonnet-4-6",
    "claude-haiku-4-5",
    "claude-sonnet-5-5",
    "claude-opus-5-5",
    "gpt-5.4",
)
USERS = 300


def events(
    count: int, first: int = 0, start: datetime = YEAR_START, span: timedelta = YEAR
) -> Iterator[UsageEvent]:
    """So many events in the order of time; `first` numbers the first one, so that later calls add other events."""
    rng = np.random.default_rng(first + 1)
    size = 50_000
    for base in range(0, count, size):
        n = min(size, count - base)
        users = np.minimum(rng.zipf(1.3, n), USERS) - 1
        models = (users + (rng.random(n) < 0.3)) % len(MODELS)
        reads = rng.integers(0, 120_000, n) * (rng.random(n) < 0.8)
        writes = rng.integers(0, 9_000, n)
        hour_writes = rng.random(n) < 0.2
        fresh, output = rng.integers(1, 4_000, n), rng.integers(1, 2_000, n)
        for i in range(n):
            number, user, write = first + base + i, int(users[i]), int(writes[i])
            read, uncached = int(reads[i]), int(fresh[i])
            team = f"team-{user % 7}"
            yield UsageEvent(
                id=f"msg_01{number:022d}",
                occurred_at=start + span * ((base + i) / count),
                model=MODELS[models[i]],
                uncached_input_tokens=uncached,
                cache_read_input_tokens=read,
                cache_write_5m_input_tokens=0 if hour_writes[i] else write,
                cache_write_1h_input_tokens=write if hour_writes[i] else 0,
                output_tokens=int(output[i]),
                prompt_step_tokens=uncached + read + write,
                provider="anthropic",
                platform="anthropic",
                inference_geo="global",
                workspace_id=f"workspace-{user % 12}",
                api_key_id=f"key-{user % 40}",
                user_id=f"user-{user}",
                session_id=f"session-{number // 25}",
                tags=(("team", team),),
                latency_ms=2_100,
                ttft_ms=700,
                stop_reason="end_turn",
                flags=FLAG_FINAL,
            )


def wire(event: UsageEvent) -> bytes:
    """The event as a client sends it."""
    return json.dumps(
        {
            "id": event.id,
            "occurred_at": event.occurred_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "model": event.model,
            "usage": {
                "input_tokens": event.uncached_input_tokens,
                "output_tokens": event.output_tokens,
                "cache_read_input_tokens": event.cache_read_input_tokens,
                "cache_creation_input_tokens": event.cache_write_5m_input_tokens
                + event.cache_write_1h_input_tokens,
                "cache_creation": {
                    "ephemeral_5m_input_tokens": event.cache_write_5m_input_tokens,
                    "ephemeral_1h_input_tokens": event.cache_write_1h_input_tokens,
                },
                "server_tool_use": {"web_search_requests": 0},
                "service_tier": "standard",
                "inference_geo": "global",
                "speed": "standard",
            },
            "provider": "anthropic",
            "platform": "anthropic",
            "workspace_id": event.workspace_id,
            "api_key_id": event.api_key_id,
            "user_id": event.user_id,
            "session_id": event.session_id,
            "tags": dict(event.tags),
            "latency_ms": event.latency_ms,
            "ttft_ms": event.ttft_ms,
            "stop_reason": "end_turn",
        }
    ).encode()


def batches(count: int, size: int, first: int) -> list[bytes]:
    """NDJSON bodies of `size` events each."""
    lines = [wire(event) for event in events(count, first)]
    return [b"\n".join(lines[i : i + size]) for i in range(0, count, size)]


def compact(value: object) -> str:
    """JSON as programs write it."""
    return json.dumps(value, separators=(",", ":"))


def transcripts(folder: Path, size: int) -> int:
    """Claude Code transcripts of about so many bytes, with text as long as real lines; returns the bytes written."""
    rng = np.random.default_rng(7)
    written = number = 0
    while written < size:
        session = f"session-{number:05d}"
        lines = []
        moment = YEAR_START + timedelta(hours=number)
        for turn in range(120):
            moment += timedelta(seconds=int(rng.integers(5, 90)))
            stamp = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            text = "x" * int(rng.integers(200, 6_000))
            common = {
                "sessionId": session,
                "timestamp": stamp,
                "cwd": "/home/someone/project",
                "version": "2.1.233",
            }
            lines.append(compact({"type": "user", **common, "message": {"role": "user", "content": text}}))
            usage = {
                "input_tokens": int(rng.integers(1, 900)),
                "cache_creation_input_tokens": 2_000,
                "cache_read_input_tokens": 20_000 + turn * 2_000,
                "cache_creation": {"ephemeral_5m_input_tokens": 2_000, "ephemeral_1h_input_tokens": 0},
                "output_tokens": int(rng.integers(1, 900)),
                "service_tier": "standard",
            }
            for part in range(2):  # a response is written as one line a content block
                message = {
                    "id": f"msg_{number}_{turn}",
                    "type": "message",
                    "role": "assistant",
                    "model": "claude-opus-4-6",
                    "content": [{"type": "text", "text": text[: 900 * part + 90]}],
                    "stop_reason": "end_turn" if part else None,
                    "usage": usage,
                }
                lines.append(
                    compact(
                        {
                            "type": "assistant",
                            **common,
                            "uuid": f"{number}-{turn}-{part}",
                            "requestId": f"req_{number}_{turn}",
                            "message": message,
                        }
                    )
                )
        body = ("\n".join(lines) + "\n").encode()
        (folder / f"{session}.jsonl").write_bytes(body)
        written += len(body)
        number += 1
    return written
