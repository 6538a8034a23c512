"""A provider's usage object becomes disjoint meters. Tnn: known mistakes of other tools."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.core.errors import Reason
from ingest.core.events import (
    FLAG_OUTPUT_INCOMPLETE,
    FLAG_SPLIT_EXCEEDS_TOTAL,
    FLAG_TTL_UNKNOWN,
    OUTCOME_OK,
    OUTCOME_REFUSED_BEFORE_OUTPUT,
)
from ingest.core.meter_fields import MAX_COUNT, Metered, MeterError, Part, keys_seen
from ingest.core.meters import outcome_of, read_usage

MODEL = "claude-opus-4-7"


def usage(uncached: int, output: int, read: int = 0, written: int = 0, **more: Any) -> dict[str, Any]:
    counts = {"input_tokens": uncached, "output_tokens": output}
    return {**counts, "cache_read_input_tokens": read, "cache_creation_input_tokens": written, **more}


def split(in_5m: int | None, in_1h: int | None) -> dict[str, Any]:
    return {"ephemeral_5m_input_tokens": in_5m, "ephemeral_1h_input_tokens": in_1h}


def meters(part: Part) -> tuple[int, int, int, int, int]:
    """(uncached, read, written 5m, written 1h, output)"""
    return (
        part.uncached_input_tokens,
        part.cache_read_input_tokens,
        part.cache_write_5m_input_tokens,
        part.cache_write_1h_input_tokens,
        part.output_tokens,
    )


def main(body: dict[str, Any]) -> Part:
    metered = read_usage(body, MODEL)
    assert metered.extra == []
    return metered.main


def extras(metered: Metered) -> list[tuple[str, str, tuple[int, int, int, int, int]]]:
    return [(part.suffix, part.model, meters(part)) for part in metered.extra]


def refusal(body: Any) -> MeterError:
    with pytest.raises(MeterError) as caught:
        read_usage(body, MODEL)
    return caught.value


# ---------------------------------------------------------------------------------------- Anthropic, one step


def test_t01_t05_anthropic_counts_are_taken_as_they_are() -> None:
    assert meters(main(usage(19, 7, 39_000, 120, cache_creation=split(20, 100)))) == (19, 39_000, 20, 100, 7)


def test_null_missing_and_zero_are_the_same() -> None:
    keys = (
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "cache_creation",
        "server_tool_use",
        "output_tokens_details",
    )
    nulls = dict.fromkeys((*keys, "service_tier", "inference_geo", "speed", "iterations"))
    bare = {"input_tokens": 12, "output_tokens": 7}
    assert read_usage({**bare, **nulls}, MODEL) == read_usage(bare, MODEL) == read_usage(usage(12, 7), MODEL)


def test_writes_without_a_split_are_5m_and_flagged() -> None:
    part = main(usage(1, 1, 0, 500))
    assert meters(part) == (1, 0, 500, 0, 1)
    assert part.flags == FLAG_TTL_UNKNOWN
    assert main(usage(1, 1, 0, 0)).flags == 0


def test_t10_a_split_below_the_total_leaves_the_rest_at_5m() -> None:
    part = main(usage(1, 1, 0, 500, cache_creation=split(0, 300)))
    assert meters(part) == (1, 0, 200, 300, 1)
    assert part.flags == FLAG_TTL_UNKNOWN


def test_a_split_above_the_total_is_trusted_and_flagged() -> None:
    part = main(usage(1, 1, 0, 500, cache_creation=split(300, 300)))
    assert meters(part) == (1, 0, 300, 300, 1)
    assert part.flags == FLAG_SPLIT_EXCEEDS_TOTAL


def test_a_split_without_a_total_counts_unflagged() -> None:
    part = main({"input_tokens": 7, "output_tokens": 9, "cache_creation": split(400, 600)})
    assert meters(part) == (7, 0, 400, 600, 9)
    assert part.flags == 0


def test_t09_a_misspelt_split_key_is_not_a_split() -> None:
    part = main(usage(1, 1, 0, 500, cache_creation={"ephemeral_1hr_input_tokens": 500}))
    assert meters(part) == (1, 0, 500, 0, 1)
    assert part.flags == FLAG_TTL_UNKNOWN


def test_t28_thinking_is_inside_the_output() -> None:
    metered = read_usage(usage(5, 136, output_tokens_details={"thinking_tokens": 31}), MODEL)
    assert (metered.main.output_tokens, metered.thinking_tokens) == (136, 31)
    error = refusal(usage(5, 30, output_tokens_details={"thinking_tokens": 31}))
    assert error.reason is Reason.CONTRADICTORY_COUNTS
    assert "31" in error.detail and "30" in error.detail


def test_t21_t22_t24_lanes_and_searches_are_read() -> None:
    more: dict[str, Any] = {
        "service_tier": "batch",
        "inference_geo": "us",
        "speed": "fast",
        "server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 9},
    }
    metered = read_usage(usage(1, 1, **more), MODEL)
    assert (metered.service_tier, metered.inference_geo, metered.speed, metered.web_search_requests) == (
        "batch",
        "us",
        "fast",
        3,
    )
    assert read_usage(usage(1, 1, inference_geo="not_available"), MODEL).inference_geo == ""
    assert read_usage(usage(1, 1), MODEL).service_tier == "standard"


def test_the_prompt_size_is_everything_that_went_in() -> None:
    assert main(usage(1, 50, 20, 300)).prompt_step_tokens == 321


def test_a_refusal_before_output_is_an_outcome_of_its_own() -> None:
    assert outcome_of("refusal", 0) == OUTCOME_REFUSED_BEFORE_OUTPUT
    assert outcome_of("refusal", 1) == outcome_of("end_turn", 0) == OUTCOME_OK


# ------------------------------------------------------------------------------------------------- iterations


def test_a_single_iteration_is_never_added() -> None:
    body = usage(
        28, 106, 5, 9, cache_creation=split(9, 0), iterations=[{"type": "message", **usage(28, 106, 5, 9)}]
    )
    assert meters(main(body)) == (28, 5, 9, 0, 106)


def test_iterations_that_sum_to_the_top_level_leave_its_split_in_place() -> None:
    steps = [{"type": "message", **usage(10, 1, 0, 40)}, {"type": "message", **usage(20, 2, 40, 60)}]
    part = main(usage(30, 3, 40, 100, cache_creation=split(25, 75), iterations=steps))
    assert meters(part) == (30, 40, 25, 75, 3)
    assert (part.flags, part.prompt_step_tokens) == (0, 120)


def test_a_top_level_that_shows_only_the_first_step_is_not_relied_on() -> None:
    steps = [{"type": "message", **usage(10, 1)}, {"type": "message", **usage(20, 2)}]
    assert meters(main(usage(10, 1, iterations=steps))) == (30, 0, 0, 0, 3)


def test_t25_compaction_is_added() -> None:
    steps = [{"type": "compaction", **usage(900, 35)}, {"type": "message", **usage(230, 10)}]
    assert meters(main(usage(230, 10, iterations=steps))) == (1130, 0, 0, 0, 45)


def test_a_compaction_of_another_price_step_is_a_part_of_its_own() -> None:
    steps = [{"type": "compaction", **usage(180_000, 3500)}, {"type": "message", **usage(23_000, 1000)}]
    metered = read_usage(usage(23_000, 1000, iterations=steps), MODEL)
    assert meters(metered.main) == (23_000, 0, 0, 0, 1000)
    assert extras(metered) == [(f"#compaction:{MODEL}", MODEL, (180_000, 0, 0, 0, 3500))]


def test_a_lone_compaction_with_an_empty_top_level_is_counted_once() -> None:
    body = usage(0, 0, iterations=[{"type": "compaction", **usage(900, 35)}])
    assert meters(main(body)) == (900, 0, 0, 0, 35)


def test_t26_advisor_tokens_are_a_part_at_the_advisors_model() -> None:
    steps = [
        {"type": "message", **usage(1128, 20)},
        {
            "type": "advisor_message",
            "model": "claude-fable-5",
            **usage(700, 90, 5, 6, cache_creation=split(0, 6)),
        },
        {"type": "message", **usage(1262, 30)},
        {"type": "advisor_message", "model": "claude-fable-5", **usage(1, 1)},
    ]
    metered = read_usage(usage(2390, 50, iterations=steps, server_tool_use={"web_search_requests": 1}), MODEL)
    assert meters(metered.main) == (2390, 0, 0, 0, 50)
    assert metered.main.prompt_step_tokens == 1262
    assert extras(metered) == [("#advisor_message:claude-fable-5", "claude-fable-5", (701, 5, 0, 6, 91))]


def test_an_advisor_of_the_same_model_is_still_a_part_of_its_own() -> None:
    steps = [{"type": "message", **usage(10, 1)}, {"type": "advisor_message", "model": MODEL, **usage(20, 2)}]
    metered = read_usage(usage(10, 1, iterations=steps), MODEL)
    assert meters(metered.main) == (10, 0, 0, 0, 1)
    assert extras(metered) == [(f"#advisor_message:{MODEL}", MODEL, (20, 0, 0, 0, 2))]


@pytest.mark.parametrize("named", [True, False])
def test_t27_a_hop_that_declined_without_output_is_not_billed(named: bool) -> None:
    hop = {"type": "message", **({"model": MODEL} if named else {}), **usage(535, 0)}
    served = {"type": "fallback_message", "model": "claude-opus-4-8", **usage(412, 264)}
    metered = read_usage(usage(412, 264, iterations=[hop, served]), MODEL)
    assert metered.extra == []
    assert metered.main.model == "claude-opus-4-8"
    assert meters(metered.main) == (412, 0, 0, 0, 264)


def test_a_hop_that_declined_after_output_is_billed_at_its_own_model() -> None:
    hop = {"type": "message", "model": "claude-fable-5", **usage(535, 9)}
    served = {"type": "fallback_message", "model": "claude-opus-4-8", **usage(412, 264)}
    metered = read_usage(usage(412, 264, iterations=[hop, served]), "claude-fable-5")
    assert meters(metered.main) == (412, 0, 0, 0, 264)
    assert extras(metered) == [("#message:claude-fable-5", "claude-fable-5", (535, 0, 0, 0, 9))]


def test_a_lone_fallback_iteration_names_the_serving_model() -> None:
    body = usage(5, 6, iterations=[{"type": "fallback_message", "model": "claude-opus-4-8", **usage(5, 6)}])
    assert main(body).model == "claude-opus-4-8"


def test_steps_that_name_the_dated_model_of_an_alias_are_not_a_second_call() -> None:
    steps = [{"type": "message", "model": "claude-opus-4-7-20260101", **usage(5, 6)}] * 2
    part = main(usage(10, 12, iterations=steps))
    assert meters(part) == (10, 0, 0, 0, 12)


def test_steps_of_one_model_at_two_price_steps_become_two_parts() -> None:
    steps = [
        {"type": "message", **usage(150_000, 1)},
        {"type": "message", **usage(250_000, 2)},
        {"type": "message", **usage(150_001, 4)},
    ]
    metered = read_usage(usage(550_001, 7, iterations=steps), MODEL)
    assert meters(metered.main) == (300_001, 0, 0, 0, 5)
    assert metered.main.prompt_step_tokens == 150_001
    assert extras(metered) == [(f"#message:{MODEL}@200000", MODEL, (250_000, 0, 0, 0, 2))]
    assert metered.extra[0].prompt_step_tokens == 250_000


def test_steps_without_a_split_take_the_only_ttl_of_the_top_level() -> None:
    steps = [{"type": "message", **usage(0, 1, 0, 150_000)}, {"type": "message", **usage(9, 2, 0, 9)}]
    metered = read_usage(usage(9, 3, 0, 150_009, cache_creation=split(0, 150_009), iterations=steps), MODEL)
    assert meters(metered.main) == (9, 0, 0, 9, 2)
    assert [meters(part) for part in metered.extra] == [(0, 0, 0, 150_000, 1)]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["message", "compaction", "advisor_message"]),
            st.integers(0, 300_000),
            st.integers(0, 9),
            st.integers(0, 9),
        ),
        min_size=2,
        max_size=6,
    )
)
def test_no_token_of_a_call_without_fallback_is_lost_or_doubled(
    steps: list[tuple[str, int, int, int]],
) -> None:
    entries = [
        {"type": kind, "model": "adviser" if kind == "advisor_message" else None, **usage(a, b, c)}
        for kind, a, b, c in steps
    ]
    shown = [usage(*counts) for kind, *counts in steps if kind == "message"]
    top = {key: sum(entry[key] for entry in shown) for key in usage(0, 0)}
    metered = read_usage({**top, "iterations": entries}, MODEL)
    parts = [metered.main, *metered.extra]
    assert sum(part.uncached_input_tokens for part in parts) == sum(a for _, a, _, _ in steps)
    assert sum(part.output_tokens for part in parts) == sum(b for _, _, b, _ in steps)
    assert sum(part.cache_read_input_tokens for part in parts) == sum(c for _, _, _, c in steps)
    assert len({part.suffix for part in parts}) == len(parts)


# ----------------------------------------------------------------------------------------------------- OpenAI


def test_t03_t04_chat_prompt_tokens_include_reads_and_writes() -> None:
    details = {"cached_tokens": 128_955, "cache_write_tokens": 1253}
    part = main(
        {
            "prompt_tokens": 130_213,
            "completion_tokens": 9,
            "total_tokens": 130_222,
            "prompt_tokens_details": details,
        }
    )
    assert meters(part) == (5, 128_955, 1253, 0, 9)
    assert part.flags == FLAG_TTL_UNKNOWN
    assert part.prompt_step_tokens == 130_213


@pytest.mark.parametrize(
    "key", ["prompt_cache_hit_tokens", "num_cached_tokens", "cached_tokens", "cache_read_input_tokens"]
)
def test_look_alikes_name_cached_tokens_differently(key: str) -> None:
    assert meters(main({"prompt_tokens": 50, "completion_tokens": 3, key: 20})) == (30, 20, 0, 0, 3)


def test_reasoning_reported_beside_the_answer_is_added_by_the_total() -> None:
    body = {
        "prompt_tokens": 32,
        "completion_tokens": 9,
        "completion_tokens_details": {"reasoning_tokens": 110},
        "total_tokens": 151,
    }
    metered = read_usage(body, "grok-4")
    assert (metered.main.output_tokens, metered.thinking_tokens) == (119, 110)


def test_a_total_above_the_parts_flags_the_output_as_incomplete() -> None:
    part = main({"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109})
    assert (part.output_tokens, part.flags) == (12, FLAG_OUTPUT_INCOMPLETE)


def test_responses_input_tokens_include_cached_ones() -> None:
    body = {
        "input_tokens": 1370,
        "input_tokens_details": {"cached_tokens": 1280},
        "output_tokens": 155,
        "total_tokens": 1525,
    }
    metered = read_usage(
        {**body, "output_tokens_details": {"reasoning_tokens": 64}, "service_tier": "default"}, "gpt-5"
    )
    assert meters(metered.main) == (90, 1280, 0, 0, 155)
    assert (metered.thinking_tokens, metered.service_tier) == (64, "standard")


def test_a_total_tells_whether_anthropic_counts_were_made_inclusive() -> None:
    body = usage(100, 10, 60, 30, cache_creation=split(30, 0))
    assert meters(main({**body, "total_tokens": 200})) == (100, 60, 30, 0, 10)
    assert meters(main({**body, "total_tokens": 110})) == (10, 60, 30, 0, 10)
    error = refusal({**body, "total_tokens": 150})
    assert error.reason is Reason.CONTRADICTORY_COUNTS
    assert "150" in error.detail and "200" in error.detail


@pytest.mark.parametrize(
    ("body", "numbers"),
    [
        (
            {"prompt_tokens": 10, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 11}},
            ("10", "11"),
        ),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 1,
                "prompt_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 7},
            },
            ("10", "13"),
        ),
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 14}, ("14", "15")),
        (
            {"input_tokens": 10, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 12}},
            ("10", "12"),
        ),
        ({"input_tokens": 10, "output_tokens": 5, "total_tokens": 16}, ("15", "16")),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "completion_tokens_details": {"reasoning_tokens": 6},
            },
            ("5", "6"),
        ),
    ],
)
def test_sums_that_cannot_be_true_are_refused_with_both_numbers(
    body: dict[str, Any], numbers: tuple[str, str]
) -> None:
    error = refusal(body)
    assert error.reason is Reason.CONTRADICTORY_COUNTS
    assert all(number in error.detail for number in numbers)


# --------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (-1, Reason.NEGATIVE_COUNT),
        (MAX_COUNT + 1, Reason.COUNT_TOO_LARGE),
        (-(10**5000), Reason.NEGATIVE_COUNT),
        (10**5000, Reason.COUNT_TOO_LARGE),
        (1.0, Reason.INVALID_TYPE),
        ("5", Reason.INVALID_TYPE),
        (True, Reason.INVALID_TYPE),
        ([], Reason.INVALID_TYPE),
    ],
    ids=["negative", "large", "huge negative", "huge", "float", "string", "boolean", "list"],
)
@pytest.mark.parametrize(
    "key", ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"]
)
def test_a_count_that_is_no_count_is_refused_by_name(key: str, value: Any, reason: Reason) -> None:
    error = refusal({**usage(1, 1), key: value})
    assert (error.reason, error.field) == (reason, f"usage.{key}")


def test_nested_fields_are_named_in_full() -> None:
    assert (
        refusal(usage(1, 1, cache_creation=split(-1, 0))).field
        == "usage.cache_creation.ephemeral_5m_input_tokens"
    )
    assert refusal(usage(1, 1, iterations=[{}, usage(-1, 0)])).field == "usage.iterations[1].input_tokens"
    assert refusal(usage(1, 1, server_tool_use=4)).field == "usage.server_tool_use"
    assert refusal(usage(1, 1, iterations={})).field == "usage.iterations"


def test_iterations_that_sum_beyond_what_can_be_stored_are_refused() -> None:
    steps = [{"type": "message", **usage(1, MAX_COUNT)}] * 2
    assert refusal(usage(2, 1, iterations=steps)).reason is Reason.COUNT_TOO_LARGE


@pytest.mark.parametrize(
    "body", [{}, {"tokensIn": 1, "tokensOut": 2, "totalTokens": 3}, {"prompt_eval_count": 4}]
)
def test_a_shape_that_is_not_known_is_refused_with_its_keys(body: dict[str, Any]) -> None:
    error = refusal(body)
    assert error.reason is Reason.UNKNOWN_USAGE_SHAPE
    assert all(key in error.detail for key in body)


def test_keys_that_could_be_text_are_not_repeated() -> None:
    assert keys_seen({"good_key": 1, "a secret sentence": 2}) == "good_key, (other)"
    assert keys_seen({f"k{n}": 0 for n in range(20)}).endswith(", ...")


# ----------------------------------------------------------------------------------------------- Gemini and media


def test_gemini_thinking_and_tool_prompts_are_added_and_cached_content_taken_out() -> None:
    body = {
        "promptTokenCount": 32,
        "candidatesTokenCount": 341,
        "thoughtsTokenCount": 720,
        "toolUsePromptTokenCount": 103,
        "totalTokenCount": 1196,
    }
    metered = read_usage(body, MODEL)
    assert (meters(metered.main), metered.thinking_tokens) == ((135, 0, 0, 0, 1061), 720)
    assert meters(main({**body, "cachedContentTokenCount": 30})) == (105, 30, 0, 0, 1061)


def test_gemini_counts_have_two_spellings() -> None:
    snake = {
        "prompt_token_count": 9,
        "cached_content_token_count": 4,
        "candidates_token_count": 2,
        "total_token_count": 11,
    }
    assert meters(main(snake)) == (5, 4, 0, 0, 2)


@pytest.mark.parametrize(
    ("said", "tier"),
    [
        ({}, "standard"),
        ({"trafficType": "ON_DEMAND"}, "standard"),
        ({"trafficType": 1}, "standard"),
        ({"trafficType": "ON_DEMAND_FLEX"}, "flex"),
        ({"trafficType": "PROVISIONED_THROUGHPUT"}, "provisioned_throughput"),
        ({"traffic_type": 2}, "provisioned_throughput"),
        ({"serviceTier": "priority"}, "priority"),
        ({"serviceTier": "standard"}, "standard"),
    ],
)
def test_gemini_traffic_is_a_service_tier(said: dict[str, Any], tier: str) -> None:
    assert read_usage({"promptTokenCount": 1, **said}, MODEL).service_tier == tier


@pytest.mark.parametrize(
    ("body", "numbers"),
    [
        ({"promptTokenCount": 4, "cachedContentTokenCount": 5}, ("4", "5")),
        ({"promptTokenCount": 4, "candidatesTokenCount": 6, "totalTokenCount": 11}, ("11", "10")),
        ({"promptTokenCount": 4, "candidatesTokenCount": 6, "totalTokenCount": 9}, ("9", "10")),
        ({"promptTokenCount": 4, "totalTokenCount": 3}, ("3", "4")),
    ],
)
def test_gemini_sums_that_cannot_be_true_are_refused_with_both_numbers(
    body: dict[str, Any], numbers: tuple[str, str]
) -> None:
    error = refusal(body)
    assert error.reason is Reason.CONTRADICTORY_COUNTS
    assert all(number in error.detail for number in numbers)


def test_a_gemini_total_beyond_a_missing_answer_is_flagged() -> None:
    assert main({"promptTokenCount": 4, "totalTokenCount": 30}).flags == FLAG_OUTPUT_INCOMPLETE


@pytest.mark.parametrize(
    ("body", "media"),
    [
        ({"prompt_tokens": 9, "prompt_tokens_details": {"audio_tokens": 3}}, "audio"),
        ({"prompt_tokens": 9, "completion_tokens_details": {"image_tokens": 1, "audio_tokens": 0}}, "image"),
        ({"input_tokens": 9, "input_tokens_details": {"audio_tokens": 1, "image_tokens": 2}}, "audio+image"),
        ({"promptTokenCount": 9, "promptTokensDetails": [{"modality": "VIDEO", "tokenCount": 4}]}, "video"),
        ({"promptTokenCount": 9, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 4}]}, ""),
        ({"prompt_tokens": 9, "prompt_tokens_details": {"audio_tokens": 0}}, ""),
    ],
)
def test_media_beside_text_are_named_because_they_can_have_prices_of_their_own(
    body: dict[str, Any], media: str
) -> None:
    metered = read_usage(body, MODEL)
    assert metered.media == media
    assert outcome_of("stop", 1, metered.media) == (media or OUTCOME_OK)


@given(
    st.integers(0, 9_000),
    st.integers(0, 9_000),
    st.integers(0, 9_000),
    st.integers(0, 9_000),
    st.integers(0, 9_000),
)
def test_gemini_meters_sum_to_its_total(
    prompt: int, cached: int, answer: int, thoughts: int, tools: int
) -> None:
    total = prompt + answer + thoughts + tools
    body = {
        "promptTokenCount": prompt,
        "cachedContentTokenCount": min(cached, prompt),
        "candidatesTokenCount": answer,
        "thoughtsTokenCount": thoughts,
        "toolUsePromptTokenCount": tools,
        "totalTokenCount": total,
    }
    part = main(body)
    assert part.prompt_tokens + part.output_tokens == total
    assert part.prompt_step_tokens == part.prompt_tokens
