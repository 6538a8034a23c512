"""The address is the state: whatever stands in it, a page or panel answers, explains or refuses."""

from __future__ import annotations

import pytest
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dashboard.panels import REGISTRY
from tests.support.builders import make_event, settle
from tests.support.pages import signed_in

PAGES = ["/", "/spend/", "/cache/", "/recommendations/", "/what-if/", "/settings/"]
PATHS = [*PAGES, *(f"/panels/{slug}/" for slug in REGISTRY)]
NAMES = [
    "start",
    "end",
    "last",
    "range",
    "compare",
    "grain",
    "group_by",
    "sort",
    "model",
    "tag:x",
    "tag:",
    "workspace_id",
    "session_id",
    "meter",
    "batch_share",
    "read_multiplier",
    "listed",
    "q",
    "page",
    "inline",
    "version",
    "until",
    "format",
]
VALUES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            "2026-03-01",
            "2026-03-02T10:30:00Z",
            "9999-12-31",
            "0001-01-01",
            "1e400",
            "nan",
            "-1",
            "0.5",
            "30d",
            "all",
            "today",
            "hour",
            "day",
            "month",
            "model",
            "meter",
            "tag:team",
            "-list_cost",
            "change",
            "output_tokens",
            "csv",
            "what_if",
            "1",
            "0",
        ]
    ),
)


@pytest.fixture
def client() -> Client:
    settle([make_event(workspace_id="search"), make_event("b", model="mystery-1", tags=(("team", "x"),))])
    return signed_in()


@pytest.mark.django_db
@hypothesis_settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(path=st.sampled_from(PATHS), query=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5))
def test_no_address_breaks_a_page(client: Client, path: str, query: dict[str, str]) -> None:
    assert client.get(path, query).status_code in {200, 302, 422}
