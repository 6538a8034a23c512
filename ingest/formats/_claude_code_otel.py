"""Claude Code's own telemetry: `api_request` log events, `llm_request` spans, and its token and cost counters.

Input counts leave cached tokens out, as Anthropic's do. The identity is the provider's request id, under which a
transcript knows the same call too, so that a call seen in a transcript, an event and a span counts once. Cache writes
come without their time to live; the transcript has it, and wins there.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from ingest.core.errors import Reason
from ingest.core.events import FLAG_FINAL, FLAG_TIME_IMPUTED, FLAG_TTL_UNKNOWN, UsageEvent
from ingest.core.meter_fields import MAX_WORD, Metered, MeterError, Part, in_range, kind_of, split_writes
from ingest.core.reported import MAX_AMOUNT, MAX_REPORTED_COUNT, Reported, ReportedCost, ReportedUsage
from ingest.formats._anthropic import stop_reason_of
from ingest.formats._base import ParseContext, events_of, read_time
from ingest.formats._otlp import CUMULATIVE, DELTA, Attributes, Point, Record, moment_of
from ingest.formats._span_attributes import (
    as_tags,
    count_of,
    first_label,
    label,
    milliseconds,
    model_of,
    resource_tags,
    text_of,
)

SCOPE = "com.anthropic.claude_code"
REPORT = "claude_code_metrics"  # the kind under which the counters are kept
TOKENS, COST = "claude_code.token.usage", "claude_code.cost.usage"

_COUNTS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens")
_USER = ("user.email", "user.account_uuid", "user.id")
# attribute -> tag; the version has the name that transcripts give it
_TAGS = {
    "app.version": "cc_version",
    "agent.name": "agent",
    "app.entrypoint": "entrypoint",
    "effort": "effort",
    "plugin.name": "plugin",
    "query_source": "query_source",
    "skill.name": "skill",
}
_METERS = {
    "input": "uncached_input_tokens",
    "output": "output_tokens",
    "cacheRead": "cache_read_input_tokens",
    "cacheCreation": "cache_write_unknown_ttl_input_tokens",
}


def is_own(record: Record) -> bool:
    """Whether Claude Code itself wrote this span or log record."""
    return record.scope.startswith(SCOPE) or record.name.startswith("claude_code.") or _event(record) != ""


def _event(record: Record) -> str:
    prefix = "claude_code."
    return record.body.removeprefix(prefix) if record.body.startswith(prefix) else ""


def events(record: Record, context: ParseContext) -> list[UsageEvent]:
    """The call that an `llm_request` span or an `api_request` event reports; [] for any other. Raises MeterError."""
    attributes = record.attributes
    if record.is_span:
        wanted = record.name == "claude_code.llm_request" or attributes.get("span.type") == "llm_request"
    else:
        names = (record.name, label(attributes.get("event.name")), _event(record))
        wanted = any(name.removeprefix("claude_code.") == "api_request" for name in names)
    if not wanted or all(attributes.get(name) is None for name in _COUNTS):
        return []  # an aborted request has no counts
    model = model_of(attributes, ("model", "gen_ai.response.model", "gen_ai.request.model"))
    uncached, output, read, written = (count_of(attributes, name) for name in _COUNTS)
    in_5m, in_1h, flags = split_writes(written, 0, 0, has_split=False)
    part = Part(model, "", uncached, read, in_5m, in_1h, output, flags=flags)
    part.prompt_step_tokens = part.prompt_tokens
    speed = text_of(attributes, "speed", MAX_WORD)
    moment, time_flags = _time(record, context)
    metered = Metered(main=part, speed="standard" if speed in ("", "normal") else speed)
    holders = (attributes, record.resource)
    event = UsageEvent(
        id=_identity(record),
        occurred_at=moment,
        model=model,
        provider="anthropic",
        workspace_id=first_label(holders, ("organization.id",)),
        user_id=first_label(holders, _USER),
        session_id=first_label(holders, ("session.id",)),
        tags=_tags(record.resource, attributes),
        latency_ms=milliseconds(attributes, "duration_ms"),
        ttft_ms=milliseconds(attributes, "ttft_ms"),
        stop_reason=stop_reason_of(attributes.get("stop_reason"), "stop_reason"),
        # Without the time to live it is not the last word on the input: a transcript's split has to win.
        flags=time_flags | (0 if flags & FLAG_TTL_UNKNOWN else FLAG_FINAL),
    )
    return [context.complete(part_) for part_ in events_of(metered, event)]


def _identity(record: Record) -> str:
    """The provider's request id, else what tells the event or span from all others."""
    for name in ("request_id", "gen_ai.response.id"):
        if found := text_of(record.attributes, name):
            return found
    session, sequence = (label(record.attributes.get(name)) for name in ("session.id", "event.sequence"))
    if session and sequence:
        return f"claude_code/{session}/{sequence}"
    if record.trace_id and record.span_id:
        return f"{record.trace_id}/{record.span_id}"
    detail = "neither request_id nor session.id with event.sequence: the call could not be counted once"
    raise MeterError(Reason.UNATTRIBUTABLE, "request_id", detail)


def _time(record: Record, context: ParseContext) -> tuple[datetime, int]:
    if not record.is_span and record.attributes.get("event.timestamp") is not None:
        return read_time(record.attributes["event.timestamp"], "event.timestamp"), 0
    if nanos := record.end or record.start:
        return moment_of(nanos, "endTimeUnixNano" if record.is_span else "timeUnixNano"), 0
    return context.default_time, FLAG_TIME_IMPUTED


def _tags(resource: Attributes, attributes: Attributes) -> tuple[tuple[str, str], ...]:
    own = {tag: label(attributes.get(name)) for name, tag in _TAGS.items()}
    return as_tags({**own, **resource_tags(resource)})


# -------------------------------------------------------------------------------------------------- counters


def reported(point: Point) -> Iterator[Reported]:
    """A point of a token or cost counter as a reported sum; nothing for other metrics. Raises MeterError.

    A delta is a row of its own interval. A cumulative sum, which repeats all since `start`, is one row for the whole
    life of the process that counts: it stands in the day of its start, and a later sum takes an earlier one's place.
    """
    if point.metric not in (TOKENS, COST):
        return
    attributes, resource = point.attributes, point.resource
    if point.temporality not in (DELTA, CUMULATIVE):
        detail = "a sum must say whether it is delta (1) or cumulative (2)"
        raise MeterError(Reason.INVALID_VALUE, "aggregationTemporality", detail)
    for name, nanos in (("startTimeUnixNano", point.start), ("timeUnixNano", point.end)):
        if not nanos:
            detail = f"{name} is missing: the sum could not be told from the next one"
            raise MeterError(Reason.MISSING_FIELD, name, detail)
    start, end = moment_of(point.start, "startTimeUnixNano"), moment_of(point.end, "timeUnixNano")
    refreshed_at = None
    if point.temporality == CUMULATIVE:
        refreshed_at = end
        end = start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    elif end <= start:
        detail = "timeUnixNano must be later than startTimeUnixNano"
        raise MeterError(Reason.INVALID_TIME, "timeUnixNano", detail)
    holders = (attributes, resource)
    kind = label(attributes.get("type"), MAX_WORD)
    speed = label(attributes.get("speed"), MAX_WORD)
    dimensions = dict(_tags(resource, attributes)) | {
        "session_id": first_label(holders, ("session.id",)),
        "temporality": "cumulative" if point.temporality == CUMULATIVE else "delta",
        "type": kind,
    }
    shared = {
        "kind": REPORT,
        "provider": "anthropic",
        "start": start,
        "end": end,
        "model": text_of(attributes, "model", 200),
        "workspace_id": first_label(holders, ("organization.id",)),
        "user_id": first_label(holders, _USER),
        "speed": "" if speed == "normal" else speed,
        "dimensions": tuple(sorted((name, value) for name, value in dimensions.items() if value)),
        "refreshed_at": refreshed_at,
    }
    if point.metric == COST:
        yield ReportedCost(**shared, currency="USD", estimated_cost=_amount(point))  # type: ignore[arg-type]
        return
    if kind not in _METERS:
        detail = "type must be input, output, cacheRead or cacheCreation"
        raise MeterError(Reason.INVALID_VALUE, "type", detail)
    yield ReportedUsage(**shared, **{_METERS[kind]: _sum(point)})  # type: ignore[arg-type]


def _sum(point: Point) -> int:
    value = point.value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not int:
        raise MeterError(
            Reason.INVALID_TYPE, TOKENS, f"{TOKENS} must be a whole number, not {kind_of(value)}"
        )
    return in_range(value, TOKENS, MAX_REPORTED_COUNT)


def _amount(point: Point) -> Decimal:
    if type(point.value) not in (int, float):
        raise MeterError(Reason.INVALID_TYPE, COST, f"{COST} must be a number, not {kind_of(point.value)}")
    amount = Decimal(repr(point.value))
    if not amount.is_finite() or not 0 <= amount <= MAX_AMOUNT:
        raise MeterError(Reason.INVALID_VALUE, COST, f"{COST} must lie between 0 and {MAX_AMOUNT:f}")
    return amount
