"""Reading bodies: limits hold after decompression, broken encodings are named."""

from __future__ import annotations

import gzip
import io
import zlib

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.test import RequestFactory

from ingest.bodies import BadEncoding, BodyTooLarge, opened, read_body

LIMIT = 10_000


def read(body: bytes, encoding: str | None = None) -> bytes:
    headers = {"Content-Encoding": encoding} if encoding else {}
    return read_body(
        RequestFactory().post("/", body, content_type="application/json", headers=headers), LIMIT
    )


@pytest.mark.parametrize(
    "packed", [gzip.compress(b"x" * 500), zlib.compress(b"x" * 500)], ids=["gzip", "zlib"]
)
def test_compressed_bodies_are_inflated(packed: bytes) -> None:
    assert read(packed, "gzip") == b"x" * 500


def test_gzip_members_in_a_row_are_all_read() -> None:
    assert read(gzip.compress(b"one") + gzip.compress(b"two"), "gzip") == b"onetwo"


def test_a_body_of_exactly_the_limit_is_taken() -> None:
    assert len(read(gzip.compress(b"x" * LIMIT), "gzip")) == LIMIT
    assert len(read(b"x" * LIMIT)) == LIMIT


def test_a_gzip_bomb_stops_at_the_limit() -> None:
    with pytest.raises(BodyTooLarge):
        read(gzip.compress(b"0" * 50_000_000), "gzip")


def test_a_file_that_is_gzipped_itself_is_opened_within_the_limit_and_any_other_is_left_alone() -> None:
    assert opened(gzip.compress(b"x" * 500), LIMIT) == b"x" * 500
    assert opened(b"{}", LIMIT) == b"{}" and opened(b"", LIMIT) == b""
    with pytest.raises(BodyTooLarge):
        opened(gzip.compress(b"0" * 50_000_000), LIMIT)
    with pytest.raises(BadEncoding, match="ends in the middle"):
        opened(gzip.compress(b"x" * 900)[:-12], LIMIT)


def chunked(body: bytes, terminated: bool = True) -> WSGIRequest:
    """A request without Content-Length, as a server passes on a chunked body."""
    environ = dict(RequestFactory().post("/").environ)
    environ |= {"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": terminated}
    environ.pop("CONTENT_LENGTH", None)
    return WSGIRequest(environ)


def test_a_chunked_body_is_read_to_its_end_and_not_beyond_the_limit() -> None:
    assert read_body(chunked(b"x" * LIMIT), LIMIT) == b"x" * LIMIT
    with pytest.raises(BodyTooLarge):
        read_body(chunked(b"x" * (LIMIT + 1)), LIMIT)


def test_nothing_is_read_from_a_server_that_does_not_end_the_body() -> None:
    assert read_body(chunked(b"the next request", terminated=False), LIMIT) == b""


def test_a_body_over_the_limit_is_refused() -> None:
    with pytest.raises(BodyTooLarge):
        read(b"x" * (LIMIT + 1))


@pytest.mark.parametrize(
    "body",
    [b"not gzip at all", gzip.compress(b"x" * 900)[:-12], gzip.compress(b"ab") + b"junk"],
    ids=["plain", "cut short", "with junk behind"],  # gzip bytes hold the time, and names must not change
)
def test_broken_gzip_is_named(body: bytes) -> None:
    with pytest.raises(BadEncoding):
        read(body, "gzip")


def test_an_unknown_encoding_is_named() -> None:
    with pytest.raises(BadEncoding, match="br"):
        read(b"x", "br")
