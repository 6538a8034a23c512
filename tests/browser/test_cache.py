"""The Cache page in a browser: a TTL that is dragged, and the way from a dear request to its session."""

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

PAGE = "/cache/?workspace_id=gaps"
PREFIX = 1_000_000
GAPS_S = (0, 120, 880, 8000)


@pytest.fixture(scope="module")
def one_session(app: Product) -> None:
    """A prefix of a million tokens of Haiku 4.5, used after gaps of 2, 15 and 133 minutes, written for five minutes."""
    key = app.manage("create_key", "gaps", "--scope", "admin").stdout.strip()
    headers = {"Authorization": f"Bearer {key}"}
    moment = datetime.now(UTC) - timedelta(hours=5)
    events = []
    for number, gap in enumerate(GAPS_S):
        moment += timedelta(seconds=gap)
        hit = 0 < gap <= 300
        events.append(
            {
                "id": f"gaps-{number}",
                "occurred_at": moment.isoformat(),
                "model": "claude-haiku-4-5-20251001",
                "workspace_id": "gaps",
                "session_id": "gaps",
                "ttft_ms": 0,
                "prefix": [{"id": "the-gap-prefix", "tokens": PREFIX}],
                "usage": {
                    "input_tokens": 0,
                    "output_tokens": 1,
                    "cache_read_input_tokens": PREFIX if hit else 0,
                    "cache_creation_input_tokens": 0 if hit else PREFIX,
                    "cache_creation": {
                        "ephemeral_5m_input_tokens": 0 if hit else PREFIX,
                        "ephemeral_1h_input_tokens": 0,
                    },
                },
            }
        )
    status, _, body = app.request("POST", "/api/v1/events", events, headers)
    assert status == 200, body
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        _, _, body = app.request("GET", "/api/v1/cache/curve?workspace_id=gaps", None, headers)
        answer = json.loads(body)
        if answer["pending_days"] == 0 and answer["first_use_tokens"] == PREFIX:
            return
        time.sleep(0.3)
    pytest.fail("the gaps were not worked out")


def shown(page: Page) -> list[str]:
    """TTL, token hit rate, cost and price as the panel says them."""
    return page.locator("[data-ttl-part]").all_inner_texts()


@pytest.mark.usefixtures("one_session")
def test_dragging_the_line_changes_the_figures_without_asking_the_server(page: Page) -> None:
    page.goto(PAGE)
    page.wait_for_selector("#panel-cache-ttl [data-drawn]")
    line = page.locator(".ttl-line")
    line.wait_for(state="visible")
    line.scroll_into_view_if_needed()
    assert shown(page) == ["5 min", "25.0 %", "$3.85", "5m write price"]
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "cache-ttl" in request.url else None)
    plot = page.locator("#panel-cache-ttl .nsewdrag").first.bounding_box()
    handle = line.bounding_box()
    assert plot is not None and handle is not None
    page.mouse.move(handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2)
    page.mouse.down()
    page.mouse.move(plot["x"] + plot["width"] * 0.6, handle["y"] + handle["height"] / 2, steps=6)
    page.mouse.up()
    ttl, rate, cost, price = shown(page)
    assert (rate, cost, price) == ("50.0 %", "$4.20", "1h write price")
    assert re.fullmatch(r"[34]\d(\.\d)? min", ttl)
    page.locator("#ttl-slider").fill("0")
    assert shown(page) == ["10 s", "0.0 %", "$5.00", "5m write price"]
    moved = line.bounding_box()
    assert moved is not None and moved["x"] < handle["x"]
    assert asked == []


@pytest.mark.usefixtures("one_session")
def test_a_report_appears_by_itself_and_leads_to_the_session(page: Page) -> None:
    page.goto(PAGE)
    page.wait_for_selector("#panel-cache-policies .verdict", timeout=60_000)
    assert "captured share" in page.inner_text("#panel-cache-policies")
    row = page.locator("#panel-cache-dearest tbody tr").first
    row.wait_for(timeout=60_000)
    row.locator("a").first.click()
    page.wait_for_url(re.compile("/cache/chain/"))
    assert page.locator("#panel-cache-chain tbody tr").count() == len(GAPS_S)
    assert page.locator("#panel-cache-chain tbody tr[data-current]").count() == 1
