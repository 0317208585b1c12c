"""What ends a command that runs until it is told to: SIGTERM and SIGINT, with exit code 0."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self


class StopSignals:
    """While entered, both signals call what :meth:`call` was given; before that they end the process at once."""

    def __init__(self) -> None:
        self._stop: Callable[[], object] | None = None

    def call(self, stop: Callable[[], object]) -> None:
        """From now on a signal calls this, between two steps of the main thread."""
        self._stop = stop

    def _told(self, number: int, frame: FrameType | None) -> None:
        if self._stop is None:
            raise SystemExit(0)
        self._stop()

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._told) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
