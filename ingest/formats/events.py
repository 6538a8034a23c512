"""Our canonical event: one object, a JSON array or NDJSON.

This is the hot path of the HTTP edge, so an ordinary row is decoded by one typed call and becomes an event
without further checks. Every other row (another provider's usage, iterations, anything wrong) is read again
as plain JSON by `_canonical`, which alone knows all the rules: the typed structs accept only what it would
accept, and a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC
from typing import BinaryIO

import msgspec
from msgspec import Raw

from ingest.core.errors import Reason, Rejection
from ingest.core.events import FLAG_FINAL, OUTCOME_OK, OUTCOME_REFUSED_BEFORE_OUTPUT, UsageEvent
from ingest.core.meter_fields import MAX_COUNT
from ingest.core.meters import split_writes
from ingest.formats._base import EARLIEST_YEAR, LATEST_YEAR, BadBody, Format, Item, ParseContext
from ingest.formats._canonical import read_row
from ingest.formats._event_structs import ESCAPED_NUL, Row, read_prefix, read_tags
from ingest.formats._lines import BOM, UNREADABLE, is_one_value, json_values, lenient_array, problem_of
from ingest.formats._peek import peek

_decode_row = msgspec.json.Decoder(Row).decode
_decode_rows = msgspec.json.Decoder(list[Row]).decode
_split_array = msgspec.json.Decoder(list[Raw]).decode


def parse_body(body: bytes, content_type: str = "") -> list[Item]:
    """Every row of a request body. Raises BadBody when the body is not an object, an array or NDJSON."""
    if body.startswith(BOM):
        body = body[3:]
    first = body.lstrip(b" \t\r\n")[:1]
    if not first:
        raise BadBody(
            Reason.INVALID_JSON, "the body is empty: send one event, a JSON array of events, or NDJSON"
        )
    lines_declared = any(
        word in content_type.lower() for word in ("ndjson", "jsonl", "json-seq", "json-lines")
    )
    if first == b"[" and not (lines_declared and not body.rstrip().endswith(b"]")):
        return list(_array(body))
    if b"\n" not in body.strip():
        return list(_single(body, lines_declared))
    if not lines_declared and is_one_value(body):
        return list(_single(body, lines_declared))
    return list(_lines(body, lines_declared))


def _single(body: bytes, as_line: bool) -> Iterator[Item]:
    """One object; a syntax error refuses the body, or the line when the client said it sends lines."""
    items = list(_row(body, 0))
    if not as_line and len(items) == 1 and isinstance(items[0], Rejection):
        refused = items[0]
        if refused.reason in (Reason.INVALID_JSON, Reason.NOT_AN_OBJECT):
            raise BadBody(refused.reason, refused.detail)
    return iter(items)


def _lines(body: bytes, declared: bool) -> Iterator[Item]:
    if not declared and not is_one_value(body.lstrip().partition(b"\n")[0]):
        # Neither one JSON value nor lines of them: a pretty-printed object with an error in it, most likely.
        raise BadBody(
            Reason.INVALID_JSON, "the body is not valid JSON, and its first line alone is not either"
        )
    for number, line in enumerate(body.split(b"\n")):
        if line and not line.isspace():
            yield from _row(line, number)


def _array(body: bytes) -> Iterator[Item]:
    if ESCAPED_NUL not in body:
        try:
            rows = _decode_rows(body)
        except UNREADABLE:
            pass
        else:
            parts: list[Raw] = []
            for index, row in enumerate(rows):
                event = _ordinary(row)
                if event is not None:
                    yield event
                else:
                    parts = parts or _split_array(body)
                    yield from read_row(parts[index], index)
            return
    try:
        elements = _split_array(body)
    except UNREADABLE as error:
        yield from _lenient(body, error)
    else:
        for index, element in enumerate(elements):
            yield from _row(element, index)


def _lenient(body: bytes, error: Exception) -> Iterator[Item]:
    """An unpaired surrogate makes the strict parser refuse an array; the lenient one saves the rest."""
    rows = lenient_array(body)
    if rows is None:
        raise BadBody(Reason.INVALID_JSON, f"the body is not a valid JSON array: {problem_of(error)}")
    for index, row in enumerate(rows):
        yield from read_row(row, index)


def _row(raw: bytes | Raw, index: int) -> Iterable[Item]:
    """One row from its bytes: the ordinary way if it can be, else the careful one."""
    if (isinstance(raw, bytes) and ESCAPED_NUL not in raw) or (
        isinstance(raw, Raw) and ESCAPED_NUL not in bytes(raw)
    ):
        try:
            event = _ordinary(_decode_row(raw))
        except UNREADABLE:
            event = None
        if event is not None:
            return (event,)
    return read_row(raw, index)


def _ordinary(row: Row, utc: object = UTC, make: Callable[..., UsageEvent] = UsageEvent) -> UsageEvent | None:
    """The event of a row in Anthropic's plain shape; None when it needs care. Long, because it is hot."""
    usage = row.usage
    if (
        usage.iterations is not None
        or usage.total_tokens is not None
        or usage.prompt_tokens is not None
        or usage.input_tokens_details is not None
        or usage.input_tokens is None
        or usage.output_tokens is None
    ):
        return None
    moment = row.occurred_at
    if not EARLIEST_YEAR <= moment.year <= LATEST_YEAR:
        return None
    if moment.tzinfo is not utc:
        moment = moment.astimezone(UTC)
    model = row.model
    if not model.strip():
        return None
    uncached, output = usage.input_tokens, usage.output_tokens
    read = usage.cache_read_input_tokens or 0
    in_5m = usage.cache_creation_input_tokens or 0
    in_1h = 0
    flags = FLAG_FINAL
    split = usage.cache_creation
    if split is not None:
        known_5m, known_1h = split.ephemeral_5m_input_tokens, split.ephemeral_1h_input_tokens
        if known_1h or known_5m != in_5m:
            known = known_5m is not None or known_1h is not None
            in_5m, in_1h, ttl_flags = split_writes(in_5m, known_5m or 0, known_1h or 0, known)
            flags |= ttl_flags
    elif in_5m:
        in_5m, in_1h, ttl_flags = split_writes(in_5m, 0, 0, False)
        flags |= ttl_flags
    prompt = uncached + read + in_5m + in_1h
    if prompt > MAX_COUNT:
        return None
    thinking = 0
    if usage.output_tokens_details is not None:
        thinking = usage.output_tokens_details.thinking_tokens or 0
        if thinking > output or usage.output_tokens_details.reasoning_tokens is not None:
            return None
    routing = row.routing or ""
    if routing and routing not in ("global", "regional"):
        return None
    tags = row.tags
    prefix = read_prefix(row.prefix) if row.prefix else ()
    if prefix is None:
        return None
    latency, ttft = row.latency_ms, row.ttft_ms
    searches = usage.server_tool_use
    geo = usage.inference_geo or ""
    stop_reason = row.stop_reason or ""
    return make(
        row.id or "",
        moment,
        model,
        uncached,
        read,
        in_5m,
        in_1h,
        output,
        thinking,
        (searches.web_search_requests or 0) if searches is not None else 0,
        prompt,
        row.provider or "",
        row.platform or "",
        usage.service_tier or "standard",
        usage.speed or "standard",
        "" if geo == "not_available" else geo,
        routing,
        OUTCOME_REFUSED_BEFORE_OUTPUT if output == 0 and stop_reason == "refusal" else OUTCOME_OK,
        row.workspace_id or "",
        row.api_key_id or "",
        row.user_id or "",
        row.session_id or "",
        read_tags(tags) if tags else (),
        row.request_id or "",
        latency if type(latency) is not float else round(latency),
        ttft if type(ttft) is not float else round(ttft),
        stop_reason,
        flags,
        1,
        prefix,
    )


def _sniff(head: bytes) -> int:
    for value in peek(head, limit=5):
        if "occurred_at" in value and "model" in value and ("usage" in value or "id" in value):
            return 90
        if "occurred_at" in value and "usage" in value:
            return 60
    return 0


def _parse(stream: BinaryIO, context: ParseContext) -> Iterator[Item]:
    """A file of events: NDJSON in constant memory; an array or one object, which cannot be cut, at once."""
    for index, raw in json_values(stream):
        if isinstance(raw, Rejection):
            yield raw
            continue
        for item in _row(raw, index):
            yield context.complete(item) if isinstance(item, UsageEvent) else item


FORMAT = Format("events", "Breakeven events (JSON object, array or NDJSON)", True, _sniff, _parse)
