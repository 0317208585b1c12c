"""How much memory each node uses, once a second: the resident set, from /proc."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.support.node import Node

EVERY_S = 1.0
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Sample(NamedTuple):
    """``at`` in seconds since the start; a node that does not run has 0 bytes."""

    at: float
    rss_bytes: list[int]


def rss_bytes(node: Node) -> int:
    """The resident set of a node's process; 0 where it has ended."""
    try:
        return int(Path(f"/proc/{node.pid}/statm").read_text().split()[1]) * PAGE_BYTES
    except (OSError, IndexError):
        return 0


@contextlib.asynccontextmanager
async def sampled(
    nodes: Sequence[Node], samples: list[Sample], started: float, each: Callable[[], None] = lambda: None
) -> AsyncIterator[None]:
    """Append a sample every second while inside; ``each`` is called after each of them."""

    async def sample() -> None:
        while True:
            samples.append(Sample(round(time.monotonic() - started, 1), [rss_bytes(node) for node in nodes]))
            each()
            await asyncio.sleep(EVERY_S)

    task = asyncio.create_task(sample(), name="memory")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
