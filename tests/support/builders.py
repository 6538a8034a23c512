"""Builders: plain functions with defaults, so that a test says only what it is about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ingest.accept import Receipt, accept
from ingest.core.events import FLAG_FINAL, UsageEvent
from ingest.fill import fill_due

T0 = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


def at(**offset: float) -> datetime:
    """T0 plus an offset: at(minutes=5)."""
    return T0 + timedelta(**offset)


def make_event(event_id: str = "msg_1", **fields: Any) -> UsageEvent:
    """A finished Sonnet 4.6 call at T0 with 100 uncached input and 10 output tokens."""
    defaults: dict[str, Any] = {
        "occurred_at": T0,
        "model": "claude-sonnet-4-6",
        "provider": "anthropic",
        "platform": "anthropic",
        "uncached_input_tokens": 100,
        "output_tokens": 10,
        "inference_geo": "global",
        "flags": FLAG_FINAL,
    }
    return UsageEvent(id=event_id, **{**defaults, **fields})


def send(events: Sequence[UsageEvent], source: str = "test") -> Receipt:
    """Store events through the real write path, without filling."""
    return accept(list(events), source)


def settle(events: Sequence[UsageEvent] = (), source: str = "test") -> Receipt:
    """Store events and fill everything that is due."""
    receipt = send(events, source)
    fill_due()
    return receipt


def wire_event(event_id: str = "msg_1", **fields: Any) -> dict[str, Any]:
    """A canonical event as a client would send it."""
    return {
        "id": event_id,
        "occurred_at": "2026-03-02T10:00:00Z",
        "model": "claude-sonnet-4-6",
        "usage": {"input_tokens": 100, "output_tokens": 10},
        **fields,
    }
