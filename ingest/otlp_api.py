"""OTLP/HTTP: what OpenTelemetry exporters send to `/v1/traces`, `/v1/logs` and `/v1/metrics`.

The protocol decides the answers: an export response or a google.rpc.Status, in the encoding of the request. What is
unrelated to usage is taken and dropped. A call that may succeed later is answered 503, which exporters repeat; after
any other error they give the batch up.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import django.db
import psycopg
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from ninja.errors import HttpError

from ingest.accept import accept
from ingest.auth import KeyAuth
from ingest.bodies import BadEncoding, BodyTooLarge, read_body
from ingest.core.errors import Rejection
from ingest.core.meter_fields import MeterError
from ingest.formats import ParseContext
from ingest.formats._base import Item, quiet_decode
from ingest.formats._otlp import Point, Record
from ingest.formats._otlp_json import read_document
from ingest.formats._otlp_protobuf import read_request, response
from ingest.formats._telemetry import items_of
from ingest.models import ApiKey

PROTOBUF, JSON = "application/x-protobuf", "application/json"
RETRY_AFTER_S = 5
MAX_REASONS = 10  # how many different reasons an answer names
_ENCODINGS = {PROTOBUF: PROTOBUF, "application/protobuf": PROTOBUF, JSON: JSON}
_REJECTED = {"traces": "rejectedSpans", "logs": "rejectedLogRecords", "metrics": "rejectedDataPoints"}
# HTTP status -> google.rpc.Code
_CODES = {400: 3, 401: 16, 403: 7, 405: 12, 413: 8, 415: 3, 503: 14}
# Also a deadlock or a time-out: nothing was stored, and the same call may succeed the next time.
AWAY = (
    django.db.OperationalError,
    django.db.InterfaceError,
    psycopg.OperationalError,
    psycopg.InterfaceError,
)
_key_auth = KeyAuth(ApiKey.Scope.INGEST)


class Refused(Exception):
    """A call that is not taken, with its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass(frozen=True, slots=True)
class Outcome:
    """What of an export was refused: how many records, and why in one sentence."""

    rejected: int
    message: str


def receiver(signal: str) -> Callable[[HttpRequest], HttpResponse]:
    """The view that takes one signal."""

    @csrf_exempt  # its key is in a header, which no other site's page can set
    def receive(request: HttpRequest) -> HttpResponse:
        encoding = _encoding(request)
        try:
            outcome = _export(request, signal, encoding)
        except Refused as refused:
            return _status(refused.status, refused.message, encoding or JSON)
        except AWAY:
            return _status(503, "The database is not available right now. Send it again.", encoding or JSON)
        return _answer(signal, outcome, encoding)

    return receive


urlpatterns = [path(f"v1/{signal}", receiver(signal), name=f"otlp_{signal}") for signal in _REJECTED]


def _export(request: HttpRequest, signal: str, encoding: str) -> Outcome:
    if request.method != "POST":
        raise Refused(405, "This address takes POST.")
    key = _key(request)
    if not encoding:
        raise Refused(415, f"Send {PROTOBUF} or {JSON} and say so in Content-Type.")
    try:
        body = read_body(request, settings.INGEST_MAX_BODY_BYTES)
    except BodyTooLarge as error:
        raise Refused(413, str(error)) from None
    except BadEncoding as error:
        raise Refused(400, str(error)) from None
    rows = _rows(signal, body, encoding)
    items: list[Item] = list(items_of(rows, ParseContext(default_time=datetime.now(UTC))))
    if not items:
        return Outcome(0, "")
    return _outcome(accept(items, key.name).rejected)


def _key(request: HttpRequest) -> ApiKey:
    try:
        key = _key_auth(request)
    except HttpError as error:
        raise Refused(403, str(error)) from None
    if not isinstance(key, ApiKey):
        raise Refused(
            401, "Send a key that may ingest: OTEL_EXPORTER_OTLP_HEADERS='Authorization=Bearer%20KEY'."
        )
    return key


def _rows(signal: str, body: bytes, encoding: str) -> Iterable[Record | Point | Rejection]:
    """The records of the body. A body that cannot be decoded is refused as a whole."""
    if encoding == PROTOBUF:
        try:
            return read_request(signal, body)
        except ValueError as error:
            raise Refused(400, f"{error}.") from None
    try:
        document = quiet_decode(body)
    except MeterError as error:
        raise Refused(400, f"The body is not valid JSON: {error.detail}.") from None
    if not isinstance(document, dict):
        raise Refused(400, "The body must be a JSON object.")
    return read_document(document, (signal,))


def _outcome(rejected: list[Rejection]) -> Outcome:
    """Reasons and fields, the most frequent first. Details are not repeated: they would say the same many times."""
    kinds = Counter((row.reason.value, row.field) for row in rejected)
    named = [
        f"{reason}{f' at {field}' if field else ''} ({count})"
        for (reason, field), count in kinds.most_common(MAX_REASONS)
    ]
    if len(kinds) > MAX_REASONS:
        named.append(f"and {len(kinds) - MAX_REASONS} other reasons")
    first = f". The first: {rejected[0].detail}" if rejected else ""
    return Outcome(len(rejected), ", ".join(named) + first)


def _encoding(request: HttpRequest) -> str:
    """The encoding of the request, which is also that of the answer; '' for one we do not read."""
    return _ENCODINGS.get(request.headers.get("Content-Type", "").partition(";")[0].strip().lower(), "")


def _answer(signal: str, outcome: Outcome, encoding: str) -> HttpResponse:
    if encoding == PROTOBUF:
        body = response(signal, outcome.rejected, outcome.message) if outcome.rejected else b""
        return HttpResponse(body, content_type=PROTOBUF)
    partial = {
        _REJECTED[signal]: str(outcome.rejected),
        "errorMessage": outcome.message,
    }  # int64 is text in JSON
    return HttpResponse(
        json.dumps({"partialSuccess": partial} if outcome.rejected else {}), content_type=JSON
    )


def _status(status: int, message: str, encoding: str) -> HttpResponse:
    """A google.rpc.Status: field 1 is the code, field 2 the message."""
    code = _CODES[status]
    if encoding == PROTOBUF:
        text = message.encode()
        body = bytes([0x08, code, 0x12, *_varint(len(text))]) + text
    else:
        body = json.dumps({"code": code, "message": message}).encode()
    answer = HttpResponse(body, content_type=encoding, status=status)
    if status == 401:
        answer["WWW-Authenticate"] = "Bearer"
    if status == 405:
        answer["Allow"] = "POST"
    if status == 503:
        answer["Retry-After"] = str(RETRY_AFTER_S)
    return answer


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])
