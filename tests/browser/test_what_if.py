"""What-if in a browser: a published table of scenarios, reached by moving the sliders; saving and taking away."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.support.product import Product

if TYPE_CHECKING:
    from playwright.sync_api import Page

PAGE = "/what-if/?workspace_id=table-s"
PREFIX = 50_000


@pytest.fixture(scope="module")
def table_s(app: Product) -> None:
    """Ten calls of Sonnet 4.6 with one prefix of 50,000 tokens, 500 new input and 800 output tokens each: the first
    writes the prefix for five minutes, the others read it."""
    key = app.manage("create_key", "table-s", "--scope", "admin").stdout.strip()
    headers = {"Authorization": f"Bearer {key}"}
    begin = datetime.now(UTC) - timedelta(hours=1)
    events = [
        {
            "id": f"table-s-{number}",
            "occurred_at": (begin + timedelta(minutes=number)).isoformat(),
            "model": "claude-sonnet-4-6",
            "workspace_id": "table-s",
            "session_id": "table-s",
            "latency_ms": 1000,
            "ttft_ms": 500,
            "prefix": [{"id": "the-prefix", "tokens": PREFIX}],
            "usage": {
                "input_tokens": 500,
                "output_tokens": 800,
                "cache_read_input_tokens": PREFIX if number else 0,
                "cache_creation_input_tokens": 0 if number else PREFIX,
                "cache_creation": {
                    "ephemeral_5m_input_tokens": 0 if number else PREFIX,
                    "ephemeral_1h_input_tokens": 0,
                },
            },
        }
        for number in range(10)
    ]
    status, _, body = app.request("POST", "/api/v1/events", events, headers)
    assert status == 200, body
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        _, _, body = app.request("GET", "/api/v1/costs?workspace_id=table-s", None, headers)
        answer = json.loads(body)
        if answer["totals"]["requests"] == 10 and answer["freshness"]["up_to_date"]:
            return
        time.sleep(0.2)
    pytest.fail("the events did not become visible")


def costs(page: Page, label: str, usd: str) -> None:
    """Wait until a card says exactly so many dollars."""
    page.wait_for_selector(f'[data-stat="{label}"] .stat-value[title="exactly ${usd}"]', timeout=20_000)


def choose(page: Page, name: str, value: str) -> None:
    page.locator(f'#knobs input[name="{name}"][value="{value}"]').check(force=True)


@pytest.mark.usefixtures("table_s")
def test_the_scenario_table_is_reproduced_by_moving_the_sliders(page: Page) -> None:
    page.goto(PAGE)
    costs(page, "Observed", "0.4575")  # the 5m cache: one write, nine reads
    costs(page, "Scenario", "0.4575")
    choose(page, "policy", "none")
    costs(page, "Scenario", "1.635")  # uncached
    page.locator("#knob-batch_share").fill("1")
    costs(page, "Scenario", "0.8175")  # uncached, in batch
    choose(page, "policy", "observed")
    costs(page, "Scenario", "0.22875")  # 5m cache in batch, every read a hit
    page.locator("#knob-batch_share").fill("0")
    costs(page, "Scenario", "0.4575")
    page.locator("#knob-write_5m_multiplier").fill("2")
    costs(page, "Scenario", "0.57")  # the write at the price of an hour
    page.get_by_text("As observed", exact=True).click()
    page.wait_for_url(re.compile(r"^(?!.*write_5m_multiplier)"))
    choose(page, "policy", "1h")
    costs(page, "Scenario", "0.57")  # the same from the replay of the prefixes
    choose(page, "policy", "5m")
    costs(page, "Scenario", "0.4575")
    assert "−72.0 %" not in page.inner_text('[data-stat="Scenario"]')


@pytest.mark.usefixtures("table_s")
def test_an_amount_opens_how_it_was_computed(page: Page) -> None:
    page.goto(PAGE)
    costs(page, "Scenario", "0.4575")
    assert page.locator("#how-0").count() == 0
    page.locator('#panel-what-if a[href="#how"]').first.click()
    page.wait_for_selector("#how-0")
    assert "$0.30 / M" in page.inner_text("#how")


@pytest.mark.usefixtures("table_s")
def test_a_scenario_is_saved_opened_again_and_taken_away(page: Page) -> None:
    page.goto(PAGE)
    page.locator("#knob-batch_share").fill("1")
    costs(page, "Scenario", "0.22875")
    page.click("summary:has-text('Save scenario')")
    page.fill("input[name=scenario_name]", "all of it in batch")
    page.click("details[open] button:has-text('Save')")
    page.wait_for_selector("text=Saved the scenario")
    costs(page, "Scenario", "0.22875")
    with page.expect_download() as download:
        page.click("#panel-what-if a:has-text('XLSX')")
    assert download.value.suggested_filename.endswith(".xlsx")
    page.goto(PAGE)
    costs(page, "Scenario", "0.4575")
    page.click("#panel-saved-scenarios a:has-text('all of it in batch')")
    costs(page, "Scenario", "0.22875")
    page.once("dialog", lambda dialog: dialog.accept())
    page.click('#panel-saved-scenarios button[aria-label="Delete all of it in batch"]')
    page.wait_for_selector("text=Deleted the scenario")


@pytest.mark.usefixtures("table_s")
def test_classes_that_can_wait_are_ticked_and_remembered(page: Page) -> None:
    page.goto(PAGE)
    page.click("#knobs nav a:has-text('workspace')")
    page.wait_for_url(re.compile("batch_by=workspace_id"))
    page.locator('#knobs input[name="can_wait"][value="table-s"]').check()
    page.locator("#knob-batch_share").fill("1")
    costs(page, "Scenario", "0.22875")
    page.click("text=Remember these marks")
    page.wait_for_selector("text=remembered")
    page.goto(f"{PAGE}&batch_by=workspace_id&batch_share=1")
    costs(page, "Scenario", "0.22875")
