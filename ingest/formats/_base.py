"""What every wire format shares: its interface, its context, and how meters become canonical events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from ingest.core.errors import Reason, Rejection
from ingest.core.events import OUTCOME_OK, UsageEvent
from ingest.core.meter_fields import Metered, MeterError
from ingest.core.meters import outcome_of
from ingest.core.reported import Reported

if TYPE_CHECKING:
    from ingest.formats._mapping import Mapping as ColumnMapping

Item = UsageEvent | Rejection | Reported

EARLIEST_YEAR, LATEST_YEAR = 2000, 2100


class BadBody(Exception):
    """A whole body that is refused: there is no row in it to reject."""

    def __init__(self, reason: Reason, detail: str, field: str = "") -> None:
        super().__init__(detail)
        self.reason, self.detail, self.field = reason, detail, field


@dataclass(frozen=True, slots=True)
class ParseContext:
    """What the bytes do not say: a time for formats without one, and attribution the importer was given."""

    default_time: datetime
    file_name: str = ""
    defaults: Mapping[str, str] = field(
        default_factory=dict
    )  # UsageEvent attribute -> value where the row has none
    mapping: ColumnMapping | None = None  # what the columns of a table mean, confirmed by a person
    # A header -> the mapping that was saved for it, asked when `mapping` is None.
    saved_mapping: Callable[[Sequence[str]], ColumnMapping | None] | None = None

    def complete(self, event: UsageEvent) -> UsageEvent:
        """Fill empty attributes of an event from the defaults."""
        for name, value in self.defaults.items():
            if not getattr(event, name):
                setattr(event, name, value)
        return event


@dataclass(frozen=True, slots=True)
class Format:
    """One wire format. `sniff` scores the first bytes of a file: 0 = not of this format, 100 = certainly."""

    name: str
    title: str
    carries_time: bool
    sniff: Callable[[bytes], int]
    parse: Callable[[BinaryIO, ParseContext], Iterator[Item]]


def events_of(metered: Metered, event: UsageEvent) -> list[UsageEvent]:
    """Write the meters into `event` (which carries everything else) and add one event per extra part."""
    main = metered.main
    event.model = main.model
    event.uncached_input_tokens = main.uncached_input_tokens
    event.cache_read_input_tokens = main.cache_read_input_tokens
    event.cache_write_5m_input_tokens = main.cache_write_5m_input_tokens
    event.cache_write_1h_input_tokens = main.cache_write_1h_input_tokens
    event.output_tokens = main.output_tokens
    event.prompt_step_tokens = main.prompt_step_tokens
    event.thinking_tokens = metered.thinking_tokens
    event.web_search_requests = metered.web_search_requests
    event.service_tier, event.speed, event.inference_geo = (
        metered.service_tier,
        metered.speed,
        metered.inference_geo,
    )
    event.outcome = outcome_of(event.stop_reason, main.output_tokens, metered.media)
    own_flags = event.flags
    event.flags |= main.flags
    if not metered.extra:
        return [event]
    return [event] + [
        replace(
            event,
            # Without an id the key is derived from the content, and the parts differ in content.
            id=f"{event.id}{part.suffix}" if event.id else "",
            model=part.model,
            uncached_input_tokens=part.uncached_input_tokens,
            cache_read_input_tokens=part.cache_read_input_tokens,
            cache_write_5m_input_tokens=part.cache_write_5m_input_tokens,
            cache_write_1h_input_tokens=part.cache_write_1h_input_tokens,
            output_tokens=part.output_tokens,
            prompt_step_tokens=part.prompt_step_tokens,
            thinking_tokens=0,
            web_search_requests=0,
            outcome=OUTCOME_OK,
            request_id="",  # a second identity of the main event; on a part it would merge the two
            latency_ms=None,
            ttft_ms=None,
            flags=own_flags | part.flags,
            requests=0,
            prefix=(),
        )
        for part in metered.extra
    ]


def read_time(value: object, where: str) -> datetime:
    """An RFC 3339 time with a zone, as UTC. Raises MeterError naming what to write instead."""
    if not isinstance(value, str):
        raise MeterError(Reason.INVALID_TYPE, where, f"{where} must be a string holding an RFC 3339 time")
    try:
        moment = msgspec.convert(value, datetime)
    except (msgspec.ValidationError, UnicodeEncodeError):  # the latter: half a surrogate pair
        detail = f"{where} is not an RFC 3339 time such as 2026-03-02T10:15:00Z"
        raise MeterError(Reason.INVALID_TIME, where, detail) from None
    if moment.tzinfo is None:
        raise MeterError(
            Reason.INVALID_TIME,
            where,
            f"{where} has no time zone: append Z for UTC, or an offset such as +02:00",
        )
    if not EARLIEST_YEAR <= moment.year <= LATEST_YEAR:
        detail = f"{where} is in the year {moment.year}; {EARLIEST_YEAR} to {LATEST_YEAR} can be stored"
        raise MeterError(Reason.INVALID_TIME, where, detail)
    return moment.astimezone(UTC)


def rejection(index: int, error: MeterError, event_id: str = "") -> Rejection:
    """The rejection that a failed row becomes."""
    return Rejection(index, error.reason, error.field, error.detail, event_id)


def read_each(
    values: Iterable[tuple[int, bytes | msgspec.Raw | Rejection]],
    read: Callable[[bytes | msgspec.Raw], Iterable[Item]],
    id_of: Callable[[bytes | msgspec.Raw], str] = lambda raw: "",
) -> Iterator[Item]:
    """The items of each value, or why it was refused; `id_of` names a call of which nothing else could be read."""
    for index, raw in values:
        if isinstance(raw, Rejection):
            yield raw
            continue
        try:
            yield from read(raw)
        except MeterError as error:
            yield rejection(index, error, id_of(raw))


def quiet_decode(raw: bytes | msgspec.Raw) -> object:
    """Decode JSON; every way in which bytes fail to be JSON raises MeterError(INVALID_JSON)."""
    try:
        return msgspec.json.decode(raw)
    except UnicodeDecodeError:
        detail = "the text is not UTF-8"
    except RecursionError:
        detail = "the JSON is nested too deeply"
    except msgspec.ValidationError:
        detail = "the JSON holds a number too large to read"
    except msgspec.DecodeError as error:
        half = b"\\ud" in bytes(raw).lower()
        detail = f"{error}" + (" (an escaped surrogate without its other half is one cause)" if half else "")
    raise MeterError(Reason.INVALID_JSON, "", detail)
