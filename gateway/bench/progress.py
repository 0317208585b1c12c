"""How far a load test is: one line that changes on a terminal, else a line every few seconds. On stderr."""

from __future__ import annotations

import sys
import time
from typing import Final

TTY_S: Final = 0.2
PLAIN_S: Final = 5.0


class Progress:
    def __init__(self) -> None:
        self._tty = sys.stderr.isatty()
        self._every_s = TTY_S if self._tty else PLAIN_S
        self._next = time.monotonic() + self._every_s
        self._shown = False

    def show(self, text: str) -> None:
        """Show it, if it is time to."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._every_s
        if self._tty:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
            self._shown = True
        else:
            print(text, file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._shown = False
