"""Amazon Bedrock's model invocation log: one JSON object a call, as S3 files and as CloudWatch delivers it.

CloudWatch wraps records in an envelope of log events, and for functions packs that with gzip and base64. The counts of
the record itself are read first; the logged body, where there is one, adds what they lack: the time to live of cache
writes, steps at other models, the message id.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import msgspec
from msgspec import Raw, Struct

from ingest.core import model_ids
from ingest.core.errors import Reason, Rejection
from ingest.core.events import FLAG_FINAL, FLAG_TTL_UNKNOWN, UsageEvent
from ingest.core.meter_fields import MAX_MODEL, Metered, MeterError, count, keys_seen, kind_of
from ingest.core.meters import read_usage
from ingest.formats._anthropic import text_of
from ingest.formats._base import Format, Item, ParseContext, events_of, quiet_decode, read_time, rejection
from ingest.formats._bedrock import UNREADABLE, Answer, read_answer
from ingest.formats._bedrock_envelopes import json_objects, records_of
from ingest.formats._canonical import tags_of
from ingest.formats._lines import json_values
from ingest.formats._peek import peek

_INFERENCE = ("Converse", "InvokeModel")
# The counts of a record -> the names by which Converse knows them.
_COUNTS = (
    ("input", "inputTokenCount", "inputTokens"),
    ("input", "cacheReadInputTokenCount", "cacheReadInputTokens"),
    ("input", "cacheWriteInputTokenCount", "cacheWriteInputTokens"),
    ("output", "outputTokenCount", "outputTokens"),
)
_NAIVE = re.compile(
    r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d(?:\.\d{1,6})?)\d*"
)  # of re-exports: UTC by definition


class _Side(Struct, gc=False):
    """`input` or `output`: its counts, and its body undecoded."""

    inputTokenCount: object = None  # names are the wire's own
    outputTokenCount: object = None
    cacheReadInputTokenCount: object = None
    cacheWriteInputTokenCount: object = None
    outputBodyJson: Raw = Raw(b"")


class _Record(Struct, gc=False):
    timestamp: object = None
    schemaType: object = None
    accountId: object = None
    identity: object = None
    region: object = None
    inferenceRegion: object = None
    requestId: object = None
    operation: object = None
    modelId: object = None
    input: _Side | None = None
    output: _Side | None = None
    errorCode: object = None
    requestMetadata: object = None


_decode = msgspec.json.Decoder(_Record).decode


def _read(raw: bytes | Raw, context: ParseContext) -> list[UsageEvent]:
    """The events of one record; [] for calls that failed before anything was billed and for other operations."""
    record = _typed(raw)
    logged = _logged(record)
    if not any(logged.values()) and (record.errorCode is not None or not _is_inference(record)):
        return []
    answer = read_answer(bytes(record.output.outputBodyJson).strip()) if record.output else Answer()
    if not logged and answer.usage is None:
        detail = "input.inputTokenCount is missing, and there is no body with counts"
        raise MeterError(Reason.MISSING_FIELD, "input.inputTokenCount", detail)
    request_id = text_of(record.requestId, "requestId")
    if not request_id and not answer.message_id:
        raise MeterError(
            Reason.UNATTRIBUTABLE, "requestId", "requestId is missing: the call cannot be counted once"
        )
    model, profile = _model(record, answer)
    metered = _metered(logged, answer, model)
    event = UsageEvent(
        id=answer.message_id or request_id,
        request_id=request_id if answer.message_id else "",
        occurred_at=_time(record.timestamp),
        model=model,
        platform="bedrock",
        workspace_id=text_of(record.accountId, "accountId"),
        user_id=_user(record.identity),
        tags=_tags(record, profile),
        latency_ms=answer.latency_ms,
        ttft_ms=answer.ttft_ms,
        stop_reason=answer.stop_reason,
        flags=FLAG_FINAL,  # a record is written after its call
    )
    if answer.tier:
        metered.service_tier = answer.tier
    metered.inference_geo = metered.inference_geo or text_of(record.inferenceRegion, "inferenceRegion", 64)
    return [context.complete(part) for part in events_of(metered, event)]


def _typed(raw: bytes | Raw) -> _Record:
    try:
        record = _decode(raw)
    except UNREADABLE:
        value = quiet_decode(raw)
        if not isinstance(value, Mapping):
            detail = f"a log record must be a JSON object, not {kind_of(value)}"
            raise MeterError(Reason.NOT_AN_OBJECT, "", detail) from None
        side = next(name for name in ("input", "output") if not isinstance(value.get(name), Mapping | None))
        detail = f"{side} must be an object, not {kind_of(value[side])}"
        raise MeterError(Reason.INVALID_TYPE, side, detail) from None
    if record.schemaType is None and record.modelId is None:
        value = quiet_decode(raw)
        keys = keys_seen(value) if isinstance(value, Mapping) else ""
        raise MeterError(Reason.UNKNOWN_FORMAT, "", f"not a record of the invocation log; keys seen: {keys}")
    return record


def _is_inference(record: _Record) -> bool:
    return isinstance(record.operation, str) and record.operation.startswith(_INFERENCE)


def _logged(record: _Record) -> dict[str, int]:
    """The record's own counts, under Converse's names; only those that are there."""
    found = {}
    for side, key, name in _COUNTS:
        holder = record.input if side == "input" else record.output
        value = getattr(holder, key, None)
        if value is not None:
            found[name] = count({key: value}, key, side)
    return found


def _metered(logged: Mapping[str, int], answer: Answer, model: str) -> Metered:
    """The body's counts where they are those of the record, told in more detail; else the record's."""
    if answer.usage is None:
        return read_usage({"inputTokens": 0, **logged}, model, "record")
    told = read_usage(answer.usage, model, "output.outputBodyJson.usage")
    if not logged:
        return told
    tops = [_top_level(answer.usage), _sums(told)]
    if any(all(top[name] == value for name, value in logged.items()) for top in tops):
        return told
    counted = read_usage({"inputTokens": 0, **logged}, model, "record")
    in_5m, in_1h = told.main.cache_write_5m_input_tokens, told.main.cache_write_1h_input_tokens
    if in_5m + in_1h == logged.get("cacheWriteInputTokens") and not told.main.flags & FLAG_TTL_UNKNOWN:
        counted.main.cache_write_5m_input_tokens, counted.main.cache_write_1h_input_tokens = in_5m, in_1h
        counted.main.flags &= ~FLAG_TTL_UNKNOWN
    return counted


def _top_level(usage: Mapping[str, Any]) -> dict[str, object]:
    """What the body's usage says at its top, under Converse's names."""
    spellings = {
        "inputTokens": ("input_tokens",),
        "outputTokens": ("output_tokens",),
        "cacheReadInputTokens": ("cache_read_input_tokens", "cacheReadInputTokenCount"),
        "cacheWriteInputTokens": ("cache_creation_input_tokens", "cacheWriteInputTokenCount"),
    }
    return {
        name: next((usage[key] for key in (name, *others) if usage.get(key) is not None), 0)
        for name, others in spellings.items()
    }


def _sums(metered: Metered) -> dict[str, object]:
    """The same of all parts of a call together."""
    totals = [part.totals() for part in (metered.main, *metered.extra)]
    names = ("inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens", "outputTokens")
    return {name: sum(values) for name, values in zip(names, zip(*totals, strict=True), strict=True)}


def _model(record: _Record, answer: Answer) -> tuple[str, str]:
    """(model, application inference profile): modelId, but for a profile of the customer's the body's own name.

    The name in a body can be an internal one, so it only stands in where modelId says nothing of the model.
    """
    model = text_of(record.modelId, "modelId", MAX_MODEL)
    if not model.strip():
        raise MeterError(Reason.UNATTRIBUTABLE, "modelId", "modelId is missing: the usage has no price")
    name = model_ids.take_apart(model).name
    if name.startswith("application-inference-profile/"):
        return answer.model or model, name.partition("/")[2]
    return model, ""


def _time(value: object) -> Any:
    if isinstance(value, str) and (match := _NAIVE.fullmatch(value.strip())):
        value = f"{match[1]}T{match[2]}Z"
    if value is None:
        raise MeterError(Reason.MISSING_FIELD, "timestamp", "timestamp is required")
    return read_time(value, "timestamp")


def _user(identity: object) -> str:
    """The last part of the caller's ARN: the name of a user, or of an assumed role's session."""
    arn = identity.get("arn") if isinstance(identity, Mapping) else None
    return text_of(arn, "identity.arn", 2048).rpartition("/")[2][:256]


def _tags(record: _Record, profile: str) -> tuple[tuple[str, str], ...]:
    """The request's metadata, and where it was sent."""
    given = record.requestMetadata if isinstance(record.requestMetadata, Mapping) else {}
    region = text_of(record.region, "region", 64)
    own = {"region": region, "inference_profile": profile}
    return tags_of({**{name: value for name, value in own.items() if value}, **given})


def _parse(stream: BinaryIO, context: ParseContext) -> Iterator[Item]:
    index = 0
    for _, value in json_values(stream):
        if isinstance(value, Rejection):
            yield Rejection(index, value.reason, value.field, value.detail)
            index += 1
            continue
        for found in json_objects(bytes(value)):
            for raw in records_of(found):
                try:
                    if isinstance(raw, MeterError):
                        raise raw
                    yield from _read(raw, context)
                except MeterError as error:
                    yield rejection(index, error)
                index += 1


def _sniff(head: bytes) -> int:
    return max((_score(value) for value in peek(head, limit=5)), default=0)


def _score(value: Mapping[str, Any]) -> int:
    if value.get("schemaType") == "ModelInvocationLog":
        return 95
    if {"modelId", "requestId", "operation"} <= value.keys():
        return 85
    if value.get("messageType") in ("DATA_MESSAGE", "CONTROL_MESSAGE") and "logEvents" in value:
        return 70
    if "awslogs" in value:
        return 70
    return 0


FORMAT = Format("bedrock_log", "Amazon Bedrock model invocation log (S3, CloudWatch)", True, _sniff, _parse)
