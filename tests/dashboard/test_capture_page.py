"""The capture module is offered: as a download for everybody, with lines to paste for who is signed in."""

from __future__ import annotations

import html
import re

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from tests.support.pages import body_of, signed_in, text_of

ADDRESS = "/capture/breakeven_capture.py"
pytestmark = pytest.mark.django_db


def pasted(page: str) -> list[str]:
    """The code blocks of the Capture section."""
    section = page.partition('id="capture"')[2].partition("</section>")[0]
    return [html.unescape(code) for code in re.findall(r"<pre[^>]*><code>(.*?)</code></pre>", section, re.S)]


def test_the_module_is_served_to_a_machine_without_a_session(client: Client) -> None:
    answer = client.get(ADDRESS)
    assert answer.status_code == 200
    assert answer.content == (settings.BASE_DIR / "static/capture/breakeven_capture.py").read_bytes()
    assert answer["Content-Disposition"] == 'attachment; filename="breakeven_capture.py"'
    assert answer["Content-Type"].startswith("text/x-python")
    compile(answer.content, "breakeven_capture.py", "exec")
    assert client.head(ADDRESS).status_code == 200
    assert client.post(ADDRESS).status_code == 405


def test_settings_show_the_lines_with_this_address() -> None:
    download, claude, gpt, _ = pasted(body_of(signed_in().get("/settings/")))
    assert download == f"curl -fO http://testserver{ADDRESS}"
    assert claude.splitlines() == [
        "import breakeven_capture",
        'client = breakeven_capture.watch(Anthropic(), url="http://testserver", key="YOUR_INGEST_KEY")',
    ]
    assert "watch(OpenAI(), " in gpt
    for code in (claude, gpt):
        compile(code, "pasted", "exec")


@pytest.mark.parametrize(("scope", "shown"), [("ingest", True), ("admin", True), ("read", False)])
def test_a_key_that_may_send_stands_in_the_lines_once(scope: str, shown: bool) -> None:
    client = signed_in()
    page = body_of(client.post("/settings/", {"action": "create", "name": "app", "scope": scope}))
    made = re.search(r'id="new-key"><code>(.*?)</code>', page)
    assert made is not None
    assert (f'key="{made[1]}"' in pasted(page)[1]) == shown
    assert made[1] not in body_of(client.get("/settings/"))


def test_somebody_who_may_not_make_keys_is_told_whom_to_ask() -> None:
    page = text_of(signed_in(staff=False).get("/settings/"))
    assert "Ask an administrator for a key with the scope ingest" in page


def test_the_address_in_the_lines_is_the_address_of_the_file() -> None:
    assert reverse("capture_module") == ADDRESS
