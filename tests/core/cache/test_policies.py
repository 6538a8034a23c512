"""Policies have names that people write."""

from __future__ import annotations

import pytest

from ingest.core.cache.policies import NONE, STANDARD, Instead, Mix, Policy, parse_policy
from tests.support.cache_logs import log_of_paths


@pytest.mark.parametrize("name", ["none", "5m", "1h", "5m+1ping", "5m+3pings", "1h+1ping", "1h+1000pings"])
def test_a_name_is_read_back(name: str) -> None:
    assert parse_policy(name).name == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "5M",
        "2h",
        "none+1ping",
        "5m+1pings",
        "5m+3ping",
        "5m+0pings",
        "5m+1001pings",
        "5m +1ping",
        "5m+1ping\n",
    ],
)
def test_another_name_is_refused_with_how_names_look(name: str) -> None:
    with pytest.raises(ValueError, match=r"5m\+1ping or 1h\+2pings"):
        parse_policy(name)


def test_the_standard_policies_are_all_different() -> None:
    assert len({policy.name for policy in STANDARD}) == len(STANDARD)


@pytest.mark.parametrize(("tier", "pings"), [("2h", 0), ("none", 1), ("5m", -1), ("5m", 1001)])
def test_a_policy_that_cannot_be_is_refused(tier: str, pings: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        Policy(tier, pings)


def test_a_mix_chooses_by_class_of_call() -> None:
    log = log_of_paths([(0, []), (1, []), (2, [])], call_class=[0, 1, 2], class_names=("a", "b", "c"))
    terms = Mix(Policy("5m", 2), {"b": Policy("1h"), "c": NONE}).terms(log)
    assert terms.tier.tolist() == [1, 2, 0]
    assert terms.pings.tolist() == [2, 0, 0]


def test_mixes_are_named_by_their_parts() -> None:
    assert Mix(NONE, {"b": Policy("1h"), "a": Policy("5m", 1)}).name == "a=5m+1ping, b=1h, else none"
    assert Mix(Policy("1h")).name == "1h"


def test_pings_stop_when_the_next_request_has_come() -> None:
    log = log_of_paths([(second, []) for second in (0, 300, 601, 2000)])
    assert Policy("5m", 3).terms(log).sent(log).tolist() == [0, 1, 3, 3]


def test_one_policy_for_some_and_another_for_the_rest() -> None:
    log = log_of_paths([(0, []), (1, [])])
    chosen = log.start > 0
    policy = Instead(chosen, Policy("1h"), Policy("5m", 2))
    assert policy.terms(log).tier.tolist() == [1, 2]
    assert policy.name == "1h for some, else 5m+2pings"
