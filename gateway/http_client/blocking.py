"""The same calls for code without an event loop, such as commands."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from gateway.http_client.client import HttpClient


@contextlib.contextmanager
def blocking() -> Iterator[tuple[HttpClient, asyncio.Runner]]:
    """A client and the loop that runs its coroutines: ``runner.run(client.call(…))``. Ctrl-C ends a wait at once."""
    with asyncio.Runner() as runner:
        client = HttpClient()
        try:
            yield client, runner
        finally:
            runner.run(client.aclose())
