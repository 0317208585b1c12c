"""Whether a peer has said something that the loop has not taken yet."""

from __future__ import annotations

import asyncio
import select
import sys


def unread(transport: asyncio.BaseTransport) -> bool:
    """Bytes, or that it has gone, wait at the transport's socket."""
    sock = transport.get_extra_info("socket")
    number: int = -1 if sock is None else sock.fileno()
    if number < 0:
        return False
    if sys.platform == "win32":
        return bool(select.select([number], [], [], 0)[0])
    poll = select.poll()  # select() takes no numbers from 1,024 on
    poll.register(number, select.POLLIN)
    return bool(poll.poll(0))
