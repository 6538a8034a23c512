"""What a newcomer does: sign in, send an event, see the dollars, filter, move a slider."""

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

TIMEOUT_MS = 20_000


def send(app: Product, key: str, count: int, **fields: object) -> None:
    now = datetime.now(UTC)
    events = [
        {
            "id": f"{fields.get('workspace_id', 'w')}-{number}",
            "occurred_at": (now - timedelta(minutes=number)).isoformat(),
            "model": "claude-sonnet-4-6",
            "usage": {"input_tokens": 1_000_000, "output_tokens": 0, "cache_read_input_tokens": 0},
            **fields,
        }
        for number in range(count)
    ]
    status, _, body = app.request("POST", "/api/v1/events", events, {"Authorization": f"Bearer {key}"})
    assert status == 200, body


def send_traffic(app: Product, key: str) -> None:
    """2 × $3 for search and 1 × $1 for support; the same ids every time, so that they count once."""
    send(app, key, 2, workspace_id="search", tags={"team": "find"})
    send(app, key, 1, workspace_id="support", model="claude-haiku-4-5")


@pytest.fixture
def traffic(app: Product, key: str) -> None:
    """There when a test begins, whichever tests ran before."""
    send_traffic(app, key)
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        _, _, body = app.request("GET", "/api/v1/costs", None, {"Authorization": f"Bearer {key}"})
        answer = json.loads(body)
        if answer["totals"]["requests"] == 3 and answer["freshness"]["up_to_date"]:
            return
        time.sleep(0.2)
    pytest.fail("the events did not become visible")


def value(page: Page, label: str) -> str:
    return page.locator(f'[data-stat="{label}"] .stat-value').inner_text().strip()


def drawn(page: Page, slug: str) -> None:
    """Wait until the figure of a panel is on the screen with marks in it."""
    page.wait_for_selector(f'#panel-{slug} [data-drawn="yes"] svg.main-svg', timeout=TIMEOUT_MS)


@pytest.fixture(scope="module")
def key(app: Product) -> str:
    return app.manage("create_key", "browser", "--scope", "admin").stdout.strip()


def test_the_first_event_turns_the_empty_page_into_the_overview(page: Page, app: Product, key: str) -> None:
    page.goto("/")
    assert "Nothing has arrived yet" in page.inner_text("h1")
    page.click("text=Create an ingest key")
    assert re.search(r"Bearer bk_\S+", page.inner_text("#first-event"))
    send_traffic(app, key)
    # By itself: the page asks whether something has arrived.
    page.wait_for_selector('[data-stat="List cost"]', timeout=TIMEOUT_MS)
    # 2 × $3 and 1 × $1, as soon as the worker has filled them.
    page.wait_for_function(
        """() => document.querySelector('[data-stat="List cost"] .stat-value')?.textContent.trim() === "$7.00" """,
        timeout=40_000,
    )
    drawn(page, "cost-by-model")
    drawn(page, "input-mix")


@pytest.mark.usefixtures("traffic")
def test_a_click_on_a_row_filters_and_its_chip_removes_it(page: Page) -> None:
    page.goto("/")
    page.click("#panel-top-groups tbody tr:has-text('support')")
    page.wait_for_url(re.compile("workspace_id=support"))
    assert value(page, "List cost") == "$1.00"
    page.click('a[aria-label="Remove filter workspace support"]')
    page.wait_for_url(re.compile(r"^(?!.*workspace_id)"))
    assert value(page, "List cost") == "$7.00"


@pytest.mark.usefixtures("traffic")
def test_the_filter_popover_finds_a_tag_from_the_keyboard(page: Page) -> None:
    page.goto("/")
    page.locator("body").press("/")
    page.wait_for_selector("[data-filter-popover][open]")
    page.wait_for_selector("#filter-groups")
    page.keyboard.type("fin")
    page.click("#filter-groups a:has-text('find')")
    page.wait_for_url(re.compile("tag%3Ateam=find"))
    assert value(page, "List cost") == "$6.00"


@pytest.mark.usefixtures("traffic")
def test_a_slider_moves_the_scenario_and_the_address(page: Page) -> None:
    page.goto("/what-if/")
    assert value(page, "Observed") == value(page, "Scenario") == "$7.00"
    page.locator("#knob-batch_share").fill("1")
    page.wait_for_url(re.compile("batch_share=1"))
    page.wait_for_function(
        """() => document.querySelector('[data-stat="Scenario"] .stat-value').textContent.trim() === "$3.50" """
    )
    drawn(page, "what-if")
    page.reload()
    assert value(page, "Scenario") == "$3.50"
    page.get_by_role("link", name="As observed").click()
    page.wait_for_url(re.compile(r"^(?!.*batch_share)"))
    assert value(page, "Scenario") == "$7.00"


@pytest.mark.usefixtures("traffic")
@pytest.mark.parametrize("path", ["/", "/spend/", "/cache/", "/what-if/", "/settings/"])
def test_all_panels_load_and_no_page_is_wider_than_the_screen(page: Page, path: str) -> None:
    page.goto(path)
    page.wait_for_function("() => !document.querySelector('[data-state=loading]')", timeout=TIMEOUT_MS)
    assert page.locator('[data-state="error"], [data-state="timed_out"]').count() == 0
    for width in (1440, 1024, 390):
        page.set_viewport_size({"width": width, "height": 900})
        too_wide = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert too_wide <= 0, width


@pytest.mark.usefixtures("traffic")
def test_the_theme_button_redraws_the_figures_in_the_other_colours(page: Page) -> None:
    page.goto("/")
    drawn(page, "cost-by-model")
    colour = "() => getComputedStyle(document.querySelector('#panel-cost-by-model .bars path')).fill"
    before = page.evaluate(colour)
    page.click("[data-theme-button]")  # system -> light
    page.click("[data-theme-button]")  # light -> dark
    page.wait_for_function(f"() => ({colour})() !== {before!r}")
    page.reload()
    assert page.get_attribute("html", "data-theme") == "dark"


@pytest.mark.usefixtures("traffic")
def test_keys_change_the_range_and_the_comparison(page: Page) -> None:
    page.goto("/")
    page.locator("body").press("w")
    page.wait_for_url(re.compile("range=7d"))
    page.locator("body").press("ArrowLeft")
    page.wait_for_url(re.compile("start=.*end="))
    page.locator("body").press("x")
    page.wait_for_url(re.compile("compare=0"))
    page.locator("body").press("?")
    assert page.locator("#keyboard-help").is_visible()


@pytest.mark.usefixtures("traffic")
def test_the_csv_downloads(page: Page) -> None:
    page.goto("/spend/?group_by=workspace_id")
    with page.expect_download() as download:
        page.click("text=CSV")
    assert download.value.suggested_filename.startswith("breakeven-spend-by-workspace_id-")
    lines = download.value.path().read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[:2] for line in lines[1:]] == [["search", "6"], ["support", "1"], ["total", "7"]]
