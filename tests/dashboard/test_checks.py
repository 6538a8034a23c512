"""System checks: every misconfiguration has an id and a hint, and the defaults have none."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import override_settings


def found(**settings: Any) -> dict[str, str]:
    with override_settings(**settings):
        return {str(each.id): str(each.hint) for each in run_checks(tags=["breakeven"])}


DEFAULTS = {
    "ALLOWED_HOSTS": ["localhost", "127.0.0.1", "[::1]"],
    "BREAKEVEN_BIND": "127.0.0.1",
    "DEBUG": False,
    "SECRET_KEY": "x" * 50,
    "EMBEDDED_DATABASE": True,
    "EMBEDDED_BROKER": True,
}


def test_the_defaults_are_fine() -> None:
    assert found(**DEFAULTS) == {}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"BREAKEVEN_BIND": "0.0.0.0"}, "breakeven.W001"),
        ({"EMBEDDED_BROKER": False}, "breakeven.W002"),
        ({"ALLOWED_HOSTS": ["*"]}, "breakeven.E001"),
        (
            {"DEBUG": True, "BREAKEVEN_BIND": "10.0.0.1", "ALLOWED_HOSTS": ["spend.example.com"]},
            "breakeven.E002",
        ),
        ({"SECRET_KEY": "short"}, "breakeven.E003"),
    ],
)
def test_a_misconfiguration_has_an_id_and_a_hint(change: dict[str, Any], expected: str) -> None:
    problems = found(**{**DEFAULTS, **change})
    assert list(problems) == [expected]
    assert len(problems[expected]) > 20
