"""List prices as data: one TOML file per provider in this folder."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ingest.core.pricebook import PriceBook, parse_pricebook


@cache
def load_pricebook() -> PriceBook:
    """The price book of the files in this folder, read once per process."""
    folder = Path(__file__).parent
    return parse_pricebook(
        {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.toml"))}
    )
