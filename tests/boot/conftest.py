"""Fixtures of the tests that boot the whole product."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.product import Product


@pytest.fixture
def home() -> Iterator[Path]:
    """A short path: pytest's own temporary folders are too long for a socket, which has a test of its own."""
    folder = Path(tempfile.mkdtemp(prefix="breakeven-boot-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def product(home: Path) -> Iterator[Callable[..., Product]]:
    """Makes products in one data folder; whatever a test leaves running is killed."""
    made: list[Product] = []

    def make(**options: object) -> Product:
        made.append(Product(home, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for each in made:
        each.kill_everything()
