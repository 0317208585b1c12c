"""Lines keep their numbers and their order, and a long one costs no memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.commands.jsonlines import LineSplitter, NumberedLine


@given(st.lists(st.binary(max_size=8).filter(lambda text: b"\n" not in text)), st.integers(1, 5))
def test_lines_are_the_same_wherever_the_stream_is_cut(texts: list[bytes], size: int) -> None:
    whole = b"".join(text + b"\n" for text in texts)
    splitter = LineSplitter(100)
    lines = [line for at in range(0, len(whole), size) for line in splitter.feed(whole[at : at + size])]
    assert [*lines, *splitter.rest()] == [NumberedLine(number, text.strip()) for number, text in enumerate(texts, 1)]


def test_the_last_line_needs_no_line_break() -> None:
    splitter = LineSplitter(100)
    assert list(splitter.feed(b"a\nb")) == [NumberedLine(1, b"a")]
    assert list(splitter.rest()) == [NumberedLine(2, b"b")]


def test_a_long_line_is_counted_and_not_kept() -> None:
    splitter = LineSplitter(4)
    assert list(splitter.feed(b"abc")) == list(splitter.feed(b"def")) == []
    assert splitter._parts == []
    assert list(splitter.feed(b"g\n1234\n")) == [NumberedLine(1, None), NumberedLine(2, b"1234")]
