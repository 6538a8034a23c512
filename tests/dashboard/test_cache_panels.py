"""The panels of the Cache page that rest on replays: policies and floors, TTL, gaps, causes, timelines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dashboard.filters import Filters
from dashboard.models import StoredReport
from dashboard.panels import cache_policies, cache_ttl
from dashboard.panels.run import forget_answers
from dashboard.queries import gaps
from dashboard.reports import kinds, stored  # noqa: F401  (importing kinds registers them)
from ingest.core.events import PrefixBlock
from ingest.gaps import fill_gaps_due
from tests.support.builders import settle
from tests.support.cache_page import MILLION, STORED, by_hand, call, links_to_timelines, made, panel
from tests.support.pages import RANGE, body_of, signed_in, states_of, table_rows, text_of

pytestmark = pytest.mark.django_db
D = Decimal


@pytest.fixture(autouse=True)
def no_kept_answers() -> Iterator[None]:
    forget_answers()
    yield
    forget_answers()


@pytest.fixture
def client() -> Client:
    return signed_in()


def rows_of(response: Any) -> dict[str, list[str]]:
    """Table rows by their first cell."""
    return {row[0]: row[1:] for row in table_rows(response)}


# --- reports that the worker makes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("slug", STORED)
def test_a_report_is_pending_until_the_worker_has_made_it(slug: str, client: Client) -> None:
    by_hand()
    first = panel(client, slug)
    assert (first.status_code, states_of(first)) == (200, {slug: "data"})
    assert "Being worked out" in text_of(first) and "load delay:2s" in body_of(first)
    assert stored.make_due(60) == 1
    second = panel(client, slug)
    assert "Being worked out" not in text_of(second) and "load delay" not in body_of(second)


def test_one_report_serves_all_panels_about_causes(client: Client) -> None:
    by_hand()
    for slug in STORED[1:]:
        panel(client, slug)
    assert list(StoredReport.objects.values_list("kind", flat=True)) == ["causes"]


def test_a_report_that_is_no_longer_current_says_its_age_and_looks_again(client: Client) -> None:
    by_hand()
    made(client, "cache-causes")
    StoredReport.objects.update(computed_at=timezone.now() - timedelta(minutes=7))
    settle([call(5, 9100, write=0, read=MILLION)])
    answer = panel(client, "cache-causes")
    assert "As of 7 min ago" in text_of(answer) and "every 30s" in body_of(answer)
    assert rows_of(answer)["all writes"][0] == "3.00 M"


@pytest.mark.parametrize("slug", STORED)
def test_without_any_request_nothing_is_awaited(slug: str, client: Client) -> None:
    assert states_of(panel(client, slug)) == {slug: "empty"}


@pytest.mark.parametrize("slug", [*STORED, "cache-ttl", "cache-gaps", "cache-chain"])
def test_what_is_of_whole_requests_cannot_be_limited_to_meters(slug: str, client: Client) -> None:
    by_hand()
    answer = panel(client, slug, f"{RANGE}&meter=output_tokens")
    assert (answer.status_code, states_of(answer)) == (422, {slug: "error"})


def test_requests_without_a_price_are_said_to_have_none(client: Client) -> None:
    settle([call(1, 0, model="mystery-9", provider="", platform="")])
    text = text_of(made(client, "cache-policies"))
    assert "Nothing here has a price" in text and "mystery-9" in text


def test_a_report_that_failed_says_so(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand()

    def fails(_: Filters, __: object) -> dict[str, Any]:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setitem(stored._kinds, "policies", fails)
    answer = made(client, "cache-policies")
    assert answer.status_code == 422
    assert "could not be worked out" in text_of(answer) and "secret" not in text_of(answer)


def test_without_javascript_a_pending_panel_does_not_ask_by_itself(client: Client) -> None:
    by_hand()
    answer = panel(client, "cache-policies", f"{RANGE}&inline=1")
    assert "hx-get" not in body_of(answer) and "Load this page again" in text_of(answer)


# --- policies and floors ---------------------------------------------------------------------------------------------


def test_policies_and_floors_stand_beside_the_observed_bill(client: Client) -> None:
    by_hand()
    rows = rows_of(made(client, "cache-policies"))
    shown = {name: cells[0] for name, cells in rows.items()}
    assert shown["no caching"] == "$4.00"
    assert (shown["5 min everywhere"], shown["observed"], shown["1 hour everywhere"]) == ("$3.85",) * 2 + (
        "$4.20",
    )
    assert [shown[name] for name in ("floor, no pings", "floor, with pings", "floor, never forgets")] == [
        "$3.20",
        "$2.50",
        "$1.55",
    ]
    amounts = [D(cells[0].replace("$", "")) for name, cells in rows.items() if name != "policy"]
    assert amounts == sorted(amounts, reverse=True)


def test_the_captured_share_and_the_cheapest_policy_are_said_plainly(client: Client) -> None:
    by_hand()
    text = text_of(made(client, "cache-policies"))
    assert "captured share 18.8 %" in text  # (4.00 - 3.85) / (4.00 - 3.20)
    assert "5 min + 3 pings is the cheapest" in text or "5 min + 1 ping is the cheapest" in text
    assert "every request was replayed on its prefix list" in text


def test_not_caching_is_an_answer(client: Client) -> None:
    settle([call(n, 10_000 * n, prefix=(PrefixBlock(f"p{n}", MILLION),)) for n in range(4)])
    text = text_of(made(client, "cache-policies"))
    assert "Do not cache this: no caching is the cheapest of these policies, $1.00 less than observed" in text
    assert "above the floor $1.00" in text


def test_estimates_come_with_their_range_and_basis(client: Client) -> None:
    settle([call(n, 700 * n, prefix=()) for n in range(3)])
    answer = made(client, "cache-policies")
    assert "Basis estimated: no request has a prefix list" in text_of(answer)
    assert "How much of a prompt is used again after a gap" in text_of(answer)
    assert re.search(r"\$[\d.]+ – \$[\d.]+", " ".join(rows_of(answer)["1 hour everywhere"]))


def body(**changes: Any) -> dict[str, Any]:
    """A report of policies in which 1 hour is cheapest."""
    bill = {"input_list_cost": "10", "token_hit_rate": "0.5", "prompt_step_premium": "0"}
    costs = {"none": "20", "5m": "9", "1h": "8"}
    return {
        "basis": "exact",
        "requests": 10,
        "exact_requests": 10,
        "sampled": "1",
        "observed": bill,
        "policies": [
            {**bill, "policy": name, "input_list_cost": cost, "low": cost, "high": cost}
            for name, cost in costs.items()
        ],
        "best_per_chain": {**bill, "input_list_cost": "7.5"},
        "floor": {"without_pings": "7", "with_pings": "6", "never_forgets": "5"},
        "captured_share": "0.76",
        "unpriced": [],
        **changes,
    }


def test_the_verdict_names_what_would_be_saved() -> None:
    assert cache_policies.verdict(body()) == (
        "1 hour everywhere is the cheapest of these policies, $2.00 less than observed (−20.0 %)."
    )


def test_the_verdict_admits_a_range_that_reaches_what_was_observed() -> None:
    given = body()
    given["policies"][2]["high"] = "10.5"
    assert "not certain" in cache_policies.verdict(given)


def test_the_verdict_leaves_alone_what_is_cheapest_already() -> None:
    given = body()
    given["observed"] = {**given["observed"], "input_list_cost": "7.9"}
    assert cache_policies.verdict(given).startswith("What you do now is cheaper")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none", "no caching"),
        ("5m", "5 min everywhere"),
        ("1h+1ping", "1 hour + 1 ping"),
        ("5m+3pings", "5 min + 3 pings"),
    ],
)
def test_policies_are_named_as_people_say_them(name: str, said: str) -> None:
    assert cache_policies.policy_name(name) == said


def test_a_sample_is_said_to_be_one() -> None:
    said = cache_policies.present(body(sampled="0.25"), None)  # type: ignore[arg-type]  # it asks nothing of the question
    assert "25.0 % of the sessions" in said.note


# --- TTL and gaps ----------------------------------------------------------------------------------------------------


def test_the_curve_at_the_ttls_that_are_sold_is_the_replay(client: Client) -> None:
    by_hand()
    fill_gaps_due()
    rows = rows_of(panel(client, "cache-ttl"))
    assert rows["5 min"][:2] == ["25.0 %", "$3.85"]
    assert rows["1 h"][:2] == ["50.0 %", "$4.20"]
    assert rows["1 day"][:2] == ["75.0 %", "$2.30"]  # 2 + 3 reads
    assert "nobody sells" in rows["1 day"][2]


def test_every_ttl_to_drag_to_carries_its_own_texts(client: Client) -> None:
    by_hand()
    fill_gaps_due()
    answer = body_of(panel(client, "cache-ttl"))
    assert 'id="ttl-slider"' in answer and 'data-ttl="ttl-steps"' in answer
    assert '"5 min", "25.0 %", "$3.85", "5m write price"' in answer


def test_the_ttls_to_drag_to_are_in_order_and_hold_what_is_sold() -> None:
    found = cache_ttl.ttls()
    assert found == sorted(set(found)) and (found[0], found[-1]) == (10, 86_400)
    assert {300, 301, 3600} <= set(found)
    assert max(later / earlier for earlier, later in pairwise(found)) < 1.11


def test_rewrites_are_counted_by_gap_and_kept_ones_cost_nothing(client: Client) -> None:
    by_hand()
    fill_gaps_due()
    answer = panel(client, "cache-gaps")
    rows = rows_of(answer)
    assert rows["1 min – 2 min"] == ["1.00 M", "33.3 %", "$0.00", "5m"]
    assert rows["12 min – 20 min"] == ["1.00 M", "66.7 %", "$1.15", "1h"]
    assert rows["2 h – 4 h"] == ["1.00 M", "100.0 %", "$1.15", "pings"]
    assert "Gaps of 5 to 60 minutes: $1.15; of 1 hour to 1 day: $1.15." in text_of(answer)


def test_bars_hold_every_token_of_gaps_up_to_a_day() -> None:
    by_hand()
    settle([call(9, 9000, write=0, read=MILLION)])  # a gap of nothing at all
    fill_gaps_due()
    data = gaps.histogram(Filters())
    assert sum(bar.tokens for bar in cache_ttl.bars_of(data)) == int(data.histogram.reused.sum())


def test_gaps_that_are_not_worked_out_yet_are_awaited(client: Client) -> None:
    by_hand()
    answer = panel(client, "cache-ttl")
    assert "Being worked out" in text_of(answer) and states_of(answer) == {"cache-ttl": "data"}


def test_a_session_has_no_histogram_and_that_is_said(client: Client) -> None:
    by_hand()
    answer = panel(client, "cache-gaps", f"{RANGE}&session_id=s")
    assert answer.status_code == 422 and "cannot be filtered by session_id" in text_of(answer)


# --- causes ----------------------------------------------------------------------------------------------------------


def test_ranked_causes_add_up_to_the_bill(client: Client) -> None:
    by_hand()
    answer = made(client, "cache-causes")
    rows = rows_of(answer)
    assert rows["lapse 5-60 min"][:2] == ["1.00 M", "$1.25"]
    assert rows["unknown"][:2] == ["0", "$0.00"]
    assert rows["all writes"][:2] == ["3.00 M", "$3.75"]
    # What was new could not have been read: only the two lapses count as above reading.
    assert (rows["cold start"][3], rows["lapse 5-60 min"][3], rows["all writes"][3]) == (
        "–",
        "$1.15",
        "$2.30",
    )
    assert "Writes $3.75 + reads $0.10 + uncached input $0.00 = input bill $3.85." in text_of(answer)
    assert "a 1-hour TTL" in rows["lapse 5-60 min"][-1]


def test_causes_over_time_have_a_row_a_day_and_a_total(client: Client) -> None:
    by_hand()
    rows = rows_of(made(client, "cache-causes"))
    assert rows["bucket"] == ["cold start", "lapse 5-60 min", "lapse over 60 min", "all writes"]
    assert rows["2 Mar"] == ["$1.25", "$1.25", "$1.25", "$3.75"]
    assert rows["1 Mar"][-1] == "$0.00" and rows["total"][-1] == "$3.75"


def test_nothing_written_is_said_to_be_nothing(client: Client) -> None:
    settle([call(1, 0, write=0, uncached_input_tokens=10, prefix=())])
    assert "Nothing was written" in text_of(made(client, "cache-causes"))
    assert "Nothing to see" in text_of(panel(client, "cache-dearest"))


def test_the_dearest_requests_open_their_session_at_their_own_place(client: Client) -> None:
    by_hand()
    answer = made(client, "cache-dearest")
    assert [row[4] for row in table_rows(answer)[1:3]] == ["lapse 5-60 min", "lapse over 60 min"]
    link = links_to_timelines(answer)[0]
    assert parse_qs(urlsplit(link).query)["session_id"] == ["s"]
    page = client.get(link)
    assert page.status_code == 200
    current = re.findall(r"<tr data-current.*?</tr>", body_of(page), re.S)
    assert len(current) == 1 and "lapse 5-60 min" in current[0]


def test_sessions_and_prefixes_open_their_timelines(client: Client) -> None:
    by_hand()
    links = list(dict.fromkeys(links_to_timelines(made(client, "cache-dearest"))))
    links = [link for link in links if "moment=" not in link]
    assert len(links) == 2 and "session_id=s" in links[0] and "prefix=" in links[1]
    for link in links:
        page = client.get(link)
        assert states_of(page)["cache-chain"] == "data"
        assert "requests 1–4 of 4" in text_of(page)
        assert f'href="/cache/?{RANGE.replace("&", "&amp;")}' in body_of(
            page
        )  # the way back is the way one came


def test_the_cache_page_without_javascript_has_every_panel_as_tables(client: Client) -> None:
    by_hand()
    fill_gaps_due()
    for slug in STORED:
        panel(client, slug)
    stored.make_due(60)
    page = client.get(f"/cache/?{RANGE}&inline=1")
    assert set(states_of(page).values()) == {"data"}
    text = text_of(page)
    assert "captured share" in text and "all writes" in text and "12 min – 20 min" in text
    assert "data-figure" not in body_of(page)


@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    slug=st.sampled_from([*STORED, "cache-ttl", "cache-gaps", "cache-chain"]),
    query=st.dictionaries(
        st.sampled_from(
            ["start", "end", "range", "session_id", "model", "prefix", "at", "moment", "back", "inline"]
        ),
        st.one_of(
            st.text(max_size=20),
            st.sampled_from(["2026-03-02", "9000-01-01", "all", "s", "1", "0" * 16, "f" * 16, "9" * 17, "²"]),
        ),
        max_size=5,
    ),
)
def test_no_address_breaks_these_panels(client: Client, slug: str, query: dict[str, str]) -> None:
    if not StoredReport.objects.exists():
        by_hand()
    for path in (f"/panels/{slug}/", "/cache/chain/"):
        assert client.get(path, {**query, "page": "chain"}).status_code in {200, 422}
