"""The reader behind ``tail`` understands any stream as a browser would, wherever the chunks are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http_client.sse_reader import StreamEvent, StreamReader, StreamTooLarge
from tests.support.sse_parser import SseParser

PIECES = st.sampled_from(
    [
        *[
            b"data: x\n",
            b"data:  y\r\n",
            b"data\r",
            b"\n",
            b"\r\n",
            b"\r",
            b"event: t\n",
            b"event:\n",
            b"id: 1\n",
            b"id\n",
        ],
        *[
            b"id: a\0b\n",
            b": comment\n",
            b"retry: 10\n",
            b"retry: x\n",
            b"\xef\xbb\xbf",
            "data: ü€\n".encode(),
            b"\xff",
        ],
        b"unknown: 1\n",
    ]
)


@given(st.lists(PIECES, max_size=30), st.lists(st.integers(0, 200), max_size=10))
def test_a_stream_reads_the_same_as_by_the_standard_wherever_it_is_cut(pieces: list[bytes], cuts: list[int]) -> None:
    whole = b"".join(pieces)
    places = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    chunks = [whole[start:end] for start, end in pairwise(places)]
    reader, standard = StreamReader(), SseParser()
    found = [event for chunk in chunks for event in reader.feed(chunk)]
    assert found == [StreamEvent(*event) for event in standard.feed(whole)]
    assert reader.last_event_id == standard.last_event_id
    assert reader.retry_ms == standard.retry_ms


def test_a_new_connection_goes_on_with_the_old_id() -> None:
    assert StreamReader("7").feed(b"data: x\n\n") == [StreamEvent("message", "x", "7")]


def test_an_event_without_end_is_not_kept_for_ever() -> None:
    for chunk in (b"data: " + b"x" * 1000, b"data: x\n" * 200):
        with pytest.raises(StreamTooLarge):
            StreamReader(max_event_bytes=1000).feed(chunk)
