"""What all processes count, for one of them that was asked: whoever does not answer in time is left out."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.processes.child import NodeProcess

ANSWER_S: Final = 1.0


class Gathering:
    """``present`` gives the processes by their numbers."""

    def __init__(self, present: Callable[[], Mapping[str, NodeProcess]]) -> None:
        self._present = present
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def hear(self, process: NodeProcess, message: dict[str, Any]) -> None:
        """A process asks, or answers."""
        number = message["number"]
        if message["say"] == "gather":
            task = asyncio.create_task(self._answer(process, number))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif message["say"] == "counted" and number in self._waiting:
            self._waiting[number].set_result(message["figures"])

    async def _answer(self, process: NodeProcess, number: int) -> None:
        present = self._present()
        asked = {name: asyncio.create_task(self._count(each)) for name, each in present.items()}
        await asyncio.wait(asked.values(), timeout=ANSWER_S)
        figures = {}
        for name, task in asked.items():
            if task.done():
                figures[name] = task.result()
            else:
                task.cancel()
        process.tell(do="take", **{"for": number, "figures": figures})

    async def _count(self, process: NodeProcess) -> Any:
        number = next(self._numbers)
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        process.tell(do="count", **{"for": number})
        try:
            return await waiting
        finally:
            del self._waiting[number]
