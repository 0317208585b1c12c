"""The tests' own EventSource parser follows the standard's text and examples."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sse_parser import SseEvent, SseParser

Events = list[tuple[str, str, str]]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [("message", "YHOO\n+2\n10", "")]),
        (
            b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
            [("message", "first event", "1"), ("message", "second event", ""), ("message", " third event", "")],
        ),
        (b"data\n\ndata\ndata\n\ndata:", [("message", "", ""), ("message", "\n", "")]),
        (b"data:test\n\ndata: test\n\n", [("message", "test", ""), ("message", "test", "")]),
        (b"event: add\ndata: 1\n\ndata: 2\n\n", [("add", "1", ""), ("message", "2", "")]),
        (b"event: lost\n\ndata: 2\n\n", [("message", "2", "")]),
        (b"id: 7\n\ndata: x\n\n", [("message", "x", "7")]),
        (b"id: a\0b\ndata: x\n\n", [("message", "x", "")]),
        (b"data: x\r\n\r\ndata: y\r\rdata: z\n\n", [("message", "x", ""), ("message", "y", ""), ("message", "z", "")]),
        (b"\xef\xbb\xbfdata: bom\n\n", [("message", "bom", "")]),
        (b"data: \xef\xbb\xbfx\n\n", [("message", "\ufeffx", "")]),
        ("data: grüße 🎉\n\n".encode(), [("message", "grüße 🎉", "")]),
        (b"data: \xff\n\n", [("message", "\ufffd", "")]),
        (b"DATA: x\n data: y\nother: z\n\n", []),
        (b"data: never finished\n", []),
    ],
)
def test_streams_give_the_events_of_the_standard_however_they_are_cut(stream: bytes, events: Events) -> None:
    assert SseParser().feed(stream) == events
    bytewise = SseParser()
    assert [event for byte in stream for event in bytewise.feed(bytes([byte]))] == events


@given(
    st.lists(st.sampled_from([b"data: a", b"id: 1", b"\r", b"\n", b"\r\n", b":c", b"event: e", b"\xc3\xbc"])), st.data()
)
def test_where_a_stream_is_cut_makes_no_difference(pieces: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(pieces)
    border = data.draw(st.integers(0, len(stream)))
    whole, parts = SseParser(), SseParser()
    assert whole.feed(stream) == parts.feed(stream[:border]) + parts.feed(stream[border:])
    assert whole.comments == parts.comments


def test_comments_and_retry_are_kept_apart() -> None:
    parser = SseParser()
    assert parser.feed(b": hello\nretry: 1500\nretry: 15x\nretry\n:\n\n") == []
    assert (parser.comments, parser.retry_ms) == ([" hello", ""], 1500)


def test_an_id_counts_for_a_reconnect_from_its_blank_line_on() -> None:
    parser = SseParser("1")
    parser.feed(b"id: 2\n")
    assert parser.last_event_id == "1"
    parser.feed(b"\n")
    assert parser.last_event_id == "2"


def test_a_parser_for_a_new_connection_goes_on_with_the_old_id() -> None:
    assert SseParser("9").feed(b"data: x\n\n") == [SseEvent("message", "x", "9")]


def test_an_event_gives_its_data_as_json() -> None:
    assert SseParser().feed(b'data: {"a":1}\n\n')[0].json() == {"a": 1}
