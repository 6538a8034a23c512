"""The ingest calls: bytes in, a receipt out. Reading, parsing and storing are next door; here is only HTTP."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from ninja import P, QueryEx, Router, Status

from ingest import formats, mappings
from ingest.accept import Receipt, accept, accept_columns
from ingest.auth import KeyAuth
from ingest.bodies import BadEncoding, BodyTooLarge, opened, read_body
from ingest.core.errors import Reason, Rejection
from ingest.errors import RequestError
from ingest.formats._base import BadBody, ParseContext, read_time
from ingest.formats._fast_events import read_columns
from ingest.formats.events import parse_body
from ingest.models import ApiKey
from ingest.schemas import EVENTS_BODY, LOG_BODY, ErrorOut, ReceiptOut

router = Router(tags=["ingest"], auth=KeyAuth(ApiKey.Scope.INGEST))
ANSWERS: Any = {
    200: ReceiptOut,
    422: ReceiptOut | ErrorOut,
    (400, 401, 403, 404, 413, 415, 500, 503): ErrorOut,
}


@router.post("/events", response=ANSWERS, openapi_extra=EVENTS_BODY, summary="Send usage events")
def post_events(request: HttpRequest, source: QueryEx[str, P(max_length=200)] = "") -> Status[Any]:
    """One event, a JSON array of events, or NDJSON; gzip accepted. Good rows are kept when others are bad.

    200 if any row was taken or was already there, 422 if all were rejected. `source` names where the rows come from;
    without it, it is the name of the key.
    """
    body = _body(request)
    name = _source(request, source)
    columns = read_columns(body)
    if columns is not None:
        return _answer(accept_columns(columns, name))
    try:
        receipt = accept(parse_body(body, request.headers.get("Content-Type", "")), name)
    except BadBody as bad:
        raise RequestError(422, bad.reason.value, bad.detail, bad.field) from None
    return _answer(receipt)


@router.post("/logs/{format_name}", response=ANSWERS, openapi_extra=LOG_BODY, summary="Send a raw log")
def post_log(
    request: HttpRequest,
    format_name: str,
    source: QueryEx[str, P(max_length=200)] = "",
    at: QueryEx[str, P(max_length=64)] = "",
) -> Status[Any]:
    """The raw body of one log format, or of any with `auto`; gzip accepted, with or without a Content-Encoding.

    `at` is the time of the calls for formats that carry none; without it, the time of arrival stands in, flagged.
    """
    name = _source(request, source)
    context = ParseContext(default_time=_at(at), file_name="", saved_mapping=mappings.finder(name))
    body = _body(request, log=True)
    if format_name == "auto":
        log_format = formats.detect(body[: formats.HEAD_BYTES])
        if log_format is None:
            accept([Rejection(0, Reason.UNKNOWN_FORMAT, "", "No known log format.")], name)
            raise RequestError(
                422, Reason.UNKNOWN_FORMAT.value, f"The bytes are of no known log format. {_known()}"
            )
    else:
        try:
            log_format = formats.get(format_name)
        except KeyError:
            raise RequestError(
                404, Reason.UNKNOWN_FORMAT.value, f"There is no such format. {_known()}", "format"
            ) from None
    try:
        receipt = accept(log_format.parse(io.BytesIO(body), context), name)
    except BadBody as bad:
        raise RequestError(422, bad.reason.value, bad.detail, bad.field) from None
    return _answer(receipt)


def _body(request: HttpRequest, log: bool = False) -> bytes:
    limit = settings.INGEST_MAX_BODY_BYTES
    try:
        body = read_body(request, limit)
        return opened(body, limit) if log else body
    except BodyTooLarge as error:
        raise RequestError(413, "body_too_large", str(error)) from None
    except BadEncoding as error:
        raise RequestError(400, "bad_encoding", str(error), "Content-Encoding") from None


def _source(request: HttpRequest, source: str) -> str:
    key = request.auth  # type: ignore[attr-defined]
    name = source.replace("\x00", "").strip() or key.name
    return name.encode("utf-8", "replace").decode()[:200]


def _at(text: str) -> datetime:
    if not text:
        return datetime.now(UTC)
    try:
        return read_time(text, "at")
    except Exception as error:
        raise RequestError(422, Reason.INVALID_TIME.value, str(error), "at") from None


def _known() -> str:
    return f"Known formats: {', '.join(formats.all_formats())}, or auto."


def _answer(receipt: Receipt) -> Status[Any]:
    taken = receipt.stored + receipt.merged + receipt.duplicate
    body = {
        "received": receipt.received,
        "stored": receipt.stored,
        "merged": receipt.merged,
        "duplicate": receipt.duplicate,
        "rejected": [
            {"index": row.index, "reason": row.reason.value, "field": row.field, "detail": row.detail}
            for row in receipt.rejected
        ],
    }
    return Status(200 if taken or not receipt.rejected else 422, body)
