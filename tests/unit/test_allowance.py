"""What a request may send is counted whatever it is."""

from __future__ import annotations

import pytest

from gateway.sockets.allowance import (
    MAX_CONTENT_BYTES,
    MAX_FRAMING_BYTES,
    MAX_HEAD_BYTES,
    MAX_LATE_FRAMING_BYTES,
    MAX_PARAMETERS,
    Allowance,
    Excess,
    head_too_large,
)
from gateway.sockets.body_room import BodyRoom


def with_head() -> Allowance:
    found = Allowance()
    found.received(MAX_HEAD_BYTES)
    found.head_complete()
    return found


def test_a_head_may_have_16_kib() -> None:
    request = Allowance()
    request.received(MAX_HEAD_BYTES)
    assert request.excess() is None
    request.received(1)
    assert request.excess() is Excess.HEAD


def test_content_and_framing_have_bounds_of_their_own() -> None:
    request = with_head()
    request.received(MAX_CONTENT_BYTES + MAX_FRAMING_BYTES)
    request.content(MAX_CONTENT_BYTES)
    assert request.excess() is None
    request.received(1)
    assert request.excess() is Excess.FRAMING
    request.content(1)
    assert request.excess() is Excess.CONTENT


def test_each_request_has_its_own() -> None:
    request = with_head()
    request.received(MAX_FRAMING_BYTES + 1)
    assert request.excess() is Excess.FRAMING
    request.begin()
    assert request.excess() is None and not request.begun and request.in_head


@pytest.mark.parametrize("size", [1, 10, 50])
def test_small_chunks_run_into_the_bound_of_framing(size: int) -> None:
    """A body of a mebibyte in them would cost the parser more than it brings."""
    request = with_head()
    while request.excess() is None:
        request.received(len(b"%x\r\n\r\n" % size) + size)
        request.content(size)
    assert request.excess() is Excess.FRAMING
    assert request.contents < MAX_CONTENT_BYTES


def test_a_mebibyte_in_chunks_of_a_hundred_bytes_is_fine() -> None:
    request = with_head()
    for _ in range(MAX_CONTENT_BYTES // 100):
        request.received(100 + len(b"64\r\n\r\n"))
        request.content(100)
    assert request.excess() is None


def test_less_framing_is_read_of_a_body_that_was_answered() -> None:
    request = with_head()
    request.answered()
    request.received(MAX_LATE_FRAMING_BYTES + 100_000)
    request.content(100_000)
    assert request.excess() is None
    request.received(1)
    assert request.excess() is Excess.FRAMING
    request.begin()
    request.received(MAX_HEAD_BYTES)
    request.head_complete()
    request.received(MAX_FRAMING_BYTES)
    assert request.excess() is None


def test_a_head_in_one_piece_is_bounded_too() -> None:
    assert not head_too_large(b"/?" + b"a&" * (MAX_PARAMETERS - 1), [])
    assert head_too_large(b"/?" + b"a&" * MAX_PARAMETERS, [])
    assert head_too_large(b"/", [(b"x", b"a" * MAX_HEAD_BYTES)])


def test_room_for_bodies_is_taken_and_given_back() -> None:
    room = BodyRoom(10)
    assert room.take(6) and not room.take(5) and room.take(4)
    room.give(6)
    assert room.take(6) and not room.take(1)
