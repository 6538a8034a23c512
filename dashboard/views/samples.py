"""Texts that are shown to be copied: the first event, and one example of every component."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.http import HttpRequest

from dashboard import numbers, tables
from dashboard.panels.base import Content, Empty, KeyItem
from dashboard.panels.run import Outcome
from dashboard.views.what_if_form import Knob

ONE_DAY = timedelta(days=1)
KEY_PLACEHOLDER = "YOUR_INGEST_KEY"


def first_event(request: HttpRequest, secret: str, now: datetime) -> dict[str, Any]:
    """A curl line that works as it stands once it holds a key, the import command, the demo."""
    base = request.build_absolute_uri("/").rstrip("/")
    event = {
        "occurred_at": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "model": "claude-sonnet-4-6",
        "usage": {"input_tokens": 50, "output_tokens": 1000, "cache_read_input_tokens": 100_000},
        "workspace_id": "first-light",
    }
    curl = (
        f"curl -X POST {base}/api/v1/events \\\n"
        f"  -H 'Authorization: Bearer {secret or KEY_PLACEHOLDER}' \\\n"
        f"  -H 'Content-Type: application/json' \\\n"
        f"  -d '{json.dumps(event)}'"
    )
    return {
        "curl": curl,
        "secret": secret,
        "import_command": ".venv/bin/python manage.py import_logs ~/.claude/projects",
        "demo_command": ".venv/bin/python manage.py demo",
    }


def every_component() -> dict[str, Any]:
    """Values for the pattern page."""
    bar = [
        ("meter:uncached", "uncached", 20),
        ("meter:write-5m", "5m write", 12),
        ("meter:write-1h", "1h write", 3),
        ("meter:read", "read", 65),
    ]
    columns = (
        tables.Column("model", "model", text=True, sortable=True, href="?sort=model"),
        tables.Column("list_cost", "list cost", sortable=True, href="?sort=list_cost", sorted="descending"),
        tables.Column("change", "vs before"),
        tables.Column("tokens", "tokens"),
        tables.Column("_mix", "input mix"),
    )
    rows = (
        tables.Row(
            (
                tables.name_cell("claude-opus-4-6", role="series:1", href="#"),
                tables.money_cell(Decimal("18412.0712")),
                tables.change_cell(Decimal(106), Decimal(100)),
                tables.tokens_cell(1_310_000_000),
                tables.bar_cell(bar),
            ),
            href="#",
            current=True,
        ),
        tables.Row(
            (
                tables.name_cell("a-model-without-a-price", role="series:other", badge="no price"),
                tables.money_cell(None, unpriced=True),
                tables.change_cell(Decimal(94), Decimal(100)),
                tables.tokens_cell(12_345),
                tables.bar_cell([]),
            ),
            unpriced=True,
        ),
    )
    total = tables.Row(
        (
            tables.Cell("total", "total"),
            tables.money_cell(Decimal("18412.0712")),
            tables.Cell(),
            tables.tokens_cell(1_310_012_345),
            tables.Cell(),
        )
    )
    return {
        "page": "patterns",
        "title": "Patterns",
        "stats": [
            {
                "label": "List cost",
                "value": numbers.money(Decimal("18412.07")),
                "delta": "+6.1 %",
                "tone": "worse",
                "foot": "vs 1–22 Oct",
                "help": ("How it is computed.",),
                "facts": [("price book", "abc123")],
            },
            {
                "label": "Token hit rate",
                "value": numbers.percent(Decimal("0.834")),
                "delta": "+4.8 pt",
                "tone": "better",
                "foot": "71 % of requests read",
                "help": ("Read ÷ input.",),
            },
            {
                "label": "Priced coverage",
                "value": "99.2 %",
                "foot": "1.2 M unpriced tokens",
                "warning": True,
                "help": ("Share with a price.",),
            },
        ],
        "content": Content(
            table=tables.Table("A table", columns, rows, total),
            key=(
                KeyItem("claude-opus-4-6", "series:1"),
                KeyItem("period before", "previous", "dotted"),
                KeyItem("hit rate", "line", "line"),
            ),
        ),
        "empty": Empty("What would be here.", "Why it is not.", "What to do about it."),
        "roles": [
            *(f"series:{number}" for number in range(1, 9)),
            "series:other",
            "meter:uncached",
            "meter:read",
            "meter:write-5m",
            "meter:write-1h",
            "meter:output",
            "meter:search",
        ],
        "code": ".venv/bin/python manage.py import_logs ~/.claude/projects",
        "help": ("How it is computed, a paragraph each.",),
        "failed": Outcome(
            "timed_out", 504, message="The database took too long for this range.", as_of="4 min ago"
        ),
        "knob": Knob("share", "share", "what it means", "0.4", "0", "1", "0.01", "%", True, False, "40 %"),
    }
