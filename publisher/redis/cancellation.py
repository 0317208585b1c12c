"""Cancellations that redis-py loses on the way."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from types import TracebackType


class lost_cancellation_delivered(AbstractContextManager[None]):
    """Raise ``CancelledError`` behind a call during which the running task was cancelled without hearing of it.

    redis-py sends inside ``asyncio.wait_for``, which swallows a cancellation that arrives just as the sending ends
    (Python 3.11; bpo-37658). A background task would go on for ever, and a time limit would not be one.
    """

    __slots__ = ("_before", "_task")

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        self._before = self._task.cancelling() if self._task is not None else 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self._task is not None and self._task.cancelling() > self._before:
            raise asyncio.CancelledError
