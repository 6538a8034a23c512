"""A model API and a Breakeven on loopback, and a capture module without a past."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from static.capture import breakeven_capture as capture
from tests.support import model_api_stub
from tests.support.model_api_stub import Breakeven, ModelApi


@pytest.fixture(autouse=True)
def fresh_module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No buffers of other tests, and a salt file that is not the user's."""
    monkeypatch.setattr(capture, "_pipes", {})
    monkeypatch.setattr(capture, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(capture, "LONGEST_PAUSE", 0.05)
    monkeypatch.setenv("BREAKEVEN_SALT_FILE", str(tmp_path / "salt"))
    for name in ("BREAKEVEN_URL", "BREAKEVEN_KEY", "BREAKEVEN_SALT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def api() -> Iterator[ModelApi]:
    stub = model_api_stub.model_api()
    yield stub
    stub.close()


@pytest.fixture
def app() -> Iterator[Breakeven]:
    stub = model_api_stub.breakeven()
    yield stub
    stub.gate.set()
    stub.close()
