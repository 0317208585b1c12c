"""How late the load client itself is, and how much CPU it needs: whether its own figures can be believed."""

from __future__ import annotations

import time
from typing import Final

from gateway.bench.latencies import Latencies

BUSY: Final = 0.85
"""With more of one core than this, the load client may be what limits the figures."""


class Lag:
    """From :meth:`start` to :meth:`stop`. ``late`` is filled by who reads the publishing process' words."""

    def __init__(self) -> None:
        self.late = Latencies()
        self.cpu_share = 0.0
        """Of one core."""
        self.start()

    def start(self) -> None:
        self._wall, self._cpu = time.monotonic(), time.process_time()

    def stop(self) -> None:
        wall = time.monotonic() - self._wall
        self.cpu_share = (time.process_time() - self._cpu) / wall if wall else 0.0

    @property
    def was_the_limit(self) -> bool:
        return self.cpu_share > BUSY
