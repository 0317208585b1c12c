"""A transport without Redis: what the fake publishers of ``publisher.testing`` send through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from publisher.core.memory import MemoryStore
from publisher.core.requests import Call, Request


class AsyncMemoryTransport:
    """A transport without Redis, for asyncio publishers."""

    def __init__(self, store: MemoryStore) -> None:
        self.where, self.cluster, self.db = "memory", False, 0
        self.renews, self.round_trips = True, 1
        self._store = store

    async def execute(self, request: Request) -> Any:
        return self._store.execute(request)

    async def batch(self, calls: Sequence[Call]) -> list[Any]:
        return [self._store.execute(call) for call in calls]

    async def repair(self, error: BaseException) -> None:
        """Nothing can break."""

    async def close(self) -> None:
        """Nothing to close."""

    def move(self) -> None:
        """Nothing here belongs to an event loop."""

    def twin(self) -> None:
        """Nothing runs out."""
        return None
