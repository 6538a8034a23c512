"""Portkey: log files with the provider's own body inside, and rows of its log export with counts of their own.

What Portkey answered from its cache was not billed and gives no event. The cost it reports is not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, TypeVar

import msgspec
from msgspec import Raw, Struct

from ingest.core.errors import Reason
from ingest.core.events import FLAG_FINAL, UsageEvent
from ingest.core.meter_fields import Metered, MeterError
from ingest.core.meters import read_usage
from ingest.formats import _gateway as gateway
from ingest.formats._anthropic import model_of, stop_reason_of, text_of
from ingest.formats._base import Format, Item, ParseContext, events_of, quiet_decode, rejection
from ingest.formats._by_total import Counts, metered

_CACHED = {
    "hit",
    "cache hit",
    "semantic hit",
    "semantic cache hit",
    "cache semantic hit",
    "cache_hit",
    "semantic_hit",
}
_EMPTY = gateway.NO_RAW
PartT = TypeVar("PartT", bound=Struct)


class _Row(Struct, gc=False, rename={"own_id": "_id", "own_user": "_user"}):
    own_id: object = None
    id: object = None
    trace_id: object = None
    created_at: object = None
    time_of_generation: object = None
    request: Raw = _EMPTY
    response: Raw = _EMPTY
    organisation_id: object = None
    workspace_slug: object = None
    workspace_id: object = None
    api_key_id: object = None
    own_user: object = None
    metadata: object = None
    ai_org: object = None
    ai_model: object = None
    req_units: object = None
    res_units: object = None
    total_units: object = None
    response_time: object = None
    response_status_code: object = None
    is_success: object = None
    cache_status: object = None


class _Request(Struct, gc=False):
    url: object = None
    provider: object = None
    portkeyHeaders: object = None


class _Response(Struct, gc=False):
    status: object = None
    body: Raw = _EMPTY
    responseTime: object = None


class _Body(Struct, gc=False):
    """A provider's answer of any shape, without its texts."""

    id: object = None
    responseId: object = None
    model: object = None
    modelVersion: object = None
    usage: object = None
    usageMetadata: object = None
    stop_reason: object = None


_decode = msgspec.json.Decoder(_Row).decode


def _read(row: _Row, context: ParseContext) -> list[Item]:
    if isinstance(row.cache_status, str) and row.cache_status.strip().lower() in _CACHED:
        return []
    request, response = _part(row.request, _Request), _part(row.response, _Response)
    body = _part(response.body, _Body)
    headers = gateway.loose_holder(request.portkeyHeaders)
    status = response.status if response.status is not None else row.response_status_code
    failed = row.is_success is False or (isinstance(status, int) and status >= 400)
    usage, path = body.usage, "response.body.usage"
    if usage is None and body.usageMetadata is not None:
        usage, path = body.usageMetadata, "response.body.usageMetadata"
    if usage is None and failed and not row.total_units:
        return []  # the provider refused: nothing was billed
    name = next((value for value in (body.model, body.modelVersion, row.ai_model) if value), None)
    model = model_of(name, "response.body.model" if row.ai_model is None else "ai_model")
    moment = gateway.moment(
        row.created_at if row.created_at is not None else row.time_of_generation, "created_at"
    )
    own_id = gateway.label(row.own_id, row.id, limit=256)
    answer_id = text_of(body.id, "response.body.id") or text_of(body.responseId, "response.body.responseId")
    if not (own_id or answer_id):
        raise MeterError(
            Reason.UNATTRIBUTABLE, "_id", "neither _id nor the response's id: it could not be counted once"
        )
    provider, platform = gateway.served_by(
        row.ai_org if row.ai_org is not None else headers.get("x-portkey-provider") or request.provider
    )
    labels = _metadata(row.metadata) | _metadata(headers.get("x-portkey-metadata"))
    user = labels.pop("_user", None)
    event = UsageEvent(
        id=answer_id or own_id,
        occurred_at=moment,
        model=model,
        provider=provider,
        platform=platform,
        workspace_id=gateway.label(row.workspace_slug, row.workspace_id, row.organisation_id),
        api_key_id=gateway.label(row.api_key_id),
        user_id=gateway.label(row.own_user, user),
        session_id=gateway.label(row.trace_id, headers.get("x-portkey-trace-id")),
        tags=gateway.tags_of(labels),
        request_id=own_id if answer_id else "",
        latency_ms=gateway.duration(
            response.responseTime if response.responseTime is not None else row.response_time
        ),
        stop_reason=stop_reason_of(body.stop_reason, "response.body.stop_reason")
        or ("error" if failed else ""),
        flags=FLAG_FINAL,
    )
    meters = read_usage(usage, model, path) if usage is not None else _own_counts(row, model)  # type: ignore[arg-type]
    return [context.complete(part) for part in events_of(meters, event)]


def _own_counts(row: _Row, model: str) -> Metered:
    """Portkey's own counts of a row, which say nothing of cached tokens."""
    fields = {"req_units": row.req_units, "res_units": row.res_units, "total_units": row.total_units}
    if row.req_units is None and row.res_units is None:
        detail = "neither the response's usage nor req_units and res_units: nothing to count"
        raise MeterError(Reason.MISSING_FIELD, "response.body.usage", detail)
    counts = Counts(
        given_input=gateway.counted(fields, "", "req_units"),
        output=gateway.counted(fields, "", "res_units"),
        total=gateway.count_or_none(fields, "total_units", ""),
        input_field="req_units",
        output_field="res_units",
        total_field="total_units",
    )
    return metered(counts, model, included=True, total_may_hold_more=True)


def _metadata(value: object) -> dict[str, object]:
    """Labels as an object, or as two lists of names and values beside each other."""
    fields = gateway.loose_holder(value)
    names, values = fields.get("key"), fields.get("value")
    if isinstance(names, list) and isinstance(values, list):
        return {name: value for name, value in zip(names, values, strict=False) if isinstance(name, str)}
    return dict(fields)


def _part(raw: Raw, kind: type[PartT]) -> PartT:
    """A part that is an object, or an object in a string; anything else is an empty one."""
    content = bytes(raw).strip()
    if content.startswith(b'"'):
        text = quiet_decode(content)
        content = text.strip().encode("utf-8", "replace") if isinstance(text, str) else b""
    if not content.startswith(b"{"):
        return kind()
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return kind()


def _parse(stream: BinaryIO, context: ParseContext) -> Iterator[Item]:
    def read(index: int, row: _Row) -> list[Item]:
        try:
            return _read(row, context)
        except MeterError as error:
            return [rejection(index, error, gateway.label(row.own_id, row.id, limit=256))]

    yield from gateway.read_rows(stream, _decode, read, _score)


def _sniff(head: bytes) -> int:
    return gateway.sniff(head, _score)


def _score(row: Mapping[str, Any]) -> int:
    request = row.get("request")
    if isinstance(request, Mapping) and "portkeyHeaders" in request:
        return 92
    if "ai_org" in row and "ai_model" in row:
        return 88
    return 80 if "req_units" in row and "res_units" in row else 0


FORMAT = Format("portkey", "Portkey logs", True, _sniff, _parse)
