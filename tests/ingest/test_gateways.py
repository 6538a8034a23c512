"""Exports of gateways and tracing tools: identities that bridge sources, wrappings, and what is not counted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import formats
from ingest.core.errors import Reason, Rejection
from ingest.core.events import FLAG_OUTPUT_INCOMPLETE, UsageEvent
from ingest.core.meter_fields import MeterError
from ingest.formats import ParseContext
from ingest.formats import _gateway as gateway
from ingest.formats._by_total import Counts, metered
from ingest.formats._langfuse_pending import Observation, Pending

WIRE = Path(__file__).parent.parent / "wire"
CONTEXT = ParseContext(datetime(2026, 3, 2, tzinfo=UTC), "folder/file.jsonl")


def parse(name: str, *values: object) -> list[formats.Item]:
    return list(formats.get(name).parse(BytesIO("\n".join(map(json.dumps, values)).encode()), CONTEXT))


def events(name: str, *values: object) -> list[UsageEvent]:
    return [item for item in parse(name, *values) if isinstance(item, UsageEvent)]


def wire(name: str, case: str) -> list[UsageEvent]:
    items = formats.get(name).parse(BytesIO((WIRE / name / case).read_bytes()), CONTEXT)
    return [item for item in items if isinstance(item, UsageEvent)]


def spend(**changes: Any) -> dict[str, Any]:
    row = {
        "request_id": "chatcmpl-10000000-0000-4000-8000-000000000001",
        "call_type": "acompletion",
        "spend": 1.0,
        "startTime": "2026-04-02 08:00:00",
        "model": "gpt-5-mini",
        "prompt_tokens": 100,
        "completion_tokens": 10,
        "total_tokens": 110,
    }
    return {**row, **changes}


# --------------------------------------------------------------------------------------------- decided by total


COUNT = st.integers(0, 10**6)


@settings(deadline=None)
@given(COUNT, COUNT, COUNT, COUNT, st.booleans())
def test_a_total_tells_where_the_cached_tokens_are(
    uncached: int, read: int, written: int, output: int, inside: bool
) -> None:
    given_input = uncached + (read + written if inside else 0)
    total = given_input + output + (0 if inside else read + written)
    found = metered(Counts(given_input, output, read, written, total=total), "m", included=None).main
    assert found.totals() == (uncached, read, written, output)
    assert found.prompt_step_tokens == uncached + read + written


@settings(deadline=None)
@given(COUNT, COUNT, COUNT, st.integers(1, 10**6))
def test_a_total_that_fits_neither_reading_is_refused_with_both_numbers(
    i: int, o: int, read: int, off: int
) -> None:
    total = i + o + read + off
    with pytest.raises(MeterError) as caught:
        metered(Counts(i, o, read, total=total), "m", included=None)
    assert caught.value.reason is Reason.CONTRADICTORY_COUNTS
    assert str(total) in caught.value.detail and str(i + o + read) in caught.value.detail


def test_without_a_total_a_part_larger_than_the_whole_is_beside_it() -> None:
    assert metered(Counts(10, 1, 30), "m", included=None, unless_told=True).main.uncached_input_tokens == 10
    assert metered(Counts(40, 1, 30), "m", included=None, unless_told=True).main.uncached_input_tokens == 10
    assert metered(Counts(40, 1, 30), "m", included=None, unless_told=False).main.uncached_input_tokens == 40


def test_thinking_beside_the_output_is_added_where_the_total_or_its_size_shows_it() -> None:
    beside = {"included": None, "thinking_may_be_beside": True}
    assert metered(Counts(9, 35, thinking=64, total=108), "m", **beside).main.output_tokens == 99  # type: ignore[arg-type]
    assert metered(Counts(9, 2055, thinking=1104, total=2064), "m", **beside).main.output_tokens == 2055  # type: ignore[arg-type]
    assert metered(Counts(9, 35, thinking=64), "m", **beside).main.output_tokens == 99  # type: ignore[arg-type]
    with pytest.raises(MeterError):
        metered(Counts(9, 35, thinking=64), "m", included=None)


# ------------------------------------------------------------------------------------------------------ LiteLLM


def test_the_spend_log_and_the_logging_payload_of_a_call_have_one_identity() -> None:
    (logged,) = events("litellm", spend())
    payload = {
        "id": spend()["request_id"],
        "call_type": "acompletion",
        "response_cost": 1,
        "startTime": 1775116800.0,
    }
    (sent,) = events("litellm", {**spend(), **payload, "request_id": None})
    assert logged.id == sent.id and logged.output_tokens == sent.output_tokens
    assert logged.occurred_at == sent.occurred_at


def test_langfuse_fed_by_litellm_knows_the_call_by_litellms_id() -> None:
    (traced,) = wire("langfuse", "ingestion_batch.json")
    assert (
        traced.request_id
        == "chatcmpl-10000000-0000-4000-8000-000000000001"
        == events("litellm", spend())[0].id
    )


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("msg_01ABCDEFGHIJ", True),
        ("resp_0a1b2c3d4e5f", True),
        ("gen-1791609229-abcdefgh", True),
        ("chatcmpl-AbCdEfGh0123456789abcdEFGHI", True),
        ("chatcmpl-2283081b-dc89-41f6-93e6-d4f914774027", False),
        ("r-8b0d0c0a-0000-4000-8000-000000000001", False),
        ("msg_x y", False),
        ("", False),
        (5, False),
    ],
)
def test_only_a_providers_own_id_is_a_second_identity(value: object, found: bool) -> None:
    assert gateway.provider_id(None, value) == (value if found else "")


def test_a_usage_object_that_contradicts_the_row_is_refused_with_both_numbers() -> None:
    (refused,) = parse("litellm", spend(metadata={"usage_object": {"prompt_tokens": 99}}))
    assert isinstance(refused, Rejection)
    assert "100" in refused.detail and "99" in refused.detail


def test_a_larger_total_is_output_that_was_left_out() -> None:
    (event,) = events("litellm", spend(total_tokens=500))
    assert event.output_tokens == 10 and event.flags & FLAG_OUTPUT_INCOMPLETE


# ----------------------------------------------------------------------------------------------------- Langfuse


def observation(name: str, parent: str | None = None, **usage: int) -> dict[str, Any]:
    return {
        "id": name,
        "traceId": "t",
        "type": "GENERATION",
        "parentObservationId": parent,
        "model": "gpt-5-mini",
        "startTime": "2026-04-03T09:00:00Z",
        "usageDetails": usage or {"input": 5, "output": 2, "total": 7},
    }


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0]])
def test_only_the_innermost_generation_counts_in_any_order(order: Sequence[int]) -> None:
    chain = [observation("top"), observation("middle", "top"), observation("inner", "middle")]
    assert [event.id for event in events("langfuse", *[chain[n] for n in order])] == ["inner"]


def test_the_last_update_of_an_observation_wins() -> None:
    create = {"type": "generation-create", "body": {**observation("g"), "usageDetails": None}}
    first = {"type": "generation-update", "body": {"id": "g", "usageDetails": {"input": 5, "output": 1}}}
    last = {"type": "generation-update", "body": {"id": "g", "usageDetails": {"input": 5, "output": 9}}}
    (event,) = events(
        "langfuse", {"batch": [create, first], "metadata": {}}, {"batch": [last], "metadata": {}}
    )
    assert (event.model, event.output_tokens) == ("gpt-5-mini", 9)


def test_what_waits_is_bounded_and_nothing_is_lost() -> None:
    pending = Pending(window=3)
    left = [o.id for n in range(10) for o in pending.add(Observation(n, str(n), {}))]
    assert left == ["0", "1", "2", "3", "4", "5", "6"]
    assert [o.id for o in pending.rest()] == ["7", "8", "9"]


def test_the_counts_of_an_agent_are_not_added_to_those_of_its_calls() -> None:
    agent = {**observation("agent"), "type": "AGENT"}
    assert [event.id for event in events("langfuse", agent, observation("call", "agent"))] == ["call"]


# ------------------------------------------------------------------------------------------- Helicone, Portkey


def test_a_page_of_an_api_gives_its_rows_and_a_row_with_data_stays_a_row() -> None:
    row = {
        "request_id": "h",
        "request_created_at": "2026-04-04T10:00:00Z",
        "response_status": 200,
        "response_model": "gpt-4.1",
        "prompt_tokens": 5,
        "completion_tokens": 1,
    }
    page = {"data": [row, {**row, "request_id": "i"}], "error": None}
    assert [event.id for event in events("helicone", page)] == ["h", "i"]
    assert [event.id for event in events("helicone", {**row, "data": {"x": 1}})] == ["h"]


def test_portkey_names_the_call_by_the_providers_id_and_keeps_its_own_as_the_second() -> None:
    first = wire("portkey", "log_file.jsonl")[0]
    assert (first.id, first.request_id) == ("msg_01PortkeyWireFixture", "pk-1")


# --------------------------------------------------------------------------------------------------- CloudEvents


def test_an_event_of_another_kind_is_taken_and_gives_nothing() -> None:
    base = {"specversion": "1.0", "id": "1", "source": "s", "type": "api-calls"}
    for data in ({"duration": "12"}, None, "text", [1], 5, {"tokens": "5"}, {"model": "gpt-5"}):
        assert parse("openmeter", {**base, "data": data}) == []


def test_events_are_unique_by_source_and_id() -> None:
    base = {"specversion": "1.0", "id": "1", "type": "llm", "data": {"model": "m", "input_tokens": 1}}
    found = events("openmeter", {**base, "source": "a"}, {**base, "source": "b"}, {**base, "source": "a"})
    assert [event.id for event in found] == ["a#1", "b#1", "a#1"]


# -------------------------------------------------------------------------------------------------------- Codex


def test_a_forked_session_repeats_its_parents_calls_under_the_same_identity() -> None:
    parent, fork = wire("codex", "session.jsonl"), wire("codex", "forked_session.jsonl")
    assert {event.id for event in fork[:2]} <= {event.id for event in parent}
    assert fork[2].id not in {event.id for event in parent}
    assert {event.session_id for event in fork[:2]} == {parent[0].session_id} != {fork[2].session_id}


def lines(session: str, parent: str | None, totals: Sequence[int]) -> list[dict[str, Any]]:
    meta = {
        "id": session,
        "timestamp": "2026-04-07T13:00:00Z",
        **({"forked_from_id": parent} if parent else {}),
    }
    found: list[dict[str, Any]] = [
        {"timestamp": "2026-04-07T13:00:00Z", "type": "session_meta", "payload": meta}
    ]
    for total in totals:
        usage = {"input_tokens": total, "output_tokens": 1, "total_tokens": total + 1}
        payload = {"type": "token_count", "info": {"total_token_usage": usage}}
        found.append({"timestamp": "2026-04-07T13:00:01Z", "type": "event_msg", "payload": payload})
    return found


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=12))
def test_differences_of_a_running_total_sum_to_the_total(steps: list[int]) -> None:
    totals = [sum(steps[: n + 1]) for n in range(len(steps))]
    repeated = [total for total in totals for _ in range(2)]  # limits are refreshed: the same total again
    found = events("codex", *lines("s", None, repeated))
    assert sum(event.uncached_input_tokens for event in found) == totals[-1]
    assert len({event.id for event in found}) == len(found)


def test_sessions_that_count_the_same_are_still_two() -> None:
    first, second = events("codex", *lines("a", None, [10])), events("codex", *lines("b", None, [10]))
    assert first[0].id != second[0].id
    copied = events("codex", *lines("c", "a", [10]))
    assert copied[0].id == first[0].id


def test_a_session_that_does_not_name_itself_is_known_by_its_times_and_not_by_the_name_of_its_file() -> None:
    body = "\n".join(map(json.dumps, lines("", None, [10])[1:])).encode()

    def ids(file_name: str) -> list[str]:
        items = formats.get("codex").parse(BytesIO(body), ParseContext(CONTEXT.default_time, file_name))
        return [item.id for item in items if isinstance(item, UsageEvent)]

    assert ids("a/rollout.jsonl") == ids("") == ids("b/other.jsonl") != []


# --------------------------------------------------------------------------------------------------- the helpers


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2026-04-02T08:00:00Z", "2026-04-02T08:00:00+00:00"),
        ("2026-04-02 08:00:00.5", "2026-04-02T08:00:00.500000+00:00"),
        ("2026-04-02 10:00:00+02:00", "2026-04-02T08:00:00+00:00"),
        (1775116800, "2026-04-02T08:00:00+00:00"),
        (1775116800.25, "2026-04-02T08:00:00.250000+00:00"),
        (1775116800250, "2026-04-02T08:00:00.250000+00:00"),
    ],
)
def test_times_of_gateways_are_read(value: object, moment: str) -> None:
    assert gateway.moment(value, "t").isoformat() == moment


@pytest.mark.parametrize(
    "value",
    [None, "", "soon", True, [], float("nan"), float("inf"), 1e300, -1e11, "0001-01-01T00:00:00+23:59"],
)
def test_what_is_no_time_is_refused(value: object) -> None:
    with pytest.raises(MeterError) as caught:
        gateway.moment(value, "t")
    assert caught.value.field == "t"


def test_labels_are_cut_or_dropped_but_never_cost_a_call() -> None:
    assert gateway.label(None, "", "\0", 7) == "7"
    assert len(gateway.label("x" * 999)) == 256
    assert gateway.label("half \ud83d") == "half ?"
    assert gateway.tags_of({"a": "1", "b": None, "": "x", "c": [1], "d": True, "n" * 99: "v"})[0] == (
        "a",
        "1",
    )
    assert gateway.tag_words(["team:search", "nightly", 5, "x:"]) == {
        "team": "search",
        "nightly": "true",
        "x": "true",
    }
    assert gateway.tag_words("not a list") == {}
