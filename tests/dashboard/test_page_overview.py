"""The Overview, and the way to the first event."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from django.test import Client

from dashboard.panels import REGISTRY
from dashboard.views.pages import PAGE_ROWS
from ingest.auth import create_key
from ingest.fill import fill_due
from ingest.models import ApiKey
from tests.support.builders import T0, make_event, settle
from tests.support.pages import RANGE, signed_in, stat, states_of, table_rows, text_of

pytestmark = pytest.mark.django_db


def test_every_page_names_panels_that_exist() -> None:
    slugs = {slot.slug for rows in PAGE_ROWS.values() for row in rows for slot in row}
    assert slugs <= set(REGISTRY)


def test_the_first_row_is_there_at_once_and_the_rest_loads() -> None:
    settle([make_event(workspace_id="search")])
    states = states_of(signed_in().get(f"/?{RANGE}"))
    assert states["strip"] == states["headline"] == states["cost-by-model"] == "data"
    assert states["top-groups"] == states["input-mix"] == "loading"


def test_before_the_first_event_the_page_says_how_to_send_it() -> None:
    text = text_of(signed_in().get("/"))
    assert "Nothing has arrived yet" in text
    # Commands that work beside the running product, which `make demo` would not.
    assert ".venv/bin/python manage.py import_logs" in text and ".venv/bin/python manage.py demo" in text


def test_a_first_try_that_was_rejected_is_told_with_the_way_to_the_next() -> None:
    event = {"model": "claude-sonnet-4-6", "usage": {"input_tokens": 1, "output_tokens": 1}}  # but no time
    headers = {"Authorization": f"Bearer {create_key('first', 'ingest')[1]}"}
    sent = Client().post("/api/v1/events", event, content_type="application/json", headers=headers)
    assert sent.status_code == 422
    answer = signed_in().get("/")
    text = text_of(answer)
    assert "Nothing is stored yet" in text and "was rejected (1): Settings says why" in text
    assert 'href="/settings/#rejected"' in answer.content.decode()
    assert "Send one event" in text and "Choose a longer range" not in text


def test_the_curl_line_with_its_fresh_key_works_as_it_stands() -> None:
    client = signed_in()
    page = text_of(client.post("/"))
    line = page[page.index("curl -X POST") : page.index("The usage object")]
    key = re.search(r"Bearer (\S+)'", line)[1]  # type: ignore[index]
    body = re.search(r"-d '(.*)'", line)[1]  # type: ignore[index]
    answer = Client().post(
        "/api/v1/events", body, content_type="application/json", headers={"Authorization": f"Bearer {key}"}
    )
    assert answer.status_code == 200, answer.content
    assert json.loads(answer.content)["stored"] == 1
    fill_due()
    assert (
        stat(client.get("/"), "List cost") == "$0.0452"
    )  # 50 × $3 + 1,000 × $15 + 100,000 × $0.30, a million


def test_only_staff_get_a_key_for_the_first_event() -> None:
    signed_in(staff=False).post("/")
    assert not ApiKey.objects.exists()


def test_links_keep_range_and_filters_across_pages() -> None:
    settle([make_event(workspace_id="search")])
    body = signed_in().get(f"/?{RANGE}&workspace_id=search").content.decode()
    assert 'href="/cache/?start=2026-03-01&amp;end=2026-03-04&amp;compare=1&amp;workspace_id=search"' in body


def test_a_chip_shows_each_filter_and_removes_it() -> None:
    settle([make_event(workspace_id="search")])
    body = signed_in().get(f"/?{RANGE}&workspace_id=search&workspace_id=support").content.decode()
    link = re.search(r'href="([^"]+)" aria-label="Remove filter workspace support"', body)
    assert link and "support" not in link[1] and "workspace_id=search" in link[1]


def test_comparing_is_on_until_it_is_switched_off_and_stays_off() -> None:
    settle([make_event()])
    client = signed_in()
    assert "period before" in client.get(f"/?{RANGE}").content.decode()
    off = client.get(f"/?{RANGE}&compare=0").content.decode()
    assert (
        "period before"
        not in off.split('id="panel-cost-by-model"')[1].split("</section>")[0].split("as table")[1]
    )
    assert "compare=0" in re.search(r'href="(/cache/[^"]+)"', off)[1]  # type: ignore[index]


def test_the_last_day_of_the_range_form_is_included() -> None:
    settle([make_event()])
    answer = signed_in().get("/?start=2026-03-01&last=2026-03-03")
    assert answer.status_code == 302 and answer["Location"] == "/?start=2026-03-01&end=2026-03-04"


@pytest.mark.parametrize(
    "query",
    ["start=yesterday", "range=fortnight", "start=2026-03-04&end=2026-03-01", "grain=week", "last=zz"],
)
def test_what_cannot_be_asked_is_explained(query: str) -> None:
    settle([make_event()])
    answer = signed_in().get(f"/?{query}", follow=True)
    assert answer.status_code == 422
    assert "cannot be answered" in text_of(answer)


@pytest.mark.parametrize("path", ["/", "/spend/", "/cache/", "/what-if/"])
def test_no_page_is_empty_before_the_first_event(path: str) -> None:
    assert "Nothing has arrived yet" in text_of(signed_in().get(path))


@pytest.mark.parametrize("path", ["/", "/spend/", "/cache/", "/what-if/"])
def test_old_logs_are_shown_when_nobody_chose_a_range(path: str) -> None:
    settle(
        [make_event(occurred_at=T0 - timedelta(days=400), uncached_input_tokens=1_000_000, output_tokens=0)]
    )
    client = signed_in()
    answer = client.get(path, follow=True)
    assert answer.redirect_chain == [(f"{path}?range=all&compare=1", 302)]
    assert "$" in text_of(answer)
    chosen = client.get(f"{path}?range=7d")
    assert chosen.status_code == 200 and "Show all time" in text_of(chosen)


def test_all_of_time_is_drawn_as_long_as_its_data() -> None:
    settle([make_event("a"), make_event("b", occurred_at=T0 + timedelta(days=2))])
    rows = table_rows(signed_in().get("/panels/cost-by-model/?range=all"))
    assert [row[0] for row in rows] == ["bucket", "2 Mar", "3 Mar", "4 Mar", "total"]
