"""Reading pages in tests: a signed-in browser without JavaScript, and the parts of what it gets."""

from __future__ import annotations

import html
import json
import re
from typing import Any

from django.contrib.auth.models import User
from django.test import Client

RANGE = "start=2026-03-01&end=2026-03-04"  # holds builders.T0


def signed_in(*, staff: bool = True) -> Client:
    """A client of somebody who is signed in."""
    user = User.objects.create_user("ada" if staff else "grace", password="a-long-password", is_staff=staff)
    client = Client()
    client.force_login(user)
    return client


def body_of(response: Any) -> str:
    """The whole answer, streamed or not."""
    raw = b"".join(response.streaming_content) if response.streaming else response.content
    return str(raw.decode())


def text_of(response: Any) -> str:
    """What a person reads: no tags, entities resolved, white space folded."""
    body = re.sub(r"<script.*?</script>|<head>.*?</head>", " ", body_of(response), flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def states_of(response: Any) -> dict[str, str]:
    """Panel slug -> state, in the order of the page."""
    found = re.findall(r'id="panel-([\w-]+)" data-state="(\w+)"', response.content.decode())
    return dict(found)


def figures_in(response: Any) -> list[dict[str, Any]]:
    """The figures that the page draws, as it is given them."""
    found = re.findall(
        r'<script id="figure-[\w-]+" type="application/json">(.*?)</script>', body_of(response)
    )
    return [json.loads(text) for text in found]


def stat(response: Any, label: str) -> str:
    """The value of a stat card."""
    found = re.search(
        rf'data-stat="{re.escape(label)}">.*?class="stat-value"[^>]*>(.*?)</div>',
        response.content.decode(),
        re.S,
    )
    assert found, f"no stat {label!r}"
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", found[1])).split())


def table_rows(response: Any) -> list[list[str]]:
    """Rows of every table on the page, as the text of their cells."""
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", response.content.decode(), re.S)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S) for row in rows]
    return [[" ".join(html.unescape(re.sub(r"<[^>]+>", " ", cell)).split()) for cell in row] for row in cells]
