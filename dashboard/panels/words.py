"""How the figures are computed, in the words that every panel uses."""

from __future__ import annotations

HOW_COST = (
    "List cost = quantity × published unit price, for each of the five token meters and web searches, at the "
    "price of the model, tier and day of every call.",
)
HOW_SAVING = (
    "Net cache saving = what the same tokens would have cost uncached − what they cost.",
    "It is net of the write premium: what cache writes cost above plain input. It can be negative.",
)
HOW_HIT = (
    "Token hit rate = cache read tokens ÷ all input tokens.",
    "Request hit rate = requests with a cache read ÷ requests.",
)
