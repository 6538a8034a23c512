"""Responses of OpenAI's Responses API, also from Azure and Foundry: one, an array or JSON lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.formats._base import Format
from ingest.formats._openai import score
from ingest.formats._openai_files import parse, sniffer


def _score(value: Mapping[str, Any]) -> int:
    said = score(value, "response")
    if said or not str(value.get("id", "")).startswith("resp_"):
        return said
    return 60 if isinstance(value.get("usage"), Mapping) else 0


FORMAT = Format(
    "openai_responses", "OpenAI Responses API (JSON, array or JSON lines)", True, sniffer(_score), parse
)
