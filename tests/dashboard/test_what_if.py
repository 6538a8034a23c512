"""What-if: the identity is exact, every knob does what arithmetic by hand says, and nothing is mixed or made up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal, localcontext
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dashboard.analysis.assumptions import assumptions, basis
from dashboard.analysis.replayed import Replayed
from dashboard.analysis.scenario import Scenario, ScenarioError
from dashboard.analysis.scenario_json import from_json
from dashboard.analysis.what_if import STEPS, Comparison, Log, apply
from ingest.core.pricing import METERS, Lane, PriceVector, cost
from ingest.prices import load_pricebook

BOOK = load_pricebook()
SONNET, OPUS, HAIKU = "claude-sonnet-4-6", "claude-opus-4-6", "claude-haiku-4-5-20251001"
DAY = date(2026, 3, 20)
MILLION = 1_000_000
D = Decimal
Used = Mapping[str, Any]


def traffic(*rows: tuple[Lane, Used]) -> pd.DataFrame:
    """One row each; what a row's counts say beside meters are its labels and its day."""
    counted = (*METERS, "requests", "day")
    labels = sorted({"workspace_id", *(name for _, used in rows for name in used if name not in counted)})
    columns = [*Lane._fields, "day", *labels, "requests", *METERS]
    values = [
        [
            *lane,
            used.get("day", DAY),
            *(used.get(name, "") for name in labels),
            used.get("requests", 1),
            *(used.get(meter, 0) for meter in METERS),
        ]
        for lane, used in rows
    ]
    return pd.DataFrame(values, columns=columns)


def lane(model: str = SONNET, **changes: object) -> Lane:
    return Lane("anthropic", "anthropic", model)._replace(**changes)  # type: ignore[arg-type]


def each_meter() -> dict[str, int]:
    """One million of every token meter: at Sonnet 4.6 prices 3 + 0.30 + 3.75 + 6 + 15 = 28.05 USD; 100 searches: 1."""
    return {**dict.fromkeys(METERS[:5], MILLION), "web_search_requests": 100}


def output(count: int = MILLION) -> dict[str, Any]:
    return {"output_tokens": count}


def turned(**knobs: Any) -> Scenario:
    return from_json(knobs, BOOK)


def money(result: Comparison) -> tuple[Decimal, Decimal]:
    return result.observed, result.scenario


def after(rows: pd.DataFrame, **knobs: Any) -> Decimal:
    return apply(rows, BOOK, turned(**knobs)).scenario


# --- nothing turned --------------------------------------------------------------------------------------------------


def test_identity_changes_nothing() -> None:
    result = apply(traffic((lane(), each_meter())), BOOK, Scenario())
    assert money(result) == (D("29.05"), D("29.05"))
    assert [step.turned for step in result.steps] == [False] * len(STEPS)


def test_an_empty_log_costs_nothing() -> None:
    assert money(apply(traffic(), BOOK, turned(batch={"share": "1"}, cache={"token_hit_rate": "1"}))) == (
        D(0),
        D(0),
    )


def test_what_has_no_price_is_named_and_left_out_of_both_sides() -> None:
    rows = traffic((lane("mystery-9"), each_meter()), (lane(), output()))
    result = apply(rows, BOOK, turned(batch={"share": "1"}))
    assert money(result) == (D(15), D("7.5"))
    assert list(result.models["model"]) == [SONNET]
    named = result.unpriced.iloc[0]
    assert (named["model"], named["requests"], named["output_tokens"]) == ("mystery-9", 1, MILLION)
    assert "mystery-9" in named["reason"]


def test_models_are_listed_dearest_first_and_sum_to_the_totals() -> None:
    rows = traffic(
        (lane(HAIKU), each_meter()),
        (lane(OPUS), each_meter()),
        (lane(HAIKU, inference_geo="us"), each_meter()),
    )
    result = apply(rows, BOOK, turned(batch={"share": "0.5"}))
    assert list(result.models["model"]) == [OPUS, HAIKU]
    assert list(result.models["requests"]) == [1, 2]
    for side, whole in (("observed_cost", result.observed), ("scenario_cost", result.scenario)):
        assert sum(result.models[side]) == sum(result.meters[side]) == whole


# --- batch -----------------------------------------------------------------------------------------------------------


def test_everything_in_batch_halves_tokens_and_leaves_searches() -> None:
    assert after(traffic((lane(), each_meter())), batch={"share": "1"}) == D("28.05") / 2 + 1


def test_a_discount_reaches_batch_traffic_that_is_already_there_and_moves_nothing() -> None:
    rows = traffic((lane(service_tier="batch"), output()), (lane(), output()))
    assert money(apply(rows, BOOK, turned(batch={"discount": "0.8"}))) == (D("22.5"), D("18"))


def test_fast_traffic_never_goes_to_batch() -> None:
    rows = traffic((lane(OPUS, speed="fast"), output()))
    result = apply(rows, BOOK, turned(batch={"share": "1"}))
    assert money(result) == (D("150"), D("150"))
    assert list(result.models["movable_cost"]) == [D(0)]


def test_fast_mode_and_batch_share_the_standard_calls_between_them() -> None:
    # 40 % fast at 150, half of the remaining 60 % in batch at 12.50, the rest at 25.
    rows = traffic((lane(OPUS), output()))
    assert after(rows, fast={"share": "0.4"}, batch={"share": "0.5"}) == D("60") + D("3.75") + D("7.5")


def test_reads_that_miss_in_a_batch_are_written_again() -> None:
    rows = traffic((lane(), {"cache_read_input_tokens": MILLION}))
    assert (
        after(rows, batch={"share": "1", "reads": "0.6"}) == (D("0.6") * D("0.30") + D("0.4") * D("3.75")) / 2
    )


@pytest.mark.parametrize(
    ("classes", "saved"),
    [
        ({"*": "1"}, "45"),
        ({SONNET: "1"}, "30"),
        ({"workspace_id=night": "1"}, "15"),
        ({"workspace_id=night": "0", "*": "1"}, "30"),  # the more particular class wins
        ({"tag:team=eval": "0", "workspace_id=night": "1"}, "0"),
        ({"workspace_id=nobody": "1"}, "0"),
    ],
)
def test_shares_are_given_by_class_of_call(classes: dict[str, str], saved: str) -> None:
    rows = traffic(
        (lane(), {**output(2 * MILLION), "workspace_id": "night", "tag:team": "eval"}),
        (lane(), {**output(2 * MILLION), "workspace_id": "day", "tag:team": ""}),
        (lane(HAIKU), {**output(6 * MILLION), "workspace_id": "day", "tag:team": ""}),
    )
    result = apply(rows, BOOK, turned(batch={"share": classes}))
    assert result.observed - result.scenario == D(saved)


# --- caches ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("knob", "value", "cost"),
    [
        ("read_multiplier", "0.05", "28.90"),  # 3 x 0.05 = 0.15 instead of 0.30
        ("read_multiplier", "0", "28.75"),
        ("write_5m_multiplier", "1", "28.30"),  # 3 instead of 3.75
        ("write_1h_multiplier", "1.5", "27.55"),  # 4.50 instead of 6
        ("policy", "none", "28.00"),  # 4 x 3 + 15, and the searches
    ],
)
def test_cache_knobs_replace_the_published_price(knob: str, value: str, cost: str) -> None:
    assert after(traffic((lane(), each_meter())), cache={knob: value}) == D(cost)


def test_lane_factors_apply_on_top_of_multipliers() -> None:
    rows = traffic((lane(inference_geo="us", service_tier="batch"), {"cache_read_input_tokens": MILLION}))
    assert after(rows, cache={"read_multiplier": "0.2"}) == D(3) * D("0.2") * D("1.1") / 2


def test_published_prices_hold_where_no_multiplier_is_given() -> None:
    rows = traffic((lane("claude-3-haiku-20240307"), {"cache_write_5m_input_tokens": MILLION}))
    assert money(apply(rows, BOOK, turned(cache={"read_multiplier": "1"}))) == (D("0.30"), D("0.30"))


def test_a_target_token_hit_rate_is_reached_by_every_model_that_caches() -> None:
    rows = traffic(
        (
            lane(),
            {"uncached_input_tokens": 60, "cache_read_input_tokens": 20, "cache_write_5m_input_tokens": 20},
        ),
        (lane(OPUS), {"uncached_input_tokens": 10, "cache_read_input_tokens": 90}),
        (lane(HAIKU), {"uncached_input_tokens": 100}),
    )
    result = apply(rows, BOOK, turned(cache={"token_hit_rate": "0.6"}))
    tokens = {
        (row["model"], row["meter"]): row["scenario_quantity"] for row in result.meters.to_dict("records")
    }
    assert tokens[SONNET, "cache_read_input_tokens"] == 60
    assert tokens[SONNET, "uncached_input_tokens"] == 30
    assert tokens[SONNET, "cache_write_5m_input_tokens"] == 10
    assert round(tokens[OPUS, "cache_read_input_tokens"], 6) == 60
    assert round(tokens[OPUS, "cache_write_5m_input_tokens"], 6) == 30  # a lost read is written again
    assert tokens[HAIKU, "uncached_input_tokens"] == 100  # never cached: left alone


def test_a_replayed_policy_divides_the_input_tokens_as_the_replay_says() -> None:
    rows = traffic(
        (lane(), {"uncached_input_tokens": 600, "cache_read_input_tokens": 400, "output_tokens": 5})
    )
    shares = (D("0.1"), D("0.7"), D("0"), D("0.2"))
    replayed = Replayed("1h", {SONNET: shares}, {SONNET: D("0.05")}, D("0.01"), "Replayed.")
    scenario = from_json({"cache": {"policy": "1h"}}, BOOK, lambda name: name == "1h")
    result = apply(rows, BOOK, scenario, replayed)
    assert result.scenario * MILLION == 100 * 3 + 750 * D("0.3") + 200 * 6 + 5 * 15
    assert basis(scenario, SONNET, "", replayed) == "replay ±1 %"
    assert any("±1 %" in sentence for sentence in assumptions(scenario, result, BOOK, replayed))
    with pytest.raises(ScenarioError, match="no replay"):
        apply(rows, BOOK, scenario)


# --- models, routing, prices -----------------------------------------------------------------------------------------


def test_a_swap_prices_the_same_tokens_at_the_other_model() -> None:
    rows = traffic((lane(OPUS), each_meter()))
    swap = {"from": OPUS, "to": SONNET, "share": "0.25", "token_growth": "1"}
    result = apply(rows, BOOK, turned(swap=[swap]))
    assert result.observed - result.scenario == (D("46.75") - D("28.05")) / 4
    assert list(result.models["becomes"]) == [SONNET]


def test_a_swap_across_tokenizers_counts_more_tokens_unless_told_otherwise() -> None:
    rows = traffic((lane(OPUS), {**output(), "web_search_requests": 100}))
    assert after(rows, swap=[{"from": OPUS, "to": "claude-opus-5-5"}]) == 20 * D("1.3") + 1
    assert (
        after(rows, swap=[{"from": OPUS, "to": "claude-opus-5-5", "token_growth": "1.1"}])
        == 20 * D("1.1") + 1
    )
    assert after(rows, swap=[{"from": OPUS, "to": "claude-sonnet-4-5-20250929"}]) == 15 + 1


def test_a_swap_of_one_class_leaves_the_others() -> None:
    rows = traffic(
        (lane(OPUS), {**output(), "workspace_id": "a"}), (lane(OPUS), {**output(), "workspace_id": "b"})
    )
    assert (
        after(rows, swap=[{"from": "*", "to": SONNET, "class": "workspace_id=a", "token_growth": "1"}])
        == 15 + 25
    )


def test_two_swaps_of_one_model_share_it() -> None:
    rows = traffic((lane(OPUS), output()))
    swaps = [{"from": OPUS, "to": to, "share": "0.5", "token_growth": "1"} for to in (SONNET, HAIKU)]
    assert after(rows, swap=swaps) == D("7.5") + D("2.5")


def test_prompts_that_are_known_not_to_fit_stay_and_are_counted() -> None:
    rows = traffic((lane(OPUS, prompt_step=200_000), {**output(), "requests": 7}), (lane(OPUS), output()))
    result = apply(rows, BOOK, turned(swap=[{"from": OPUS, "to": HAIKU, "token_growth": "1"}]))
    assert result.scenario == 25 + 5
    assert [(kept.knob, kept.requests) for kept in result.kept] == [("model swap", 7)]


def test_prompt_size_prices_follow_the_lane() -> None:
    """Haiku 5.5 charges five times as much over 100,000 tokens; a request that was that long is, there too."""
    used = {**output(), "day": date(2026, 11, 2)}
    rows = traffic((lane(SONNET, prompt_step=100_000), used), (lane(SONNET), used))
    assert after(rows, swap=[{"from": SONNET, "to": "claude-haiku-5-5", "token_growth": "1"}]) == D(
        "2.5"
    ) + D("0.5")


def test_a_swap_to_another_speed_falls_back_to_standard() -> None:
    rows = traffic((lane(OPUS, speed="fast"), output()))
    assert after(rows, swap=[{"from": OPUS, "to": SONNET, "token_growth": "1"}]) == 15


def test_us_only_inference_costs_a_tenth_more_where_it_exists() -> None:
    rows = traffic((lane(), output()), (lane("claude-3-haiku-20240307"), output()))
    assert after(rows, inference_geo="us") == D("15") * D("1.1") + D("1.25")
    us = traffic((lane(inference_geo="us"), output()))
    assert after(us, inference_geo="global") == 15


def test_regional_endpoints_are_a_matter_of_amazon_and_google() -> None:
    bedrock = lane()._replace(platform="bedrock", routing="global")
    rows = traffic((bedrock, output()), (lane(), output()))
    assert after(rows, routing="regional") == D("15") * D("1.1") + 15


def test_a_priority_commitment_burns_down_by_weights() -> None:
    rows = traffic((lane(inference_geo="us"), each_meter()))
    burned = (1 + D("0.1") + D("1.25") + 2 + 1) * D("1.1")
    assert after(rows, priority={"share": "1", "rate": "2"}) == burned * 2 + 1
    # Without a rate it was paid for in advance; searches are no part of a commitment.
    assert after(rows, priority={"share": "1"}) == 1


def test_prices_of_another_day_hold_for_every_day() -> None:
    rows = traffic(
        (lane("claude-sonnet-5-5"), {"cache_read_input_tokens": MILLION, "day": date(2026, 10, 1)})
    )
    result = apply(rows, BOOK, turned(prices={"date": "2026-11-01"}))
    assert money(result) == (D("0.20"), D("0.10"))


def test_a_contract_replaces_the_list_and_keeps_its_ratios_and_lanes() -> None:
    rows = traffic((lane(service_tier="batch"), each_meter()), (lane(HAIKU), output()))
    rates = {SONNET: {"uncached_input": "2", "output": "10"}}
    # Batch halves 2 + 0.20 + 2.50 + 4 + 10; the searches and the other model keep their price.
    assert after(rows, prices={"contract": rates}) == D("18.70") / 2 + 1 + 5
    given = {SONNET: {**rates[SONNET], "cache_read": "0.5"}}
    assert after(rows, prices={"contract": given}) == D("19.00") / 2 + 1 + 5


def test_discounts_and_growth_are_given_by_model() -> None:
    rows = traffic((lane(), output()), (lane(HAIKU), output()))
    assert after(rows, prices={"discount": {"*": "0.1", HAIKU: "0.5"}}) == D("13.5") + D("2.5")
    assert after(rows, growth={"*": "2", HAIKU: "0.5"}) == 30 + D("2.5")


def test_what_a_knob_cannot_reach_is_said() -> None:
    result = apply(traffic((lane(), {**output(), "requests": 3})), BOOK, turned(fast={"share": "0.5"}))
    assert result.scenario == result.observed
    assert [(kept.knob, kept.model, kept.requests) for kept in result.kept] == [("fast mode", SONNET, 3)]


# --- laws ------------------------------------------------------------------------------------------------------------

quick = hypothesis_settings(deadline=None, max_examples=25)  # the price book warms up in the first example
LANES = [
    lane(model, service_tier=tier, inference_geo=geo)
    for model in (SONNET, OPUS, HAIKU, "claude-3-haiku-20240307")
    for tier in ("standard", "batch")
    for geo in ("", "us")
]
counts = st.integers(0, 10**12)
used = st.fixed_dictionaries(
    {**dict.fromkeys(METERS, counts), "workspace_id": st.sampled_from(["a", "b", ""])}
)
rows_of = st.lists(st.tuples(st.sampled_from(LANES), used), max_size=6)
share = st.decimals(0, 1, places=3, allow_nan=False).map(str)
PRICE_KNOBS = {
    "batch": st.fixed_dictionaries(
        {}, optional={"discount": share, "share": share | st.fixed_dictionaries({OPUS: share})}
    ),
    "cache": st.fixed_dictionaries(
        {}, optional={f"{name}_multiplier": share for name in ("read", "write_5m", "write_1h")}
    ),
    "inference_geo": st.sampled_from(["observed", "us", "global"]),
    "prices": st.fixed_dictionaries({}, optional={"discount": share}),
    "growth": share,
}
MORE_KNOBS = {
    "batch": st.fixed_dictionaries(
        {},
        optional={
            "share": st.dictionaries(st.sampled_from(["*", OPUS, "workspace_id=a"]), share),
            "reads": share,
        },
    ),
    "cache": st.fixed_dictionaries({"token_hit_rate": share}) | st.just({"policy": "none"}),
    "fast": st.fixed_dictionaries({"share": share}),
    "priority": st.fixed_dictionaries({"share": share, "rate": share}),
    "swap": st.lists(
        st.fixed_dictionaries(
            {"from": st.just(OPUS), "to": st.sampled_from([SONNET, "claude-opus-5-5"]), "share": share}
        ),
        max_size=1,
    ),
}
price_knobs = st.fixed_dictionaries({}, optional=PRICE_KNOBS)
all_knobs = st.fixed_dictionaries({}, optional={**PRICE_KNOBS, **MORE_KNOBS})
Rows = list[tuple[Lane, dict[str, Any]]]


@quick
@given(rows=rows_of)
def test_identity_is_exact_for_any_traffic(rows: Rows) -> None:
    result = apply(traffic(*rows), BOOK, Scenario())
    assert result.scenario == result.observed
    assert list(result.models["observed_cost"]) == list(result.models["scenario_cost"])


@quick
@given(rows=rows_of, knobs=all_knobs)
def test_steps_always_sum_to_the_difference(rows: Rows, knobs: dict[str, Any]) -> None:
    result = apply(traffic(*rows), BOOK, turned(**knobs))
    with localcontext(prec=200):
        assert sum(step.delta for step in result.steps) == result.scenario - result.observed
        assert sum(result.meters["scenario_cost"]) == sum(result.models["scenario_cost"]) == result.scenario


@quick
@given(rows=rows_of, knobs=price_knobs)
def test_price_knobs_equal_repricing_the_events_one_by_one(rows: Rows, knobs: dict[str, Any]) -> None:
    scenario = turned(**knobs)
    result = apply(traffic(*rows), BOOK, scenario)
    with localcontext(prec=200):
        assert result.scenario == sum(by_hand(each, counts, knobs) for each, counts in rows)


def tokens_times(vector: PriceVector, factor: Decimal) -> PriceVector:
    """Searches are no tokens and keep their price."""
    return PriceVector._make([*(each * factor for each in vector[:5]), vector.web_search_requests])


def by_hand(where: Lane, counts: dict[str, Any], knobs: dict[str, Any]) -> Decimal:
    """One event under price knobs, from the price book and the scenario's text alone."""
    batch, cache = knobs.get("batch", {}), knobs.get("cache", {})
    geo = knobs.get("inference_geo", "observed")
    where = where if geo == "observed" else where._replace(inference_geo=geo)

    def price(tier: str) -> Decimal:
        vector = BOOK.vector(where._replace(service_tier=tier), DAY)
        assert vector is not None
        if tier == "batch" and "discount" in batch:
            standard = BOOK.vector(where._replace(service_tier="standard"), DAY)
            assert standard is not None
            vector = tokens_times(standard, 1 - D(batch["discount"]))
        for name in ("read", "write_5m", "write_1h"):
            if f"{name}_multiplier" in cache:
                meter = f"cache_{name}_input_tokens"
                vector = vector._replace(
                    **{meter: vector.uncached_input_tokens * D(cache[f"{name}_multiplier"])}
                )
        off = 1 - D(knobs.get("prices", {}).get("discount", "0"))
        return cost(counts, tokens_times(vector, off))

    given_share = batch.get("share", "0")
    moved = D(given_share if isinstance(given_share, str) else given_share.get(where.model, "0"))
    grown = D(knobs.get("growth", "1"))
    if where.service_tier == "batch":
        return price("batch") * grown
    return (price("standard") * (1 - moved) + price("batch") * moved) * grown


@quick
@given(first=rows_of, second=rows_of, knobs=price_knobs)
def test_a_scenario_of_a_sum_is_the_sum_of_the_scenarios(
    first: Rows, second: Rows, knobs: dict[str, Any]
) -> None:
    scenario = turned(**knobs)
    both = apply(traffic(*first, *second), BOOK, scenario)
    one, other = (apply(traffic(*rows), BOOK, scenario) for rows in (first, second))
    with localcontext(prec=200):
        assert both.scenario == one.scenario + other.scenario
        assert both.observed == one.observed + other.observed


@quick
@given(rows=rows_of, first=share, second=share)
def test_factors_on_different_knobs_compose_in_any_order(rows: Rows, first: str, second: str) -> None:
    """Growth and a discount multiply: both together are one applied to what the other leaves."""
    rows = [(where, {**counts, "web_search_requests": 0}) for where, counts in rows]
    frame = traffic(*rows)
    both = after(frame, growth=first, prices={"discount": second})
    with localcontext(prec=200):
        assert (
            both
            == after(frame, growth=first) * (1 - D(second))
            == after(frame, prices={"discount": second}) * D(first)
        )


@quick
@given(rows=rows_of, read=share, write=share)
def test_knobs_on_different_meters_add_up_in_any_order(rows: Rows, read: str, write: str) -> None:
    frame = traffic(*rows)
    reads, writes = {"read_multiplier": read}, {"write_5m_multiplier": write}
    with localcontext(prec=200):
        nothing = after(frame)
        alone = (after(frame, cache=reads) - nothing) + (after(frame, cache=writes) - nothing)
        assert after(frame, cache={**reads, **writes}) - nothing == alone


@quick
@given(rows=rows_of, part=share)
def test_a_share_lies_on_the_line_between_none_and_all(rows: Rows, part: str) -> None:
    none, some, whole = (after(traffic(*rows), batch={"share": each}) for each in ("0", part, "1"))
    with localcontext(prec=200):
        assert some == none + D(part) * (whole - none)


@quick
@given(rows=rows_of, knobs=all_knobs)
def test_a_log_that_is_asked_again_answers_the_same(rows: Rows, knobs: dict[str, Any]) -> None:
    log, scenario = Log.of(traffic(*rows), ["workspace_id"]), turned(**knobs)
    first = apply(log, BOOK, scenario)
    apply(log, BOOK, turned(batch={"share": {"workspace_id=b": "1"}}))
    again = apply(log, BOOK, scenario)
    assert money(first) == money(again) == money(apply(traffic(*rows), BOOK, scenario))
