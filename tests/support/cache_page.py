"""A small log whose cache bill is known by hand, and the panels about it."""

from __future__ import annotations

import re
from typing import Any

from django.test import Client

from dashboard.reports import kinds, stored  # noqa: F401  (importing kinds registers them)
from ingest.core.events import PrefixBlock, UsageEvent
from tests.support.builders import at, make_event, settle
from tests.support.pages import RANGE, body_of

MILLION = 1_000_000
HAIKU = "claude-haiku-4-5-20251001"  # 1 USD a million uncached, 0.10 read, 1.25 and 2 written
STORED = (
    "cache-policies",
    "cache-causes",
    "cache-dearest",
)


def call(number: int, seconds: float, *, write: int = MILLION, read: int = 0, **fields: Any) -> UsageEvent:
    defaults: dict[str, Any] = {
        "occurred_at": at(seconds=seconds),
        "model": HAIKU,
        "uncached_input_tokens": 0,
        "cache_write_5m_input_tokens": write,
        "cache_read_input_tokens": read,
        "session_id": "s",
        "workspace_id": "w",
        "ttft_ms": 0,
        "prefix": (PrefixBlock("a", MILLION),),
    }
    return make_event(f"c{number}", **{**defaults, **fields})


def by_hand() -> None:
    """Written at 0 s, read at 120, written again at 1000 and at 9000: gaps of 120, 880 and 8000 s."""
    settle([call(1, 0), call(2, 120, write=0, read=MILLION), call(3, 1000), call(4, 9000)])


def panel(client: Client, slug: str, query: str = RANGE, page: str = "cache") -> Any:
    return client.get(f"/panels/{slug}/?{query}&page={page}")


def made(client: Client, slug: str, query: str = RANGE) -> Any:
    """The panel once its report is there: it is asked for, made by the worker, and asked for again."""
    panel(client, slug, query)
    stored.make_due(60)
    return panel(client, slug, query)


def links_to_timelines(response: Any) -> list[str]:
    found = re.findall(r'data-href="(/cache/chain/[^"]+)"', body_of(response))
    return [link.replace("&amp;", "&") for link in found]
