"""What-if: the identity is exact, every knob does what arithmetic by hand says, and nothing is mixed or made
up.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal, localcontext

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dashboard.analysis.what_if import Comparison, Scenario, ScenarioError, apply
from ingest.core.pricing import METERS, Lane
from ingest.prices import load_pricebook

BOOK = load_pricebook()
SONNET, OPUS, HAIKU = "claude-sonnet-4-6", "claude-opus-4-6", "claude-haiku-4-5-20251001"
DAY = date(2026, 3, 20)
MILLION = 1_000_000
D = Decimal


def traffic(*rows: tuple[Lane, dict[str, int]]) -> pd.DataFrame:
    columns = [*Lane._fields, "day", "requests", *METERS]
    values = [
        [*lane, DAY, used.get("requests", 1), *(used.get(meter, 0) for meter in METERS)]
        for lane, used in rows
    ]
    return pd.DataFrame(values, columns=columns)


def lane(model: str = SONNET, **changes: object) -> Lane:
    return Lane("anthropic", "anthropic", model)._replace(**changes)  # type: ignore[arg-type]


def each_meter() -> dict[str, int]:
    """One million of every token meter: at Sonnet 4.6 prices 3 + 0.30 + 3.75 + 6 + 15 = 28.05 USD; 100
    searches: 1 USD.
    """
    return {**dict.fromkeys(METERS[:5], MILLION), "web_search_requests": 100}


def money(result: Comparison) -> tuple[Decimal, Decimal]:
    return result.observed, result.scenario


def test_identity_changes_nothing() -> None:
    result = apply(traffic((lane(), each_meter())), BOOK, Scenario())
    assert money(result) == (D("29.05"), D("29.05"))


def test_everything_in_batch_halves_tokens_and_leaves_searches() -> None:
    result = apply(traffic((lane(), each_meter())), BOOK, Scenario(batch_share=D(1)))
    assert money(result) == (D("29.05"), D("28.05") / 2 + 1)


def test_a_share_moves_only_that_share() -> None:
    result = apply(traffic((lane(), {"output_tokens": MILLION})), BOOK, Scenario(batch_share=D("0.3")))
    assert result.scenario == D("15") * D("0.85")


def test_a_discount_reaches_batch_traffic_that_is_already_there() -> None:
    rows = traffic(
        (lane(service_tier="batch"), {"output_tokens": MILLION}), (lane(), {"output_tokens": MILLION})
    )
    assert money(apply(rows, BOOK, Scenario(batch_discount=D("0.8")))) == (D("22.5"), D("18"))


def test_a_discount_alone_moves_nothing() -> None:
    result = apply(traffic((lane(), each_meter())), BOOK, Scenario(batch_discount=D("0.9")))
    assert result.scenario == result.observed


def test_fast_traffic_stays_where_it_is() -> None:
    rows = traffic((lane(OPUS, speed="fast"), {"output_tokens": MILLION}))
    result = apply(rows, BOOK, Scenario(batch_share=D(1)))
    assert money(result) == (D("150"), D("150"))
    assert list(result.models["movable_cost"]) == [D(0)]


@pytest.mark.parametrize(
    ("knob", "value", "cost"),
    [
        ("read_multiplier", "0.05", "28.90"),  # 3 x 0.05 = 0.15 instead of 0.30
        ("read_multiplier", "0", "28.75"),
        ("write_5m_multiplier", "1", "28.30"),  # 3 instead of 3.75
        ("write_1h_multiplier", "1.5", "27.55"),  # 4.50 instead of 6
    ],
)
def test_multipliers_replace_the_published_price(knob: str, value: str, cost: str) -> None:
    result = apply(traffic((lane(), each_meter())), BOOK, Scenario(**{knob: D(value)}))
    assert result.scenario == D(cost)


def test_lane_factors_apply_on_top_of_multipliers() -> None:
    rows = traffic((lane(inference_geo="us", service_tier="batch"), {"cache_read_input_tokens": MILLION}))
    assert apply(rows, BOOK, Scenario(read_multiplier=D("0.2"))).scenario == D(3) * D("0.2") * D("1.1") / 2


def test_published_prices_hold_where_no_multiplier_is_given() -> None:
    haiku = lane("claude-3-haiku-20240307")  # writes at 0.30, not at 1.25 x 0.25
    result = apply(
        traffic((haiku, {"cache_write_5m_input_tokens": MILLION})), BOOK, Scenario(read_multiplier=D(1))
    )
    assert money(result) == (D("0.30"), D("0.30"))


def test_what_has_no_price_is_named_and_left_out_of_both_sides() -> None:
    rows = traffic((lane("mystery-9"), each_meter()), (lane(), {"output_tokens": MILLION}))
    result = apply(rows, BOOK, Scenario(batch_share=D(1)))
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
    result = apply(rows, BOOK, Scenario(batch_share=D("0.5")))
    assert list(result.models["model"]) == [OPUS, HAIKU]
    assert sum(result.models["observed_cost"]) == result.observed
    assert sum(result.models["scenario_cost"]) == result.scenario
    assert sum(result.models["difference"]) == result.scenario - result.observed
    assert list(result.models["requests"]) == [1, 2]


def test_an_empty_log_costs_nothing() -> None:
    assert money(apply(traffic(), BOOK, Scenario(batch_share=D(1)))) == (D(0), D(0))


@pytest.mark.parametrize(
    ("knob", "text"),
    [
        ("batch_share", "1.1"),
        ("batch_share", "-0.1"),
        ("batch_discount", "7"),
        ("batch_discount", "half"),
        ("read_multiplier", "-1"),
        ("read_multiplier", "NaN"),
        ("write_5m_multiplier", "Infinity"),
        ("write_1h_multiplier", "101"),
        ("write_1h_multiplier", "1e-400"),
    ],
)
def test_a_knob_out_of_range_is_refused_by_name(knob: str, text: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_texts({knob: text})
    assert caught.value.field == knob


def test_blank_knobs_stay_as_they_are() -> None:
    assert Scenario.from_texts({"batch_share": " ", "read_multiplier": "", "model": "x"}).is_identity
    assert Scenario.from_texts({"batch_share": "0.25"}) == Scenario(batch_share=D("0.25"))


no_deadline = hypothesis_settings(deadline=None)  # the price book warms up in the first example
LANES = [
    lane(model, service_tier=tier, inference_geo=geo)
    for model in (SONNET, OPUS, HAIKU, "claude-3-haiku-20240307")
    for tier in ("standard", "batch")
    for geo in ("", "us")
]
counts = st.integers(0, 10**12)
rows_of = st.lists(
    st.tuples(st.sampled_from(LANES), st.fixed_dictionaries(dict.fromkeys(METERS, counts))), max_size=6
)
knobs = st.decimals(0, 1, places=3, allow_nan=False)
scenarios = st.builds(
    Scenario,
    batch_share=knobs,
    batch_discount=st.none() | knobs,
    read_multiplier=st.none() | knobs,
    write_5m_multiplier=st.none() | knobs,
    write_1h_multiplier=st.none() | knobs,
)


@no_deadline
@given(rows=rows_of)
def test_identity_is_exact_for_any_traffic(rows) -> None:  # type: ignore[no-untyped-def]
    result = apply(traffic(*rows), BOOK, Scenario())
    assert result.scenario == result.observed


@no_deadline
@given(first=rows_of, second=rows_of, scenario=scenarios)
def test_a_scenario_of_a_sum_is_the_sum_of_the_scenarios(first, second, scenario) -> None:  # type: ignore[no-untyped-def]
    both = apply(traffic(*first, *second), BOOK, scenario)
    one, other = (apply(traffic(*rows), BOOK, scenario) for rows in (first, second))
    with localcontext(prec=100):
        assert both.scenario == one.scenario + other.scenario
        assert both.observed == one.observed + other.observed


@no_deadline
@given(rows=rows_of, share=knobs)
def test_a_share_lies_on_the_line_between_none_and_all(rows, share) -> None:  # type: ignore[no-untyped-def]
    none, part, whole = (
        apply(traffic(*rows), BOOK, Scenario(batch_share=each)).scenario for each in (D(0), share, D(1))
    )
    with localcontext(prec=100):
        assert part == none + share * (whole - none)
