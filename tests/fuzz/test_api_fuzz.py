"""Schemathesis walks the OpenAPI document: whatever is sent, no call answers 500 and every answer fits the schema."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import response_schema_conformance

from ingest.auth import create_key

pytestmark = [pytest.mark.fuzz, pytest.mark.django_db(transaction=True)]
EXAMPLES = 60


def test_no_call_fails_whatever_is_sent(live_server: Any) -> None:
    headers = {"Authorization": f"Bearer {create_key('fuzz', 'admin')[1]}"}
    document = schemathesis.openapi.from_url(f"{live_server.url}/api/v1/openapi.json")
    walked = []
    for found in document.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()

        @given(case=operation.as_strategy())
        @hypothesis_settings(
            max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
        )
        def send(case: schemathesis.Case[Any]) -> None:
            answer = case.call(headers=headers)
            case.validate_response(answer, checks=[not_a_server_error, response_schema_conformance])

        send()
        walked.append(f"{operation.method.upper()} {operation.path}")
    assert {
        "POST /api/v1/events",
        "POST /api/v1/logs/{format_name}",
        "GET /api/v1/costs",
        "GET /api/v1/cache",
    } <= set(walked)
