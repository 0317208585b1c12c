"""A stream's request is read without Starlette's detours, and says the same."""

from __future__ import annotations

import pytest
from starlette.datastructures import QueryParams

from gateway.streams.request import StreamRequest


def asked(query: bytes, *headers: tuple[bytes, bytes]) -> StreamRequest:
    return StreamRequest({"type": "http", "query_string": query, "headers": list(headers)})


@pytest.mark.parametrize(
    "query",
    [
        b"",
        b"channel=topic:a",
        b"channel=topic:a&channel=topic:b&last=5",
        b"last=1&last=2",
        b"envelope",
        b"envelope=",
        b"=1",
        b"&&a=1&",
        b"a=b=c",
        b"a;b=1",
        b"channel=topic%3Aa",
        b"a+b=c+d",
        b"a=%zz",
        b"a=\xe4",
        b"%00=%26",
    ],
)
def test_its_query_is_what_starlette_makes_of_it(query: bytes) -> None:
    found, usual = asked(query).query_params, QueryParams(query)
    assert found.multi_items() == usual.multi_items()
    assert dict(found) == dict(usual)
    assert found.getlist("channel") == usual.getlist("channel")


def test_of_a_header_that_comes_twice_the_first_counts() -> None:
    request = asked(b"", (b"last-event-id", b"one"), (b"last-event-id", b"two"))
    assert request.header(b"last-event-id") == request.headers.get("last-event-id") == "one"
    assert request.header(b"accept") is None
