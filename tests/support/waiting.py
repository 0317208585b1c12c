"""Waiting for a condition with a deadline: what tests do instead of sleeping."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

POLL_S = 0.01
PATIENCE_S = 30.0
"""How long tests wait for what should come at once: a busy machine may take its time, and no test waits it out."""


def wait_until(condition: Callable[[], object], what: str, timeout_s: float = PATIENCE_S) -> None:
    """Return as soon as ``condition()`` is true; raise ``TimeoutError`` naming ``what`` after ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Waited {timeout_s:g} s for {what}.")
        time.sleep(POLL_S)


async def until(condition: Callable[[], object | Awaitable[object]], what: str, timeout_s: float = PATIENCE_S) -> None:
    """Like :func:`wait_until` in a coroutine; ``condition`` may be a coroutine function too."""
    deadline = time.monotonic() + timeout_s
    while True:
        outcome = condition()
        if isinstance(outcome, Awaitable):
            outcome = await outcome
        if outcome:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"Waited {timeout_s:g} s for {what}.")
        await asyncio.sleep(POLL_S)
