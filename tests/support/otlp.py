"""OTLP documents from plain Python values, as JSON and as the protobuf of the same."""

from __future__ import annotations

import base64
import copy
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf import json_format  # type: ignore[import-untyped]

from ingest.formats._otlp_json import LISTS
from ingest.formats._otlp_protobuf import request_class

T0 = datetime(2026, 3, 2, 10, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TRACE_ID = "5b8efff798038103d269b633813fc60c"


def nanos(**offset: float) -> str:
    """T0 plus an offset, as OTLP writes it."""
    return str((T0 + timedelta(**offset) - _EPOCH) // timedelta(microseconds=1) * 1000)


def value(content: Any) -> dict[str, Any]:
    """An AnyValue."""
    if isinstance(content, bool):
        return {"boolValue": content}
    if isinstance(content, int):
        return {"intValue": str(content)}
    if isinstance(content, float):
        return {"doubleValue": content}
    if isinstance(content, list):
        return {"arrayValue": {"values": [value(entry) for entry in content]}}
    return {"stringValue": content}


def attributes(pairs: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": value(content)} for name, content in pairs.items()]


def span(name: str, pairs: dict[str, Any], number: int = 1, **fields: Any) -> dict[str, Any]:
    """A span that ended two seconds after T0."""
    return {
        "traceId": TRACE_ID,
        "spanId": f"{number:016x}",
        "name": name,
        "kind": 3,
        "startTimeUnixNano": nanos(),
        "endTimeUnixNano": nanos(seconds=2),
        "attributes": attributes(pairs),
        **fields,
    }


def chat(response_id: str = "msg_1", number: int = 1, **pairs: Any) -> dict[str, Any]:
    """A chat span of Sonnet 4.6 with 100 input tokens, 60 of them read from the cache, and 10 output tokens."""
    defaults = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.response.model": "claude-sonnet-4-6",
        "gen_ai.response.id": response_id,
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.cache_read.input_tokens": 60,
        "gen_ai.usage.output_tokens": 10,
    }
    chosen = {**defaults, **{name.replace("__", "."): content for name, content in pairs.items()}}
    return span("chat", {name: content for name, content in chosen.items() if content is not None}, number)


def log(pairs: dict[str, Any], body: str = "", **fields: Any) -> dict[str, Any]:
    """A log record of T0."""
    return {
        "timeUnixNano": nanos(),
        "observedTimeUnixNano": nanos(),
        "body": value(body),
        "attributes": attributes(pairs),
        **fields,
    }


def total(
    metric: str, points: list[tuple[float, dict[str, Any]]], temporality: int = 1, until_s: float = 60
) -> dict[str, Any]:
    """A sum from T0 to T0 plus `until_s`; a point is its value and its attributes."""
    return {
        "name": metric,
        "sum": {
            "aggregationTemporality": temporality,
            "isMonotonic": True,
            "dataPoints": [
                {
                    "startTimeUnixNano": nanos(),
                    "timeUnixNano": nanos(seconds=until_s),
                    "asDouble": number,
                    "attributes": attributes(pairs),
                }
                for number, pairs in points
            ],
        },
    }


def document(signal: str, rows: list[dict[str, Any]], scope: str = "test", **resource: Any) -> dict[str, Any]:
    """An export request; underscores in the names of resource attributes stand for dots."""
    outer, middle, inner = LISTS[signal]
    named = {name.replace("_", "."): content for name, content in resource.items()}
    return {
        outer: [
            {
                "resource": {"attributes": attributes(named)},
                middle: [{"scope": {"name": scope, "version": "1"}, inner: rows}],
            }
        ]
    }


def protobuf(signal: str, content: dict[str, Any]) -> bytes:
    """The same request serialised. (Protobuf's own JSON has ids in base64 where OTLP has them in hex.)"""
    content = copy.deepcopy(content)
    outer, middle, inner = LISTS[signal]
    for holder in content[outer]:
        for scoped in holder[middle]:
            for row in scoped[inner]:
                for name in {"traceId", "spanId"} & row.keys():
                    row[name] = base64.b64encode(bytes.fromhex(row[name])).decode()
    return bytes(json_format.ParseDict(content, request_class(signal)()).SerializeToString())
