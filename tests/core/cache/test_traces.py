"""On real request traces: the plain replay, known figures, and how far counters alone are off."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest

from ingest.core.cache.bill import observed
from ingest.core.cache.bootstrap import interval, ratio_interval
from ingest.core.cache.causes import attribute
from ingest.core.cache.compare import compare
from ingest.core.cache.estimate import estimate
from ingest.core.cache.floors import floors
from ingest.core.cache.log import CacheLog
from ingest.core.cache.policies import FIVE_MINUTES, NONE, ONE_HOUR, STANDARD, Mix, Policy
from ingest.core.cache.replay import replay
from ingest.core.cache.reuse import DEFAULT_REUSE, NAIVE_REUSE, calibrate
from ingest.core.pricing import total
from tests.support.cache_logs import without_prefixes
from tests.support.plain_cache import plain_replay
from tests.support.traces import CHAT, CODING, FOLDER, chat_calls, coding_calls, log_of

pytestmark = pytest.mark.skipif(
    not CODING.exists() or not CHAT.exists(), reason="no traces beside the checkout"
)

Units = npt.NDArray[np.int64]
ASKED = (NONE, FIVE_MINUTES, ONE_HOUR, Policy("5m", 1), Policy("5m", 3), Policy("5m", 11), Policy("1h", 1))


@cache
def coding() -> tuple[CacheLog, Units]:
    """The coding-agent log, and which of the recorded sessions (with its sub-agents) each request belongs to."""
    calls = list(coding_calls())
    names: dict[str, int] = {}
    units = np.array([names.setdefault(call.workspace, len(names)) for call in calls], dtype=np.int64)
    return log_of(calls), units


def test_the_reader_reads_what_the_trace_holds() -> None:
    log, units = coding()
    assert (len(log), int(units.max()) + 1) == (24_015, 355)
    assert int(log.total_input.sum()) == 3_012_680_174
    assert round(float(replay(log, [NONE])[0].input_list_cost), 2) == 12_089.99


def test_every_policy_and_floor_is_what_others_computed() -> None:
    expected = json.loads((FOLDER.parent / "try" / "trace_expected.json").read_text(encoding="utf-8"))["even"]
    log, _ = coding()
    found = compare(log, ASKED)
    costs = {bill.policy: float(bill.input_list_cost) for bill in found.bills}
    costs |= {
        name: float(getattr(found.floors, name)) for name in ("without_pings", "with_pings", "never_forgets")
    }
    rates = {bill.policy: bill.token_hit_rate for bill in found.bills}
    assert found.basis == "exact"
    for name, cost in expected["usd"].items():
        if not name.endswith("-nowait"):
            assert costs[name] == pytest.approx(cost, rel=0.0005), name
    for name, rate in expected["hit"].items():
        assert rates[name] == pytest.approx(rate, abs=2e-5), name
    assert found.observed.input_list_cost == found.bills[1].input_list_cost


@pytest.mark.parametrize("trace", ["coding", "chat"])
def test_the_plain_replay_agrees_to_the_token(trace: str) -> None:
    calls = list(coding_calls(every=12)) if trace == "coding" else list(chat_calls())[:2500]
    log = log_of(calls)
    for policy in (FIVE_MINUTES, ONE_HOUR, Policy("5m", 3)):
        bill = replay(log, [policy])[0]
        plain = plain_replay(log, [policy] * len(log))
        for position, name in enumerate(("uncached", "read", "write_5m", "write_1h", "pings")):
            assert getattr(bill, name).tolist() == [line[position] for line in plain]


def test_the_floors_are_in_order_below_every_policy() -> None:
    for log in (coding()[0], log_of(list(chat_calls()))):
        found = floors(log)
        assert found.never_forgets <= found.with_pings <= found.without_pings
        for policy, bill in zip(STANDARD, replay(log, STANDARD), strict=True):
            assert found.with_pings <= bill.input_list_cost
            assert policy.pings or found.without_pings <= bill.input_list_cost


def test_a_chat_that_never_comes_back_should_not_be_cached_for_an_hour() -> None:
    none, five, hour = replay(log_of(list(chat_calls())), [NONE, FIVE_MINUTES, ONE_HOUR])
    assert five.input_list_cost < none.input_list_cost < hour.input_list_cost


def test_counters_calibrated_on_one_half_are_within_one_percent_on_the_other() -> None:
    log, units = coding()
    errors: dict[str, list[float]] = {}
    naive: dict[str, list[float]] = {}
    for swap in (0, 1):
        here = (units % 2) == swap
        table, other = calibrate(log.where(here)), log.where(~here)
        bare = without_prefixes(other)
        for truth, one, plain in zip(
            replay(other, ASKED),
            estimate(bare, ASKED, table),
            estimate(bare, ASKED, NAIVE_REUSE),
            strict=True,
        ):
            cost = float(truth.input_list_cost)
            errors.setdefault(truth.policy, []).append(float(one.input_list_cost) / cost - 1)
            naive.setdefault(truth.policy, []).append(float(plain.input_list_cost) / cost - 1)
    shown = "\n".join(
        f"{name:<10} calibrated {' '.join(f'{error:+.2%}' for error in errors[name])}"
        f"  naive {' '.join(f'{error:+.2%}' for error in naive[name])}"
        for name in errors
    )
    print("\n" + shown)  # noqa: T201  the figures belong beside each other: shown with -s, and when this fails
    assert max(abs(error) for each in errors.values() for error in each) < 0.01, shown
    assert all(abs(error) > 0.03 for error in naive["1h"]), shown


@pytest.mark.parametrize("policy", [ONE_HOUR, Policy("5m", 3)])
def test_intervals_cover_the_other_half_in_nine_of_ten_splits(policy: Policy) -> None:
    log, units = coding()
    count = int(units.max()) + 1
    before, after = (bill.costs_by(units, count) for bill in replay(log, [FIVE_MINUTES, policy]))
    saved = before - after
    rng = np.random.default_rng(20)
    of_totals = of_shares = 0
    for _ in range(100):
        mixed = rng.permutation(count)
        here, there = mixed[: count // 2], mixed[count // 2 :]
        found = interval(saved[here], future=len(there), draws=500)
        of_totals += found.low <= saved[there].sum() <= found.high
        found = ratio_interval(saved[here], before[here], future=len(there), draws=500)
        of_shares += found.low <= saved[there].sum() / before[there].sum() <= found.high
    assert of_totals >= 90
    assert of_shares >= 90


@pytest.mark.parametrize("policy", [ONE_HOUR, Policy("5m", 1), Policy("5m", 3)])
def test_intervals_of_one_model_cover_too_however_few_its_sessions(policy: Policy) -> None:
    log, units = coding()
    before, after = replay(log, [FIVE_MINUTES, policy])
    covered = {}
    for price in range(len(log.prices)):
        here = log.price == price
        _, unit = np.unique(units[here], return_inverse=True)
        saved = np.bincount(unit.reshape(-1), weights=(before.costs - after.costs)[here]).astype(np.float64)
        rng = np.random.default_rng(21)
        inside = 0
        for _ in range(100):
            mixed = rng.permutation(len(saved))
            known, others = mixed[: len(saved) // 2], mixed[len(saved) // 2 :]
            found = interval(saved[known], future=len(others), draws=500)
            inside += found.low <= saved[others].sum() <= found.high
        if len(saved) >= 15:  # halves of seven sessions or more
            covered[price, len(saved)] = inside
    assert len(covered) == 3
    assert min(covered.values()) >= 90, covered


def test_the_public_table_is_what_this_trace_says() -> None:
    for mine, public in zip(calibrate(coding()[0]).rows(), DEFAULT_REUSE.rows(), strict=True):
        assert mine.share == pytest.approx(public.share, abs=0.0006)


def test_causes_add_up_and_counters_find_nearly_the_same() -> None:
    log, _ = coding()
    writes = int((log.write_5m + log.write_1h).sum())
    exact, estimated = attribute(log), attribute(without_prefixes(log))
    assert (exact.basis, estimated.basis) == ("exact", "estimated")
    for attribution in (exact, estimated):
        assert sum(attribution.tokens.values()) == writes
        sums = observed(log).sums.copy()
        assert total(attribution.write_cost.values()) == sum(
            int(tokens) * price.write_5m for tokens, price in zip(sums[:, 2], log.prices, strict=True)
        )
    assert exact.tokens["unknown"] == 0
    for cause in ("growth", "cold start", "lapse 5-60 min"):
        assert estimated.tokens[cause] == pytest.approx(exact.tokens[cause], rel=0.1), cause


def test_a_ping_only_where_a_turn_ended_can_be_asked_about() -> None:
    calls = list(coding_calls(every=12))
    log = log_of(calls)
    names = ("end_turn", "tool_use", "")
    stops = np.array([names.index(call.stop) if call.stop in names else 2 for call in calls])
    log = replace(log, call_class=stops, class_names=names)
    gated = Mix(FIVE_MINUTES, {"end_turn": Policy("5m", 3)})
    always, never, some = replay(log, [Policy("5m", 3), FIVE_MINUTES, gated])
    assert always.pings.sum() > some.pings.sum() > never.pings.sum() == 0
