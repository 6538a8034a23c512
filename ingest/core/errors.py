"""Why an event can be refused: a closed set, so that rejections can be counted and explained."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """The closed set of rejection reasons. Public: people script against these words."""

    INVALID_JSON = "invalid_json"  # the bytes are not JSON
    NOT_AN_OBJECT = "not_an_object"  # JSON, but not an object where one is needed
    MISSING_FIELD = "missing_field"  # a required field is absent or null
    INVALID_TYPE = "invalid_type"  # a field has the wrong type
    INVALID_VALUE = "invalid_value"  # right type, but a value that cannot be (empty model, tag too long, ...)
    INVALID_TIME = "invalid_time"  # no time zone, unparseable, or outside what can be stored
    NEGATIVE_COUNT = "negative_count"  # a token count below zero
    COUNT_TOO_LARGE = "count_too_large"  # a token count no model call can have
    CONTRADICTORY_COUNTS = "contradictory_counts"  # parts and totals that cannot both be true
    UNKNOWN_USAGE_SHAPE = "unknown_usage_shape"  # usage object of no known provider
    UNKNOWN_FORMAT = "unknown_format"  # the bytes are of no known log format
    TRUNCATED = "truncated"  # the stream or file ends in the middle of something
    UNATTRIBUTABLE = "unattributable"  # usage without the model, time or identity needed to count it once


@dataclass(frozen=True, slots=True)
class Rejection:
    """One refused row: where it was, why, which field; never its payload.

    `index` is the row's position in the request (or line number - 1 in a file); `detail` is one sentence that may hold
    counts and field names but no free text from the payload.
    """

    index: int
    reason: Reason
    field: str
    detail: str
    event_id: str = ""
