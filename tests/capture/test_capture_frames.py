"""Bedrock's binary streams: found wherever they are cut, never kept, and nothing in them is trusted."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import pytest

from static.capture import breakeven_capture as capture
from tests.support.model_api_stub import chunk_payload, frame

START = {
    "type": "message_start",
    "message": {"id": "msg_1", "usage": {"input_tokens": 5, "output_tokens": 1}},
}


def prelude(size: int, headers: int) -> bytes:
    """How a message begins; its lengths are vouched for."""
    lengths = struct.pack(">II", size, headers)
    return lengths + struct.pack(">I", zlib.crc32(lengths))


def framed_call() -> Any:
    place = capture._place_of(
        "bedrock-runtime.us-east-1.amazonaws.com", "/model/m/invoke-with-response-stream"
    )
    assert place is not None
    call = capture._Call(place, b"{}", {})
    call.streamed = call.framed = True
    return call


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_frames_are_found_wherever_the_stream_is_cut(size: int) -> None:
    sent = [b"one", b"", b"three" * 50]
    stream = b"".join(map(frame, sent))
    found, rest = [], bytearray()
    for at in range(0, len(stream), size):
        rest += stream[at : at + size]
        found += capture._frames(rest)
    assert (found, bytes(rest)) == (sent, b"")


@pytest.mark.parametrize(
    "garbage",
    [
        b"data: this is no event stream at all",
        b"\xff" * 40,
        struct.pack(">III", 1_000_000, 0, 0),  # lengths that nothing vouches for
        prelude(15, 0) + bytes(8),
        prelude(20, 9) + bytes(8),
        prelude(capture.LONGEST_FRAME + 1, 0) + bytes(8),
    ],
)
def test_what_is_no_frame_is_let_go(garbage: bytes) -> None:
    data = bytearray(frame(b"one") + garbage)
    assert (capture._frames(data), bytes(data)) == ([b"one"], b"")


def test_frames_after_garbage_are_found_again() -> None:
    call = framed_call()
    for piece in (
        frame(chunk_payload(START)),
        b"garbage that came between",
        frame(chunk_payload({"type": "message_stop"})),
    ):
        call.note(piece)
    answer = capture._read_answer(call)
    assert (answer.id, answer.ended) == ("msg_1", True)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"message": "Too many requests"}',
        b'{"bytes": 5}',
        b'{"bytes": "no base64"}',
        b'{"bytes": "bm8ganNvbg=="}',
        b'["bytes"]',
        b"5",
        b"null",
        b"\xff",
        b"",
    ],
)
def test_a_frame_that_is_no_event_costs_no_other(payload: bytes) -> None:
    call = framed_call()
    call.note(frame(chunk_payload(START)) + frame(payload))
    answer = capture._read_answer(call)
    assert (answer.id, answer.usage, answer.ended) == (
        "msg_1",
        {"input_tokens": 5, "output_tokens": 1},
        False,
    )


def test_a_long_stream_of_frames_is_not_kept() -> None:
    call = framed_call()
    event = frame(chunk_payload({"type": "ping", "x": "y" * 500}))
    for _ in range(2_000):
        call.note(event)
    assert call.weight() < 20_000
