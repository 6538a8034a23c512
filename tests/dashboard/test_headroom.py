"""Rate limits: which class a model counts in, what counts there, and peaks under a scenario."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd
import pytest

from dashboard.analysis import headroom, limits
from dashboard.analysis.scenario_json import from_json
from ingest.prices import load_pricebook
from tests.dashboard.test_what_if import OPUS, SONNET, lane, traffic

BOOK = load_pricebook()
HAIKU_3 = "claude-3-haiku-20240307"


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("claude-opus-4-8", "Opus 4.x"),
        ("claude-opus-4-20250514", "Opus 4.x"),
        ("claude-opus-5", "Opus 5"),
        ("claude-opus-5-5", "Opus 5.5"),
        ("claude-haiku-4-5-20251001", "Haiku 4.5"),
        ("claude-fable-5-2", "Fable 5.x"),
        ("claude-3-7-sonnet-20250219", "Sonnet 3.7"),
        ("claude-3-5-haiku-20241022", "Haiku 3.5 and 3"),
        ("claude-3-opus-20240229", "Claude 3"),
        ("gpt-5", "gpt-5"),
    ],
)
def test_models_count_together_in_their_class(model: str, name: str) -> None:
    assert limits.class_of(model) == name


def test_both_tier_systems_are_there_and_own_numbers_replace_published_ones() -> None:
    assert {tier.system for tier in limits.TIERS} == {limits.OLD, limits.NEW}
    tier = limits.tier("Tier 4").with_own({"Opus 4.x": {"input": 10_000_000}}, Decimal(9000))
    assert tier.of("Opus 4.x") == limits.Limits(4_000, 10_000_000, 400_000)
    assert tier.of("Sonnet 4.x") == limits.tier("Tier 4").of("Sonnet 4.x")
    assert tier.cap == 9000
    assert limits.tier("Start").of("Fable 5.x").output == 100_000
    assert limits.tier("no such tier").name == "Scale"


def minutes() -> pd.DataFrame:
    used = {"uncached_input_tokens": 100, "cache_read_input_tokens": 900, "cache_write_5m_input_tokens": 50}
    rows = [
        (lane(SONNET), {**used, "output_tokens": 10, "requests": 4, "minute": 1}),
        (lane(SONNET, inference_geo="us"), {**used, "output_tokens": 5, "requests": 2, "minute": 1}),
        (lane(SONNET), {**used, "output_tokens": 40, "requests": 1, "minute": 2}),
        (lane(HAIKU_3), {**used, "output_tokens": 1, "requests": 1, "minute": 1}),
    ]
    return traffic(*rows)


def peaks(**knobs: object) -> dict[str, headroom.Peak]:
    return headroom.peaks(minutes(), BOOK, from_json(knobs, BOOK))


def test_each_measure_has_its_own_busiest_minute_and_reads_count_for_old_models_only() -> None:
    found = peaks()
    assert found["Sonnet 4.x"] == headroom.Peak("Sonnet 4.x", 6, 300, 40)
    assert found["Haiku 3.5 and 3"] == headroom.Peak("Haiku 3.5 and 3", 1, 1050, 1)


def test_what_goes_to_batch_leaves_the_limits_and_a_share_of_a_call_is_rounded_up() -> None:
    found = peaks(batch={"share": {SONNET: "0.5"}})
    assert found["Sonnet 4.x"] == headroom.Peak("Sonnet 4.x", 3, 150, 20)
    assert found["Haiku 3.5 and 3"].requests == 1
    assert peaks(batch={"share": {SONNET: "0.9"}})["Sonnet 4.x"].requests == 1


def test_a_swap_counts_in_the_other_class_with_its_tokens_and_growth_multiplies() -> None:
    swap = [{"from": SONNET, "to": OPUS, "token_growth": "2"}]
    found = peaks(swap=swap, growth="3")
    assert "Sonnet 4.x" not in found
    assert found["Opus 4.x"] == headroom.Peak("Opus 4.x", 18, 1800, 240)


def test_without_a_cache_every_input_token_counts() -> None:
    assert peaks(cache={"policy": "none"})["Sonnet 4.x"].input == 2100


def test_no_minutes_no_peaks() -> None:
    assert headroom.peaks(minutes().iloc[:0], BOOK, from_json({}, BOOK)) == {}


def test_the_same_peaks_in_parts_which_never_divide_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    swap = {"swap": [{"from": SONNET, "to": OPUS, "token_growth": "1.5"}], "growth": "1.1"}
    shuffled = minutes().iloc[[2, 0, 3, 1]]
    for knobs in ({}, swap):
        whole = peaks(**knobs)
        for size in (1, 2, 3):
            monkeypatch.setattr(headroom, "PART_ROWS", size)
            assert headroom.peaks(shuffled, BOOK, from_json(knobs, BOOK)) == whole
        monkeypatch.undo()
