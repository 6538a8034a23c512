"""OTLP as JSON: ids in hex of either case, 64-bit numbers as numbers or strings, unknown fields ignored.

Names in lowerCamelCase as the protocol has them, or in snake_case as some tools write them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ingest.core.errors import Reason, Rejection
from ingest.core.meter_fields import MeterError, kind_of
from ingest.formats._base import rejection
from ingest.formats._otlp import SIGNALS, Point, Record, event_name

# signal -> its lists, from the document down to the record
LISTS = {
    "traces": ("resourceSpans", "scopeSpans", "spans"),
    "logs": ("resourceLogs", "scopeLogs", "logRecords"),
    "metrics": ("resourceMetrics", "scopeMetrics", "metrics"),
}
_SNAKE = {
    "resourceSpans": "resource_spans",
    "scopeSpans": "scope_spans",
    "resourceLogs": "resource_logs",
    "scopeLogs": "scope_logs",
    "logRecords": "log_records",
    "resourceMetrics": "resource_metrics",
    "scopeMetrics": "scope_metrics",
    "traceId": "trace_id",
    "spanId": "span_id",
    "startTimeUnixNano": "start_time_unix_nano",
    "endTimeUnixNano": "end_time_unix_nano",
    "timeUnixNano": "time_unix_nano",
    "observedTimeUnixNano": "observed_time_unix_nano",
    "eventName": "event_name",
    "dataPoints": "data_points",
    "aggregationTemporality": "aggregation_temporality",
    "asInt": "as_int",
    "asDouble": "as_double",
    "stringValue": "string_value",
    "intValue": "int_value",
    "doubleValue": "double_value",
    "boolValue": "bool_value",
    "arrayValue": "array_value",
    "kvlistValue": "kvlist_value",
}
# Before 2022 a scope was called an instrumentation library.
_OLD = {
    "scopeSpans": ("instrumentationLibrarySpans", "instrumentation_library_spans"),
    "scopeLogs": ("instrumentationLibraryLogs", "instrumentation_library_logs"),
    "scopeMetrics": ("instrumentationLibraryMetrics", "instrumentation_library_metrics"),
}
# A document by its first name: what detection looks for.
TOP_NAMES = {name: signal for signal in SIGNALS for name in (LISTS[signal][0], _SNAKE[LISTS[signal][0]])}
_TEMPORALITIES = {"AGGREGATION_TEMPORALITY_DELTA": 1, "AGGREGATION_TEMPORALITY_CUMULATIVE": 2}
_DEEPEST = 8  # nesting of attribute values that is followed

Object = Mapping[str, Any]


def read_document(
    document: object, signals: tuple[str, ...] = SIGNALS
) -> Iterator[Record | Point | Rejection]:
    """The records of one decoded document; what has the wrong type is rejected where it stands."""
    if not isinstance(document, Mapping):
        detail = f"an OTLP document must be a JSON object, not {kind_of(document)}"
        yield Rejection(0, Reason.NOT_AN_OBJECT, "", detail)
        return
    index = 0
    for signal in signals:
        for found in _Reader(signal, index).read(document):
            index = found.index + 1
            yield found


class _Reader:
    """One signal's tree of a document, numbered as it is walked."""

    def __init__(self, signal: str, index: int) -> None:
        self.signal, self.index = signal, index

    def read(self, document: Object) -> Iterator[Record | Point | Rejection]:
        outer, middle, inner = LISTS[self.signal]
        for holder in self._objects(document, outer, ""):
            if isinstance(holder, Rejection):
                yield holder
                continue
            resource = attributes_of(_object(holder, "resource"))
            for scoped in self._objects(holder, middle, outer):
                if isinstance(scoped, Rejection):
                    yield scoped
                    continue
                scope = _object(scoped, "scope") or _object(scoped, "instrumentationLibrary")
                name = str(scope.get("name") or "")
                for row in self._objects(scoped, inner, middle):
                    yield from [row] if isinstance(row, Rejection) else self._rows(row, name, resource)

    def _objects(self, holder: Object, name: str, inside: str) -> Iterator[Object | Rejection]:
        """The objects of a list that may be missing; what is none is rejected."""
        value = get(holder, name)
        where = f"{inside}[].{name}" if inside else name
        if value is None:
            return
        if not isinstance(value, list):
            detail = f"{where} must be a list, not {kind_of(value)}"
            yield self._refuse(MeterError(Reason.INVALID_TYPE, where, detail))
            return
        for entry in value:
            if isinstance(entry, Mapping):
                yield entry
            else:
                detail = f"an entry of {where} must be an object, not {kind_of(entry)}"
                yield self._refuse(MeterError(Reason.INVALID_TYPE, where, detail))

    def _refuse(self, error: MeterError) -> Rejection:
        self.index += 1
        return rejection(self.index - 1, error)

    def _rows(self, row: Object, scope: str, resource: Object) -> Iterator[Record | Point | Rejection]:
        try:
            if self.signal == "metrics":
                yield from self._points(row, scope, resource)
                return
            is_span = self.signal == "traces"
            yield Record(
                index=self.index,
                is_span=is_span,
                name=_text(get(row, "name" if is_span else "eventName")),
                scope=scope,
                resource=resource,
                attributes=attributes_of(row),
                trace_id=_hex(get(row, "traceId"), 32),
                span_id=_hex(get(row, "spanId"), 16),
                start=_nanos(row, "startTimeUnixNano" if is_span else "observedTimeUnixNano"),
                end=_nanos(row, "endTimeUnixNano" if is_span else "timeUnixNano"),
                body="" if is_span else event_name(value_of(get(row, "body"))),
            )
            self.index += 1
        except MeterError as error:
            yield self._refuse(error)

    def _points(self, metric: Object, scope: str, resource: Object) -> Iterator[Point | Rejection]:
        """The points of a sum. Gauges and histograms hold no counts that could be kept."""
        holder = _object(metric, "sum")
        temporality = get(holder, "aggregationTemporality")
        for row in self._objects(holder, "dataPoints", "metrics"):
            if isinstance(row, Rejection):
                yield row
                continue
            try:
                yield Point(
                    index=self.index,
                    metric=_text(get(metric, "name")),
                    scope=scope,
                    resource=resource,
                    attributes=attributes_of(row),
                    temporality=_TEMPORALITIES.get(
                        str(temporality), temporality if type(temporality) is int else 0
                    ),
                    start=_nanos(row, "startTimeUnixNano"),
                    end=_nanos(row, "timeUnixNano"),
                    value=_number(row),
                )
                self.index += 1
            except MeterError as error:
                yield self._refuse(error)


def get(holder: Object, name: str) -> Any:
    """A field under its name in OTLP, in snake_case, or in the protocol's first version."""
    value = holder.get(name)
    if value is None and name in _SNAKE:
        value = holder.get(_SNAKE[name])
    if value is None and name in _OLD:
        value = next((holder[old] for old in _OLD[name] if holder.get(old) is not None), None)
    return value


def attributes_of(holder: Object) -> dict[str, object]:
    """The attributes of a resource or record; entries that are no pair are left out."""
    pairs = holder.get("attributes")
    found: dict[str, object] = {}
    for pair in pairs if isinstance(pairs, list) else ():
        if isinstance(pair, Mapping) and isinstance(pair.get("key"), str):
            found[pair["key"]] = value_of(pair.get("value"))
    return found


def value_of(value: object, depth: int = 0) -> object:
    """An AnyValue as Python has it. A number that is written as text stays text; its reader says if that will do."""
    if not isinstance(value, Mapping) or depth > _DEEPEST:
        return None
    for name in ("stringValue", "intValue", "doubleValue", "boolValue"):
        found = get(value, name)
        if found is not None:
            return found
    array, pairs = get(value, "arrayValue"), get(value, "kvlistValue")
    if isinstance(array, Mapping) and isinstance(array.get("values"), list):
        return [value_of(entry, depth + 1) for entry in array["values"]]
    if isinstance(pairs, Mapping) and isinstance(pairs.get("values"), list):
        return {
            pair["key"]: value_of(pair.get("value"), depth + 1)
            for pair in pairs["values"]
            if isinstance(pair, Mapping) and isinstance(pair.get("key"), str)
        }
    return None


def _object(holder: Object, name: str) -> Object:
    value = holder.get(name)
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _hex(value: object, length: int) -> str:
    """An id in hex; '' for what is none, also for the all-zero id, which means none."""
    if not isinstance(value, str) or len(value) != length:
        return ""
    lowered = value.lower()
    if any(c not in "0123456789abcdef" for c in lowered) or not lowered.strip("0"):
        return ""
    return lowered


def _nanos(row: Object, name: str) -> int:
    value = get(row, name)
    if value is None or value == "":
        return 0
    if isinstance(value, str) and len(value) <= 20 and value.isascii() and value.isdigit():
        return int(value)
    if type(value) is int:
        return value
    raise MeterError(
        Reason.INVALID_TYPE, name, f"{name} must be nanoseconds since 1970, not {kind_of(value)}"
    )


def _number(row: Object) -> int | float | None:
    value = get(row, "asInt")
    if (
        isinstance(value, str)
        and len(value) <= 20
        and value.lstrip("-").isascii()
        and value.lstrip("-").isdigit()
    ):
        return int(value)
    if value is None:
        value = get(row, "asDouble")
    return value if type(value) in (int, float) else None
