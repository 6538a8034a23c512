"""What the ingest calls answer, for the OpenAPI document, and what they are sent."""

from __future__ import annotations

from typing import Any

from ninja import Schema

from ingest.core.errors import Reason


class RejectedOut(Schema):
    """One refused row of the call."""

    index: int
    reason: Reason
    field: str | None
    detail: str


class ReceiptOut(Schema):
    """What became of the rows: received = stored + merged + duplicate + the number of rejected."""

    received: int
    stored: int
    merged: int
    duplicate: int
    rejected: list[RejectedOut]


class ErrorBody(Schema):
    code: str
    message: str
    field: str | None


class ErrorOut(Schema):
    """The one shape of every error."""

    error: ErrorBody


_COUNT = {"type": "integer", "minimum": 0, "maximum": 2_000_000_000}
_TEXT = {"type": "string", "maxLength": 256}
EVENT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["occurred_at", "model", "usage"],
    "properties": {
        "id": {
            **_TEXT,
            "description": "Identity: the same id counts once, for ever. Derived from the content if missing.",
        },
        "occurred_at": {"type": "string", "format": "date-time", "description": "RFC 3339 with a time zone."},
        "model": {"type": "string", "minLength": 1, "maxLength": 200},
        "usage": {
            "type": "object",
            "description": "The provider's own usage object, unchanged.",
            "properties": {
                "input_tokens": _COUNT,
                "output_tokens": _COUNT,
                "cache_read_input_tokens": {**_COUNT, "nullable": True},
                "cache_creation_input_tokens": {**_COUNT, "nullable": True},
                "cache_creation": {
                    "type": "object",
                    "nullable": True,
                    "properties": {"ephemeral_5m_input_tokens": _COUNT, "ephemeral_1h_input_tokens": _COUNT},
                },
            },
        },
        "provider": _TEXT,
        "platform": _TEXT,
        "workspace_id": _TEXT,
        "api_key_id": _TEXT,
        "user_id": _TEXT,
        "session_id": _TEXT,
        "request_id": _TEXT,
        "tags": {
            "type": "object",
            "additionalProperties": {"type": "string", "maxLength": 256},
            "maxProperties": 32,
        },
        "prefix": {
            "type": "array",
            "maxItems": 512,
            "items": {
                "type": "object",
                "required": ["id", "tokens"],
                "properties": {"id": {"type": "string", "maxLength": 128}, "tokens": _COUNT},
            },
        },
        "latency_ms": {"type": "integer", "minimum": 0},
        "ttft_ms": {"type": "integer", "minimum": 0},
        "stop_reason": {"type": "string"},
    },
}
EVENTS_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"oneOf": [EVENT_SCHEMA, {"type": "array", "items": EVENT_SCHEMA}]},
            },
            "application/x-ndjson": {"schema": {"type": "string", "description": "One event a line."}},
        },
    }
}
LOG_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
