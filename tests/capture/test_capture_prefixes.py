"""Prefixes as salted, chained hashes: what makes two prompts share one, and what their token counts say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from static.capture import breakeven_capture as capture

KEY = capture._key_of("salt of the tests")
MARK = {"type": "ephemeral"}
USAGE = {"input_tokens": 100, "output_tokens": 1}


def prefix_of(
    body: dict[str, Any],
    usage: dict[str, Any] | None = None,
    *,
    kind: str = "anthropic",
    key: bytes = KEY,
    sizes: capture._Sizes | None = None,
) -> list[tuple[str, int]]:
    """The prefix of a request body as (id, tokens)."""
    found = capture._prefix(kind, body, "model", usage or USAGE, key, sizes or capture._Sizes())
    return [(entry["id"], entry["tokens"]) for entry in found or []]


def ids_of(body: dict[str, Any], **more: Any) -> list[str]:
    return [name for name, _ in prefix_of(body, **more)]


def text(words: str, *, marked: bool = False) -> dict[str, Any]:
    return {"type": "text", "text": words, **({"cache_control": MARK} if marked else {})}


def turns(count: int) -> list[dict[str, Any]]:
    roles = ("user", "assistant")
    return [{"role": roles[n % 2], "content": [text(f"turn {n}")]} for n in range(count)]


def test_a_longer_conversation_begins_with_the_ids_of_the_shorter_one() -> None:
    tools = [{"name": "look", "input_schema": {"type": "object"}}]
    short = ids_of({"tools": tools, "system": "rules", "messages": turns(3)})
    long = ids_of({"tools": tools, "system": "rules", "messages": turns(5)})
    assert len(short) == 5 and long[:5] == short and len(set(long)) == 7


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"tools": [{"name": "other"}]}, 0),
        ({"tools": [{"input_schema": {}, "name": "look"}]}, 0),  # the order of the keys is part of the prompt
        ({"system": "other rules"}, 1),
        ({"messages": [{"role": "user", "content": "other"}]}, 2),
        ({"tool_choice": {"type": "any"}}, 2),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, 2),
        ({"speed": "fast"}, 1),
        ({"tool_choice": {"type": "auto"}, "thinking": {"type": "disabled"}}, 3),  # as if left out
        ({"max_tokens": 5, "temperature": 0, "metadata": {"user_id": "u"}}, 3),
        ({"messages": [{"role": "user", "content": [text("turn 0")]}]}, 3),  # the same, written as blocks
        (
            {"messages": [{"role": "user", "content": [text("turn 0", marked=True)]}]},
            3,
        ),  # a mark is no content
    ],
)
def test_a_change_breaks_what_follows_as_it_does_at_the_provider(change: dict[str, Any], kept: int) -> None:
    tool = {"name": "look", "input_schema": {}}
    before = {"tools": [tool], "system": "rules", "messages": [{"role": "user", "content": "turn 0"}]}
    one, other = ids_of(before), ids_of({**before, **change})
    assert [a == b for a, b in zip(one, other, strict=True)] == [n < kept for n in range(3)]


def test_the_salt_decides_the_ids() -> None:
    body = {"messages": turns(1)}
    assert ids_of(body) == ids_of(body, key=capture._key_of(b"salt of the tests"))
    assert ids_of(body) != ids_of(body, key=capture._key_of("another"))


def test_what_lies_after_the_last_breakpoint_is_left_out() -> None:
    body = {"system": [text("rules", marked=True)], "messages": turns(4)}
    usage = {"input_tokens": 50, "cache_read_input_tokens": 2000, "cache_creation_input_tokens": 0}
    assert [tokens for _, tokens in prefix_of(body, usage)] == [2000]


def test_with_automatic_caching_everything_counts() -> None:
    body = {"cache_control": MARK, "system": [text("rules", marked=True)], "messages": turns(2)}
    usage = {
        "input_tokens": 3,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 900},
    }
    assert [tokens for _, tokens in prefix_of(body, usage)][-1] == 900


def test_without_caching_the_whole_prompt_could_be_cached() -> None:
    assert [tokens for _, tokens in prefix_of({"messages": turns(2)}, {"input_tokens": 80})] == [40, 80]


def test_below_the_minimum_the_share_of_the_text_stands_for_the_tokens() -> None:
    body = {
        "system": [text("x" * 10_000, marked=True)],
        "messages": [{"role": "user", "content": "x" * 10_000}],
    }
    ((_, tokens),) = prefix_of(body, {"input_tokens": 1000})
    assert tokens == pytest.approx(500, abs=5)


def test_a_prefix_that_was_measured_keeps_its_count_in_later_calls() -> None:
    sizes = capture._Sizes()
    system = [text("rules " * 50, marked=True)]
    first = prefix_of(
        {"system": system, "messages": []}, {"input_tokens": 1, "cache_read_input_tokens": 4000}, sizes=sizes
    )
    grown = {"cache_control": MARK, "system": system, "messages": turns(4)}
    later = prefix_of(grown, {"input_tokens": 2, "cache_read_input_tokens": 4400}, sizes=sizes)
    assert later[0] == first[0]
    assert [tokens for _, tokens in later] == [4000, 4100, 4200, 4300, 4400]


def test_an_image_is_not_weighed_by_its_bytes() -> None:
    data = {"type": "base64", "media_type": "image/png", "data": "A" * 1_000_000}
    image = {"type": "image", "source": data}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [image]}
    content = [text("x" * 6000), image, result]
    counts = [
        n for _, n in prefix_of({"messages": [{"role": "user", "content": content}]}, {"input_tokens": 3000})
    ]
    assert counts == [pytest.approx(1000, abs=20), pytest.approx(2000, abs=20), 3000]


def test_of_several_steps_the_first_is_the_prompt() -> None:
    steps = [
        {"type": "message", "input_tokens": 10, "cache_read_input_tokens": 990},
        {"type": "message", "input_tokens": 20, "cache_read_input_tokens": 1200},
    ]
    usage = {"input_tokens": 30, "cache_read_input_tokens": 2190, "iterations": steps}
    assert [n for _, n in prefix_of({"cache_control": MARK, "messages": turns(1)}, usage)] == [990]


def test_a_long_prompt_names_its_last_blocks_and_every_nth_before() -> None:
    blocks = prefix_of({"messages": turns(3000)}, {"input_tokens": 90_000})
    every = dict.fromkeys(
        name for name in capture._chain(KEY, capture._anthropic_prompt({"messages": turns(3000)}).blocks)
    )
    assert len(blocks) <= capture.MAX_PREFIX
    assert [name for name, _ in blocks][-capture.TAIL :] == list(every)[-capture.TAIL :]
    assert blocks[-1][1] == 90_000


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6000), st.integers(1, 60))
def test_a_grown_prompt_names_every_prefix_of_the_old_one_that_matters(count: int, more: int) -> None:
    """From the root on, all that the longer one names up to the old end, the shorter one named too."""
    block = capture._Block(b"", 1, False)
    before, after = capture._kept([block] * count), capture._kept([block] * (count + more))
    assert len(after) <= capture.MAX_PREFIX and after[-1] == count + more - 1
    assert count - 1 in after  # where the next turn begins is always named
    assert {place for place in after if place < count} <= set(before)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 3), min_size=1, max_size=6), st.integers(0, 10_000)), max_size=8
    )
)
def test_counts_never_fall_and_end_at_the_total(calls: list[tuple[list[int], int]]) -> None:
    sizes = capture._Sizes()
    for path, total in calls:
        ids = ["/".join(map(str, path[: n + 1])) for n in range(len(path))]
        counts = sizes.counts("model", ids, [10 * (step + 1) for step in path], total)
        assert counts == sorted(counts) and counts[-1] == total


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("chat", {"messages": [{"role": "system", "content": "rules"}, {"role": "user", "content": "hi"}]}),
        ("responses", {"instructions": "rules", "input": "hi"}),
    ],
)
def test_openai_prompts_are_cut_in_their_order(kind: str, body: dict[str, Any]) -> None:
    usage = {"prompt_tokens": 60, "input_tokens": 60}
    tool = {"type": "function", "function": {"name": "look"}}
    plain, tooled = (prefix_of(b, usage, kind=kind) for b in (body, {**body, "tools": [tool]}))
    assert len(plain) == 2 and len(tooled) == 3
    assert plain[-1][1] == tooled[-1][1] == 60
    assert {name for name, _ in plain}.isdisjoint(name for name, _ in tooled)


def test_tool_calls_and_results_of_openai_are_part_of_the_chain() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "found"},
    ]
    assert len(ids_of({"messages": messages}, kind="chat", usage={"prompt_tokens": 9})) == 4


FIELDS = st.sampled_from(
    [
        "tools",
        "system",
        "messages",
        "content",
        "role",
        "type",
        "source",
        "cache_control",
        "input",
        "usage",
        "text",
    ]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(FIELDS | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=15,
)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(FIELDS, ANYTHING, max_size=6),
    st.sampled_from(["anthropic", "chat", "responses"]),
    ANYTHING,
)
def test_no_body_is_too_strange(body: dict[str, Any], kind: str, usage: Any) -> None:
    known = usage if isinstance(usage, dict) else {}
    counts = prefix_of(body, {"input_tokens": 50, "prompt_tokens": 50, **known}, kind=kind)
    assert [tokens for _, tokens in counts] == sorted(tokens for _, tokens in counts)


@given(ANYTHING, st.text(alphabet="ab ", min_size=65, max_size=80))
def test_a_usage_object_cannot_carry_text(usage: Any, prompt: str) -> None:
    sent = json.dumps(capture._counts_only({"input_tokens": 5, "note": prompt, "more": [prompt, usage]}))
    assert prompt not in sent and json.loads(sent)["input_tokens"] == 5
