"""Looking at the first bytes of a file: its first JSON objects, even when the last of them is cut off."""

from __future__ import annotations

import json
from typing import Any

_decoder = json.JSONDecoder()
_BLANK = " \t\r\n,"


def peek(head: bytes, limit: int = 20) -> list[dict[str, Any]]:
    """Up to `limit` leading objects of JSON, a JSON array or JSON lines; members after a cut are missing."""
    text = head.decode("utf-8", errors="replace").lstrip("\ufeff" + _BLANK)
    at = 1 if text.startswith("[") else 0
    found: list[dict[str, Any]] = []
    for _ in range(limit * 2):
        while at < len(text) and text[at] in _BLANK:
            at += 1
        if at >= len(text) or len(found) >= limit:
            break
        try:
            value, at = _decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            if text[at] == "{":
                found.append(_members(text, at + 1))
            at = text.find("\n", at)  # a broken line: the next one may be whole
            if at < 0:
                break
            continue
        if isinstance(value, dict):
            found.append(value)
    return [value for value in found if value]


def _members(text: str, at: int, depth: int = 2) -> dict[str, Any]:
    """The members of an object up to where it is broken; nested ones to `depth`."""
    members: dict[str, Any] = {}
    try:
        while True:
            while text[at] in _BLANK:
                at += 1
            key, at = _decoder.raw_decode(text, at)
            while text[at] in _BLANK or text[at] == ":":
                at += 1
            if not isinstance(key, str):
                return members
            # Noted before the value is read: `message.id` is known when the cut is in `message.content`.
            members[key] = _members(text, at + 1, depth - 1) if text[at] == "{" and depth > 1 else None
            members[key], at = _decoder.raw_decode(text, at)
    except (ValueError, IndexError, RecursionError):
        return members
