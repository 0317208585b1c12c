"""uvloop has a word of its own for a connection that is gone; nobody above may take it for a mistake in the program."""

from __future__ import annotations

import asyncio

import pytest
import uvloop
from redis.exceptions import ConnectionError

from publisher.redis.closed import closed_is_connection_error
from tests.support.broker import Broker
from tests.support.ports import HOST


def test_a_write_to_a_connection_that_uvloop_has_closed_is_a_connection_error(broker: Broker) -> None:
    async def write_too_late() -> None:
        _, writer = await asyncio.open_connection(HOST, broker.port)
        writer.transport.abort()
        await asyncio.sleep(0)  # the loop's next turn closes it
        await asyncio.sleep(0)
        with closed_is_connection_error():
            writer.writelines([b"PING\r\n"])

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, pytest.raises(ConnectionError, match="closed"):
        runner.run(write_too_late())


def test_other_mistakes_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="generator"), closed_is_connection_error():
        raise RuntimeError("generator already executing")
