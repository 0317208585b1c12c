"""Loops have words of their own for a connection that is gone: no mistake of the program, as those above may think."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
import uvloop
from redis.exceptions import ConnectionError

from publisher.redis.closed import closed_is_connection_error
from tests.support.broker import Broker
from tests.support.ports import HOST


async def write_too_late(broker: Broker) -> None:
    _, writer = await asyncio.open_connection(HOST, broker.port)
    writer.transport.abort()
    await asyncio.sleep(0)  # the loop's next turn closes it
    await asyncio.sleep(0)
    with closed_is_connection_error():
        writer.writelines([b"PING\r\n"])


def test_a_write_to_a_connection_that_uvloop_has_closed_is_a_connection_error(broker: Broker) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, pytest.raises(ConnectionError, match="closed"):
        runner.run(write_too_late(broker))


def test_a_write_to_a_connection_that_asyncio_has_closed_is_nothing_else(broker: Broker) -> None:
    """Python 3.11 says nothing, 3.12 a word of its own."""
    with asyncio.Runner() as runner, contextlib.suppress(ConnectionError):
        runner.run(write_too_late(broker))


def test_other_mistakes_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="generator"), closed_is_connection_error():
        raise RuntimeError("generator already executing")
    with pytest.raises(AttributeError, match="missing"), closed_is_connection_error():
        raise AttributeError("'NoneType' object has no attribute 'missing'")
