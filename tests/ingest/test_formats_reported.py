"""Provider reports: golden rows, the grouping of a document, exact amounts, and lines that are told apart."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import formats
from ingest.core.errors import Reason, Rejection
from ingest.core.meter_fields import MeterError
from ingest.core.reported import Reported, ReportedCost, ReportedUsage, natural_key, with_grouping
from ingest.formats import ParseContext
from ingest.formats._reports import CENTS, amount_of, optional_amount

WIRE = Path(__file__).parent.parent / "wire"
T0 = datetime(2026, 3, 2, tzinfo=UTC)
WANTED = {
    path: json.loads(path.read_text())["reported"]
    for path in sorted(WIRE.glob("*/*.expected.json"))
    if "reported" in json.loads(path.read_text())
}


def parse(name: str, body: bytes, **defaults: str) -> list[formats.Item]:
    return list(formats.get(name).parse(BytesIO(body), ParseContext(T0, "", defaults)))


def rows_of(name: str, body: bytes, **defaults: str) -> list[Reported]:
    return [item for item in parse(name, body, **defaults) if isinstance(item, ReportedUsage | ReportedCost)]


def plain(row: Reported) -> dict[str, Any]:
    """A row as JSON would show it; amounts and their text stay comparable."""
    values = {field.name: getattr(row, field.name) for field in fields(row)}
    values = {name: str(v) if isinstance(v, Decimal) else v for name, v in values.items()}
    values = {name: v.isoformat() if isinstance(v, datetime) else v for name, v in values.items()}
    found: dict[str, Any] = json.loads(json.dumps(values))
    return found


@pytest.mark.parametrize("expected", WANTED, ids=lambda p: f"{p.parent.name}/{p.name.partition('.')[0]}")
def test_golden_file_gives_exactly_the_expected_reported_rows(expected: Path) -> None:
    stem = expected.name.removesuffix(".expected.json")
    (body,) = (p for p in expected.parent.glob(f"{stem}.*") if not p.name.endswith(".expected.json"))
    found = [plain(row) for row in rows_of(expected.parent.name, body.read_bytes())]
    want = WANTED[expected]
    assert [{key: row[key] for key in each} for row, each in zip(found, want, strict=True)] == want


def test_every_report_format_has_golden_rows() -> None:
    assert {path.parent.name for path in WANTED} >= {
        "anthropic_analytics",
        "anthropic_claude_code_report",
        "anthropic_cost_report",
        "anthropic_usage_report",
        "focus_cost",
    }


def page(**row: Any) -> bytes:
    bucket = {"starting_at": "2026-07-02T00:00:00Z", "ending_at": "2026-07-03T00:00:00Z"}
    usage = {"uncached_input_tokens": 1, "output_tokens": 2}
    return json.dumps({"data": [{**bucket, "results": [{**usage, **row}]}], "has_more": False}).encode()


def test_a_page_without_rows_is_a_report_all_the_same() -> None:
    empty = json.loads(page())
    empty["data"][0]["results"] = []
    body = json.dumps(empty).encode()
    found = formats.detect(body)
    assert found is not None and found.name == "anthropic_usage_report"
    assert parse("anthropic_usage_report", body) == []


def test_several_pages_in_one_file_are_one_document() -> None:
    body = page(model="claude-sonnet-4-6") + b"\n" + page(workspace_id="w")
    assert {row.grouping for row in rows_of("anthropic_usage_report", body)} == {"model,workspace_id"}


def test_who_asked_for_the_report_knows_its_grouping() -> None:
    (row,) = rows_of("anthropic_usage_report", page(), grouping="workspace_id,model")
    assert row.grouping == "model,workspace_id"
    (row,) = rows_of("anthropic_usage_report", page())
    assert row.grouping == "nothing"


@pytest.mark.parametrize(
    "change", [{"model": "m"}, {"workspace_id": "w"}, {"service_tier": "batch"}, {"account_id": "a"}]
)
def test_every_dimension_is_part_of_what_a_row_is_about(change: dict[str, str]) -> None:
    (one,) = rows_of("anthropic_usage_report", page(), grouping="model")
    (other,) = rows_of("anthropic_usage_report", page(**change), grouping="model")
    assert natural_key(one, 1) != natural_key(other, 1)


def test_numbers_are_no_part_of_what_a_row_is_about_but_the_source_is() -> None:
    (one,) = rows_of("anthropic_usage_report", page())
    (more,) = rows_of("anthropic_usage_report", page(output_tokens=9))
    assert natural_key(one, 1) == natural_key(more, 1) != natural_key(one, 2)


def test_grouping_names_every_dimension_that_any_row_has() -> None:
    common: dict[str, Any] = {"kind": "k", "provider": "p", "start": T0, "end": T0}
    rows = [ReportedUsage(**common, model="m"), ReportedUsage(**common, dimensions=(("rbac_group_id", "g"),))]
    assert {row.grouping for row in with_grouping(rows)} == {"model,rbac_group_id"}


# ----------------------------------------------------------------------------------------------------- amounts


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=10))
def test_an_amount_in_cents_is_divided_without_rounding(cents: Decimal) -> None:
    amount = optional_amount({"amount": str(cents)}, "amount", per=CENTS)
    assert amount is not None and amount * 100 == cents


@given(st.floats(min_value=-1e9, max_value=1e9, allow_nan=False).map(lambda x: round(x, 6)))
def test_a_number_is_read_as_it_was_written(number: float) -> None:
    written = json.dumps(number)
    assert amount_of(json.loads(written), "amount") == Decimal(written)


@pytest.mark.parametrize(
    "value", ["", "ten", "Infinity", "1e999999999", "1" * 65, 1e30, 10**30, None, [], "1_0 0"]
)
def test_what_is_no_amount_is_refused_by_name(value: object) -> None:
    with pytest.raises(MeterError) as caught:
        amount_of(value, "amount")
    assert caught.value.field == "amount" and caught.value.reason in (
        Reason.INVALID_VALUE,
        Reason.INVALID_TYPE,
    )


# ------------------------------------------------------------------------------------------------------- FOCUS


def charges(*amounts: str) -> bytes:
    rows = [f"{amount},USD,2026-07-01T00:00:00Z,2026-07-02T00:00:00Z,same" for amount in amounts]
    return "\n".join(
        ["BilledCost,BillingCurrency,ChargePeriodStart,ChargePeriodEnd,ChargeDescription", *rows]
    ).encode()


def test_charges_that_agree_in_everything_are_still_several_lines() -> None:
    rows = rows_of("focus_cost", charges("1", "1", "2"))
    assert len({natural_key(row, 1) for row in rows}) == 3


def test_a_corrected_export_is_about_the_same_lines() -> None:
    before, after = rows_of("focus_cost", charges("1", "2")), rows_of("focus_cost", charges("1", "3"))
    assert [natural_key(row, 1) for row in before] == [natural_key(row, 1) for row in after]


def test_a_table_without_the_needed_columns_is_no_focus_export() -> None:
    (item,) = parse("focus_cost", b"BilledCost,Tags\n1,x\n")
    assert isinstance(item, Rejection) and item.reason is Reason.UNKNOWN_FORMAT
    assert "BillingCurrency" in item.detail
