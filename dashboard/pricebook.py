"""The read side's way to the price book."""

from __future__ import annotations

from ingest.core.pricebook import ModelIdentity, PriceBook, PriceRow
from ingest.core.pricing import (
    METERS,
    TOKEN_METERS,
    Lane,
    PriceVector,
    as_text,
    cost,
    total,
)
from ingest.prices import load_pricebook as current

__all__ = [
    "METERS",
    "TOKEN_METERS",
    "Lane",
    "ModelIdentity",
    "PriceBook",
    "PriceRow",
    "PriceVector",
    "as_text",
    "cost",
    "current",
    "total",
]
