"""List prices as data: one TOML file per provider in this folder, and the genai-prices package for all other models."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ingest.core.pricebook import PriceBook, parse_pricebook
from ingest.prices.others import OtherPrices


@cache
def load_pricebook() -> PriceBook:
    """The price book of the files in this folder, read once per process; the package when it is first needed."""
    folder = Path(__file__).parent
    return parse_pricebook(
        {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.toml"))}, OtherPrices()
    )
