"""A body is read within its bounds, and every refusal says what was wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from gateway.exceptions import BadRequest, HTTPError, RequestTimeout, TooLarge
from gateway.http import responses
from gateway.http.body import MAX_BODY_BYTES, SMALL_BODY_BYTES, parse, read_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
)


class BodySender:
    """A client that sends these parts, and then nothing more, or the end, or closes the connection."""

    def __init__(self, parts: Iterable[bytes], *, then: str = "end", headers: dict[str, str] | None = None) -> None:
        self.messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
        self.then = then
        self.asked = 0
        raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        self.request = Request({"type": "http", "method": "POST", "headers": raw}, self._receive)

    async def _receive(self) -> Message:
        self.asked += 1
        if self.messages:
            return self.messages.pop(0)
        if self.then == "silence":
            await asyncio.Event().wait()
        if self.then == "gone":
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": b"", "more_body": False}


def nested(levels: int, core: str = "1") -> bytes:
    """Arrays and objects in turn, ``levels`` of them."""
    text = core
    for level in range(levels):
        text = f"[{text}]" if level % 2 else f'{{"a":{text}}}'
    return text.encode()


async def test_a_body_in_parts_is_one_value() -> None:
    assert await read_json(BodySender([b'{"a":', b"[1,2]", b"}"]).request) == {"a": [1, 2]}


@given(JSON)
def test_every_value_of_few_levels_is_read(value: object) -> None:
    assert parse(orjson.dumps(value)) == value


@pytest.mark.parametrize("core", ["1", '"]"', '"[[[[[[[[["', r'"\"[[[["', r'"\\"', '"{"', "[]", '{"[":"}"}'])
def test_32_levels_are_read_and_33_are_not(core: str) -> None:
    own = 1 if core[0] in "[{" else 0
    assert parse(nested(32 - own, core))
    with pytest.raises(BadRequest, match="32 levels"):
        parse(nested(33 - own, core))


@pytest.mark.parametrize(
    "text",
    [b"[" * MAX_BODY_BYTES, b'{"a":' * 200_000, nested(5000), b"[[1]," * 100_000, b"[1]," * 32 + b"[" * 40 + b"]" * 40],
)
def test_deep_text_is_refused_before_it_is_parsed(text: bytes) -> None:
    with pytest.raises(BadRequest):
        parse(text)


@pytest.mark.parametrize("text", [b"[[],[],[[]]]" * 1, b"[" + b"[]," * 100_000 + b"[]]", b'["\\\\",["]"]]'])
def test_many_brackets_are_not_depth(text: bytes) -> None:
    parse(text)


@pytest.mark.parametrize(
    "text", [b'"\\' * 400_000, b'"' * 900_001, b'["\\"' * 200_000, b"]" * 900_000, b"[}" * 400_000]
)
def test_broken_text_of_any_kind_is_refused(text: bytes) -> None:
    with pytest.raises(BadRequest, match=r"not JSON|levels"):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [b'"\\ud800"', b'"\\udc00\\ud800"', b'"\xff"', b'"\xed\xa0\x80"', b"NaN", b"1e999", b"{'a':1}", b"[1", b"1 2"],
)
def test_what_is_not_json_in_utf_8_is_refused(text: bytes) -> None:
    with pytest.raises(BadRequest, match="not JSON in UTF-8"):
        parse(text)


@pytest.mark.parametrize("number", [-(2**63), 2**63, 2**64 - 1, 0.1234567890123456789012, 1e22])
def test_a_number_of_64_bits_or_with_a_point_is_read_as_it_is(number: float) -> None:
    assert parse(orjson.dumps({"data": [number]})) == {"data": [number]}
    assert parse(b'"%d"' % 10**40) == str(10**40)
    assert parse(b"[1234567890123456789012.5]") == [1234567890123456789012.5]


@pytest.mark.parametrize("digits", [str(2**64), str(-(2**63) - 1), "9" * 30, "-1" + "0" * 5000])
def test_an_integer_beyond_64_bits_is_refused_and_does_not_become_another_number(digits: str) -> None:
    with pytest.raises(BadRequest, match="beyond 64 bits"):
        parse(f'{{"data": [{digits}]}}'.encode())


@pytest.mark.parametrize("text", [b"", b"  \r\n"])
def test_an_empty_body_is_called_empty(text: bytes) -> None:
    with pytest.raises(BadRequest, match="empty"):
        parse(text)


async def test_a_body_of_exactly_one_mebibyte_is_read() -> None:
    text = b'"' + b"a" * (MAX_BODY_BYTES - 2) + b'"'
    assert len(await read_json(BodySender([text]).request)) == MAX_BODY_BYTES - 2


@pytest.mark.parametrize("announced", [True, False])
async def test_a_larger_body_is_refused_and_the_connection_closed(announced: bool) -> None:
    headers = {"content-length": str(MAX_BODY_BYTES + 1)} if announced else {}
    with pytest.raises(TooLarge, match="1 MiB") as caught:
        await read_json(BodySender([b"a" * 65_536] * 17, headers=headers).request)
    assert closes(caught.value, 413)


async def test_of_a_body_that_is_too_large_no_more_is_read_than_shows_it() -> None:
    sender = BodySender([b"a" * 65_536] * 1000)
    with pytest.raises(TooLarge):
        await read_json(sender.request)
    assert sender.asked == 17


async def test_a_route_may_allow_less() -> None:
    with pytest.raises(TooLarge, match="16 KiB"):
        await read_json(BodySender([b"a" * 16_385]).request, SMALL_BODY_BYTES)
    assert await read_json(BodySender([b'"' + b"a" * 16_382 + b'"']).request, SMALL_BODY_BYTES)


async def test_a_client_that_waits_to_be_told_sends_nothing_that_is_not_wanted() -> None:
    sender = BodySender([], headers={"content-length": "99999999", "expect": "100-continue"})
    with pytest.raises(TooLarge):
        await read_json(sender.request)
    assert sender.asked == 0


async def test_a_body_that_does_not_end_in_time_is_refused_and_the_connection_closed() -> None:
    with pytest.raises(RequestTimeout, match="not complete within") as caught:
        await read_json(BodySender([b"[1,"], then="silence").request, timeout_s=0.01)
    assert closes(caught.value, 408)


async def test_a_client_that_goes_away_is_no_error_of_the_node() -> None:
    with pytest.raises(BadRequest, match="closed"):
        await read_json(BodySender([b"[1,"], then="gone").request)


def closes(error: HTTPError, status: int) -> bool:
    """Whether it is answered with this status and the end of the connection."""
    response = responses.error_response(error)
    return response.status_code == status and response.headers["connection"] == "close"
