"""Cancellations that redis-py loses on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lost_cancellation_delivered() -> Iterator[None]:
    """Raise ``CancelledError`` behind a call during which the running task was cancelled without hearing of it.

    redis-py sends inside ``asyncio.wait_for``, which swallows a cancellation that arrives just as the sending ends
    (Python 3.11; bpo-37658). A background task would go on for ever, and a time limit would not be one.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    yield
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError
