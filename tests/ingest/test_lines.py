"""Reading JSON files: an array's elements come out one by one, byte for byte, in memory that does not grow."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.core.errors import Reason, Rejection
from ingest.formats import _lines
from ingest.formats._lines import json_values

TEXTS = st.text(max_size=12) | st.sampled_from(['}{][",', '\\"', "\\", "é", "😀" * 4, "\ud83d", "NaN"])
ELEMENTS = st.recursive(
    TEXTS | st.integers() | st.floats(allow_nan=False) | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


class Pieces(io.BytesIO):
    """A stream that gives a few bytes at a time, as a pipe may."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size or 1, 7) if size and size > 0 else 7)


def values(body: bytes, stream: type[io.BytesIO] = io.BytesIO) -> list[tuple[int, Any]]:
    return [
        (index, (value.reason, value.index) if isinstance(value, Rejection) else bytes(value))
        for index, value in json_values(stream(body))
    ]


@pytest.fixture
def small_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_lines, "WINDOW", 16)


@pytest.mark.usefixtures("small_window")
@settings(deadline=None, max_examples=200)
@given(elements=st.lists(ELEMENTS, max_size=8), indent=st.sampled_from([None, 1]), ascii=st.booleans())
def test_an_array_gives_its_elements_whatever_its_strings_hold_and_wherever_it_is_cut(
    elements: list[Any], indent: int | None, ascii: bool
) -> None:
    text = json.dumps(elements, indent=indent, ensure_ascii=ascii).encode("utf-8", "surrogatepass")
    for stream in (io.BytesIO, Pieces):
        found = values(text, stream)
        assert [index for index, _ in found] == list(range(len(elements)))
        assert [json.loads(value) for _, value in found] == elements


@pytest.mark.usefixtures("small_window")
@settings(deadline=None, max_examples=100)
@given(elements=st.lists(ELEMENTS, min_size=1, max_size=5), data=st.data())
def test_an_array_cut_anywhere_gives_what_is_whole_and_one_rejection(
    elements: list[Any], data: st.DataObject
) -> None:
    text = json.dumps(elements).encode()
    cut = data.draw(st.integers(1, len(text) - 1))
    *whole, (index, last) = values(text[:cut])
    assert [json.loads(value) for _, value in whole] == elements[: len(whole)]
    assert last == (Reason.TRUNCATED, index) and index == len(whole)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"[]", []),
        (b"\xef\xbb\xbf \n [1]\n", [(0, b"1")]),
        (b'[{"a":1}]\n[{"b":2}]\n', [(0, b'{"a":1}'), (1, b'{"b":2}')]),
        (b'[{"a":1} {"b":2}]', [(0, b'{"a":1}'), (1, (Reason.INVALID_JSON, 1))]),
        (b'[{"a":1},]', [(0, b'{"a":1}'), (1, (Reason.INVALID_JSON, 1))]),
        (b'[{"a":1},{"b":nope},{"c":1}]', [(0, b'{"a":1}'), (1, (Reason.INVALID_JSON, 1))]),
        (b"[1] more", [(0, b"1"), (1, (Reason.INVALID_JSON, 1))]),
        (b'[{"a":NaN},{"b":2}]', [(0, b'{"a":NaN}'), (1, b'{"b":2}')]),
        (b'["\xff",2]', [(0, b'"\xff"'), (1, b"2")]),
        (b"[" + b"[" * 100_000, [(0, (Reason.INVALID_JSON, 0))]),
        (b"[1,2e", [(0, b"1"), (1, (Reason.TRUNCATED, 1))]),
        (b"[0.", [(0, (Reason.TRUNCATED, 0))]),
        (b"[1e]", [(0, b"1"), (1, (Reason.INVALID_JSON, 1))]),
        (b"[" + b"9" * 5_000 + b",1]", [(0, b"9" * 5_000), (1, b"1")]),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_arrays_with_something_odd_about_them(body: bytes, expected: list[Any]) -> None:
    assert values(body) == expected


@pytest.mark.usefixtures("small_window")
def test_an_escape_pair_across_the_edge_of_the_window_stays_one_character() -> None:
    for blanks in range(40):
        assert values(b"[" + b" " * blanks + b'"\\ud83d\\ude00"]') == [(0, b'"\\ud83d\\ude00"')]


@pytest.mark.usefixtures("small_window")
def test_an_element_longer_than_can_be_held_ends_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_lines, "MAX_ELEMENT_CHARS", 100)
    assert values(b'[1,"' + b"x" * 1_000 + b'",2]') == [(0, b"1"), (1, (Reason.INVALID_JSON, 1))]


@pytest.mark.usefixtures("small_window")
def test_lines_after_a_broken_first_line_stream_and_keep_their_numbers() -> None:
    body = b"\n{oops\n" + b'{"a":1}\n' * 5
    assert [index for index, _ in values(body)] == [1, 2, 3, 4, 5, 6]
    assert values(body)[0] == (1, b"{oops")


@pytest.mark.usefixtures("small_window")
def test_a_pretty_printed_object_is_one_value_however_long() -> None:
    text = json.dumps({"rows": [{"n": n} for n in range(50)]}, indent=2).encode()
    ((index, value),) = values(b"\n" + text)
    assert index == 1 and json.loads(value) == json.loads(text)


def test_memory_stays_at_the_window_while_a_large_array_streams() -> None:
    element = b'{"id":"msg","text":"' + b"x" * 2_000 + b'"}'

    class Endless(io.RawIOBase):
        """40 MB of array that exist nowhere as a whole."""

        def __init__(self) -> None:
            self.left, self.held = 20_000, b"["

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            while len(self.held) < len(buffer) and self.left:
                self.left -= 1
                self.held += element + (b"," if self.left else b"]")
            part, self.held = self.held[: len(buffer)], self.held[len(buffer) :]
            buffer[: len(part)] = part
            return len(part)

    tracemalloc.start()
    count = sum(1 for _ in json_values(io.BufferedReader(Endless())))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 20_000
    assert peak < 12_000_000
