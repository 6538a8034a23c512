"""What advice says: every action has evidence, a risk and a change that is a program."""

from __future__ import annotations

import ast
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from dashboard.analysis.recommendations.finding import ACTIONS, Finding, Monthly
from dashboard.reports.words import SCENARIO, TITLES, words

D = Decimal
FACTS: dict[str, Any] = {
    "before": D(100),
    "after": D(60),
    "rate_before": 0.5,
    "rate_after": 0.75,
    "written": 2_000_000,
    "read": 5_000_000,
    "followed": 0.9,
    "within_5m": 0.4,
    "within_1h": 0.8,
    "where": "later",
    "uncached": 400,
    "total": 1000,
    "rewrites": 12,
    "tokens": 500_000,
    "write_cost": D("2.5"),
    "read_cost": D("0.2"),
    "because": "a schedule",
    "cached": 0.25,
}
POLICIES = {"cache_on": "5m", "cache_off": "none", "ttl_5m": "5m", "ttl_1h": "1h", "keep_alive": "5m+3pings"}


def finding(action: str, policy: str | None = None, **facts: Any) -> Finding:
    return Finding(
        action=action,
        scope=(("model", "m"),),
        policy=POLICIES.get(action, "") if policy is None else policy,
        chosen=np.ones(1, dtype=np.bool_),
        saving=D(40),
        monthly=Monthly(D(30), D(40), D(50)),
        basis="exact",
        facts={**FACTS, **facts},
    )


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_says_why_what_could_go_wrong_and_what_to_write(action: str, provider: str) -> None:
    told = words(finding(action), (provider,))
    assert told.title
    for sentence in (*told.evidence, told.risk, told.change):
        assert sentence.endswith(".")
        assert sentence[0].isupper() or sentence[0].isdigit()
    compile(told.snippet, "snippet", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)


def test_numbers_of_the_evidence_are_those_of_the_finding() -> None:
    evidence = " ".join(words(finding("ttl_1h"), ("anthropic",)).evidence)
    assert "Input $100.00 → $60.00 (−40.0 %) with writes for 1 hour." in evidence
    assert "Token hit rate 50.0 % → 75.0 %." in evidence
    assert "2.00 M tokens were written and 5.00 M read: 2.5× reads per write." in evidence
    rewritten = " ".join(words(finding("stable_prefix"), ("anthropic",)).evidence)
    assert "12 calls wrote 500 k tokens again" in rewritten
    assert "25.0 % of all that was written" in rewritten
    assert "Writing them cost $2.50; reading them would have cost $0.20." in rewritten


@pytest.mark.parametrize(
    ("policy", "title", "said"),
    [
        ("5m+3pings", "Keep the cache alive: 5 minutes, 3 pings", "at most 3 times."),
        ("1h+1ping", "Keep the cache alive: 1 hour, 1 ping", "at most once."),
    ],
)
def test_pings_are_counted_in_words(policy: str, title: str, said: str) -> None:
    told = words(finding("keep_alive", policy), ("anthropic",))
    assert told.title == title
    assert told.change.endswith(said)


def test_the_hour_is_in_the_snippet_only_when_it_is_advised() -> None:
    assert '"ttl": "1h"' in words(finding("ttl_1h"), ("anthropic",)).snippet
    assert '"ttl"' not in words(finding("ttl_5m"), ("anthropic",)).snippet
    assert "cache_control" not in words(finding("cache_on"), ("openai",)).snippet
    assert "prompt_cache_key" in words(finding("cache_on"), ("openai",)).snippet


def test_a_breakpoint_says_which_way_it_moves() -> None:
    assert (
        words(finding("move_breakpoint"), ("anthropic",)).title == "Move the breakpoint later in the prompt"
    )
    earlier = words(finding("move_breakpoint", where="earlier"), ("anthropic",))
    assert earlier.title == "Move the breakpoint earlier in the prompt"
    ast.parse(earlier.snippet)


def test_sessions_of_one_call_have_no_gaps_to_speak_of() -> None:
    told = words(finding("cache_off", followed=0.0, within_5m=0.0, within_1h=0.0), ("anthropic",))
    assert told.evidence[-1] == "No call is followed by another of its session."


def test_batches_warn_of_reads_only_where_there_are_any() -> None:
    assert "25.0 % of the input is read" in words(finding("batch"), ("anthropic",)).risk
    assert words(finding("batch", cached=0.0), ("anthropic",)).risk == "An answer takes up to 24 hours."


def test_every_action_has_a_title() -> None:
    assert set(TITLES) == {*ACTIONS, SCENARIO}
