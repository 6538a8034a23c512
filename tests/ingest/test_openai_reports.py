"""OpenAI's organization usage and costs become reported rows, never events."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from ingest import formats
from ingest.core.errors import Reason, Rejection
from ingest.core.reported import ReportedCost, ReportedUsage, natural_key
from ingest.formats import ParseContext

WIRE = Path(__file__).parent.parent / "wire"
NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)
FIRST = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
USAGE = {"object": "organization.usage.completions.result", "input_tokens": 10, "output_tokens": 4}
COST = {"object": "organization.costs.result", "amount": {"value": 0.1, "currency": "usd"}}


def parse(name: str, body: bytes) -> list[formats.Item]:
    return list(formats.get(name).parse(BytesIO(body), ParseContext(NOON)))


def one(name: str, row: dict[str, Any]) -> formats.Item:
    (item,) = parse(name, json.dumps(row).encode())
    return item


def test_a_usage_page_becomes_one_row_a_bucket_and_group() -> None:
    items = parse("openai_usage", (WIRE / "openai_usage" / "page.json").read_bytes())
    first, second, last = (item for item in items if isinstance(item, ReportedUsage))
    assert (first.kind, first.provider, first.start, first.end) == (
        "openai_usage",
        "openai",
        FIRST,
        FIRST + DAY,
    )
    assert first.uncached_input_tokens == 2_500_000_000  # more than one call can have
    assert first.cache_read_input_tokens == 1_000_000_000
    assert first.cache_write_unknown_ttl_input_tokens == 500_000_000
    assert (first.output_tokens, first.requests) == (70, 9)
    assert (first.model, first.workspace_id, first.service_tier) == (
        "gpt-5.4-2026-03-05",
        "proj_a",
        "standard",
    )
    assert second.service_tier == "batch"
    assert {first.grouping, second.grouping, last.grouping} == {"model,service_tier,workspace_id"}
    assert (last.start, last.uncached_input_tokens, last.workspace_id) == (FIRST + 2 * DAY, 3, "")


def test_a_costs_page_becomes_exact_dollars() -> None:
    items = parse("openai_costs", (WIRE / "openai_costs" / "page.json").read_bytes())
    first, second = (item for item in items if isinstance(item, ReportedCost))
    assert (first.billed_cost, first.currency, first.line_item) == (Decimal("0.06"), "USD", "gpt-5.4, input")
    assert (first.quantity, first.unit, first.workspace_id) == (Decimal(24000), "tokens", "proj_a")
    assert (second.billed_cost, second.line_item) == (Decimal("1.23"), "")
    assert first.list_cost is None


def test_a_contradiction_in_a_report_names_both_numbers() -> None:
    item = one("openai_usage", {**USAGE, "input_cached_tokens": 7, "input_cache_write_tokens": 5})
    assert isinstance(item, Rejection) and item.reason is Reason.CONTRADICTORY_COUNTS
    assert "10" in item.detail and "12" in item.detail


def test_endpoints_are_reports_of_their_own() -> None:
    kinds = []
    for endpoint in ("completions", "embeddings", "moderations"):
        item = one("openai_usage", {**USAGE, "object": f"organization.usage.{endpoint}.result"})
        assert isinstance(item, ReportedUsage)
        kinds.append(item.kind)
    assert kinds == ["openai_usage", "openai_usage.embeddings", "openai_usage.moderations"]


def test_usage_without_tokens_or_requests_is_refused_by_name() -> None:
    row = {"object": "organization.usage.vector_stores.result", "usage_bytes": 5}
    item = one("openai_usage", row)
    assert isinstance(item, Rejection) and item.reason is Reason.UNKNOWN_USAGE_SHAPE
    assert "usage_bytes" in item.detail


@pytest.mark.parametrize(("name", "row"), [("openai_usage", USAGE), ("openai_costs", COST)])
def test_a_result_outside_a_bucket_is_put_on_the_day_of_the_import_and_says_so(
    name: str, row: dict[str, Any]
) -> None:
    item = one(name, row)
    assert isinstance(item, ReportedUsage | ReportedCost)
    assert (item.start, item.end) == (NOON.replace(hour=0), NOON.replace(hour=0) + DAY)
    assert item.dimensions == (("time", "imputed"),)
    assert natural_key(item, 1) == natural_key(one(name, row), 1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"start_time": 1}, Reason.MISSING_FIELD, "end_time"),
        ({"start_time": 1772409600, "end_time": 1772409600}, Reason.INVALID_TIME, "end_time"),
        ({"start_time": 1772409600000, "end_time": 1772496000000}, Reason.INVALID_TIME, "start_time"),
        ({"batch": "yes"}, Reason.INVALID_TYPE, "batch"),
        ({"project_id": 5}, Reason.INVALID_TYPE, "project_id"),
        ({"output_tokens": 10**16}, Reason.COUNT_TOO_LARGE, "output_tokens"),
    ],
)
def test_a_broken_row_is_refused_by_field(changes: dict[str, Any], reason: Reason, field: str) -> None:
    item = one("openai_usage", {**USAGE, **changes})
    assert isinstance(item, Rejection)
    assert (item.reason, item.field) == (reason, field)


@pytest.mark.parametrize(
    ("row", "name"),
    [
        (USAGE, "openai_usage"),
        (COST, "openai_costs"),
        ({"object": "bucket", "start_time": 1, "end_time": 2, "results": [USAGE]}, "openai_usage"),
        ({"object": "bucket", "start_time": 1, "end_time": 2, "result": [COST]}, "openai_costs"),
        ({"object": "page", "data": [], "has_more": False}, "openai_usage"),
    ],
)
def test_reports_are_told_apart_by_what_their_rows_are(row: dict[str, Any], name: str) -> None:
    found = formats.detect(json.dumps(row).encode())
    assert found is not None and found.name == name
