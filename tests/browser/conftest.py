"""A real browser against the whole product: embedded database, web server, worker, as a user runs it."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.product import Product

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them in one process: they share one product, and two processors are not many."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.xdist_group("processes"))
    # First light begins with an empty store and counts what is in it; the others bring and filter their own.
    items.sort(key=lambda item: item.path.name != "test_first_light.py" and HERE in item.path.parents)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The machine's Chromium, else Playwright's own; without either the tests skip and say so."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    own = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with playwright.sync_playwright() as engine:
        try:
            found = engine.chromium.launch(executable_path=own, args=["--no-sandbox", "--disable-gpu"])
        except playwright.Error as error:
            pytest.skip(f"no Chromium here: {str(error).splitlines()[0]}")
        yield found
        found.close()


@pytest.fixture(scope="session")
def app() -> Iterator[Product]:
    if sys.platform != "linux":
        pytest.skip("the product's test harness finds processes through /proc")
    home = Path(tempfile.mkdtemp(prefix="breakeven-web-"))
    product = Product(home).start()
    yield product
    product.stop()
    product.kill_everything()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def signed_in_state(browser: Browser, app: Product) -> dict[str, object]:
    """The cookies of somebody who followed the one-time link."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(app.link)
    page.wait_for_selector("h1")
    state = context.storage_state()
    context.close()
    return dict(state)


@pytest.fixture
def page(browser: Browser, app: Product, signed_in_state: dict[str, object]) -> Iterator[Page]:
    """A signed-in page that fails the test on any complaint of the browser: errors, CSP, missing files."""
    context = browser.new_context(base_url=app.address.rstrip("/"), storage_state=signed_in_state)  # type: ignore[arg-type]
    page = context.new_page()
    complaints: list[str] = []
    page.on(
        "console",
        lambda message: complaints.append(message.text) if message.type in {"error", "warning"} else None,
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "response",
        lambda answer: complaints.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None,
    )
    yield page
    context.close()
    assert complaints == []
