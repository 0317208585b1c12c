"""A node whose clock can be moved while it runs: ``python -m tests.cluster.moving_clock FILE serve …``.

The file holds how many seconds the clock is wrong. Sockets, timers and Redis are untouched.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

LOOK_S = 0.1


def move_clock(path: Path, seconds: float) -> None:
    """Set how wrong the clock of those is that look at this file."""
    fresh = path.with_suffix(".new")
    fresh.write_text(str(seconds))
    fresh.replace(path)


def _bend(path: Path) -> None:
    """Let ``time.time`` and ``time.time_ns`` of this process be wrong by what the file says."""
    real, real_ns = time.time, time.time_ns
    offset = 0.0

    def look() -> None:
        nonlocal offset
        while True:
            offset = float(path.read_text())
            time.sleep(LOOK_S)

    time.time = lambda: real() + offset
    time.time_ns = lambda: real_ns() + int(offset * 1e9)
    threading.Thread(target=look, daemon=True).start()


if __name__ == "__main__":
    _bend(Path(sys.argv.pop(1)))
    from gateway.cli import main

    sys.exit(main())
