"""Reported usage and cost are stored beside the events: in the same books, in no figure, and never twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import DataError, connection
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboard.filters import Filters
from dashboard.queries import ledger, spend
from ingest.accept import Receipt, accept
from ingest.auth import create_key
from ingest.core.errors import Reason, Rejection
from ingest.core.reported import Reported, ReportedCost, ReportedUsage
from ingest.fill import fill_due
from ingest.models import ApiKey
from ingest.models import ReportedCost as CostRow
from ingest.models import ReportedUsage as UsageRow
from ingest.reported import replaces
from tests.support.builders import make_event

pytestmark = pytest.mark.django_db
DAY = datetime(2026, 3, 2, tzinfo=UTC)


def usage(model: str = "claude-sonnet-4-6", **fields: Any) -> ReportedUsage:
    defaults: dict[str, Any] = {
        "kind": "anthropic_usage_report",
        "provider": "anthropic",
        "platform": "anthropic",
        "start": DAY,
        "end": DAY + timedelta(days=1),
        "grouping": "model",
        "uncached_input_tokens": 1000,
        "output_tokens": 200,
    }
    return ReportedUsage(model=model, **{**defaults, **fields})


def cost(billed: str = "1.2378912", **fields: Any) -> ReportedCost:
    defaults: dict[str, Any] = {
        "kind": "anthropic_cost_report",
        "provider": "anthropic",
        "start": DAY,
        "end": DAY + timedelta(days=1),
        "currency": "USD",
        "model": "claude-sonnet-4-6",
    }
    return ReportedCost(billed_cost=Decimal(billed), **{**defaults, **fields})


def counts(receipt: Receipt) -> tuple[int, int, int, int]:
    assert receipt.received == receipt.stored + receipt.merged + receipt.duplicate + len(receipt.rejected)
    return receipt.stored, receipt.merged, receipt.duplicate, len(receipt.rejected)


def test_new_rows_are_stored_changed_ones_merged_and_the_same_ones_duplicates() -> None:
    assert counts(accept([usage(), usage("claude-opus-4-6"), cost()], "reports")) == (3, 0, 0, 0)
    again: list[Reported] = [usage(output_tokens=300), usage("claude-opus-4-6"), cost("2")]
    assert counts(accept(again, "reports")) == (0, 2, 1, 0)
    assert [(row.model, row.output_tokens) for row in UsageRow.objects.order_by("model")] == [
        ("claude-opus-4-6", 200),
        ("claude-sonnet-4-6", 300),
    ]
    assert CostRow.objects.get().billed_cost == Decimal(2)


def test_events_reports_and_rejections_of_one_call_are_in_one_receipt_and_the_books_balance() -> None:
    bad = Rejection(2, Reason.INVALID_TYPE, "output_tokens", "output_tokens must be an integer")
    assert counts(accept([make_event(), usage(), bad, cost()], "mixed")) == (3, 0, 0, 1)
    books = ledger.totals()
    assert (books["received"], books["stored"], books["rejected"]) == (4, 3, 1)


def test_reported_rows_are_in_no_figure() -> None:
    accept([make_event(uncached_input_tokens=7), usage(), cost()], "mixed")
    fill_due()
    totals = spend.total(Filters())
    assert (totals["requests"], totals["uncached_input_tokens"]) == (1, 7)


def test_amounts_are_stored_exactly() -> None:
    accept([cost("0.000000000000000123"), cost("-999999999999.25", model="other")], "reports")
    assert set(CostRow.objects.values_list("billed_cost", flat=True)) == {
        Decimal("-999999999999.25"),
        Decimal("0.000000000000000123"),
    }


def test_the_same_report_of_another_source_is_another_report() -> None:
    accept([usage()], "one")
    assert counts(accept([usage()], "two")) == (1, 0, 0, 0)


def test_a_row_twice_in_one_call_is_one_row_and_the_last_word_stands() -> None:
    assert counts(accept([usage(), usage(), usage(output_tokens=9)], "reports")) == (1, 1, 1, 0)
    assert UsageRow.objects.get().output_tokens == 9


def test_older_data_never_takes_the_place_of_newer() -> None:
    newer = usage(output_tokens=300, refreshed_at=DAY + timedelta(days=2))
    older = usage(output_tokens=100, refreshed_at=DAY + timedelta(days=1))
    accept([newer], "reports")
    assert counts(accept([older], "reports")) == (0, 0, 1, 0)
    assert UsageRow.objects.get().output_tokens == 300


@pytest.mark.parametrize(
    ("now", "before", "wins"),
    [(None, None, True), (DAY, None, True), (None, DAY, True), (DAY, DAY, True)],
)
def test_without_two_watermarks_the_later_report_wins(
    now: datetime | None, before: datetime | None, wins: bool
) -> None:
    assert replaces(now, before) is wins


def test_nothing_is_stored_when_the_call_fails() -> None:
    broken = replace(usage(), model="\0")  # what no parser lets through
    with pytest.raises(DataError):
        accept([make_event(), usage("other"), broken], "reports")
    assert not UsageRow.objects.exists()
    assert ledger.totals()["received"] == 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM event")
        assert cursor.fetchone() == (0,)


ROWS = st.lists(
    st.builds(
        usage,
        st.sampled_from(["a", "b", "c"]),
        output_tokens=st.integers(0, 3),
        refreshed_at=st.none() | st.integers(0, 2).map(lambda days: DAY + timedelta(days=days)),
    ),
    max_size=8,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS, st.integers(0, 8))
def test_one_call_or_two_give_the_same_rows_and_the_same_sums(rows: list[Reported], cut: int) -> None:
    UsageRow.objects.all().delete()
    whole = counts(accept(rows, "whole"))
    first, second = counts(accept(rows[:cut], "split")), counts(accept(rows[cut:], "split"))
    assert whole == tuple(map(sum, zip(first, second, strict=True)))
    names = ("model", "output_tokens", "refreshed_at")
    of_whole, of_split = (
        sorted(map(str, UsageRow.objects.filter(source__name=name).values_list(*names)))
        for name in ("whole", "split")
    )
    assert of_whole == of_split


def test_a_report_sent_to_the_api_lands_and_says_so(client: Client) -> None:
    _, secret = create_key("sender", ApiKey.Scope.INGEST)
    body = (
        b'{"data":[{"starting_at":"2026-03-02T00:00:00Z","ending_at":"2026-03-03T00:00:00Z","results":'
        b'[{"amount":"123.78912","currency":"USD"},{"amount":"x","currency":"USD"}]}],"has_more":false}'
    )
    answer = client.post(
        "/api/v1/logs/auto",
        body,
        content_type="application/json",
        headers={"Authorization": f"Bearer {secret}"},
    )
    assert answer.status_code == 200
    said = answer.json()
    assert (said["received"], said["stored"]) == (2, 1)
    assert [row["reason"] for row in said["rejected"]] == ["invalid_value"]
    assert CostRow.objects.get().billed_cost == Decimal("1.2378912")
