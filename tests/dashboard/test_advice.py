"""Advice against arithmetic by hand: every action with its dollars, what is unsure, and what overlaps."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from dashboard.analysis.recommendations.find import find, together
from dashboard.analysis.recommendations.finding import ACTIONS, Finding, a_month, monthly
from dashboard.analysis.recommendations.traffic import LONG, ONE_REQUEST, SESSION_CLASS, SHORT
from ingest.core.cache.log import CacheLog, make_log
from tests.support.advice import sessions, traffic_of
from tests.support.cache_logs import UNIT

D = Decimal
ONE = [("a", 100)]


def only(log: CacheLog, **fields: Any) -> Finding:
    found = find(traffic_of(log, **fields))
    assert len(found) == 1, [(each.action, each.scope) for each in found]
    return found[0]


def test_what_is_read_again_soon_is_worth_caching() -> None:
    found = only(sessions([(0, ONE), (60, ONE)]))
    # Without a cache 200; written once and read once 125 + 10.
    assert (found.action, found.policy, found.saving) == ("cache_on", "5m", 30 * D(65))
    assert (found.scope, found.basis) == ((("model", "claude"),), "exact")
    assert found.monthly.low == found.monthly.estimate == found.monthly.high == D(1950)
    assert found.sure == "likely"


def test_what_never_comes_back_is_better_not_cached() -> None:
    found = only(sessions([(0, ONE)], uncached=0, write_5m=[100]))
    assert (found.action, found.policy, found.saving) == ("cache_off", "none", 30 * D(25))


def test_pauses_of_a_quarter_of_an_hour_want_the_hour() -> None:
    found = only(sessions([(at, ONE) for at in (0, 1000, 2000, 3000)], uncached=0, write_5m=[100] * 4))
    assert (found.action, found.policy, found.saving) == ("ttl_1h", "1h", 30 * D(4 * 125 - 230))


def test_an_hour_is_too_dear_for_what_comes_back_at_once() -> None:
    found = only(sessions([(0, ONE), (60, ONE)], uncached=0, write_1h=[100, 0], read=[0, 100]))
    assert (found.action, found.policy, found.saving) == ("ttl_5m", "5m", 30 * D(200 + 10 - 135))


def test_one_ping_can_be_cheaper_than_an_hour() -> None:
    found = only(sessions([(0, ONE), (550, ONE)], uncached=0, write_5m=[100, 100]))
    # A write, a ping that bridges, a read, and a ping in vain: 125 + 10 + 10 + 10.
    assert (found.action, found.policy, found.saving) == ("keep_alive", "5m+1ping", 30 * D(250 - 155))


def test_pings_are_left_alone_when_they_hardly_save_more() -> None:
    # The hour costs 230, and 5m with three pings 275; at 5 minutes with one ping and the hour much the same.
    found = only(sessions([(0, ONE), (301, ONE), (602, ONE)], uncached=0, write_5m=[100] * 3))
    # 1h: 200 + 20 = 220. 5m+1ping: 125 + 2 x 20 + 10 = 175: more than a tenth better.
    assert found.policy == "5m+1ping"
    dear = sessions([(0, ONE), (550, ONE), (560, ONE)], uncached=0, write_1h=[100, 0, 0], read=[0, 100, 100])
    # 1h as it is: 220. 5m+1ping: 125 + 20 + 10 + 10 = 165, and 5m alone 125 + 125 + 10 = 260.
    assert only(dear).policy == "5m+1ping"


def changing(count: int = 30) -> CacheLog:
    """Three calls a session, a minute apart, whose first block is another every time."""
    return sessions(
        [(0, [("a", 100)]), (60, [("b", 100)]), (120, [("c", 100)])], count, uncached=0, write_5m=[100] * 3
    )


def test_a_prefix_that_changes_costs_its_rewrites_above_a_read() -> None:
    stable, off = find(traffic_of(changing()))
    assert (stable.action, stable.saving) == ("stable_prefix", 30 * 2 * 100 * D("1.15"))
    assert (off.action, off.saving) == ("cache_off", 30 * 3 * D(25))
    assert stable.facts["rewrites"] == 60
    assert stable.facts["write_cost"] == 30 * 2 * D(125)


def test_what_overlaps_is_said_and_not_added() -> None:
    stable, off = find(traffic_of(changing()))
    assert (stable.overlaps, off.overlaps) == ((1,), (0,))
    assert together([stable, off]) == stable.monthly.estimate


def test_a_breakpoint_that_leaves_half_of_the_prefix_out_moves_back() -> None:
    path = [("a", 50), ("b", 50)]
    found = only(sessions([(0, path), (60, path)], uncached=[50, 50], write_5m=[50, 0], read=[0, 50]))
    assert (found.action, found.facts["where"]) == ("move_breakpoint", "later")
    assert found.saving == 30 * (D("62.5") + 50 + 5 + 50 - 135)


def test_a_breakpoint_behind_what_is_new_each_time_moves_forward() -> None:
    log = sessions([(0, [("shared*", 100), ("own", 100)])], apart=60, uncached=0, write_5m=[200])
    found = only(log)
    assert (found.action, found.facts["where"]) == ("move_breakpoint", "earlier")
    assert found.saving == 30 * D(250) - (30 * 100 + 125 + 29 * 10)


def test_a_tail_that_piles_up_behind_the_breakpoint_is_estimated_and_unsure() -> None:
    count = 30
    log = make_log(
        start=[(number * 1_000_000 + at) * 1_000_000 for number in range(count) for at in (0, 60, 120)],
        domain=0,
        session=np.repeat(np.arange(count), 3),
        prices=(UNIT,),
        uncached=[100, 200, 300] * count,
        write_5m=[100, 0, 0] * count,
        read=[0, 100, 100] * count,
    )
    found = only(log)
    assert (found.action, found.basis, found.sure) == ("move_breakpoint", "estimated", "unsure")
    # With all of it read again: 600 against 125 + (10 + 125) + (20 + 125); the table expects a little less.
    assert count * D(185) < found.saving < count * D(195)
    assert found.monthly.low is not None
    assert found.monthly.low < 0


def test_calls_that_start_together_each_write_what_one_could_have_written() -> None:
    count, calls = 10, 4
    log = sessions([(0, ONE)] * calls, count, uncached=0, write_5m=[100] * calls, ttft_ms=2000)
    log = replace(log, session=np.arange(count * calls), chain=np.arange(count * calls), _memo={})
    found = {each.action: each for each in find(traffic_of(log))}
    assert found["stagger"].saving == count * (calls - 1) * 100 * D("1.15")
    assert set(found) <= {"stagger", "cache_off"}


def test_what_nobody_waits_for_costs_half_in_a_batch() -> None:
    log = sessions([(0, [])], uncached=[1000], output=[100])
    waiting = {("workspace_id", "night"): "a schedule"}
    labels = {"workspace_id": ["night"] * 15 + ["day"] * 15}
    found = only(log, labels=labels, can_wait=waiting)
    assert (found.action, found.scope) == ("batch", (("workspace_id", "night"),))
    assert found.saving == 15 * D(1000 + 500) / 2
    assert found.facts["because"] == "a schedule"


def test_calls_that_are_in_batches_already_are_not_told_to_go_there() -> None:
    log = sessions([(0, [])], uncached=[1000])
    assert find(traffic_of(log, can_wait={("model", "claude"): "a schedule"}, batch_rates=(None,))) == []


def test_workspaces_that_want_opposite_things_each_get_their_own_advice() -> None:
    again, once = [(0, ONE), (60, ONE)], [(0, ONE), (60, [("b", 100)])]
    first = sessions(again, 20, uncached=[100, 100])
    second = sessions(once, 20, uncached=0, write_5m=[100, 100])
    log = make_log(
        start=np.concatenate((first.start, second.start)),
        domain=np.repeat([0, 1], 40),
        session=np.concatenate((first.session, second.session + 20)),
        prices=(UNIT,),
        uncached=np.concatenate((first.uncached, second.uncached)),
        write_5m=np.concatenate((first.write_5m, second.write_5m)),
        prefixes=both(first, second),
        ttft_ms=0,
    )
    found = find(traffic_of(log, {"workspace_id": ["on"] * 40 + ["off"] * 40}))
    policies = {each.scope: (each.action, each.saving) for each in found if each.action.startswith("cache")}
    assert policies == {
        (("workspace_id", "on"),): ("cache_on", 20 * D(65)),
        (("workspace_id", "off"),): ("cache_off", 20 * D(50)),
    }


def both(first: CacheLog, second: CacheLog) -> Any:
    assert first.prefixes is not None
    assert second.prefixes is not None
    return replace(
        first.prefixes,
        ptr=np.concatenate((first.prefixes.ptr, second.prefixes.ptr[1:] + first.prefixes.ptr[-1])),
        ids=np.concatenate((first.prefixes.ids, second.prefixes.ids + 10_000)),
        tokens=np.concatenate((first.prefixes.tokens, second.prefixes.tokens)),
    )


def test_models_of_other_providers_are_never_told_to_choose_a_ttl() -> None:
    log = sessions([(at, ONE) for at in (0, 1000, 2000)])
    assert find(traffic_of(log, provider=np.full(len(log), "openai", dtype=object))) == []
    found = only(sessions([(0, ONE), (60, ONE)]), provider=np.full(60, "openai", dtype=object))
    assert (found.action, found.policy) == ("cache_on", "5m")


def test_one_session_says_nothing_about_others() -> None:
    found = only(sessions([(0, ONE), (60, ONE)], 1))
    assert (found.sure, found.monthly.low, found.monthly.high) == ("unsure", None, None)
    assert together([found]) == 0


def test_a_saving_that_rests_on_one_session_among_many_is_unsure() -> None:
    # Twelve sessions do well as they are; one calls forty times without a cache.
    well = sessions([(0, ONE), (60, ONE)], 12, uncached=0, write_5m=[100, 0], read=[0, 100])
    rare = sessions([(at * 60, [("big", 30)]) for at in range(40)], 1)
    log = make_log(
        start=np.concatenate((well.start, rare.start)),
        domain=np.repeat([0, 1], [len(well), len(rare)]),
        session=np.concatenate((well.session, rare.session + 12)),
        prices=(UNIT,),
        uncached=np.concatenate((well.uncached, rare.uncached)),
        write_5m=np.concatenate((well.write_5m, rare.write_5m)),
        read=np.concatenate((well.read, rare.read)),
        prefixes=both(well, rare),
        ttft_ms=0,
    )
    found = only(log, labels={"workspace_id": ["w"] * 24 + ["rare"] * 40})
    assert (found.action, found.sure, found.scope) == ("cache_on", "unsure", (("workspace_id", "rare"),))


def test_what_saves_next_to_nothing_is_left_out() -> None:
    big = [("big", 100_000)]
    log = sessions(
        [(0, big), (60, [*big, ("a", 1)])], uncached=[0, 1], write_5m=[100_000, 0], read=[0, 100_000]
    )
    assert find(traffic_of(log)) == []


def test_months_are_scaled_from_the_days_and_the_sample() -> None:
    log = sessions([(0, ONE), (60, ONE)])
    found = only(log, days=D(10), sampled=D("0.5"))
    assert (found.saving, found.monthly.estimate) == (D(1950), D(1950 * 6))
    assert a_month(D(1), D(7)) == D("4.285714285714")


def test_intervals_are_the_same_every_time_and_wider_where_sessions_differ() -> None:
    log = traffic_of(sessions([(0, ONE)], 40))
    even, uneven = np.full(40, 10.0), np.array([20.0, 0.0] * 20)
    flat, wide = (monthly(log, D(400), values) for values in (even, uneven))
    assert (flat.low, flat.high) == (D(400), D(400))
    assert wide.low is not None
    assert wide.high is not None
    assert wide.low < 350 < 450 < wide.high
    assert monthly(log, D(400), uneven) == wide
    doubted = monthly(log, D(400), even, 50, 5)
    assert (doubted.low, doubted.high) == (D(350), D(405))


def test_sessions_are_classed_by_their_length() -> None:
    log = make_log(start=range(13), domain=0, session=[0] + [1] * 2 + [2] * 10, prices=(UNIT,))
    assert list(traffic_of(log).session_classes) == [ONE_REQUEST] + [SHORT] * 2 + [LONG] * 10
    assert {scope[0] for scope in traffic_of(log).scopes()} == {"model", SESSION_CLASS}


def test_lengths_of_session_are_told_apart_where_nothing_else_does() -> None:
    once = sessions([(0, ONE)], 30, uncached=0, write_5m=[100])
    again = sessions(
        [(0, ONE), (60, ONE), (120, ONE)], 30, uncached=0, write_5m=[100, 0, 0], read=[0, 100, 100]
    )
    log = make_log(
        start=np.concatenate((once.start, again.start)),
        domain=np.repeat([0, 1], [30, 90]),
        session=np.concatenate((once.session, again.session + 30)),
        prices=(UNIT,),
        uncached=0,
        read=np.concatenate((once.read, again.read)),
        write_5m=np.concatenate((once.write_5m, again.write_5m)),
        prefixes=both(once, again),
        ttft_ms=0,
    )
    found = only(log)
    assert (found.action, found.scope) == ("cache_off", ((SESSION_CLASS, ONE_REQUEST),))
    assert found.saving == 30 * D(25)


def test_nothing_at_all_gives_no_advice() -> None:
    log = make_log(start=[], domain=[], session=[], prices=())
    assert find(traffic_of(log)) == []


@pytest.mark.parametrize("seed", range(6))
def test_advice_on_random_traffic_is_positive_ranked_and_within_its_interval(seed: int) -> None:
    from tests.support.cache_logs import random_log

    found = find(traffic_of(random_log(seed)))
    assert [each.sure == "unsure" for each in found] == sorted(each.sure == "unsure" for each in found)
    for each in found:
        assert each.action in ACTIONS
        assert each.saving > 0
        assert all(each.chosen[found[other].chosen].any() for other in each.overlaps)
        if each.monthly.low is not None and each.monthly.high is not None:
            assert each.monthly.low <= each.monthly.high


def test_small_places_that_share_a_cause_do_not_hide_behind_a_label_that_all_have() -> None:
    parts = [changing(20), changing(1), changing(1)]
    log = make_log(
        start=np.concatenate([each.start for each in parts]),
        domain=np.repeat(range(3), [len(each) for each in parts]),
        session=np.concatenate([each.session + 100 * number for number, each in enumerate(parts)]),
        prices=(UNIT,),
        write_5m=np.concatenate([each.write_5m for each in parts]),
        ttft_ms=0,
    )
    labels = {"workspace_id": ["bad"] * 60 + ["one"] * 3 + ["two"] * 3, "tag:env": ["prod"] * 66}
    stable = [each for each in find(traffic_of(log, labels)) if each.action == "stable_prefix"]
    assert stable[0].scope == (("workspace_id", "bad"),)
    assert {scope for each in stable for scope, _ in each.scope} == {"workspace_id"}
