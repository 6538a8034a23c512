"""What-if: the address is the scenario, with and without JavaScript; it is saved, shared and taken away whole."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import timedelta

import pytest
from django.test import Client

from dashboard.models import CallClass, RateLimits, SavedScenario
from tests.support.builders import T0, make_event, settle
from tests.support.pages import RANGE, body_of, signed_in, stat, states_of, table_rows, text_of

pytestmark = pytest.mark.django_db
SWAP = "swap1_from=claude-sonnet-4-6&swap1_to=claude-haiku-4-5-20251001&swap1_growth=1"


@pytest.fixture
def client() -> Client:
    settle(
        [make_event("a", uncached_input_tokens=1_000_000, cache_read_input_tokens=1_000_000, output_tokens=0)]
    )
    return signed_in()


def test_untouched_knobs_leave_the_bill_as_it_was(client: Client) -> None:
    page = client.get(f"/what-if/?{RANGE}")
    assert stat(page, "Observed") == stat(page, "Scenario") == "$3.30"
    assert "Nothing is changed yet" in text_of(page)


@pytest.mark.parametrize(
    ("query", "cost"),
    [
        ("batch_share=0.5", "$2.48"),  # 3.30 − 3.30 / 2 × 50 %
        ("batch_share=1&batch_reads=0.5", "$2.51"),  # (3 + 0.15 + 0.5 × 3.75) / 2
        ("read_multiplier=0.2", "$3.60"),
        ("read_multiplier=0.2&listed=read_multiplier&batch_share=0", "$3.30"),  # "as listed" does not count
        ("policy=none", "$6.00"),
        ("token_hit_rate=0.75", "$1.95"),
        (SWAP, "$1.10"),
        (f"{SWAP}&swap1_share=0.5", "$2.20"),
        (f"{SWAP}&swap1_class=workspace_id%3Dother", "$3.30"),
        ("swap1_share=0.5&swap1_growth=1", "$3.30"),  # no models: no swap
        ("geo=us", "$3.63"),
        ("fast_share=1", "$3.30"),
        ("priority_share=1&priority_rate=1", "$1.10"),
        ("discount=0.1", "$2.97"),
        ("growth=2", "$6.60"),
        ("growth_by_model=claude-sonnet-4-6+3", "$9.90"),
        ("contract=claude-sonnet-4-6+2+10", "$2.20"),
        ("contract=claude-sonnet-4-6+2+10+0.1", "$2.10"),
        ("price_date=2026-01-01", "$3.30"),
    ],
)
def test_every_knob_of_the_address_prices_anew(client: Client, query: str, cost: str) -> None:
    page = client.get(f"/what-if/?{RANGE}&{query}")
    assert page.status_code == 200
    assert stat(page, "Scenario") == cost
    assert states_of(page)["what-if"] == "data"


def test_moving_a_slider_puts_the_scenario_into_the_address(client: Client) -> None:
    answer = client.get(
        f"/panels/what-if/?{RANGE}&page=what_if&batch_share=0.5&read_multiplier=0.1&listed=read_multiplier"
        "&growth=1&policy=observed&swap1_share=1&contract="
    )
    assert answer["HX-Replace-Url"] == "/what-if/?start=2026-03-01&end=2026-03-04&compare=1&batch_share=0.5"


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("batch_share=2", "batch.share"),
        ("read_multiplier=x", "cache.read_multiplier"),
        ("batch_discount=-1", "batch.discount"),
        ("write_5m_multiplier=1e99", "cache.write_5m_multiplier"),
        ("read_multiplier=nan", "cache.read_multiplier"),
        ("batch_share=1e-30", "batch.share"),
        ("swap1_from=claude-opus-4-6&swap1_to=nothing", "swap.0.to"),
        ("contract=claude-opus-4-6", "prices.contract"),
        ("growth_by_model=x", "growth"),
        ("policy=7m", "cache.policy"),
        ("batch_share=1&batch_by=planet", "batch_by"),
        ("price_date=soon", "prices.date"),
    ],
)
def test_a_knob_that_cannot_be_is_refused_in_its_place(client: Client, query: str, named: str) -> None:
    page = client.get(f"/what-if/?{RANGE}&{query}")
    assert page.status_code == 422
    assert states_of(page)["what-if"] == "error"
    assert named in text_of(page).lower()


def test_the_form_keeps_range_and_filters(client: Client) -> None:
    body = client.get(f"/what-if/?{RANGE}&workspace_id=x").content.decode()
    assert '<input type="hidden" name="workspace_id" value="x">' in body
    assert '<input type="hidden" name="start" value="2026-03-01">' in body


def test_every_amount_leads_to_how_it_was_computed(client: Client) -> None:
    body = client.get(f"/what-if/?{RANGE}&batch_share=0.5").content.decode()
    assert body.count('href="#how"') == 10  # a model, two meters, and a total under each
    assert 'id="how"' in body
    rows = table_rows(client.get(f"/panels/what-if-how/?{RANGE}&page=what_if&batch_share=0.5"))
    assert ["uncached", "1.00 M", "$3.00 / M", "$3.00", "1.00 M", "$2.25 / M", "$2.25"] in rows


def test_assumptions_are_printed(client: Client) -> None:
    text = text_of(client.get(f"/what-if/?{RANGE}&{SWAP.replace('haiku-4-5-20251001', 'opus-5-5')}"))
    assert "tokens for one" in text and "reads 0.05×" in text


# --- classes of calls ------------------------------------------------------------------------------------------------


@pytest.fixture
def two_kinds(client: Client) -> Client:
    """Chats are followed up within minutes; the night run's calls stand alone."""
    chat = [
        make_event(
            f"chat{n}",
            workspace_id="chat",
            session_id=f"s{n // 6}",
            occurred_at=T0 + timedelta(minutes=3 * n),
        )
        for n in range(30)
    ]
    night = [
        make_event(
            f"night{n}", workspace_id="night", session_id=f"n{n}", occurred_at=T0 + timedelta(minutes=n)
        )
        for n in range(30)
    ]
    settle(
        [
            *chat,
            *night,
            make_event(
                "big", workspace_id="night", session_id="nb", uncached_input_tokens=2_000_000, output_tokens=0
            ),
        ]
    )
    return client


def test_who_can_wait_is_read_from_the_data(two_kinds: Client) -> None:
    page = two_kinds.get(f"/what-if/?{RANGE}&batch_by=workspace_id&batch_share=1")
    body = page.content.decode()
    assert 'value="night" checked' in body and 'value="chat">' in body
    assert "0% followed up in the same session within an hour" in text_of(page)
    # Only the night's 6 $ and its small calls are halved.
    assert stat(page, "Observed") == "$9.33" and stat(page, "Scenario") == "$6.32"


def test_a_choice_by_hand_stands_in_the_address_even_when_empty(two_kinds: Client) -> None:
    query = f"{RANGE}&batch_by=workspace_id&batch_share=1&can_wait=~"
    assert stat(two_kinds.get(f"/what-if/?{query}"), "Scenario") == "$9.33"
    both = two_kinds.get(f"/panels/what-if/?page=what_if&{query}&can_wait=night&can_wait=chat")
    address = both["HX-Replace-Url"]
    assert stat(two_kinds.get(address), "Scenario") == stat(both, "Scenario")


def test_marks_are_remembered_for_everybody(two_kinds: Client) -> None:
    marks = {"batch_by": "workspace_id", "shown": ["night", "chat"], "can_wait": ["~", "chat"]}
    assert two_kinds.post("/what-if/classes/", marks).status_code == 204
    assert dict(CallClass.objects.values_list("value", "can_wait")) == {"night": False, "chat": True}
    body = two_kinds.get(f"/what-if/?{RANGE}&batch_by=workspace_id").content.decode()
    assert 'value="chat" checked' in body and 'value="night">' in body
    assert two_kinds.post("/what-if/classes/", {"batch_by": "planet", "shown": "x"}).status_code == 422


# --- taking it away --------------------------------------------------------------------------------------------------


def test_the_csv_is_what_is_on_the_screen_under_what_it_is_about(client: Client) -> None:
    answer = client.get(f"/what-if/?{RANGE}&batch_share=0.5&format=csv")
    assert "breakeven-what-if-2026-03-01_2026-03-04.csv" in answer["Content-Disposition"]
    rows = list(csv.reader(io.StringIO(body_of(answer))))
    about = {row[0]: row[1] for row in rows if len(row) == 2}
    assert about["scenario"] == '{"batch": {"share": {"*": "0.5"}}}'
    assert about["zone"] == "UTC" and about["price version"] and about["observed USD"].rstrip("0") == "3.3"
    model = next(row for row in rows if row and row[0] == "claude-sonnet-4-6")
    assert [value.rstrip("0") for value in model[1:4]] == ["3.3", "2.475", "-0.825"]


def test_the_workbook_opens_and_holds_the_same(client: Client) -> None:
    answer = client.get(f"/what-if/?{RANGE}&batch_share=0.5&workspace_id=&format=xlsx")
    book = zipfile.ZipFile(io.BytesIO(answer.content))
    texts = book.read("xl/sharedStrings.xml").decode()
    assert "claude-sonnet-4-6" in texts and "filter workspace" in texts
    assert b"<v>2.475</v>" in book.read("xl/worksheets/sheet2.xml")


def test_a_name_that_begins_like_a_formula_is_text_in_the_exports(client: Client) -> None:
    answer = client.get(f"/what-if/?{RANGE}&workspace_id=%3D1%2B1&format=csv")
    assert "filter workspace,'=1+1" in body_of(answer)


def test_an_impossible_scenario_is_not_exported(client: Client) -> None:
    assert client.get(f"/what-if/?{RANGE}&batch_share=5&format=xlsx").status_code == 422


def test_a_shared_link_says_its_days_outright(client: Client) -> None:
    text = text_of(client.get("/what-if/?range=all&batch_share=0.5"))
    assert "batch_share=0.5" in text
    assert "range=7d" not in text_of(client.get("/what-if/?range=7d&batch_share=0.5"))


# --- saved scenarios -------------------------------------------------------------------------------------------------


def save(client: Client, name: str, **knobs: str) -> None:
    back = f"/what-if/?{RANGE}"
    answer = client.post("/what-if/save/", {"scenario_name": name, "back": back, **knobs})
    assert answer.status_code == 302 and answer["Location"].startswith("/what-if/?")


def test_a_saved_scenario_runs_anew_on_any_range(client: Client) -> None:
    save(client, "half", batch_share="0.5")
    save(client, "cheap reads", read_multiplier="0", listed="read_multiplier")
    assert [each.name for each in SavedScenario.objects.all()] == ["half"]  # nothing turned: nothing saved
    save(client, "dear reads", read_multiplier="0.2")
    panel = client.get(f"/panels/saved-scenarios/?{RANGE}&page=what_if")
    assert ["total", "$3.30", "$3.60", "$2.48"] in table_rows(panel)
    assert ["batch", "–", "−$0.825"] in table_rows(panel)
    elsewhere = client.get("/panels/saved-scenarios/?start=2025-01-01&end=2025-01-02&page=what_if")
    assert ["total", "$0.00", "$0.00", "$0.00"] in table_rows(elsewhere)


def test_up_to_four_stand_side_by_side(client: Client) -> None:
    for number in range(1, 7):
        save(client, f"s{number}", discount=f"0.{number}")
    rows = table_rows(client.get(f"/panels/saved-scenarios/?{RANGE}&page=what_if"))
    assert ["model", "observed", "s1", "s2", "s3", "s4"] in rows
    rows = table_rows(client.get(f"/panels/saved-scenarios/?{RANGE}&page=what_if&side=s6&side=s2"))
    assert ["model", "observed", "s2", "s6"] in rows


def test_saving_again_replaces_and_deleting_forgets(client: Client) -> None:
    save(client, "half", batch_share="0.5")
    save(client, "half", batch_share="0.6")
    assert SavedScenario.objects.get().knobs == {"batch_share": "0.6"}
    client.post("/what-if/delete/", {"scenario_name": "half"})
    assert not SavedScenario.objects.exists()


def test_a_saved_scenario_whose_model_is_gone_says_so(client: Client) -> None:
    SavedScenario.objects.create(name="old", knobs={"swap1_from": "gone-1", "swap1_to": "gone-2"})
    panel = client.get(f"/panels/saved-scenarios/?{RANGE}&page=what_if")
    assert panel.status_code == 200 and "no prices are known" in text_of(panel)


def test_the_way_back_never_leaves_the_page(client: Client) -> None:
    for back in ("https://elsewhere.example/", "//elsewhere.example/what-if/", "/settings/", "javascript:1"):
        answer = client.post("/what-if/save/", {"scenario_name": "x", "batch_share": "0.5", "back": back})
        assert answer["Location"] == "/what-if/"


# --- limits ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def busy(client: Client) -> Client:
    settle(
        [
            make_event(
                f"m{n}",
                uncached_input_tokens=1_000,
                cache_read_input_tokens=90_000,
                cache_write_5m_input_tokens=4_000,
                output_tokens=300,
                occurred_at=T0 + timedelta(hours=2, seconds=n),
            )
            for n in range(40)
        ]
    )
    return client


def test_peaks_count_uncached_and_written_tokens_now_and_under_the_scenario(busy: Client) -> None:
    panel = busy.get(f"/panels/headroom/?{RANGE}&page=what_if&batch_share=0.5")
    row = next(row for row in table_rows(panel) if row[0] == "Sonnet 4.x")
    # 40 requests of 5,000 counted tokens within a minute; a million uncached tokens at once is the input's peak.
    assert row[1].startswith("40 ") and row[2].startswith("20 ")
    assert row[4].startswith("1.00 M") and row[5].startswith("500 k")
    assert row[7].startswith("12.0 k") and row[8].startswith("6.00 k")


def test_limits_are_edited_and_the_tier_chosen(busy: Client) -> None:
    form = {
        "tier": "Scale",
        "class": ["Sonnet 4.x"],
        "requests": ["30"],
        "input": ["10,000,000"],
        "output": [""],
        "cap": "5",
    }
    busy.post("/what-if/limits/", form)
    assert RateLimits.objects.get().own == {"Sonnet 4.x": {"requests": 30}, "cap": "5"}
    text = text_of(busy.get(f"/panels/headroom/?{RANGE}&page=what_if"))
    assert "133 % over" in text.replace("133.3", "133") or "over" in text
    assert "monthly cap of $5.00" in text
    busy.post("/what-if/limits/", {**form, "tier": "Tier 1"})
    assert (RateLimits.objects.get().tier, RateLimits.objects.get().own) == ("Tier 1", {})
    busy.post("/what-if/limits/", {**form, "tier": "Tier 1", "requests": ["-3"]})
    assert RateLimits.objects.get().own == {}


def test_only_staff_changes_limits(client: Client) -> None:
    other = signed_in(staff=False)
    assert other.post("/what-if/limits/", {"tier": "Tier 1"}).status_code == 403


def test_requests_that_would_not_fit_are_counted_and_listed(client: Client) -> None:
    settle(
        [
            make_event(
                "large", uncached_input_tokens=199_000, output_tokens=2_000, session_id="long", occurred_at=T0
            ),
            make_event("short", uncached_input_tokens=10, cache_read_input_tokens=2_100, occurred_at=T0),
        ]
    )
    panel = client.get(f"/panels/fits/?{RANGE}&page=what_if&{SWAP}")
    text = text_of(panel)
    # The fixture's call of two million tokens and this one; the other has a prefix that Haiku does not cache.
    assert "of 3 requests 2 would not fit into 200 k tokens" in text
    assert "1 have a cached prefix under 4,096 tokens" in text
    assert any("long" in row for row in table_rows(panel))
