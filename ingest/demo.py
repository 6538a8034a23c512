"""Shaped demo traffic: 90 days of a small company, the same for the same calendar day every time.

What is in it, on purpose: growth, quiet weekends, office hours, nightly batch runs, teams that cache well and one that
should not cache at all, a move to a newer model, the published price changes of the days it covers, and a cache
regression: two weeks before the end, `search-rerank` begins to change its prefix on every other call.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np

from ingest.core.events import FLAG_FINAL, UsageEvent

SEED = 20_260_301
DAYS = 90
REGRESSION_DAYS = 14  # how long before the last day the regression begins
MIGRATION_DAYS = 40  # how long before the last day the coding agents move to the newer model
GROWTH_A_DAY = 1.006


@dataclass(frozen=True, slots=True)
class Workload:
    """One class of calls and how it behaves."""

    workspace: str
    team: str
    model: str
    later_model: str
    sessions: float  # a weekday, at the start
    calls: float  # a session, on average
    prefix: int  # tokens that every call of a session shares at the start
    growth: int  # tokens a call adds to the prefix
    fresh: int  # tokens a call sends that are never cached
    output: int
    gap: float  # median seconds between the calls of a session
    ttl: str  # "5m", "1h" or "" for no caching
    users: int
    tier: str = "standard"
    night: bool = False
    weekend: float = 0.2


WORKLOADS = (
    Workload(
        "coding-agents",
        "platform",
        "claude-opus-4-6",
        "claude-opus-5-5",
        16,
        28,
        24_000,
        1_900,
        60,
        620,
        38,
        "5m",
        14,
    ),
    Workload(
        "support",
        "care",
        "claude-sonnet-5-5",
        "claude-sonnet-5-5",
        60,
        5,
        14_000,
        420,
        180,
        340,
        190,
        "5m",
        9,
        weekend=0.7,
    ),
    Workload(
        "search-rerank",
        "search",
        "claude-haiku-4-5",
        "claude-haiku-4-5",
        26,
        12,
        9_000,
        0,
        640,
        90,
        20,
        "5m",
        3,
        weekend=0.8,
    ),
    Workload(
        "research",
        "platform",
        "claude-sonnet-4-6",
        "claude-sonnet-4-6",
        7,
        14,
        40_000,
        3_000,
        300,
        1_400,
        420,
        "1h",
        6,
    ),
    Workload(
        "eval-runs",
        "platform",
        "claude-sonnet-4-6",
        "claude-sonnet-5-5",
        2,
        90,
        0,
        0,
        5_200,
        700,
        8,
        "",
        1,
        "batch",
        True,
        1.0,
    ),
    Workload(
        "extract", "finance", "claude-haiku-4-5", "claude-haiku-4-5", 70, 1, 6_000, 0, 2_100, 420, 30, "5m", 2
    ),
)
TTL_SECONDS = {"5m": 300.0, "1h": 3600.0}


def events(now: datetime, days: int = DAYS) -> Iterator[UsageEvent]:
    """The demo's events in the order of days, up to `now`; each day depends only on its date and on the last day."""
    last = now.astimezone(UTC).date()
    for back in range(days - 1, -1, -1):
        day = last - timedelta(days=back)
        for event in _day(day, last, days - 1 - back):
            if event.occurred_at <= now:
                yield event


def _day(day: date, last: date, age: int) -> Iterator[UsageEvent]:
    for number, work in enumerate(WORKLOADS):
        rng = np.random.default_rng([SEED, day.toordinal(), number])
        level = GROWTH_A_DAY**age * (work.weekend if day.weekday() >= 5 else 1.0)
        for session in range(rng.poisson(work.sessions * level)):
            yield from _session(work, day, last, session, rng)


def _session(
    work: Workload, day: date, last: date, number: int, rng: np.random.Generator
) -> Iterator[UsageEvent]:
    hour = rng.uniform(1, 4) if work.night else np.clip(rng.normal(14, 3.2), 6, 22)
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=float(hour))
    model = work.later_model if (last - day).days < MIGRATION_DAYS else work.model
    unstable = work.workspace == "search-rerank" and (last - day).days < REGRESSION_DAYS
    session_id = f"demo-{work.workspace}-{day:%Y%m%d}-{number}"
    user = int(rng.integers(work.users))
    prefix = round(work.prefix * rng.uniform(0.8, 1.2))
    cached, warm_until = 0, None
    for call in range(1 + rng.poisson(work.calls - 1)):
        ttl = TTL_SECONDS.get(work.ttl)
        read = cached if ttl and warm_until and moment <= warm_until else 0
        if unstable and rng.random() < 0.5:
            read = 0
        write = prefix - read if ttl else 0
        output = 1 + round(work.output * rng.lognormal(0, 0.6))
        latency = round(400 + output * rng.uniform(9, 16))
        yield UsageEvent(
            id=f"{session_id}-{call}",
            occurred_at=moment.replace(microsecond=0),
            model=model,
            uncached_input_tokens=(0 if ttl else prefix) + 1 + round(work.fresh * rng.lognormal(0, 0.4)),
            cache_read_input_tokens=read,
            cache_write_5m_input_tokens=write if work.ttl == "5m" else 0,
            cache_write_1h_input_tokens=write if work.ttl == "1h" else 0,
            output_tokens=output,
            prompt_step_tokens=prefix + work.fresh,
            provider="anthropic",
            platform="anthropic",
            service_tier=work.tier,
            inference_geo="us" if work.workspace == "support" else "global",
            workspace_id=work.workspace,
            api_key_id=f"key-{work.team}",
            user_id=f"{work.team}-{user + 1}",
            session_id=session_id,
            tags=(("env", "prod"), ("team", work.team)),
            latency_ms=latency,
            ttft_ms=min(latency, round(300 + prefix / 90)),
            stop_reason="end_turn",
            flags=FLAG_FINAL,
        )
        if ttl:
            cached, warm_until = prefix, moment + timedelta(seconds=ttl)
        prefix += round(work.growth * rng.uniform(0.5, 1.5))
        moment += timedelta(seconds=float(work.gap * rng.lognormal(0, 1.0)) + latency / 1000)
