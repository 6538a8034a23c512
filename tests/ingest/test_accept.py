"""Accepting events: counted once, for ever, and the ledger balances."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime

import pytest
from django.db import connection, connections

from ingest import partitions
from ingest.core.errors import Reason, Rejection
from ingest.core.events import FLAG_FINAL, PrefixBlock
from ingest.models import RejectedRow, RetiredMonth
from tests.support.builders import at, make_event, send
from tests.support.tables import event_count, ledger, rows

pytestmark = pytest.mark.django_db


def test_a_replayed_batch_is_stored_once() -> None:
    batch = [make_event(f"m{i}", occurred_at=at(seconds=i)) for i in range(50)]
    assert send(batch).stored == 50
    again = send(batch)
    assert (again.stored, again.merged, again.duplicate) == (0, 0, 50)
    assert event_count() == 50
    assert ledger() == (100, 50, 0, 50, 0)


def test_good_rows_of_a_mixed_batch_are_kept() -> None:
    bad = Rejection(1, Reason.NEGATIVE_COUNT, "usage.input_tokens", "usage.input_tokens is -5", "m2")
    receipt = send([make_event("m1"), bad, make_event("m3")])  # type: ignore[list-item]
    assert (receipt.received, receipt.stored, len(receipt.rejected)) == (3, 2, 1)
    kept = RejectedRow.objects.get()
    assert (kept.reason, kept.field, kept.event_id, kept.position) == (
        "negative_count",
        "usage.input_tokens",
        "m2",
        1,
    )


def test_a_more_complete_report_replaces_the_counts_and_is_merged() -> None:
    send([make_event("m1", output_tokens=1, flags=0)])
    receipt = send([make_event("m1", output_tokens=173)])
    assert (receipt.stored, receipt.merged) == (0, 1)
    assert rows("SELECT output_tokens, flags FROM event") == [(173, FLAG_FINAL)]


def test_a_less_complete_report_changes_nothing() -> None:
    send([make_event("m1", output_tokens=173)])
    assert send([make_event("m1", output_tokens=1, flags=0)]).duplicate == 1
    assert rows("SELECT output_tokens FROM event") == [(173,)]


def test_lines_of_one_message_in_one_batch_count_once() -> None:
    receipt = send([make_event("m1", output_tokens=n, flags=0) for n in (9, 9, 159)])
    assert (receipt.received, receipt.stored, receipt.merged, receipt.duplicate) == (3, 1, 1, 1)
    assert rows("SELECT output_tokens FROM event") == [(159,)]


def test_the_request_id_bridges_two_sources() -> None:
    send([make_event("msg_1", request_id="req_1", output_tokens=3, flags=0)], "transcript")
    receipt = send([make_event("req_1", output_tokens=40)], "telemetry")
    assert (receipt.stored, receipt.merged) == (0, 1)
    assert rows("SELECT output_tokens FROM event") == [(40,)]


def test_two_events_found_to_be_one_call_become_one() -> None:
    send([make_event("msg_1", output_tokens=3), make_event("req_1", output_tokens=40)])
    receipt = send([make_event("msg_1", request_id="req_1", output_tokens=3)])
    assert rows("SELECT output_tokens FROM event") == [(40,)]
    assert receipt.stored == -1, "the ledger takes back the event that was counted twice"
    assert ledger()[1] == event_count() == 1
    assert send([make_event("req_1", output_tokens=40)]).duplicate == 1


def test_an_event_without_an_id_is_recognised_by_its_content() -> None:
    assert send([make_event("")]).stored == 1
    assert send([make_event("")]).duplicate == 1
    assert send([make_event("", output_tokens=11)]).stored == 1


def test_the_earliest_time_wins_across_months_and_the_event_moves() -> None:
    send([make_event("m1", occurred_at=datetime(2026, 4, 1, 0, 0, 5, tzinfo=UTC))])
    earlier = datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC)
    assert send([make_event("m1", occurred_at=earlier)]).merged == 1
    assert rows("SELECT occurred_at FROM event_2026_03") == [(earlier,)]
    assert rows("SELECT count(*) FROM event_2026_04") == [(0,)]
    due = {hour for (hour,) in rows("SELECT DISTINCT bucket_start FROM dirty_bucket")}
    assert due == {datetime(2026, 3, 31, 23, tzinfo=UTC), datetime(2026, 4, 1, 0, tzinfo=UTC)}


def test_attribution_keeps_what_came_first_and_fills_gaps() -> None:
    send([make_event("m1", workspace_id="first", tags=(("team", "a"),))])
    send([make_event("m1", workspace_id="second", user_id="u", tags=(("env", "prod"), ("team", "b")))])
    assert rows(
        "SELECT workspace_id, user_id, tags->>'team', tags->>'env'"
        " FROM event JOIN label_set ON label_set.id = label_set_id"
    ) == [("first", "u", "a", "prod")]


def test_a_separately_priced_part_is_stored_but_not_counted_as_a_request() -> None:
    part = make_event("m1#advisor_message:claude-opus-4-6", model="claude-opus-4-6", requests=0)
    receipt = send([make_event("m1"), part])
    assert (receipt.received, receipt.stored) == (1, 1)
    assert rows("SELECT count(*), sum(requests) FROM event") == [(2, 1)]


def test_partitions_appear_for_any_month() -> None:
    send(
        [
            make_event("old", occurred_at=datetime(2019, 5, 5, tzinfo=UTC)),
            make_event("new", occurred_at=datetime(2031, 1, 1, tzinfo=UTC)),
        ]
    )
    assert {date(2019, 5, 1), date(2031, 1, 1)} <= set(partitions.existing())


def test_events_of_a_retired_month_are_refused_and_its_totals_stand() -> None:
    RetiredMonth.objects.create(month=date(2026, 3, 1))
    receipt = send([make_event("m1"), make_event("m2", occurred_at=datetime(2026, 4, 1, tzinfo=UTC))])
    assert receipt.stored == 1
    assert [(row.reason, row.field, row.event_id) for row in receipt.rejected] == [
        (Reason.INVALID_TIME, "occurred_at", "m1")
    ]


def test_prefixes_are_stored_as_hashes() -> None:
    send([make_event("m1", prefix=(PrefixBlock("h1", 12_000), PrefixBlock("h2", 100_000))), make_event("m2")])
    stored = rows("SELECT cardinality(block_hashes), cumulative_tokens FROM event_prefix")
    assert stored == [(2, [12_000, 100_000])]


def test_a_failing_transaction_stores_nothing_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the ledger cannot be written")

    monkeypatch.setattr("ingest.ledger.enter", fail)
    with pytest.raises(RuntimeError):
        send([make_event("m1")])
    assert event_count() == 0
    assert rows("SELECT count(*) FROM event_identity") == [(0,)]
    assert rows("SELECT count(*) FROM dirty_bucket") == [(0,)]


@pytest.mark.django_db(transaction=True)
def test_the_same_ids_on_many_connections_at_once_are_stored_once() -> None:
    batch = [make_event(f"m{i}", request_id=f"r{i}", occurred_at=at(seconds=i)) for i in range(200)]
    receipts, errors = [], []

    def deliver(part: list[object]) -> None:
        try:
            receipts.append(send(part))  # type: ignore[arg-type]
        except Exception as error:  # collected and asserted below
            errors.append(error)
        finally:
            connections.close_all()

    orders = [batch, batch[::-1], batch[100:] + batch[:100], batch[::2] + batch[1::2]]
    threads = [threading.Thread(target=deliver, args=(order,)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sum(receipt.stored for receipt in receipts) == 200
    assert event_count() == 200
    received, stored, merged, duplicate, rejected = ledger()
    assert received == 800 == stored + merged + duplicate + rejected


def test_storing_a_new_batch_costs_a_fixed_number_of_queries(django_assert_max_num_queries: object) -> None:
    send([make_event("warm")])
    with django_assert_max_num_queries(10):  # type: ignore[operator]
        send([make_event(f"m{i}") for i in range(500)])
    assert connection.connection is not None
