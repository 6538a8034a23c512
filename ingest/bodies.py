"""Reading request bodies within a limit, compressed or not."""

from __future__ import annotations

import zlib
from typing import BinaryIO, cast

from django.http import HttpRequest

CHUNK = 64 * 1024
GZIP_MAGIC = b"\x1f\x8b"


class BodyTooLarge(Exception):
    """The body is larger than the limit, counted after decompression."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"The body is larger than {limit} bytes after decompression. Send smaller batches.")


class BadEncoding(Exception):
    """The body's Content-Encoding is unknown, or its bytes do not match it."""


def read_body(request: HttpRequest, limit: int) -> bytes:
    """The decompressed body. A compressed one is inflated a piece at a time, so a gzip bomb stops at the limit."""
    length = request.headers.get("Content-Length", "")
    if length.isdigit() and int(length) > limit:
        raise BodyTooLarge(limit)
    raw = _read(request, limit)
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding in {"", "identity"}:
        return raw
    if encoding in {"gzip", "x-gzip", "deflate"}:
        return _inflate(raw, limit)
    raise BadEncoding(f"Content-Encoding {encoding[:40]!r} is not supported; use gzip or none.")


def opened(body: bytes, limit: int) -> bytes:
    """The body of a log that may be a gzipped file as it lies on disk, sent without a Content-Encoding."""
    return _inflate(body, limit) if body.startswith(GZIP_MAGIC) else body


def _read(request: HttpRequest, limit: int) -> bytes:
    pieces = []
    size = 0
    # Not request.body: its limit is a setting for forms.
    source = _chunked(request) or request
    while piece := source.read(min(CHUNK * 4, limit + 1 - size)):
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            raise BodyTooLarge(limit)
    return b"".join(pieces)


def _chunked(request: HttpRequest) -> BinaryIO | None:
    """The body of a request without Content-Length, which Django takes for empty; None for any other.

    Only from a server that ends the stream where the body ends: from others, reading would wait for ever.
    """
    if request.META.get("CONTENT_LENGTH") or not request.META.get("wsgi.input_terminated"):
        return None
    return cast("BinaryIO", request.META["wsgi.input"])


def _inflate(raw: bytes, limit: int) -> bytes:
    """Inflate gzip (also several members in a row) or zlib data."""
    pieces: list[bytes] = []
    size = 0
    rest = raw
    try:
        while rest:
            inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
            while rest and not inflater.eof:
                piece = inflater.decompress(rest, limit + 1 - size)
                pieces.append(piece)
                size += len(piece)
                if size > limit:
                    raise BodyTooLarge(limit)
                rest = inflater.unconsumed_tail or inflater.unused_data
                if not piece and not inflater.eof and not inflater.unconsumed_tail:
                    break
            if not inflater.eof:
                raise BadEncoding("The compressed body ends in the middle. Send it again.")
            rest = inflater.unused_data
    except zlib.error:
        raise BadEncoding("The body is marked as gzip data but cannot be decompressed.") from None
    return b"".join(pieces)
