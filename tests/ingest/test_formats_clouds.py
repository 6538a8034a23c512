"""Claude on other people's clouds: what a record says about model, place and price, and what makes a call one."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.filters import Filters
from dashboard.queries import spend
from ingest import formats
from ingest.accept import accept
from ingest.core.errors import Reason, Rejection
from ingest.core.events import FLAG_TTL_UNKNOWN, UsageEvent
from ingest.core.meter_fields import MeterError
from ingest.core.meters import read_usage
from ingest.core.pricing import Lane
from ingest.core.reported import ReportedCost, ReportedUsage
from ingest.fill import fill_due
from ingest.formats import ParseContext
from ingest.formats._bedrock_envelopes import MAX_UNPACKED
from ingest.prices import load_pricebook

WIRE = Path(__file__).parent.parent / "wire"
SAMPLES = Path(__file__).parents[3] / "shared" / "samples"
INDEX = SAMPLES / "EXPECTED.json"
T0 = datetime(2026, 3, 2, tzinfo=UTC)
MINE = (
    "anthropic_analytics",
    "anthropic_batches",
    "anthropic_claude_code_report",
    "anthropic_cost_report",
    "anthropic_usage_report",
    "bedrock_batch",
    "bedrock_converse",
    "bedrock_log",
    "focus_cost",
    "vertex_log",
)
BODIES = [
    (name, path.read_bytes())
    for name in MINE
    for path in sorted((WIRE / name).iterdir())
    if not path.name.endswith(".expected.json")
]


def parse(name: str, body: bytes, at: datetime = T0) -> list[formats.Item]:
    return list(formats.get(name).parse(BytesIO(body), ParseContext(at)))


def events(name: str, *rows: Any, at: datetime = T0) -> list[UsageEvent]:
    items = parse(name, "\n".join(json.dumps(row) for row in rows).encode(), at)
    assert all(isinstance(item, UsageEvent) for item in items), items
    return [item for item in items if isinstance(item, UsageEvent)]


def record(model: str = "anthropic.claude-sonnet-4-6", **fields: Any) -> dict[str, Any]:
    defaults = {
        "schemaType": "ModelInvocationLog",
        "timestamp": "2026-09-08T12:10:33Z",
        "requestId": "r-1",
        "operation": "InvokeModel",
        "modelId": model,
        "input": {"inputTokenCount": 1_000_000},
        "output": {"outputTokenCount": 0},
    }
    return {**defaults, **fields}


def unit_price(event: UsageEvent) -> Decimal:
    """USD for a million uncached tokens, as this event is priced."""
    book = load_pricebook()
    known = book.resolve(event.model, event.platform, event.provider)
    lane = Lane(
        known.provider,
        known.platform,
        known.model,
        service_tier=event.service_tier,
        routing=event.routing or known.routing,
        inference_geo=event.inference_geo,
    )
    vector = book.vector(lane, date(2026, 9, 8))
    assert vector is not None, lane
    return vector[0] * 1_000_000


# ------------------------------------------------------------------------------------------------ ids and prices


@pytest.mark.parametrize(
    ("model", "price"),
    [
        ("global.anthropic.claude-sonnet-4-6", "3"),
        ("us.anthropic.claude-sonnet-4-6", "3.3"),
        ("eu.anthropic.claude-sonnet-4-6-v1:0", "3.3"),
        ("anthropic.claude-sonnet-4-6", "3.3"),
        ("arn:aws:bedrock:us-east-1:111111111111:inference-profile/global.anthropic.claude-sonnet-4-6", "3"),
        ("arn:aws:bedrock:us-east-1:111111111111:inference-profile/jp.anthropic.claude-sonnet-4-6", "3.3"),
        ("arn:aws:bedrock:eu-west-1::foundation-model/anthropic.claude-sonnet-4-6", "3.3"),
        ("us.anthropic.claude-3-5-haiku-20241022-v1:0", "0.8"),  # before places had prices
    ],
)
def test_global_geographic_and_regional_ids_are_priced_as_such(model: str, price: str) -> None:
    (event,) = events("bedrock_log", record(model))
    assert unit_price(event) == Decimal(price)
    usage = {"inputTokens": 5, "outputTokens": 5}
    (event,) = events("bedrock_converse", {"modelId": model, "requestId": "c", "output": {}, "usage": usage})
    assert unit_price(event) == Decimal(price)


def test_batch_output_costs_half() -> None:
    body = {"id": "msg_bdrk_1", "type": "message", "model": "claude-sonnet-4-6", "usage": {"input_tokens": 1}}
    (event,) = events("bedrock_batch", {"modelInput": {}, "recordId": "R", "modelOutput": body})
    assert unit_price(event) == Decimal("1.5")
    (event,) = events(
        "anthropic_batches",
        {"custom_id": "c", "result": {"type": "succeeded", "message": {**body, "id": "msg_1"}}},
    )
    assert unit_price(event) == Decimal("1.5")


@pytest.mark.parametrize(
    ("endpoint", "price"),
    [
        ("", "3.3"),
        ("projects/p/locations/us-east5/endpoints/e", "3.3"),
        ("projects/p/locations/global/x", "3"),
    ],
)
def test_claude_on_vertex_is_priced_by_its_location(endpoint: str, price: str) -> None:
    body = {"id": "msg_vrtx_1", "type": "message", "model": "claude-sonnet-4-6", "usage": {"input_tokens": 1}}
    (event,) = events(
        "vertex_log", {"logging_time": "2026-09-08T00:00:00Z", "endpoint": endpoint, "full_response": body}
    )
    assert (unit_price(event), event.platform) == (Decimal(price), "vertex")


def test_a_profile_of_the_customers_without_a_body_keeps_its_name() -> None:
    profile = "arn:aws:bedrock:us-east-1:111111111111:application-inference-profile/abc"
    (event,) = events("bedrock_log", record(profile))
    assert event.model == profile and dict(event.tags)["inference_profile"] == "abc"


# ------------------------------------------------------------------------------------------------ one call, once


@pytest.mark.django_db
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_one_call_as_body_as_log_and_as_log_without_body_counts_once(order: tuple[int, ...]) -> None:
    usage = {"input_tokens": 7, "output_tokens": 8, "cache_creation_input_tokens": 50}
    usage["cache_creation"] = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 50}  # type: ignore[assignment]
    body = {"id": "msg_bdrk_1", "type": "message", "model": "claude-sonnet-4-6", "usage": usage}
    sent = {"inputTokenCount": 7, "cacheWriteInputTokenCount": 50}
    full = record(input=sent, output={"outputTokenCount": 8, "outputBodyJson": body})
    bare = record(input=sent, output={"outputTokenCount": 8}, timestamp="2026-09-08T12:10:39Z")
    calls = (
        events("anthropic_messages", body, at=datetime(2026, 9, 8, 13, tzinfo=UTC)),
        events("bedrock_log", full),
        events("bedrock_log", bare),
    )
    for source in order:
        accept(calls[source], f"source {source}")
    fill_due()
    (row,) = spend.by(Filters(), ("model", "platform")).to_dict("records")
    assert (row["model"], row["platform"], row["requests"]) == ("claude-sonnet-4-6", "bedrock", 1)
    assert (row["uncached_input_tokens"], row["cache_write_1h_input_tokens"], row["output_tokens"]) == (
        7,
        50,
        8,
    )
    assert row["cache_write_5m_input_tokens"] == 0


@pytest.mark.django_db
def test_a_vertex_call_as_row_and_as_body_counts_once() -> None:
    body = {"id": "msg_vrtx_1", "type": "message", "model": "claude-sonnet-4-6", "usage": {"input_tokens": 7}}
    accept(events("anthropic_messages", body), "bodies")
    row = {"logging_time": "2026-03-01T00:00:00Z", "request_id": "9", "full_response": body}
    receipt = accept(events("vertex_log", row), "bigquery")
    assert (receipt.stored, receipt.merged) == (0, 1)


def test_a_response_without_request_id_is_the_same_call_whenever_it_is_read() -> None:
    body = {"output": {}, "usage": {"inputTokens": 1, "outputTokens": 2}}
    (first,), (again,) = (
        events("bedrock_converse", body, at=at) for at in (T0, datetime(2026, 5, 1, tzinfo=UTC))
    )
    assert first.id == again.id
    (other,) = events("bedrock_converse", {**body, "usage": {"inputTokens": 1, "outputTokens": 3}})
    assert other.id != first.id


# ---------------------------------------------------------------------------------------------- Converse's usage


def converse(**usage: Any) -> Any:
    return read_usage({"inputTokens": 10, "outputTokens": 5, **usage}, "m")


def test_converse_input_is_without_cached_tokens_and_its_total_with_them() -> None:
    part = converse(cacheReadInputTokens=100, cacheWriteInputTokens=20, totalTokens=135).main
    assert part.totals() == (10, 100, 20, 5) and part.prompt_step_tokens == 130
    assert part.flags == FLAG_TTL_UNKNOWN


def test_a_total_without_the_cached_tokens_tells_that_the_input_holds_them() -> None:
    assert converse(inputTokens=130, cacheReadInputTokens=100, totalTokens=135).main.totals() == (
        30,
        100,
        0,
        5,
    )
    with pytest.raises(MeterError, match="10 and includes cached tokens, but 100") as caught:
        converse(cacheReadInputTokens=100, totalTokens=15)
    assert caught.value.reason is Reason.CONTRADICTORY_COUNTS


def test_the_second_spelling_of_a_count_is_not_a_second_count() -> None:
    part = converse(cacheReadInputTokens=100, cacheReadInputTokenCount=100).main
    assert part.cache_read_input_tokens == 100
    with pytest.raises(MeterError, match=r"100.*101"):
        converse(cacheReadInputTokens=100, cacheReadInputTokenCount=101)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_written_tokens_are_never_lost_whatever_the_details_say(in_5m: int, in_1h: int, other: int) -> None:
    details = [
        {"ttl": ttl, "inputTokens": n} for ttl, n in (("5m", in_5m), ("1h", in_1h), ("30m", other), ("5m", 0))
    ]
    part = converse(cacheWriteInputTokens=in_5m + in_1h + other, cacheDetails=details).main
    assert part.cache_write_1h_input_tokens == in_1h
    assert part.cache_write_5m_input_tokens == in_5m + other
    assert bool(part.flags & FLAG_TTL_UNKNOWN) == (other > 0)


@pytest.mark.parametrize(
    "details", ["5m", [1], [{"ttl": "5m", "inputTokens": "7"}], [{"ttl": "1h", "inputTokens": -1}]]
)
def test_details_that_cannot_be_are_refused(details: object) -> None:
    with pytest.raises(MeterError):
        converse(cacheDetails=details)


# -------------------------------------------------------------------------------------------------- envelopes


def packed(raw: bytes) -> bytes:
    return json.dumps({"awslogs": {"data": base64.b64encode(raw).decode()}}).encode()


def test_an_envelope_in_an_envelope_and_a_bomb_are_refused() -> None:
    (item,) = parse("bedrock_log", packed(gzip.compress(packed(gzip.compress(b"{}")))))
    assert isinstance(item, Rejection) and item.field == "awslogs"
    squeezer = zlib.compressobj(9, wbits=31)
    megabyte = bytes(1 << 20)
    bomb = b"".join(squeezer.compress(megabyte) for _ in range((MAX_UNPACKED >> 20) + 2)) + squeezer.flush()
    (item,) = parse("bedrock_log", packed(bomb))
    assert isinstance(item, Rejection) and item.reason is Reason.INVALID_VALUE


def test_exports_of_log_events_and_of_queries_are_opened_too() -> None:
    rows = [record(requestId=f"r-{n}") for n in range(3)]
    got = events(
        "bedrock_log",
        {"events": [{"timestamp": 1, "ingestionTime": 2, "message": json.dumps(rows[0])}]},
        {"@timestamp": "2026-09-08", "@message": json.dumps(rows[1])},
        {"@timestamp": "2026-09-08", "@message": rows[2]},
    )
    assert [event.id for event in got] == ["r-0", "r-1", "r-2"]


def test_a_call_that_broke_after_it_was_billed_is_counted() -> None:
    (event,) = events("bedrock_log", record(errorCode="ModelStreamErrorException"))
    assert event.uncached_input_tokens == 1_000_000
    assert events("bedrock_log", record(errorCode="ThrottlingException", input={}, output={})) == []


# ----------------------------------------------------------------------------------------- truncated and broken


def storable(items: list[formats.Item]) -> None:
    for item in items:
        if isinstance(item, Rejection):
            assert item.detail and item.index >= 0
        elif isinstance(item, UsageEvent):
            assert item.model.strip() and item.occurred_at.tzinfo is UTC
            assert min(item.uncached_input_tokens, item.cache_read_input_tokens, item.output_tokens) >= 0
            item.id.encode()
        else:
            assert isinstance(item, ReportedUsage | ReportedCost)
            assert item.start < item.end and item.start.tzinfo is UTC


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_file_cut_anywhere_is_imported_up_to_the_cut_or_refused(data: st.DataObject) -> None:
    name, body = data.draw(st.sampled_from(BODIES))
    cut = body[: data.draw(st.integers(0, len(body)))]
    items = parse(name, cut)
    storable(items)
    whole = [item for item in parse(name, body) if isinstance(item, UsageEvent)]
    if name not in ("bedrock_converse",):  # a response without its request id is known by all its bytes
        found = [item for item in items if isinstance(item, UsageEvent)]
        assert [event.id for event in found] == [event.id for event in whole[: len(found)]]
    formats.detect(cut)


VALUES = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        1.5,
        10**30,
        "",
        "x",
        "\0",
        "\ud800",
        "x" * 3000,
        [],
        {},
        [1],
        {"a": 1},
        "2026-01-01T00:00:00Z",
    ]
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        for key in value:
            found += places(value[key], (*path, key))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            found += places(each, (*path, number))
    return found


def rows_of(body: bytes) -> list[Any]:
    found = []
    for line in body.splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


ROWS = [(name, row) for name, body in BODIES for row in rows_of(body) if isinstance(row, dict)]


@settings(max_examples=250, deadline=None)
@given(st.data())
def test_any_one_field_broken_is_a_reason_or_a_row_and_never_an_error(data: st.DataObject) -> None:
    name, row = data.draw(st.sampled_from(ROWS))
    path = data.draw(st.sampled_from(places(row)))
    broken = json.loads(json.dumps(row))
    holder = broken
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = data.draw(VALUES)
    storable(parse(name, json.dumps(broken).encode()))


# --------------------------------------------------------------------------------------------- recorded samples

OURS = {
    "anthropic_batch_results": "anthropic_batches",
    "bedrock_converse": "bedrock_converse",
    "bedrock_invocation_log": "bedrock_log",
    "cloudwatch_logs_envelope_bedrock": "bedrock_log",
    "vertex_request_response_log": "vertex_log",
}
METERS = (
    "uncached_input_tokens",
    "cache_read_input_tokens",
    "cache_write_5m_input_tokens",
    "cache_write_1h_input_tokens",
    "output_tokens",
    "web_search_requests",
)
EXPECTED: dict[str, Any] = json.loads(INDEX.read_text()) if INDEX.is_file() else {}
FILES = [name for name, want in EXPECTED.items() if want["format"] in OURS]


@pytest.mark.parametrize("name", FILES)
def test_sample_file_has_exactly_the_expected_calls(name: str) -> None:
    """What failed is expected as a call without tokens; here it is no event at all."""
    body, want = (SAMPLES / name).read_bytes(), EXPECTED[name]
    found = formats.detect(body)
    assert found is not None and found.name == OURS[want["format"]]
    got = [item for item in parse(found.name, body) if isinstance(item, UsageEvent)]
    billed = [each for each in want["events"] if any(each.get(meter) for meter in METERS)]
    book = load_pricebook()
    for event, each in zip(got, billed, strict=True):
        assert {meter: getattr(event, meter) for meter in METERS} == {m: each.get(m) or 0 for m in METERS}
        assert each["event_id"] in (event.id, None)
        if each["model"] is not None:
            assert book.resolve(event.model).model == book.resolve(each["model"]).model


@pytest.mark.skipif(not EXPECTED, reason="the sample logs are not beside this checkout")
def test_sample_reports_have_exactly_the_expected_sums() -> None:
    name = "anthropic_admin/usage_report_nulls_and_empty_bucket.json"
    rows = [
        r
        for r in parse("anthropic_usage_report", (SAMPLES / name).read_bytes())
        if isinstance(r, ReportedUsage)
    ]
    totals = dict(EXPECTED[name]["totals"])
    assert len(rows) == totals.pop("rows")
    assert {meter: sum(getattr(row, meter) for row in rows) for meter in totals} == totals
    name = "focus/focus_1_0_sample_20rows.csv"
    charges = [r for r in parse("focus_cost", (SAMPLES / name).read_bytes()) if isinstance(r, ReportedCost)]
    assert len(charges) == EXPECTED[name]["totals"]["rows"]
    billed = sum((row.billed_cost or Decimal(0) for row in charges), Decimal(0))
    assert billed == Decimal(EXPECTED[name]["totals"]["billed_cost"])


@pytest.mark.skipif(not EXPECTED, reason="the sample logs are not beside this checkout")
@pytest.mark.parametrize("folder", ["anthropic_admin", "anthropic_batches", "bedrock", "focus", "vertex"])
def test_sample_files_are_told_apart_from_all_other_formats(folder: str) -> None:
    for path in (SAMPLES / folder).iterdir():
        found = formats.detect(path.read_bytes())
        assert found is not None and found.name in {*MINE, "anthropic_messages"}, path.name
