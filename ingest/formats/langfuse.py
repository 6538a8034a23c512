"""Langfuse: traces with their observations, ingestion batches, and exported observations (camel or snake case).

Only a GENERATION or EMBEDDING without another one below it is a call: agents, chains and the outer spans of SDKs repeat
the counts of what they contain. The costs Langfuse computed are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import msgspec
from msgspec import Raw, Struct

from ingest.core.errors import Reason, Rejection
from ingest.core.events import FLAG_FINAL, UsageEvent
from ingest.core.meter_fields import Metered, MeterError, kind_of
from ingest.formats import _gateway as gateway
from ingest.formats._anthropic import model_of, text_of
from ingest.formats._base import Format, Item, ParseContext, events_of, quiet_decode, rejection
from ingest.formats._by_total import Counts, metered
from ingest.formats._langfuse_pending import Observation, Pending, wanted
from ingest.formats._lines import UNREADABLE

_CALLS = {"GENERATION", "EMBEDDING"}
_EVENTS = {"generation-create": "GENERATION", "generation-update": "GENERATION"}
_OTHER_EVENTS = {"observation-create", "observation-update"}
_FIELDS = {
    "type": ("type",),
    "trace": ("traceId", "trace_id"),
    "parent": ("parentObservationId", "parent_observation_id"),
    "start": ("startTime", "start_time"),
    "end": ("endTime", "end_time"),
    "first": ("completionStartTime", "completion_start_time"),
    "model": ("model", "provided_model_name", "providedModelName"),
    "usage_details": ("usageDetails", "usage_details"),
    "usage": ("usage",),
    "prompt_tokens": ("promptTokens", "prompt_tokens", "inputUsage"),
    "completion_tokens": ("completionTokens", "completion_tokens", "outputUsage"),
    "total_tokens": ("totalTokens", "total_tokens", "totalUsage"),
    "level": ("level",),
    "name": ("name",),
    "user": ("userId", "user_id"),
    "session": ("sessionId", "session_id"),
    "tags": ("tags", "trace_tags"),
    "environment": ("environment",),
    "release": ("release",),
    "project": ("projectId", "project_id"),
    "response_id": ("response_id",),
}
_TRACES = 10_000  # traces whose labels are remembered until their observations come
_TRACE_FIELDS = ("user", "session", "tags", "environment", "release", "project")
# Where instrumentations leave the provider's own id in the metadata.
_RESPONSE_ID = re.compile(
    rb'(?:gen_ai\.response\.id|ai\.response\.id)\\?"\s*:\s*\\?"([A-Za-z0-9_-]{10,140})\\?"'
)
_LITELLM_ID = re.compile(r"time-\d\d-\d\d-\d\d-\d+_(\S+)")

_READ = (
    "cache_read_input_tokens", "input_cached_tokens", "input_cache_read", "cached_tokens", "cached_input_tokens",
    "prompt_details.cache_read", "prompt_tokens_details.cached_tokens", "input_cached",
)  # fmt: skip
_WRITTEN = (
    "cache_creation_input_tokens", "input_cache_creation", "cache_write_input_tokens", "prompt_details.cache_write",
    "input_cache_write",
)  # fmt: skip
_WRITTEN_5M = (
    "input_cache_creation_5m",
    "cache_creation.ephemeral_5m_input_tokens",
    "ephemeral_5m_input_tokens",
)
_WRITTEN_1H = (
    "input_cache_creation_1h",
    "cache_creation.ephemeral_1h_input_tokens",
    "ephemeral_1h_input_tokens",
)
_THINKING = (
    "output_reasoning_tokens", "output_reasoning", "completion_details.reasoning", "reasoning_tokens", "reasoning",
    "completion_tokens_details.reasoning_tokens", "output_thinking_tokens",
)  # fmt: skip
_INPUT = ("input", "promptTokens", "prompt_tokens", "input_tokens")
_OUTPUT = ("output", "completionTokens", "completion_tokens", "output_tokens")
_TOTAL = ("total", "totalTokens", "total_tokens")


class _Shape(Struct, gc=False):
    """Enough of a value to tell the wrappings apart; everything else stays bytes until it is known what it is."""

    trace: Raw = gateway.NO_RAW
    observations: Raw = gateway.NO_RAW
    batch: Raw = gateway.NO_RAW


class _Envelope(Struct, gc=False):
    type: object = None
    body: Raw = gateway.NO_RAW


_decode_shape = msgspec.json.Decoder(_Shape).decode
_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode
_TEXTS = {"input", "output", "metadata", "modelParameters", "costDetails", "scores"}


class _Reader:
    """One file: its observations wait in the window, its traces lend them their labels."""

    def __init__(self, context: ParseContext) -> None:
        self.context = context
        self.pending = Pending()
        self.traces: dict[str, dict[str, Any]] = {}

    def read(self, index: int, raw: bytes | Raw) -> Iterator[Item]:
        shape = gateway.typed(raw, _decode_shape)
        if bytes(shape.batch).startswith(b"["):
            for inner in _elements(shape.batch, "batch"):
                yield from self._guarded(index, inner, self._envelope)
        elif bytes(shape.observations).startswith(b"["):
            trace = bytes(shape.trace)
            labels = self._labels(trace if trace.startswith(b"{") else raw)
            for inner in _elements(shape.observations, "observations"):
                if bytes(inner).startswith(b'"'):
                    continue  # a list of traces names its observations by id only
                yield from self._guarded(index, inner, self._observation, labels)
        elif bytes(shape.trace).startswith(b"{"):
            return
        else:
            yield from self._observation(index, raw, {})

    def rest(self) -> Iterator[Item]:
        for observation in self.pending.rest():
            yield from self._event(observation)

    def _guarded(self, index: int, raw: Raw, read: Any, *more: Any) -> Iterator[Item]:
        """One broken element costs itself alone."""
        try:
            yield from read(index, raw, *more)
        except MeterError as error:
            yield rejection(index, error)

    def _envelope(self, index: int, raw: Raw) -> Iterator[Item]:
        event = gateway.typed(raw, _decode_envelope)
        kind = event.type if isinstance(event.type, str) else ""
        if kind == "trace-create":
            labels = self._labels(event.body)
            if len(self.traces) > _TRACES:
                self.traces.clear()
            self.traces[gateway.label(labels.get("id"))] = labels
        elif kind in _EVENTS:
            yield from self._observation(index, event.body, {}, _EVENTS[kind])
        elif kind in _OTHER_EVENTS:
            yield from self._observation(index, event.body, {})

    def _labels(self, raw: bytes | Raw) -> dict[str, Any]:
        fields = _object(raw)
        return {**wanted(fields, {name: _FIELDS[name] for name in _TRACE_FIELDS}), "id": fields.get("id")}

    def _observation(
        self, index: int, raw: bytes | Raw, labels: dict[str, Any], kind: str = ""
    ) -> Iterator[Item]:
        everything = _object(raw)
        fields = wanted(everything, _FIELDS)
        if not kind:
            kind = str(fields.get("type") or "").upper()
            if kind not in _CALLS and (
                kind or not fields.keys() & {"usage_details", "usage", "prompt_tokens"}
            ):
                return
        name = text_of(everything.get("id"), "id")
        for key in _TRACE_FIELDS:
            fields.setdefault(key, labels.get(key))
        if match := _RESPONSE_ID.search(bytes(raw)):
            fields["response_id"] = match[1].decode()
        if not name:
            raise MeterError(
                Reason.UNATTRIBUTABLE, "id", "the observation has no id: it could not be counted once"
            )
        for ready in self.pending.add(Observation(index, name, fields)):
            yield from self._event(ready)

    def _event(self, observation: Observation) -> Iterator[Item]:
        try:
            yield from self._read(observation)
        except MeterError as error:
            yield rejection(observation.index, error, observation.id)

    def _read(self, observation: Observation) -> list[UsageEvent]:
        fields = observation.fields
        fields = {
            **self.traces.get(gateway.label(fields.get("trace")), {}),
            **{k: v for k, v in fields.items() if v is not None},
        }
        failed = fields.get("level") == "ERROR"
        counts = _counts(fields, failed)
        if failed and not fields.get("model"):
            return []  # it failed before it had a model: nothing was billed
        start = gateway.moment(fields.get("start"), "startTime")
        tags = gateway.tag_words(fields.get("tags"))
        tags |= {"environment": fields.get("environment"), "release": fields.get("release")}
        litellm = _LITELLM_ID.fullmatch(observation.id)
        event = UsageEvent(
            id=observation.id,
            occurred_at=start,
            model=model_of(fields.get("model"), "model"),
            workspace_id=gateway.label(fields.get("project")),
            user_id=gateway.label(fields.get("user")),
            session_id=gateway.label(fields.get("session")),
            tags=gateway.tags_of(tags),
            request_id=gateway.provider_id(fields.get("response_id")) or (litellm[1] if litellm else ""),
            latency_ms=gateway.milliseconds(start, fields.get("end")),
            ttft_ms=_first_token(start, fields),
            stop_reason="error" if failed else "",
            flags=FLAG_FINAL if fields.get("end") else 0,
        )
        return [self.context.complete(part) for part in events_of(_metered(counts, event.model), event)]


def _metered(counts: Counts, model: str) -> Metered:
    # Langfuse takes the cached tokens out of the input itself; what SDKs send as a map can hold them.
    return metered(counts, model, included=None, thinking_may_be_beside=True, total_may_hold_more=True)


def _first_token(start: Any, fields: Mapping[str, Any]) -> int | None:
    """Without streaming, the SDKs note the end of the call as the time of its first token."""
    if fields.get("first") == fields.get("end"):
        return None
    return gateway.milliseconds(start, fields.get("first"))


def _counts(fields: Mapping[str, Any], failed: bool) -> Counts:
    """The counts of the newest of the three shapes that holds any."""
    details = gateway.holder(fields.get("usage_details"), "usageDetails")
    if details:
        return _from_details(details, "usageDetails")
    usage = gateway.holder(fields.get("usage"), "usage")
    if any(usage.get(key) is not None for key in (*_INPUT, *_OUTPUT, *_TOTAL)):
        unit = usage.get("unit")
        if isinstance(unit, str) and unit.upper() not in ("TOKENS", ""):
            raise MeterError(
                Reason.UNKNOWN_USAGE_SHAPE,
                "usage.unit",
                "usage.unit is not TOKENS: other units have no price",
            )
        return _from_details(usage, "usage")
    flat = {key: fields.get(key) for key in ("prompt_tokens", "completion_tokens", "total_tokens")}
    if any(flat.values()):
        return _from_details(flat, "")
    if failed:
        return Counts(0, 0)
    raise MeterError(Reason.MISSING_FIELD, "usageDetails", "the generation has no token counts")


def _from_details(details: Mapping[str, Any], path: str) -> Counts:
    prefix = f"{path}." if path else ""
    written_5m = _optional(details, path, _WRITTEN_5M)
    written_1h = _optional(details, path, _WRITTEN_1H)
    written = gateway.counted(details, path, *_WRITTEN)
    return Counts(
        given_input=gateway.counted(details, path, *_INPUT),
        output=gateway.counted(
            details, path, "output", "completionTokens", "completion_tokens", "output_tokens"
        ),
        read=gateway.counted(details, path, *_READ),
        written=written or (written_5m or 0) + (written_1h or 0),
        written_5m=written_5m,
        written_1h=written_1h,
        thinking=gateway.counted(details, path, *_THINKING),
        total=_optional(details, path, _TOTAL),
        input_field=f"{prefix}input",
        output_field=f"{prefix}output",
        total_field=f"{prefix}total",
    )


def _optional(details: Mapping[str, Any], path: str, keys: tuple[str, ...]) -> int | None:
    return next(
        (gateway.count_or_none(details, key, path) for key in keys if details.get(key) is not None), None
    )


def _object(raw: bytes | Raw) -> Mapping[str, Any]:
    value = quiet_decode(raw)
    if not isinstance(value, Mapping):
        raise MeterError(
            Reason.NOT_AN_OBJECT, "", f"an observation must be a JSON object, not {kind_of(value)}"
        )
    return {key: inner for key, inner in value.items() if key not in _TEXTS}


def _elements(raw: Raw, where: str) -> list[Raw]:
    try:
        return _decode_list(raw)
    except UNREADABLE:
        raise MeterError(Reason.INVALID_JSON, where, f"{where} is not a valid list") from None


def _parse(stream: BinaryIO, context: ParseContext) -> Iterator[Item]:
    reader = _Reader(context)
    for index, raw in gateway.raw_rows(stream, _score):
        if isinstance(raw, Rejection):
            yield raw
            continue
        try:
            yield from reader.read(index, raw)
        except MeterError as error:
            yield rejection(index, error)
    yield from reader.rest()


def _sniff(head: bytes) -> int:
    return gateway.sniff(head, _score)


def _score(row: Mapping[str, Any]) -> int:
    batch = row.get("batch")
    if isinstance(batch, list) and any(isinstance(event, Mapping) and "body" in event for event in batch[:3]):
        return 88
    if "trace" in row and "observations" in row:
        return 88
    if (
        "usageDetails" in row
        or "usage_details" in row
        or "parentObservationId" in row
        or "parent_observation_id" in row
    ):
        return 86
    if "traceId" in row and "startTime" in row and "type" in row and "resourceSpans" not in row:
        return 60
    if "observations" in row and "userId" in row:
        return 70
    return 80 if "batch" in row and "metadata" in row else 0


FORMAT = Format("langfuse", "Langfuse traces, ingestion batches and observations", True, _sniff, _parse)
