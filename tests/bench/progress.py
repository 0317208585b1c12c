"""What the benchmark does at the moment, on standard error: one line that changes, or lines where it is no terminal."""

from __future__ import annotations

import sys
import time

_started = time.monotonic()


def show(text: str) -> None:
    minutes, seconds = divmod(int(time.monotonic() - _started), 60)
    line = f"[{minutes}:{seconds:02d}] {text}"
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line[:120]} …", end="", file=sys.stderr, flush=True)
    else:
        print(line, file=sys.stderr, flush=True)


def done() -> None:
    """Take the line away before something is printed for good."""
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
