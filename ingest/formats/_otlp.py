"""What OpenTelemetry's two encodings become: records (spans and log records) and points (of metrics).

Names are OTLP's; times are nanoseconds since the Unix epoch, 0 where there is none. Attributes can hold prompts and
answers: they are read by name and dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ingest.core.errors import Reason
from ingest.core.meter_fields import MeterError
from ingest.formats._base import EARLIEST_YEAR, LATEST_YEAR

SIGNALS = ("traces", "logs", "metrics")
DELTA, CUMULATIVE = 1, 2  # AggregationTemporality

Attributes = Mapping[str, object]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = (
    int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (EARLIEST_YEAR, LATEST_YEAR + 1)
)
_NANOS = 10**9


@dataclass(frozen=True, slots=True)
class Record:
    """A span or a log record. `index` is its place in the document, for messages."""

    index: int
    is_span: bool
    name: str  # of the span, or the log record's event name
    scope: str  # the instrumentation that wrote it
    resource: Attributes
    attributes: Attributes
    trace_id: str = ""  # hex, lower case
    span_id: str = ""
    start: int = 0  # of a span; for a log record, when it was observed
    end: int = 0  # of a span; for a log record, when it happened
    body: str = ""  # the log record's body if it is one short word, else ''


@dataclass(frozen=True, slots=True)
class Point:
    """One number of a sum: what was added between `start` and `end` (delta), or all since `start` (cumulative)."""

    index: int
    metric: str
    scope: str
    resource: Attributes
    attributes: Attributes
    temporality: int
    start: int
    end: int
    value: int | float | None


def moment_of(nanos: int, where: str) -> datetime:
    """Nanoseconds since the Unix epoch as UTC, exact to the microsecond."""
    if not _FIRST * _NANOS <= nanos < _LAST * _NANOS:
        detail = f"{where} is outside the years {EARLIEST_YEAR} to {LATEST_YEAR}, which can be stored"
        raise MeterError(Reason.INVALID_TIME, where, detail)
    return _EPOCH + timedelta(microseconds=nanos // 1000)


def event_name(value: object) -> str:
    """A log record's body where it is a name such as `claude_code.api_request`; any other text is content."""
    if not isinstance(value, str) or len(value) > 64 or " " in value:
        return ""
    return value
