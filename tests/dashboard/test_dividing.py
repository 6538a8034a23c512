"""Questions that are too long to be read at once: their parts together say what the whole says, to the last digit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from dashboard.filters import Filters
from dashboard.queries import causes, dividing, remembering, replayed
from dashboard.queries.dividing import divided
from dashboard.reports import kinds
from ingest.core.cache.reuse import DEFAULT_REUSE
from ingest.core.events import PrefixBlock, UsageEvent
from tests.support.builders import at, make_event, settle

pytestmark = pytest.mark.django_db

BOTH = ("workspace_id", "model")
MODELS = ("claude-haiku-4-5-20251001", "claude-opus-4-6")
SIZES = {"a": 40, "b": 25, "c": 10, "": 6}  # requests by workspace


def traffic(*, prefixes: bool) -> list[UsageEvent]:
    """Sessions of several workspaces that grow, lapse, change their model, and share how they begin."""
    rng = np.random.default_rng(11)
    events = []
    for workspace, count in SIZES.items():
        for number in range(count):
            session = f"{workspace}{number % 4}"
            size = 50_000 + 1_000 * number
            read = size - 5_000 if rng.random() < 0.6 else 0
            events.append(
                make_event(
                    f"{workspace}-{number}",
                    workspace_id=workspace,
                    session_id=session,
                    model=MODELS[int(rng.random() < 0.3)],
                    occurred_at=at(minutes=float(number * 7 + rng.random() * 6)),
                    uncached_input_tokens=100,
                    cache_read_input_tokens=read,
                    cache_write_5m_input_tokens=size - read,
                    ttft_ms=int(rng.integers(200, 2_000)),
                    prefix=(PrefixBlock("shared", 20_000), PrefixBlock(f"{session}-{number}", size))
                    if prefixes
                    else (),
                )
            )
    return [*events, make_event("m", model="mystery-9", workspace_id="b", occurred_at=at(minutes=3))]


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dividing, "PART", 20)


def names(parts: list[Filters], dimension: str) -> list[tuple[str, ...]]:
    return [part.values(dimension) for part in parts]


def test_a_question_that_is_small_enough_is_not_divided() -> None:
    settle(traffic(prefixes=False))
    assert divided(Filters(), 1000, BOTH) == [Filters()]


def test_large_workspaces_are_divided_by_model_and_small_ones_put_together(small_parts: None) -> None:
    settle(traffic(prefixes=False))
    parts = divided(Filters(), 1000, BOTH)
    assert sorted(name for some in names(parts, "workspace_id") for name in some) == [
        *("", "a", "a", "b", "b", "c"),
    ]
    assert ("", "c") in names(parts, "workspace_id")
    alone = [part for part in parts if part.values("workspace_id") == ("b",)]
    assert sorted(name for part in alone for name in part.values("model")) == [*MODELS, "mystery-9"]


def test_where_models_belong_together_a_workspace_is_one_part(small_parts: None) -> None:
    settle(traffic(prefixes=False))
    parts = divided(Filters(), 1000, ("workspace_id",))
    assert sorted(names(parts, "workspace_id")) == [("", "c"), ("a",), ("b",)]


def test_what_is_too_much_or_has_one_cache_that_is_too_large_stays_whole(
    small_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(traffic(prefixes=False))
    assert divided(Filters(), 50, BOTH) == [Filters()]
    monkeypatch.setattr(dividing, "LARGEST", 39)
    assert divided(Filters(), 1000, ("workspace_id",)) == [Filters()]


def test_the_filters_of_the_question_hold_in_every_part(small_parts: None) -> None:
    settle(traffic(prefixes=False))
    asked = Filters(where=(("workspace_id", ("a", "c")), ("provider", ("anthropic",))))
    parts = divided(asked, 1000, BOTH)
    assert {name for some in names(parts, "workspace_id") for name in some} == {"a", "c"}
    assert all(part.values("provider") == ("anthropic",) for part in parts)


@pytest.mark.parametrize("prefixes", [True, False])
def test_policies_and_floors_of_the_parts_are_those_of_the_whole(
    prefixes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(traffic(prefixes=prefixes))
    whole = kinds.policies_body(replayed.policies(Filters()))
    remembering.forget_all()
    monkeypatch.setattr(dividing, "PART", 20)
    if prefixes:  # the sample that the reuse of estimates is measured on would be another
        monkeypatch.setattr(replayed, "reuse_table", lambda log: DEFAULT_REUSE)
    seen: list[int] = []
    parted = kinds.policies_body(replayed.policies(Filters(), between=lambda: seen.append(1)))
    assert len(seen) == 5
    assert whole["requests"] == sum(SIZES.values())
    assert whole["basis"] == parted["basis"] == ("exact" if prefixes else "estimated")
    assert parted == whole


@pytest.mark.parametrize("prefixes", [True, False])
@pytest.mark.parametrize("grain", ["", "day", "month", "total"])
def test_causes_of_the_parts_are_those_of_the_whole(
    prefixes: bool, grain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(traffic(prefixes=prefixes))
    monkeypatch.setattr(causes, "DEAREST", 100)  # all: a cut between equally dear ones could go either way
    asked = Filters(grain=grain)
    whole = kinds.causes_body(causes.causes(asked))
    remembering.forget_all()
    monkeypatch.setattr(dividing, "PART", 20)
    parted = kinds.causes_body(causes.causes(asked))
    for body in (whole, parted):
        body["dearest"] = sorted(
            body["dearest"], key=lambda row: (row["occurred_at"], row["session_id"] or "")
        )
    assert parted == whole
    spent = sum(Decimal(row["list_cost"]) for row in whole["causes"])
    assert spent == Decimal(whole["input"]["write_list_cost"]) > 0


def test_parts_over_many_months_are_told_by_month(monkeypatch: pytest.MonkeyPatch) -> None:
    far: list[dict[str, Any]] = [{"occurred_at": at(days=130), "session_id": "later"}]
    settle(
        [
            *traffic(prefixes=False),
            *(make_event("f", cache_write_5m_input_tokens=9_000, **fields) for fields in far),
        ]
    )
    monkeypatch.setattr(dividing, "PART", 20)
    found = causes.causes(Filters())
    assert found.grain == "month"
    months = {row.bucket_start.month for row in found.rows if row.bucket_start is not None}
    assert months == {3, 7}
    assert sum(row.tokens for row in found.rows) == sum(cost.tokens for cost in found.causes)
