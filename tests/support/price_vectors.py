"""Published costs of single calls: model, day, lane, usage, US dollars.

Usage letters: U uncached input, R cache reads, W5 and W1 cache writes, O output, S web searches.
"""

from __future__ import annotations

from datetime import date
from typing import Any

MARCH = date(2026, 3, 20)
NOVEMBER = date(2026, 11, 20)
REFUSED = "refused_before_output"

# Managed Agents' session hours (V25a) have no meter here: only their tokens are priced.
VECTORS: dict[str, tuple[str, date, dict[str, Any], dict[str, int], str]] = {
    "V01 plain": ("claude-sonnet-4-6", MARCH, {}, {"U": 1000, "O": 500}, "0.0105"),
    "V02 first call": ("claude-sonnet-4-6", MARCH, {}, {"U": 50, "W5": 100_000, "O": 1000}, "0.39015"),
    "V03 second call": ("claude-sonnet-4-6", MARCH, {}, {"U": 50, "R": 100_000, "O": 1000}, "0.04515"),
    "V04 mixed TTL": (
        "claude-opus-4-6",
        MARCH,
        {},
        {"U": 2048, "R": 1800, "W5": 148, "W1": 100, "O": 503},
        "0.02564",
    ),
    "V06 batch": (
        "claude-haiku-4-5",
        MARCH,
        {"service_tier": "batch"},
        {"U": 1000, "W5": 10_000, "R": 20_000, "O": 2000},
        "0.01275",
    ),
    "V08 US geography": ("claude-opus-4-6", MARCH, {"inference_geo": "us"}, {"U": 25, "O": 150}, "0.0042625"),
    "V10 long context": (
        "claude-sonnet-4-5",
        date(2026, 3, 1),
        {},
        {"U": 150_000, "R": 60_000, "O": 2000},
        "0.981",
    ),
    "V11a exactly 200,000": ("claude-sonnet-4-5", date(2026, 3, 1), {}, {"U": 200_000, "O": 1000}, "0.615"),
    "V11b one more": ("claude-sonnet-4-5", date(2026, 3, 1), {}, {"U": 200_001, "O": 1000}, "1.222506"),
    "V12a with premium": ("claude-opus-4-6", date(2026, 3, 1), {}, {"U": 500_000, "O": 10_000}, "5.375"),
    "V12b premium removed": ("claude-opus-4-6", date(2026, 3, 20), {}, {"U": 500_000, "O": 10_000}, "2.75"),
    "V13a fast": (
        "claude-opus-4-6",
        MARCH,
        {"speed": "fast"},
        {"U": 10_000, "R": 50_000, "O": 5000},
        "1.20",
    ),
    "V15 web search": (
        "claude-sonnet-4-6",
        MARCH,
        {},
        {"U": 105, "W5": 7345, "R": 7123, "O": 6039, "S": 1},
        "0.13058065",
    ),
    "V15 tokens only": (
        "claude-sonnet-4-6",
        MARCH,
        {},
        {"U": 105, "W5": 7345, "R": 7123, "O": 6039},
        "0.12058065",
    ),
    "V18 declined hop": ("claude-fable-5", date(2026, 6, 20), {"outcome": REFUSED}, {"U": 535}, "0"),
    "V18 served hop": ("claude-opus-4-8", date(2026, 6, 20), {}, {"U": 412, "O": 264}, "0.00866"),
    "V19a before": ("claude-sonnet-5-5", date(2026, 10, 6), {}, {"R": 1_000_000}, "0.20"),
    "V19b after": ("claude-sonnet-5-5", date(2026, 10, 7), {}, {"R": 1_000_000}, "0.10"),
    "V20 cheap reads": ("claude-fable-5-1", NOVEMBER, {}, {"U": 1000, "R": 200_000, "O": 1000}, "0.11"),
    "V21a exactly 100,000": (
        "claude-haiku-5-5",
        NOVEMBER,
        {},
        {"U": 20_000, "R": 80_000, "O": 1000},
        "0.0033",
    ),
    "V21 one more": ("claude-haiku-5-5", NOVEMBER, {}, {"U": 20_001, "R": 80_000, "O": 1000}, "0.0165005"),
    "V24 rounded write": ("claude-3-haiku-20240307", MARCH, {}, {"W5": 1_000_000}, "0.30"),
    "V24 rounded read": ("claude-3-haiku-20240307", MARCH, {}, {"R": 1_000_000}, "0.03"),
    "V27 refusal": ("claude-opus-4-8", date(2026, 6, 2), {"outcome": REFUSED}, {"U": 9000, "W5": 5000}, "0"),
    "V27 refusal before it was free": (
        "claude-opus-4-8",
        date(2026, 6, 1),
        {"outcome": REFUSED},
        {"U": 1000},
        "0.005",
    ),
    "V31 all meters": (
        "claude-opus-4-1",
        MARCH,
        {},
        {"U": 10_000, "W5": 5000, "W1": 5000, "R": 5000, "O": 2000},
        "0.55125",
    ),
}
