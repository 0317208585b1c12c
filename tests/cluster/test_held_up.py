"""A node that gets no time of its machine for a while does not take it out on its clients."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack

from gateway.sockets.requests import HEAD_TIMEOUT_S
from gateway.sockets.turns import CLIENTS
from tests.support.node import Node
from tests.support.raw_peer import RawPeer
from tests.support.waiting import until

ASK = b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n"


async def test_who_asked_in_time_is_answered(start_node: Callable[..., Node]) -> None:
    """More have asked than are heard in one turn, and the time of all of them is up when the node goes on."""
    node = start_node(CONNECT_RATE_PER_S=0)
    async with AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(await RawPeer.connect(node.base)) for _ in range(4 * CLIENTS)]
        last = await stack.enter_async_context(await RawPeer.ask(node.base, ASK))
        await last.read_until(b" 200 ")  # connections are taken in one after the other
        node.freeze()
        for peer in peers:
            await peer.send(ASK)
        goes_on = time.monotonic() + HEAD_TIMEOUT_S + 1.0
        await until(lambda: time.monotonic() > goes_on, "their time to be up")
        node.thaw()
        await asyncio.gather(*(peer.read_until(b" 200 ") for peer in peers))


async def test_who_says_nothing_is_not_waited_for(start_node: Callable[..., Node]) -> None:
    node = start_node()
    async with await RawPeer.connect(node.base) as peer:
        assert await peer.read_to_end() == b""
