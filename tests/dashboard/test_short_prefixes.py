"""A model swap does not cache what is too short for the other model: from the rollups, by hand arithmetic."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dashboard.analysis import headroom
from dashboard.analysis.assumptions import assumptions
from dashboard.analysis.scenario_json import from_json
from dashboard.analysis.what_if import Comparison, apply
from dashboard.filters import Filters
from dashboard.pricebook import current
from dashboard.queries import fits, lanes, peaks, remembering
from ingest import interning, ledger, partitions
from ingest.core.events import UsageEvent
from tests.support.builders import at, make_event, settle

pytestmark = pytest.mark.django_db

D = Decimal
OPUS, SONNET, HAIKU = "claude-opus-4-6", "claude-sonnet-4-6", "claude-haiku-4-5-20251001"
NEWER = "claude-opus-4-7"  # other tokens, minimum 2,048 as of the price list
EVERYTHING = Filters()
MILLION = 10**6


def swapped(
    source: str = SONNET, target: str = HAIKU, filters: Filters = EVERYTHING, **more: Any
) -> Comparison:
    swap = {"from": source, "to": target, "token_growth": "1", **more.pop("swap", {})}
    scenario = from_json({"swap": [swap], **more}, current())
    log = lanes.log(filters, scenario.dimensions)
    result = apply(log, current(), scenario)
    assert sum(step.delta for step in result.steps) == result.scenario - result.observed
    return result


def sentences(**more: Any) -> str:
    scenario = from_json({"swap": [{"from": SONNET, "to": HAIKU, "token_growth": "1", **more}]}, current())
    result = apply(lanes.log(EVERYTHING, scenario.dimensions), current(), scenario)
    return " ".join(assumptions(scenario, result, current()))


def cached(name: str, read: int = 0, write_5m: int = 0, write_1h: int = 0, **fields: Any) -> UsageEvent:
    given = {
        "cache_read_input_tokens": read,
        "cache_write_5m_input_tokens": write_5m,
        "cache_write_1h_input_tokens": write_1h,
    }
    return make_event(name, uncached_input_tokens=0, output_tokens=0, **{**given, **fields})


def test_a_prefix_under_the_minimum_is_sent_uncached_and_one_at_it_stays_cached() -> None:
    settle([cached("short", read=4000, write_5m=95), cached("long", read=4000, write_5m=96)])
    result = swapped()
    # Haiku 4.5 caches from 4,096 tokens: 4,095 at $1; 4,000 at $0.10 and 96 at $1.25.
    assert result.scenario == (4095 + 4000 * D("0.1") + 96 * D("1.25")) / MILLION
    (short,) = result.too_short
    assert (short.minimum, short.requests, short.tokens) == (4096, 1, 4095)
    by_meter = dict(zip(result.meters["meter"], result.meters["scenario_quantity"], strict=True))
    assert by_meter["uncached_input_tokens"] == 4095


def test_every_kind_of_cached_token_goes_uncached() -> None:
    settle([cached("a", 100, 200, 300)])
    assert swapped().scenario == D(600) / MILLION


def test_a_model_that_caches_shorter_prefixes_keeps_what_was_cached_and_adds_nothing() -> None:
    settle([cached("a", read=1500), make_event("plain", uncached_input_tokens=3000, output_tokens=0)])
    result = swapped(HAIKU, SONNET)
    assert result.scenario == result.observed
    settle([cached("b", read=1500, model=HAIKU)])
    result = swapped(HAIKU, "claude-opus-5-5")
    assert [each.tokens for each in result.too_short] == [0]


def test_token_growth_lengthens_prefixes() -> None:
    settle([cached("a", read=1575, model=OPUS), cached("b", read=1576, model=OPUS)])
    minimum = current().model(NEWER).min_cacheable_tokens(date(2026, 3, 2))  # type: ignore[union-attr]
    assert minimum == 2048
    result = swapped(OPUS, NEWER, swap={"token_growth": "1.3"})
    # 1,575 × 1.3 = 2,047.5 is short of 2,048, 1,576 × 1.3 = 2,048.8 is not. Opus 4.7: $5, reads $0.50.
    assert result.scenario == (D("2047.5") * 5 + D("2048.8") * D("0.5")) / MILLION


def test_a_step_that_holds_both_stays_cached_and_says_so() -> None:
    settle([cached("a", read=3500), cached("b", read=3000)])
    # At 1.1 the edge is 3,724: the step from 3,151 to 4,095 holds both kinds, the one below only short ones.
    result = swapped(swap={"token_growth": "1.1"})
    assert result.scenario == (D("3850") * D("0.1") + D(3300)) / MILLION
    assert "Prefixes of 3,151 to 3,723 tokens stay cached" in sentences(token_growth="1.1")
    assert "stay cached, as" not in sentences()


def test_a_share_moves_that_share_of_short_prefixes_and_growth_multiplies_them() -> None:
    settle([cached("a", read=1000)])
    old = 1000 * D("0.3") / MILLION
    moved = D(1000) / MILLION
    assert swapped(swap={"share": "0.25"}).scenario == old * D("0.75") + moved / 4
    assert swapped(growth={SONNET: "3"}).scenario == moved * 3


def test_a_class_moves_only_its_own_short_prefixes() -> None:
    settle([cached("a", read=1000, workspace_id="w"), cached("b", read=3000, workspace_id="v")])
    result = swapped(swap={"class": "workspace_id=w"})
    assert result.scenario == (D(1000) + 3000 * D("0.3")) / MILLION
    assert [each.requests for each in result.too_short] == [1]


def test_filters_on_labels_hold_for_short_prefixes() -> None:
    settle([cached("a", read=1000, workspace_id="w"), cached("b", read=3000, workspace_id="v")])
    assert swapped(filters=EVERYTHING.with_value("workspace_id", "v")).scenario == D(3000) / MILLION


def test_the_minimum_is_that_of_the_day() -> None:
    before, since = datetime(2026, 5, 14, 12, tzinfo=UTC), datetime(2026, 5, 15, 12, tzinfo=UTC)
    settle([cached(f"{day}", read=1500, model=OPUS, occurred_at=day) for day in (before, since)])
    # Sonnet 4.6 cached from 2,048 tokens, since 15 May from 1,024.
    result = swapped(OPUS, SONNET)
    assert result.scenario == (1500 * D(3) + 1500 * D("0.3")) / MILLION
    assert [(each.minimum, each.requests) for each in result.too_short] == [(1024, 0), (2048, 1)]
    judged = fits.fit(EVERYTHING, OPUS, SONNET, D(1))
    assert (judged.too_short, judged.too_short_tokens, judged.minimum) == (1, 1500, 1024)


def test_the_assumption_and_the_list_of_misfits_say_what_is_applied() -> None:
    settle([cached("a", read=1000), cached("b", read=2000, write_1h=10), cached("c", read=9000)])
    said = sentences()
    assert "caches from 4,096 tokens: 2 of these calls have a cached prefix under it, 3,010 tokens" in said
    assert "not cached at another model either" in said
    judged = fits.fit(EVERYTHING, SONNET, HAIKU, D(1))
    assert (judged.too_short, judged.too_short_tokens) == (2, 3010)


def test_prompts_outgrow_a_window_by_their_tokens_there() -> None:
    full, over = {"prompt_step_tokens": 200_000}, {"prompt_step_tokens": 200_001}
    settle([cached("full", read=200_000, **full), cached("over", read=200_001, **over)])
    assert [each.requests for each in swapped().kept] == [1]
    grown = swapped(swap={"token_growth": "1.1"})
    assert [(each.requests, "after token growth" in each.reason) for each in grown.kept] == [(1, True)] * 2
    assert swapped(swap={"token_growth": "0.9"}).kept == ()


def test_what_is_not_cached_there_counts_against_the_limits_there() -> None:
    settle([cached("a", read=1000), cached("b", read=8000, occurred_at=at(seconds=1))])
    busy = peaks.minutes(EVERYTHING).frame
    scenario = from_json({"swap": [{"from": SONNET, "to": HAIKU, "token_growth": "1"}]}, current())
    found = headroom.peaks(busy, current(), scenario)
    (peak,) = found.values()
    assert (peak.requests, peak.input) == (2, 1000)
    (before,) = headroom.peaks(busy, current(), from_json({}, current())).values()
    assert (before.requests, before.input) == (2, 0)


events = st.lists(
    st.builds(
        lambda number, minute, read, write, workspace: cached(
            f"m{number}", read, 0, write, workspace_id=workspace, occurred_at=at(minutes=minute)
        ),
        st.integers(0, 10**6),
        st.integers(0, 3 * 24 * 60),
        st.one_of(st.integers(0, 6000), st.sampled_from([0, 4095, 4096])),
        st.sampled_from([0, 1, 3000]),
        st.sampled_from(["", "w"]),
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda event: event.id,
)
RANGES = (
    Filters(),
    Filters(start=date(2026, 3, 3), end=date(2026, 3, 5)),
    Filters(start=datetime(2026, 3, 2, 11, 17, tzinfo=UTC), end=datetime(2026, 3, 4, 9, 3, tzinfo=UTC)),
    Filters(start=datetime(2026, 3, 2, 11, tzinfo=UTC)),
)


@given(events, st.sampled_from(RANGES), st.sampled_from(["", "workspace_id"]))
@hypothesis_settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_range_costs_what_its_calls_cost_one_by_one(
    some: list[UsageEvent], filters: Filters, dimension: str
) -> None:
    for forget in (interning.forget_all, ledger.forget_sources, partitions.forget_known):
        forget()  # the example before was rolled back
    with transaction.atomic():
        settle(some)
        remembering.forget_all()
        asked = filters.with_value("workspace_id", "w") if dimension else filters
        assert swapped(filters=asked).scenario == sum(_alone(_inside(some, filters, dimension)), D(0))
        transaction.set_rollback(True)


def _inside(some: Iterable[UsageEvent], filters: Filters, dimension: str) -> Iterable[UsageEvent]:
    start, end = filters.instants(ZoneInfo("UTC"))
    for event in some:
        after = start is None or event.occurred_at >= start
        if (
            after
            and (end is None or event.occurred_at < end)
            and (not dimension or event.workspace_id == "w")
        ):
            yield event


def _alone(some: Iterable[UsageEvent]) -> Iterable[Decimal]:
    for event in some:
        read, write = event.cache_read_input_tokens, event.cache_write_1h_input_tokens
        yield (D(read + write) if read + write < 4096 else read * D("0.1") + write * 2) / MILLION
