"""What providers reported: the call that reads it, and the panel that sets it beside what was counted."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from dashboard.filters import Filters
from dashboard.numbers import NONE
from dashboard.queries import reported
from ingest.accept import accept
from ingest.auth import create_key
from ingest.core.reported import ReportedCost, ReportedUsage
from ingest.models import ApiKey
from ingest.models import ReportedUsage as UsageRow
from tests.support.builders import make_event, settle
from tests.support.pages import RANGE, signed_in, table_rows, text_of

pytestmark = pytest.mark.django_db
DAY = datetime(2026, 3, 2, tzinfo=UTC)
ONE_DAY = timedelta(days=1)


def usage(model: str = "claude-sonnet-4-6", **fields: Any) -> ReportedUsage:
    defaults: dict[str, Any] = {
        "kind": "anthropic_usage_report",
        "provider": "anthropic",
        "platform": "anthropic",
        "start": DAY,
        "end": DAY + ONE_DAY,
        "grouping": "model",
        "uncached_input_tokens": 1000,
        "output_tokens": 200,
    }
    return ReportedUsage(model=model, **{**defaults, **fields})


def cost(model: str = "claude-sonnet-4-6", **fields: Any) -> ReportedCost:
    defaults: dict[str, Any] = {
        "kind": "anthropic_cost_report",
        "provider": "anthropic",
        "platform": "anthropic",
        "start": DAY,
        "end": DAY + ONE_DAY,
        "grouping": "model",
        "currency": "USD",
        "billed_cost": Decimal("1.2378912"),
    }
    return ReportedCost(model=model, **{**defaults, **fields})


def ask(client: Client, **query: str) -> Any:
    _, secret = create_key("reader", ApiKey.Scope.READ)
    return client.get("/api/v1/reported", query, headers={"Authorization": f"Bearer {secret}"})


# ----------------------------------------------------------------------------------------------------- the call


def test_the_call_lists_rows_exactly_as_they_were_reported(client: Client) -> None:
    row = usage(workspace_id="w", dimensions=(("account_id", "a"),), cache_write_unknown_ttl_input_tokens=5)
    accept([row, cost(line_item="Input tokens", list_cost=Decimal("1.50"))], "admin-api")
    answer = json.loads(ask(client).content)
    (used,), (billed,) = answer["usage"], answer["cost"]
    assert used["bucket_start"] == "2026-03-02T00:00:00Z" and used["bucket_end"] == "2026-03-03T00:00:00Z"
    assert used["source"] == "admin-api" and used["kind"] == "anthropic_usage_report"
    assert used["dimensions"] == {"account_id": "a"} and used["workspace_id"] == "w"
    assert (used["uncached_input_tokens"], used["cache_write_unknown_ttl_input_tokens"]) == (1000, 5)
    assert used["requests"] is None
    assert (billed["billed_cost"], billed["list_cost"], billed["estimated_cost"]) == (
        "1.2378912",
        "1.5",
        None,
    )
    assert (billed["line_item"], billed["currency"]) == ("Input tokens", "USD")


def test_the_call_filters_by_time_kind_and_provider(client: Client) -> None:
    later = {"start": DAY + ONE_DAY, "end": DAY + 2 * ONE_DAY}
    accept([usage("a"), usage("b", **later), usage("c", kind="other", provider="openai")], "s")

    def models(**query: str) -> list[str]:
        return [row["model"] for row in json.loads(ask(client, **query).content)["usage"]]

    assert models(start="2026-03-03") == ["b"]
    assert models(end="2026-03-03") == ["a", "c"]
    assert models(kind="other") == ["c"]
    assert models(provider="anthropic") == ["a", "b"]
    assert models(start="2026-03-03", end="2026-03-03T00:00:01Z") == ["b"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"start": "yesterday"}, "start"),
        ({"start": "2026-03-03", "end": "2026-03-02"}, "end"),
        ({"model": "x"}, "model"),
        ({"group_by": "model"}, "group_by"),
        ({"grain": "day"}, "grain"),
        ({"knid": "x"}, "knid"),
        ({"kind": "\0"}, "kind"),
        ({"provider": "\0"}, "provider"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(client: Client, query: dict[str, str], field: str) -> None:
    answer = ask(client, **query)
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == field


def test_more_rows_than_fit_are_refused_and_not_cut(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reported, "MAX_ROWS", 1)
    accept([usage("a"), usage("b")], "s")
    assert ask(client).status_code == 422


# ---------------------------------------------------------------------------------- one day in several groupings


def test_of_a_day_reported_in_several_groupings_the_latest_counts_alone() -> None:
    accept([usage("a"), usage("b")], "s")
    UsageRow.objects.update(received_at=DAY)
    accept([usage("", grouping="workspace_id", workspace_id="w", output_tokens=400)], "s")
    assert list(reported.usage(Filters())["workspace_id"]) == ["w"]


def test_of_a_day_reported_in_days_and_in_hours_the_latest_counts_alone() -> None:
    accept([usage("a")], "s")
    UsageRow.objects.update(received_at=DAY)
    hours = [usage("a", start=DAY + timedelta(hours=n), end=DAY + timedelta(hours=n + 1)) for n in (0, 1)]
    accept(hours, "s")
    assert [row.hour for row in reported.usage(Filters())["bucket_start"]] == [0, 1]


def test_other_days_and_other_reports_are_not_touched_by_a_later_grouping() -> None:
    before = usage("a", start=DAY - ONE_DAY, end=DAY)
    accept([before, usage("a"), usage("c", kind="other", grouping="")], "s")
    UsageRow.objects.update(received_at=DAY)
    accept([usage("", grouping="nothing")], "s")
    assert sorted(reported.usage(Filters())["model"]) == ["", "a", "c"]


# ---------------------------------------------------------------------------------------------------- the panel


def panel(query: str = "") -> list[list[str]]:
    return table_rows(signed_in().get(f"/panels/reported/?{RANGE}&page=spend{query}"))


def test_the_panel_sets_reported_beside_counted_for_the_same_days() -> None:
    settle(
        [
            make_event("in", uncached_input_tokens=500, output_tokens=100),
            make_event("bedrock", platform="bedrock", uncached_input_tokens=999),
            make_event("day after", occurred_at=DAY + ONE_DAY, uncached_input_tokens=999),
        ]
    )
    accept([usage(), cost(billed_cost=Decimal("0.006"))], "admin-api")
    assert panel()[1:] == [
        ["claude-sonnet-4-6", "cost report, billed", NONE, NONE, NONE, "$0.006", "$0.003", "−50.0 %"],
        ["claude-sonnet-4-6", "usage report", "1.20 k", "600", "−50.0 %", NONE, NONE, NONE],
    ]


def test_spellings_of_one_model_are_one_row_and_reports_are_never_added_up() -> None:
    settle([])
    accept([usage("claude-haiku-4-5-20251001"), usage("claude-haiku-4-5", service_tier="batch")], "a")
    accept([usage("claude-haiku-4-5")], "b")
    rows = panel()[1:]
    assert [row[2] for row in rows] == ["2.40 k", "1.20 k"]
    assert not any("total" in row for row in rows)


def test_an_estimate_is_called_one_and_other_currencies_are_not_compared() -> None:
    settle([])
    kind = {"kind": "anthropic_claude_code_report", "grouping": ""}
    estimate = cost(billed_cost=None, estimated_cost=Decimal("2.5"), **kind)
    accept(
        [estimate, usage(**kind), cost("", currency="EUR", kind="focus_cost", billed_cost=Decimal(7))], "s"
    )
    found = panel()[1:]
    assert [row[1] for row in found] == ["Claude Code report, estimate", "FOCUS export, billed"]
    assert (found[0][2], found[0][5]) == ("1.20 k", "$2.50")
    assert (found[1][0], found[1][5], found[1][7]) == ("(all models)", "7.00 EUR", NONE)


def test_a_line_of_no_model_is_only_set_beside_all_models_when_the_report_names_none() -> None:
    settle([make_event("in", uncached_input_tokens=500, output_tokens=100)])
    accept([usage("", grouping="nothing"), cost(), cost("", line_item="Code execution")], "s")
    shown = {(row[0], row[1]): row[2:] for row in panel()[1:]}
    assert shown["(all models)", "usage report"][:3] == ["1.20 k", "600", "−50.0 %"]
    assert shown["(no model)", "cost report, billed"][3:] == ["$1.24", NONE, NONE]


def test_rows_of_overlapping_groups_of_people_are_left_out_of_the_panel() -> None:
    settle([])
    accept([usage(grouping="model,rbac_group_id", dimensions=(("rbac_group_id", "g"),))], "s")
    assert "Nothing was reported" in text_of(signed_in().get(f"/panels/reported/?{RANGE}"))


def test_without_reports_the_panel_says_how_to_get_them() -> None:
    body = text_of(signed_in().get(f"/panels/reported/?{RANGE}"))
    assert "Nothing was reported" in body and "import_logs" in body


def test_the_panel_stands_on_the_spend_page() -> None:
    settle([make_event()])
    assert "/panels/reported/" in signed_in().get(f"/spend/?{RANGE}").content.decode()
