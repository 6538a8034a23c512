"""Uploading in a real browser: files picked and dropped, a bar that moves, the ledger, a table's columns."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.builders import wire_event

if TYPE_CHECKING:
    from playwright.sync_api import Page

TIMEOUT_MS = 40_000


def test_picked_and_dropped_files_become_a_ledger(page: Page, tmp_path: Path) -> None:
    events = "\n".join(json.dumps(wire_event(f"browser-{n}")) for n in range(3_000)).encode()
    (tmp_path / "log.jsonl.gz").write_bytes(gzip.compress(events))
    (tmp_path / "notes.txt").write_text("no log")
    page.goto("/upload/")
    page.set_input_files("#upload-files", [tmp_path / "log.jsonl.gz", tmp_path / "notes.txt"])
    transfer = page.evaluate_handle(
        "() => { const data = new DataTransfer(); data.items.add(new File(['{\"id\":1}'], 'dropped.json'));"
        " return data; }"
    )
    page.dispatch_event("[data-drop]", "drop", {"dataTransfer": transfer})
    page.wait_for_selector("[data-picked] :text('dropped.json')")
    page.get_by_role("button", name="Remove notes.txt").click()
    assert page.locator("[data-picked]").get_by_text("notes.txt").count() == 0
    page.get_by_role("button", name="Upload", exact=True).click()
    page.wait_for_selector("#ledger-title:text('Ledger')", timeout=TIMEOUT_MS)
    text = page.locator("main").inner_text()
    assert "received 3000 = stored" in text.replace(",", "") and "Upload of 2 files" in text


def test_a_table_is_confirmed_by_keyboard_on_a_narrow_screen(page: Page, tmp_path: Path) -> None:
    (tmp_path / "usage.csv").write_text(
        "Date,Model,Input Tokens,Output Tokens\n2026-03-02T10:00:00Z,gpt-5.4,100,10\n"
    )
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/upload/")
    page.set_input_files("#upload-files", tmp_path / "usage.csv")
    page.locator("[data-send]").press("Enter")
    page.wait_for_selector("#columns-title", timeout=TIMEOUT_MS)
    assert page.locator("select[name='column-input_tokens']").input_value() == "Input Tokens"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="These are right").press("Enter")
    page.wait_for_selector("#ledger-title:text('Ledger')", timeout=TIMEOUT_MS)
    assert "csv_rows" in page.locator("main").inner_text()
