"""The small questions: filter lists, the ledger, freshness, and the lanes that a what-if prices."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from dashboard.analysis import what_if
from dashboard.filters import FilterError, Filters
from dashboard.pricebook import current
from dashboard.queries import freshness, labels, lanes, ledger, spend
from ingest.accept import accept
from ingest.core.errors import Reason, Rejection
from ingest.fill import fill_due
from tests.support.builders import T0, at, make_event, send, settle

pytestmark = pytest.mark.django_db


def test_filter_lists_hold_every_value_once_and_search_any_case() -> None:
    names = ["research", "Search", "support", "a_c", "abc"]
    settle(
        [make_event(f"m{n}", workspace_id=name, tags=(("team", name),)) for n, name in enumerate(names * 2)]
    )
    assert list(labels.options("workspace_id")["value"]) == sorted(names)
    assert list(labels.options("tag:team", "SEARCH")["value"]) == ["Search", "research"]
    assert list(labels.options("workspace_id", "a_")["value"]) == ["a_c"]  # no wildcard
    assert list(labels.options("workspace_id", limit=2)["value"]) == ["Search", "a_c"] == sorted(names)[:2]
    assert list(labels.options("model")["value"]) == ["claude-sonnet-4-6"]
    assert list(labels.options("source")["value"]) == ["test"]
    assert labels.options("user_id").empty
    assert labels.tag_names() == ["team"]


@pytest.mark.parametrize("dimension", ["session_id", "meter", "colour", "lane; DROP TABLE lane"])
def test_what_has_no_list_says_so(dimension: str) -> None:
    with pytest.raises(FilterError):
        labels.options(dimension)


def test_the_ledger_balances_by_source_and_in_sum() -> None:
    bad = Rejection(1, Reason.MISSING_FIELD, "model", "A model is needed.")
    accept([make_event("a"), bad, make_event("a")], "gateway")
    accept([make_event("a"), make_event("b")], "import")
    by_source = ledger.by_source().set_index("source")
    counts = ["received", "stored", "merged", "duplicate", "rejected"]
    assert [by_source.at["gateway", name] for name in counts] == [3, 1, 0, 1, 1]
    assert [by_source.at["import", name] for name in counts] == [2, 1, 0, 1, 0]
    whole = ledger.totals()
    assert [whole[name] for name in counts] == [5, 2, 0, 2, 1]
    assert whole["last_received_at"] == by_source["last_seen_at"].max()


def test_freshness_says_what_is_waiting_and_moves_with_a_fill() -> None:
    assert freshness.state() == freshness.Freshness(True, 0, None, 0, None, None)
    assert freshness.version() == (0, None)
    send([make_event("a"), make_event("b", occurred_at=at(hours=5))])
    waiting = freshness.state()
    assert (waiting.up_to_date, waiting.pending_buckets, waiting.oldest_pending_bucket) == (False, 2, T0)
    assert waiting.pending_since is not None
    assert freshness.version() == (0, None), "what waits changes no figure"
    fill_due()
    done = freshness.state()
    assert (done.up_to_date, done.pending_buckets, done.oldest_pending_bucket) == (True, 0, None)
    assert done.data_version > waiting.data_version
    assert done.last_fill_at is not None
    assert freshness.version() == (done.data_version, done.last_fill_at)


def test_lanes_stay_apart_by_price_period_and_price_to_the_same_total() -> None:
    used = {"model": "claude-sonnet-5-5", "cache_read_input_tokens": 10**6}
    settle(
        [
            make_event(f"d{day}", occurred_at=datetime(2026, 10, day, 12, tzinfo=UTC), **used)
            for day in (5, 6, 7, 8)
        ]
        + [make_event("m", model="mystery-9"), make_event("o", model="claude-opus-4-6", service_tier="batch")]
    )
    frame = lanes.quantities(Filters())
    found = frame[["model", "service_tier", "requests", "cache_read_input_tokens"]]
    assert sorted(found.itertuples(index=False, name=None)) == [
        ("claude-opus-4-6", "batch", 1, 0),
        ("claude-sonnet-5-5", "standard", 2, 2 * 10**6),
        ("claude-sonnet-5-5", "standard", 2, 2 * 10**6),
        ("mystery-9", "standard", 1, 0),
    ]
    result = what_if.apply(frame, current(), what_if.Scenario())
    assert result.observed == result.scenario == spend.total(Filters())["list_cost"]
    assert list(result.unpriced["model"]) == ["mystery-9"]


def test_lanes_of_nothing_are_an_empty_table() -> None:
    frame = lanes.quantities(Filters(start=date(2020, 1, 1), end=date(2020, 1, 2)))
    assert frame.empty
    assert what_if.apply(frame, current(), what_if.Scenario()).scenario == 0


def test_a_scenario_cannot_be_cut_to_single_meters() -> None:
    with pytest.raises(FilterError):
        lanes.quantities(Filters().with_value("meter", "output_tokens"))
