"""Whether Redis answers commands, for whoever asks often: one question at a time, its answer good for a second."""

from __future__ import annotations

import asyncio
from typing import Final

from gateway.broker.store import Store
from gateway.exceptions import StoreDown

FRESH_S: Final = 1.0
PATIENCE_S: Final = 1.5
"""With the second that an answer is good for: silence shows within 2.5 s."""


class Pulse:
    """Asks when it is asked, so that it costs nothing where nobody looks."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = asyncio.Lock()
        self._asked_at = -float("inf")
        self._beats = False

    async def beats(self) -> bool:
        """Whether Redis (in Cluster: each primary) answered just now."""
        async with self._lock:
            loop = asyncio.get_running_loop()
            if loop.time() - self._asked_at > FRESH_S:
                self._beats = await self._ask()
                self._asked_at = loop.time()
            return self._beats

    async def _ask(self) -> bool:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._store.ping()
        except (StoreDown, TimeoutError):
            return False
        return True
