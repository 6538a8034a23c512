"""Scenarios: a stable JSON form both ways, and errors that name the field."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings

from dashboard.analysis import tokenizers
from dashboard.analysis.scenario import Class, Scenario, ScenarioError, shares
from dashboard.analysis.scenario_json import from_json, to_json
from ingest.prices import load_pricebook
from tests.dashboard.test_what_if import all_knobs

BOOK = load_pricebook()


def is_policy(name: str) -> bool:
    return name == "1h"


def test_the_empty_object_is_the_identity() -> None:
    assert from_json({}, BOOK).is_identity
    assert to_json(Scenario()) == {}


def test_a_full_scenario_survives_the_way_there_and_back() -> None:
    data = {
        "batch": {"discount": "0.5", "share": {"tag:team=x": "0.2", "*": "0.4"}, "reads": "0.9"},
        "cache": {"read_multiplier": "0.1", "policy": "1h"},
        "fast": {"share": {"claude-opus-4-6": "0.1"}},
        "growth": {"*": "1.5"},
        "inference_geo": "us",
        "prices": {
            "contract": {"claude-sonnet-4-6": {"output": "12", "uncached_input": "2.5"}},
            "date": "2026-11-01",
            "discount": {"*": "0.05"},
        },
        "priority": {"rate": "2.5", "share": {"*": "0.1"}},
        "routing": "regional",
        "swap": [{"from": "claude-opus-4-6", "to": "claude-opus-5-5", "share": "1", "token_growth": "1.3"}],
    }
    scenario = from_json(data, BOOK, is_policy)
    assert to_json(scenario) == data
    assert from_json(to_json(scenario), BOOK, is_policy) == scenario


def test_equal_scenarios_are_equal_however_they_are_written() -> None:
    one = from_json({"batch": {"share": {"*": "0.40", "model=claude-opus-4-6": 1}}}, BOOK)
    other = from_json({"batch": {"share": {"claude-opus-4-6": "1", "*": 0.4}}, "cache": None}, BOOK)
    assert one == other
    assert from_json({"growth": "2"}, BOOK) == from_json({"growth": {"*": "2"}}, BOOK)


def test_aliases_of_a_model_are_the_model() -> None:
    scenario = from_json({"swap": [{"from": "claude-haiku-4-5", "to": "claude-opus-4-6"}]}, BOOK)
    assert scenario.swaps[0].source == "claude-haiku-4-5-20251001"


@hypothesis_settings(deadline=None, max_examples=40)
@given(knobs=all_knobs)
def test_any_scenario_survives_the_way_there_and_back(knobs: dict[str, Any]) -> None:
    scenario = from_json(knobs, BOOK)
    assert from_json(to_json(scenario), BOOK) == scenario


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"batch": {"discount": "7"}}, "batch.discount"),
        ({"batch": {"discount": "half"}}, "batch.discount"),
        ({"batch": {"discount": True}}, "batch.discount"),
        ({"batch": {"share": {"*": "1.1"}}}, "batch.share"),
        ({"batch": {"share": {"no-such-model": "1"}}}, "batch.share"),
        ({"batch": {"share": {"planet=mars": "1"}}}, "batch.share"),
        ({"batch": {"share": ["1"]}}, "batch.share"),
        ({"batch": {"reads": "-0.1"}}, "batch.reads"),
        ({"batch": "all"}, "batch"),
        ({"batches": {}}, "batches"),
        ({"batch": {"shares": {}}}, "batch.shares"),
        ({"cache": {"read_multiplier": "-1"}}, "cache.read_multiplier"),
        ({"cache": {"read_multiplier": "NaN"}}, "cache.read_multiplier"),
        ({"cache": {"write_5m_multiplier": "Infinity"}}, "cache.write_5m_multiplier"),
        ({"cache": {"write_1h_multiplier": "101"}}, "cache.write_1h_multiplier"),
        ({"cache": {"write_1h_multiplier": "1e-400"}}, "cache.write_1h_multiplier"),
        ({"cache": {"policy": "sometimes"}}, "cache.policy"),
        ({"cache": {"policy": 5}}, "cache.policy"),
        ({"cache": {"policy": "none", "token_hit_rate": "0.5"}}, "cache.token_hit_rate"),
        ({"swap": {}}, "swap"),
        ({"swap": [{"from": "claude-opus-4-6", "to": "no-such-model"}]}, "swap.0.to"),
        ({"swap": [{"from": "claude-opus-4-6"}]}, "swap.0.to"),
        ({"swap": [{"from": "no-such-model", "to": "claude-opus-4-6"}]}, "swap.0.from"),
        ({"swap": [{"from": "claude-opus-4-6", "to": "claude-opus-4-6"}]}, "swap.0.to"),
        ({"swap": [{"from": "*", "to": "claude-opus-4-6", "share": "2"}]}, "swap.0.share"),
        ({"swap": [{"from": "*", "to": "claude-opus-4-6", "token_growth": "-1"}]}, "swap.0.token_growth"),
        ({"swap": [{"from": "*", "to": "claude-opus-4-6", "class": 3}]}, "swap.0.class"),
        (
            {
                "swap": [
                    {"from": "*", "to": to, "share": "0.6"} for to in ("claude-opus-4-6", "claude-sonnet-4-6")
                ]
            },
            "swap.1.share",
        ),
        ({"inference_geo": "mars"}, "inference_geo"),
        ({"routing": ["global"]}, "routing"),
        ({"prices": {"date": "soon"}}, "prices.date"),
        ({"prices": {"discount": {"workspace_id=x": "0.5"}}}, "prices.discount"),
        (
            {"prices": {"contract": {"claude-opus-4-6": {"output": "1"}}}},
            "prices.contract.claude-opus-4-6.uncached_input",
        ),
        ({"growth": {"*": "101"}}, "growth"),
        ({"growth": {"x" * 2000: "1"}}, "growth"),
        ({"batch": {"share": {f"workspace_id={n}": "1" for n in range(300)}}}, "batch.share"),
        ([], "scenario"),
        ("all", "scenario"),
    ],
)
def test_what_cannot_be_is_refused_by_name(data: object, field: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        from_json(data, BOOK, is_policy)
    assert caught.value.field == field
    assert field.rsplit(".", 1)[-1] in caught.value.message


def test_classes_are_ordered_most_particular_first() -> None:
    classes = [
        Class(),
        Class("model", "m"),
        Class("workspace_id", "w"),
        Class("api_key_id", "k"),
        Class("tag:a", "t"),
    ]
    assert [of for of, _ in shares(dict.fromkeys(classes))] == classes[::-1]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "target", "growth"),
    [
        ("claude-opus-4-6", "claude-opus-4-7", "1.3"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-5-5", "1.3"),
        ("claude-3-haiku-20240307", "claude-mythos-preview", "1.3"),
        ("claude-opus-5-5", "claude-opus-4-6", "0.77"),
        ("claude-opus-4-6", "claude-sonnet-4-6", "1"),
        ("claude-opus-5-5", "claude-haiku-5-5", "1"),
        ("claude-opus-4-20250514", "claude-opus-4-1-20250805", "1"),
        ("gpt-5", "claude-opus-5-5", "1"),
    ],
)
def test_token_growth_is_known_across_the_4_7_line_only(source: str, target: str, growth: str) -> None:
    assert str(tokenizers.growth(source, target)) == growth
