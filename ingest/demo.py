"""Shaped demo traffic: 90 days of a small company, the same for the same calendar day every time.

What is in it, on purpose: growth, quiet weekends, office hours, a move to a newer model, the published price changes of
the days it covers, models of three providers, and a workload for everything that the cache pages can find:

    coding-agents   long sessions that are compacted, with pauses over lunch
    support         customers who answer after 5 to 60 minutes; sends no prefix lists, so it is estimated
    search-rerank   two weeks before the end it begins to change the start of its prompt on every other call
    research        caches for an hour
    site-reports    starts two dozen calls at once on one long prompt
    extract         writes every document to the cache and never reads one
    nightly-digest  runs at night at the standard price; nobody waits for it
    eval-runs       already a batch job, but sends the same rubric uncached every time
    help-widget, translate   models of OpenAI and Google
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import numpy as np

from ingest.core.events import FLAG_FINAL, PrefixBlock, UsageEvent
from ingest.core.timegrain import from_micros, to_micros
from ingest.demo_cache import Cache

SEED = 20_260_301
DAYS = 90
REGRESSION_DAYS = 14  # how long before the last day the regression begins
MIGRATION_DAYS = 40  # how long before the last day the coding agents move to the newer model
GROWTH_A_DAY = 1.006
MOST_TURNS = 6  # blocks of history; a session that has more is compacted
MS_US = 1_000
TTL_US = {"5m": 300_000_000, "1h": 3_600_000_000}


@dataclass(frozen=True, slots=True)
class Workload:
    """One class of calls and how it behaves.

    shared    tokens that every call of a day begins with; 0 = every session begins differently
    own       tokens that every call of a session goes on with
    growth    tokens that a call adds to the prefix of the next one
    pauses    shares of the gaps that are a pause of 5 to 60 minutes, and one of 1 to 2 hours
    together  the calls of a session start at once
    """

    workspace: str
    team: str
    model: str
    sessions: float  # a weekday, at the start
    calls: float  # a session, on average
    shared: int
    own: int
    growth: int
    fresh: int  # tokens a call sends after its prefix
    output: int
    gap: float  # median seconds between the calls of a session
    ttl: str = "5m"  # "" for no caching
    users: int = 1
    pauses: tuple[float, float] = (0.0, 0.0)
    later_model: str = ""
    tier: str = "standard"
    night: bool = False
    together: bool = False
    weekend: float = 0.2
    provider: str = "anthropic"
    platform: str = "anthropic"
    geo: str = "global"
    tells_prefix: bool = True
    in_sessions: bool = True


WORKLOADS = (
    Workload(
        "coding-agents",
        "platform",
        "claude-opus-4-6",
        sessions=24,
        calls=11,
        shared=16_000,
        own=6_000,
        growth=2_600,
        fresh=60,
        output=620,
        gap=38,
        users=14,
        pauses=(0.07, 0.02),
        later_model="claude-opus-5-5",
    ),
    Workload(
        "support",
        "care",
        "claude-sonnet-5-5",
        sessions=30,
        calls=5,
        shared=11_000,
        own=3_000,
        growth=420,
        fresh=180,
        output=340,
        gap=170,
        users=9,
        pauses=(0.15, 0.02),
        weekend=0.7,
        geo="us",
        tells_prefix=False,
    ),
    Workload(
        "search-rerank",
        "search",
        "claude-haiku-4-5",
        sessions=15,
        calls=11,
        shared=8_000,
        own=1_200,
        growth=0,
        fresh=640,
        output=90,
        gap=20,
        users=3,
        weekend=0.8,
    ),
    Workload(
        "research",
        "platform",
        "claude-sonnet-4-6",
        sessions=6,
        calls=9,
        shared=9_000,
        own=31_000,
        growth=3_000,
        fresh=300,
        output=1_400,
        gap=420,
        ttl="1h",
        users=6,
        pauses=(0.1, 0.05),
    ),
    Workload(
        "site-reports",
        "growth",
        "claude-sonnet-4-6",
        sessions=2.5,
        calls=24,
        shared=0,
        own=21_000,
        growth=0,
        fresh=400,
        output=480,
        gap=0,
        together=True,
        weekend=0.1,
    ),
    Workload(
        "extract",
        "finance",
        "claude-haiku-4-5",
        sessions=55,
        calls=1,
        shared=0,
        own=18_000,
        growth=0,
        fresh=2_100,
        output=420,
        gap=30,
        users=2,
    ),
    Workload(
        "nightly-digest",
        "insights",
        "claude-sonnet-5-5",
        sessions=90,
        calls=1,
        shared=900,
        own=5_400,
        growth=0,
        fresh=300,
        output=900,
        gap=30,
        ttl="",
        night=True,
        weekend=1.0,
        in_sessions=False,
    ),
    Workload(
        "eval-runs",
        "platform",
        "claude-sonnet-4-6",
        sessions=2,
        calls=40,
        shared=3_400,
        own=0,
        growth=0,
        fresh=1_900,
        output=700,
        gap=8,
        ttl="",
        later_model="claude-sonnet-5-5",
        tier="batch",
        night=True,
        weekend=1.0,
    ),
    Workload(
        "help-widget",
        "care",
        "gpt-5.4-mini",
        sessions=26,
        calls=4,
        shared=3_000,
        own=300,
        growth=380,
        fresh=90,
        output=260,
        gap=60,
        users=9,
        weekend=0.7,
        provider="openai",
        platform="openai",
        geo="",
        tells_prefix=False,
    ),
    Workload(
        "translate",
        "growth",
        "gemini-2.5-flash",
        sessions=60,
        calls=1,
        shared=1_200,
        own=0,
        growth=0,
        fresh=900,
        output=950,
        gap=30,
        provider="google",
        platform="gemini",
        geo="",
        tells_prefix=False,
        in_sessions=False,
    ),
)


class Call(NamedTuple):
    """One call before the cache has seen it; calls sort by time. `ms_a_token` is how fast it answers."""

    start: int  # microseconds
    session: int
    number: int
    user: int
    path: tuple[PrefixBlock, ...]
    fresh: int
    output: int
    ms_a_token: float


def events(now: datetime, days: int = DAYS) -> Iterator[UsageEvent]:
    """The demo's events in the order of days, up to `now`; each day depends only on its date and on the last day."""
    last = now.astimezone(UTC).date()
    for back in range(days - 1, -1, -1):
        day = last - timedelta(days=back)
        for event in _day(day, last, days - 1 - back):
            if event.occurred_at <= now:
                yield event


def _day(day: date, last: date, age: int) -> Iterator[UsageEvent]:
    """Prompts hold the date, so that nothing of one day's cache is of use on another."""
    before_end = (last - day).days
    for number, work in enumerate(WORKLOADS):
        rng = np.random.default_rng([SEED, day.toordinal(), number])
        level = GROWTH_A_DAY**age * (work.weekend if day.weekday() >= 5 else 1.0)
        unstable = work.workspace == "search-rerank" and before_end < REGRESSION_DAYS
        calls = [
            call
            for session in range(rng.poisson(work.sessions * level))
            for call in _session(work, day, session, unstable, rng)
        ]
        model = work.later_model if work.later_model and before_end < MIGRATION_DAYS else work.model
        yield from _answered(work, f"demo-{work.workspace}-{day:%Y%m%d}", model, sorted(calls))


def _session(
    work: Workload, day: date, session: int, unstable: bool, rng: np.random.Generator
) -> Iterator[Call]:
    hour = rng.uniform(1, 3) if work.night else min(max(rng.normal(14, 3.2), 6), 22)
    start = to_micros(datetime(day.year, day.month, day.day, tzinfo=UTC)) + round(hour * 3_600_000) * MS_US
    count = 1 + int(rng.poisson(work.calls - 1))
    user = int(rng.integers(work.users))
    size = float(rng.uniform(0.85, 1.15))
    outputs = (1 + work.output * rng.lognormal(0, 0.6, count)).astype(int).tolist()
    fresh = (1 + work.fresh * rng.lognormal(0, 0.4, count)).astype(int).tolist()
    grown = (work.growth * rng.uniform(0.5, 1.5, count)).astype(int).tolist()
    gaps = (work.gap * rng.lognormal(0, 0.8, count)).tolist()
    kinds, lengths = rng.random(count).tolist(), rng.random(count).tolist()
    speeds = rng.uniform(9, 16, count).tolist()
    changes = (rng.random(count) < 0.5).tolist() if unstable else [False] * count
    name = f"{work.workspace}/{day:%y%m%d}"
    head = _head(work, name, session, size)
    path = head
    for number in range(count):
        sent = _head(work, f"{name}/{session}.{number}", session, size) if changes[number] else path
        yield Call(start, session, number, user, sent, fresh[number], outputs[number], speeds[number])
        if len(path) - len(head) >= MOST_TURNS:  # the history is summed up in fewer words
            summary = (path[-1].tokens - head[-1].tokens) // 4
            path = (*head, PrefixBlock(f"{name}/{session}/{number}s", head[-1].tokens + summary))
        elif work.growth:
            path = (*path, PrefixBlock(f"{name}/{session}/{number}", path[-1].tokens + max(grown[number], 1)))
        if work.together:
            start += round(lengths[number] * 60) * MS_US
            continue
        pause = _pause(work, kinds[number], lengths[number])
        start += (
            round(1000 * (gaps[number] + pause)) * MS_US + _longest_ms(sent, fresh, outputs, number) * MS_US
        )


def _head(work: Workload, name: str, session: int, size: float) -> tuple[PrefixBlock, ...]:
    """What every call of a session begins with: instructions, tools, then what the session is about."""
    blocks = []
    if work.shared:
        blocks.append(PrefixBlock(f"{name}/instructions", work.shared * 3 // 4))
        blocks.append(PrefixBlock(f"{name}/tools", work.shared))
    if work.own:
        blocks.append(PrefixBlock(f"{name}/{session}/about", work.shared + round(work.own * size)))
    return tuple(blocks)


def _pause(work: Workload, kind: float, length: float) -> float:
    """Seconds that somebody was away."""
    short, long = work.pauses
    if kind < long:
        return 3_700 + length * 3_500
    return 320 + length * 3_100 if kind < long + short else 0.0


def _longest_ms(path: tuple[PrefixBlock, ...], fresh: list[int], outputs: list[int], number: int) -> int:
    """The next call of a session waits for the answer to this one, however much of it was cached."""
    return _wait_ms(path[-1].tokens + fresh[number], 0) + outputs[number] * 16


def _wait_ms(processed: int, read: int) -> int:
    """Time to first token: what is read from the cache need not be worked out again."""
    return 320 + processed // 22 + read // 260


def _answered(work: Workload, name: str, model: str, calls: list[Call]) -> Iterator[UsageEvent]:
    """The calls of one workload and day, in order of time, as the provider's cache would have billed them."""
    by_itself = work.provider != "anthropic"  # caches without being asked, and writes cost nothing
    cache = Cache(TTL_US["5m" if by_itself else work.ttl]) if by_itself or work.ttl else None
    tags = (("env", "prod"), ("team", work.team))
    for call in calls:
        prefix = call.path[-1].tokens
        read = cache.readable(call.path, call.start) if cache else 0
        if by_itself:
            read -= read % 128
        write = prefix - read if cache and not by_itself else 0
        wait = _wait_ms(prefix - read + call.fresh, read)
        if cache:
            cache.use(call.path, call.start, call.start + wait * MS_US)
        session_id = f"{name}-{call.session}"
        yield UsageEvent(
            id=f"{session_id}-{call.number}",
            occurred_at=from_micros(call.start),
            model=model,
            uncached_input_tokens=prefix - read - write + call.fresh,
            cache_read_input_tokens=read,
            cache_write_5m_input_tokens=write if work.ttl == "5m" else 0,
            cache_write_1h_input_tokens=write if work.ttl == "1h" else 0,
            output_tokens=call.output,
            prompt_step_tokens=prefix + call.fresh,
            provider=work.provider,
            platform=work.platform,
            service_tier=work.tier,
            inference_geo=work.geo,
            workspace_id=work.workspace,
            api_key_id=f"key-{work.team}",
            user_id=f"{work.team}-{call.user + 1}",
            session_id=session_id if work.in_sessions else "",
            tags=tags,
            latency_ms=wait + round(call.output * call.ms_a_token),
            ttft_ms=wait,
            stop_reason="end_turn",
            flags=FLAG_FINAL,
            prefix=call.path if work.tells_prefix else (),
        )
