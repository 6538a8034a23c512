"""Panels: each loads, is empty, times out and fails alone, with its true status code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client

from dashboard.filters import Filters
from dashboard.models import SavedScenario
from dashboard.panels import REGISTRY
from dashboard.panels.run import forget_answers
from dashboard.reports.decisions import follow_scenario
from ingest.accept import accept
from ingest.core.reported import ReportedUsage
from tests.support.builders import T0, at, make_event, settle
from tests.support.figures import drawn
from tests.support.pages import RANGE, figures_in, signed_in, stat, states_of, table_rows, text_of

pytestmark = pytest.mark.django_db
SHOWN = sorted(REGISTRY)


@pytest.fixture(autouse=True)
def no_kept_answers() -> Iterator[None]:
    forget_answers()
    yield
    forget_answers()


@pytest.fixture
def client() -> Client:
    return signed_in()


def two_models() -> None:
    """A million uncached Sonnet tokens ($3) with a read, and a model that no price list knows."""
    settle(
        [
            make_event(
                "s",
                uncached_input_tokens=1_000_000,
                output_tokens=0,
                cache_read_input_tokens=1_000_000,
                workspace_id="search",
            ),
            make_event(
                "m",
                model="mystery-1",
                uncached_input_tokens=500,
                output_tokens=0,
                workspace_id="support",
                occurred_at=at(hours=1),
            ),
        ]
    )


@pytest.mark.parametrize("slug", SHOWN)
def test_every_panel_has_help_and_an_empty_state(slug: str) -> None:
    panel = REGISTRY[slug]
    assert panel.help and all(paragraph.endswith(".") for paragraph in panel.help)
    assert panel.empty.what and panel.empty.why and panel.empty.fix


@pytest.mark.parametrize("slug", SHOWN)
def test_every_panel_shows_data(slug: str, client: Client) -> None:
    two_models()
    start, end = at(hours=-10), at(hours=14)
    accept(
        [ReportedUsage(kind="report", provider="anthropic", start=start, end=end, output_tokens=5)], "reports"
    )
    follow_scenario("batch", {"batch_share": "0.5"}, Decimal(1), Filters(), ("", ""))
    SavedScenario.objects.create(name="half in batch", knobs={"batch_share": "0.5"})
    swap = "swap1_from=claude-sonnet-4-6&swap1_to=claude-opus-4-6"
    response = client.get(f"/panels/{slug}/?{RANGE}&{swap}&page=what_if")
    assert response.status_code == 200
    assert states_of(response) == {slug: "data"}
    for figure in figures_in(response):
        drawn(figure)


@pytest.mark.parametrize("slug", SHOWN)
def test_every_panel_survives_an_empty_database(slug: str, client: Client) -> None:
    response = client.get(f"/panels/{slug}/?{RANGE}")
    assert response.status_code == 200
    assert states_of(response)[slug] in {"empty", "data"}


@pytest.mark.parametrize("slug", SHOWN)
def test_no_panel_is_shown_to_strangers(slug: str) -> None:
    assert Client().get(f"/panels/{slug}/").status_code == 302
    answer = Client().get(f"/panels/{slug}/", headers={"HX-Request": "true"})
    assert answer.status_code == 401 and answer["HX-Redirect"] == "/sign-in/"


def broken(monkeypatch: pytest.MonkeyPatch, slug: str, error: Exception | None = None, sql: str = "") -> None:
    def fetch(ask: Any) -> Any:
        if sql:
            with connection.cursor() as cursor:
                cursor.execute(sql)
        assert error is not None
        raise error

    monkeypatch.setitem(REGISTRY, slug, replace(REGISTRY[slug], fetch=fetch))


def test_a_broken_panel_answers_500_and_says_so(monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
    broken(monkeypatch, "input-mix", ZeroDivisionError("secret detail"))
    response = client.get(f"/panels/input-mix/?{RANGE}")
    assert response.status_code == 500
    assert states_of(response) == {"input-mix": "error"}
    assert "secret detail" not in text_of(response)


def test_a_slow_panel_is_stopped_and_answers_504(
    monkeypatch: pytest.MonkeyPatch, client: Client, settings: Any
) -> None:
    settings.PANEL_TIMEOUT_MS = 50
    broken(monkeypatch, "input-mix", sql="SELECT pg_sleep(5)")
    response = client.get(f"/panels/input-mix/?{RANGE}")
    assert response.status_code == 504
    assert states_of(response) == {"input-mix": "timed_out"}


def test_a_database_that_is_away_is_a_503(monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
    broken(monkeypatch, "input-mix", OperationalError("the connection is closed"))
    response = client.get(f"/panels/input-mix/?{RANGE}")
    assert response.status_code == 503 and response["Retry-After"]


def test_the_last_good_answer_stands_in_and_is_said_to_be_old(
    monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    two_models()
    assert client.get(f"/panels/headline/?{RANGE}").status_code == 200
    broken(monkeypatch, "headline", ZeroDivisionError())
    response = client.get(f"/panels/headline/?{RANGE}")
    assert response.status_code == 500
    assert states_of(response) == {"headline": "stale"}
    assert stat(response, "List cost") == "$3.30" and "As of" in text_of(response)


def test_one_broken_panel_leaves_the_page_alone(monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
    two_models()
    broken(monkeypatch, "cost-by-model", ZeroDivisionError())
    response = client.get(f"/?{RANGE}")
    assert response.status_code == 200
    assert states_of(response)["cost-by-model"] == "error"
    assert states_of(response)["headline"] == "data"


def test_an_unknown_panel_is_a_404(client: Client) -> None:
    assert client.get("/panels/nonsense/").status_code == 404


def test_a_range_that_cannot_be_is_refused(client: Client) -> None:
    assert client.get("/panels/headline/?start=yesterday").status_code == 422


def test_the_headline_shows_true_dollars(client: Client) -> None:
    two_models()
    response = client.get(f"/panels/headline/?{RANGE}")
    # 1 M uncached at $3 and 1 M read at $0.30; the mystery model is not in it.
    assert stat(response, "List cost") == "$3.30"
    assert stat(response, "Token hit rate") == "50.0 %"
    assert stat(response, "Cache saving, net") == "$2.70"
    assert stat(response, "Priced coverage") == "99.9 %"


def test_the_headline_compares_with_the_period_before(client: Client) -> None:
    settle(
        [
            make_event("now", uncached_input_tokens=2_000_000, output_tokens=0),
            make_event(
                "then", uncached_input_tokens=1_000_000, output_tokens=0, occurred_at=T0 - timedelta(days=3)
            ),
        ]
    )
    assert "+100.0 % vs 26–28 Feb" in text_of(client.get(f"/panels/headline/?{RANGE}"))


def test_a_model_without_a_price_is_named_and_not_drawn_as_nothing(client: Client) -> None:
    two_models()
    assert "no price: mystery-1" in text_of(client.get(f"/panels/cost-by-model/?{RANGE}"))
    strip = text_of(client.get(f"/panels/strip/?{RANGE}"))
    assert "unpriced mystery-1 500" in strip
    assert "received 2 = stored 2 + merged 0 + duplicate 0 + rejected 0" in strip


def test_the_cost_is_explained_as_quantity_times_unit_price(client: Client) -> None:
    two_models()
    rows = table_rows(client.get(f"/panels/how-cost/?{RANGE}"))
    assert ["claude-sonnet-4-6", "uncached", "1,000,000", "$3.00 / M", "$3.00"] in rows
    assert ["claude-sonnet-4-6", "read", "1,000,000", "$0.30 / M", "$0.30"] in rows
    assert ["mystery-1", "uncached", "500", "–", "unpriced"] in rows


def test_every_figure_has_a_table_of_the_same_data(client: Client) -> None:
    two_models()
    for slug in ("cost-by-model", "input-mix", "spend-over-time", "cache-saving", "hit-rates"):
        response = client.get(f"/panels/{slug}/?{RANGE}")
        body = response.content.decode()
        assert f'data-figure="figure-{slug}"' in body and '<details class="twin"' in body, slug
        assert len(figures_in(response)) == 1, slug


def test_without_javascript_tables_stand_in_for_figures(client: Client) -> None:
    two_models()
    body = client.get(f"/?{RANGE}&inline=1").content.decode()
    assert "data-figure" not in body and '<details class="twin" open' in body
    assert 'data-state="loading"' not in body


def test_a_name_cannot_break_out_of_the_page(client: Client) -> None:
    settle([make_event("x", workspace_id="</script><b>boo</b>", tags=(("team", "<i>x"),))])
    for slug in SHOWN:
        body = client.get(f"/panels/{slug}/?{RANGE}&group_by=workspace_id").content.decode()
        assert "</script><b>boo" not in body and "<i>x" not in body, slug


def test_a_loss_making_cache_is_worth_a_look(client: Client) -> None:
    settle(
        [
            make_event(
                f"w{number}",
                workspace_id="extract",
                uncached_input_tokens=0,
                cache_write_5m_input_tokens=1_000_000,
                output_tokens=0,
            )
            for number in range(3)
        ]
    )
    # Three writes never read: 3 × ($3.75 − $3.00) over three days is $22.50 per 30 days.
    assert "Stop caching in extract $22.50" in text_of(client.get(f"/panels/worth-a-look/?{RANGE}"))


def test_a_fallen_hit_rate_is_worth_a_look(client: Client) -> None:
    before = T0 - timedelta(days=3)
    settle(
        [
            make_event(
                "a",
                occurred_at=before,
                uncached_input_tokens=0,
                cache_read_input_tokens=1_000_000,
                workspace_id="search",
            ),
            make_event(
                "b", uncached_input_tokens=500_000, cache_read_input_tokens=500_000, workspace_id="search"
            ),
        ]
    )
    # Half of a million tokens no longer read, at $2.70 a million saved by reading, over three days: $13.50 per 30 days.
    assert "Token hit rate fell in search $13.50" in text_of(client.get(f"/panels/worth-a-look/?{RANGE}"))


def test_where_no_workspace_is_known_the_next_label_is_ranked(client: Client) -> None:
    settle([make_event("a", user_id="ada"), make_event("b", user_id="grace")])
    assert "Top users" in text_of(client.get(f"/panels/top-groups/?{RANGE}"))


def test_the_strip_tells_the_panels_that_the_data_changed(client: Client) -> None:
    two_models()
    assert "HX-Trigger-After-Swap" not in client.get(f"/panels/strip/?{RANGE}").headers
    assert client.get(f"/panels/strip/?{RANGE}&version=-1")["HX-Trigger-After-Swap"] == "new-data"


def test_filter_choices_are_found_by_a_part_of_their_name(client: Client) -> None:
    two_models()
    found = text_of(client.get(f"/panels/filter-choices/?{RANGE}&q=myst"))
    assert "mystery-1" in found and "claude" not in found


def test_reads_per_write_stand_beside_where_they_begin_to_pay(client: Client) -> None:
    settle(
        [
            make_event(
                "a",
                uncached_input_tokens=0,
                cache_read_input_tokens=2_000_000,
                cache_write_5m_input_tokens=1_000_000,
            )
        ]
    )
    body = text_of(client.get(f"/panels/cache-headline/?{RANGE}"))
    # (3.75 − 3) ÷ (3 − 0.3) = 0.28
    assert "2.0× pays from 0.28×" in body
    assert Decimal("0.75") / Decimal("2.7") < Decimal("0.28")
