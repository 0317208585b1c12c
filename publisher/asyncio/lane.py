"""Pieces of many answers that travel together: whatever is asked while a round trip is under way leaves with the next
one. Nothing waits for company; an idle lane sends at once.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from redis.exceptions import NoScriptError

from publisher.asyncio.transport import AsyncTransport
from publisher.core.requests import Call
from publisher.redis import errors

TOGETHER: Final = 256
"""Calls in one round trip: few enough that the first is not held up by the last."""

Asked = tuple[Call, asyncio.Future[Any]]


class AsyncLane:
    """Each call is made once; what to do about an error is its caller's business."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport
        self._waiting: list[Asked] = []
        self._task: asyncio.Task[None] | None = None

    async def ask(self, call: Call) -> Any:
        """The call's reply. Raises what the call raises."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((call, answer))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="sse-publisher-answers")
        return await answer

    async def _run(self) -> None:
        while self._waiting:
            going, self._waiting = self._waiting[:TOGETHER], self._waiting[TOGETHER:]
            try:
                results = await self._send([call for call, _ in going])
            except BaseException as trouble:
                for _, answer in going:
                    if not answer.done():
                        answer.set_exception(trouble)
                if not isinstance(trouble, errors.ERRORS):
                    raise
                continue
            for (_, answer), result in zip(going, results, strict=True):
                if answer.done():
                    continue
                if isinstance(result, Exception):
                    answer.set_exception(result)
                else:
                    answer.set_result(result)

    async def _send(self, calls: list[Call]) -> list[Any]:
        if len(calls) == 1:
            return [await self._transport.execute(calls[0])]
        results = await self._transport.batch(calls)
        if any(isinstance(result, NoScriptError) for result in results):
            # The server knows other scripts of ours already; now it is told this one.
            results = await self._transport.batch([call.again() for call in calls])
        return results
