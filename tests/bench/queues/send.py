"""``python -m tests.bench.queues.send MODULE COUNT HOLD MARK``: queues a task that holds the worker up, so many empty
ones, and one that says when all are done; prints the seconds of CPU that an empty one took to queue.
"""

from __future__ import annotations

import importlib
import sys
import time
from typing import Final

WARM: Final = 10
"""Tasks before the clock starts."""


def main(module: str, count: int, hold: str, mark: str) -> None:
    queue = importlib.import_module(module)
    queue.send_hold(hold)
    queue.send(WARM)
    before = time.process_time()
    queue.send(count - WARM)
    took = time.process_time() - before
    queue.send_mark(mark)
    print(took / (count - WARM))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
