"""What-if: the address is the scenario, with and without JavaScript."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.support.builders import make_event, settle
from tests.support.pages import RANGE, signed_in, stat, states_of, text_of

pytestmark = pytest.mark.django_db


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


def test_half_of_it_in_batch_saves_a_quarter(client: Client) -> None:
    page = client.get(f"/what-if/?{RANGE}&batch_share=0.5")
    assert stat(page, "Scenario") == "$2.48"  # 3.30 − 3.30 / 2 × 50 %


def test_a_read_multiplier_prices_reads_anew(client: Client) -> None:
    assert stat(client.get(f"/what-if/?{RANGE}&read_multiplier=0.2"), "Scenario") == "$3.60"


def test_a_slider_marked_as_listed_does_not_count(client: Client) -> None:
    page = client.get(f"/what-if/?{RANGE}&read_multiplier=0.2&listed=read_multiplier&batch_share=0")
    assert stat(page, "Scenario") == "$3.30"


def test_moving_a_slider_puts_the_scenario_into_the_address(client: Client) -> None:
    answer = client.get(
        f"/panels/what-if/?{RANGE}&page=what_if&batch_share=0.5&read_multiplier=0.1&listed=read_multiplier"
    )
    assert answer["HX-Replace-Url"] == "/what-if/?start=2026-03-01&end=2026-03-04&compare=1&batch_share=0.5"


@pytest.mark.parametrize(
    "query",
    [
        "batch_share=2",
        "read_multiplier=x",
        "batch_discount=-1",
        "write_5m_multiplier=1e99",
        "read_multiplier=nan",
        "batch_share=1e-30",
    ],
)
def test_a_knob_that_cannot_be_is_refused_in_its_place(client: Client, query: str) -> None:
    page = client.get(f"/what-if/?{RANGE}&{query}")
    assert page.status_code == 422
    assert states_of(page)["what-if"] == "error"
    assert query.partition("=")[0] in text_of(page)


def test_the_form_keeps_range_and_filters(client: Client) -> None:
    body = client.get(f"/what-if/?{RANGE}&workspace_id=x").content.decode()
    assert '<input type="hidden" name="workspace_id" value="x">' in body
    assert '<input type="hidden" name="start" value="2026-03-01">' in body
