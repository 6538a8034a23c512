"""Answers kept in the process: worked out once, by one thread, and again when data or prices have changed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from dashboard.filters import Filters
from dashboard.panels import cache, cost, overview, shape
from dashboard.panels.base import Ask
from dashboard.queries import costing, freshness, remembering
from dashboard.queries.database import reporting_zone
from dashboard.queries.freshness import Version
from dashboard.queries.remembering import Memory
from tests.support.builders import T0, at, make_event, settle

EVERYTHING = Filters()


@pytest.fixture
def version(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The version of the data, to be changed by tests."""
    at_version = [1]
    monkeypatch.setattr(freshness, "version", lambda: Version(at_version[0], T0))
    yield at_version
    remembering.forget_all()


def test_an_answer_is_worked_out_once_until_the_data_change(version: list[int]) -> None:
    memory: Memory[int] = Memory(4)
    answers = iter(range(10))
    assert [memory.answer(EVERYTHING, "a", lambda: next(answers)) for _ in range(3)] == [0, 0, 0]
    version[0] += 1
    assert memory.answer(EVERYTHING, "a", lambda: next(answers)) == 1
    assert memory.answer(EVERYTHING, "b", lambda: next(answers)) == 2


def test_of_many_that_ask_at_once_one_works(version: list[int]) -> None:
    memory: Memory[int] = Memory(4)
    together, calls = Barrier(4), []

    def work() -> int:
        calls.append(1)
        Event().wait(0.05)
        return 7

    def ask(_: int) -> int:
        together.wait(5)
        return memory.answer(EVERYTHING, "a", work)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == [7] * 4
    assert len(calls) == 1


def test_when_the_one_that_works_fails_the_next_one_tries(version: list[int]) -> None:
    memory: Memory[int] = Memory(4)
    first, tried = Event(), []

    def work() -> int:
        tried.append(1)
        if len(tried) == 1:
            first.set()
            Event().wait(0.05)
            raise ValueError("the first one")
        return 7

    with ThreadPoolExecutor(2) as pool:
        fails = pool.submit(memory.answer, EVERYTHING, "a", work)
        assert first.wait(5)
        succeeds = pool.submit(memory.answer, EVERYTHING, "a", work)
        assert isinstance(fails.exception(5), ValueError)
        assert succeeds.result(5) == 7


@pytest.mark.django_db
def test_the_panels_of_a_page_are_sums_of_one_read(monkeypatch: pytest.MonkeyPatch) -> None:
    settle([make_event("a"), make_event("b", occurred_at=at(hours=30), cache_read_input_tokens=900)])
    reads = []
    load = costing.load

    def counted(filters: Filters, *question: object) -> costing.Priced:
        reads.append((filters.start, *question[:2]))
        return load(filters, *question)  # type: ignore[arg-type]

    monkeypatch.setattr(costing, "load", counted)
    zone = reporting_zone()
    filters = Filters.from_query("start=2026-03-01&end=2026-03-06", now=T0, zone=zone).with_(compare=True)
    ask = Ask(filters=filters, now=at(hours=48), zone=zone, page="cache")
    for fetch in (
        *(overview.fetch_headline, overview.fetch_input, cost.fetch_cost),
        *(cache.fetch_headline, cache.fetch_rates, cache.fetch_models),
    ):
        fetch(ask)
    before = filters.previous()
    assert before is not None
    assert sorted(reads) == sorted([(filters.start, ("model",), "day"), (before.start, ("model",), "day")])
    assert shape.grain_for(ask) == "day"
