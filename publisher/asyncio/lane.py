"""Pieces of many answers that travel together: an idle lane sends at once, and what is asked meanwhile leaves with the
next round trip. A whole bundle does not wait for that: Redis works on some while this process packs the next. The order
of an answer's pieces is its handle's business, which asks for one call at a time.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from redis.exceptions import NoScriptError

from publisher.asyncio.transport import AsyncTransport
from publisher.core.bundles import MAX_EVENTS
from publisher.core.requests import Call
from publisher.redis import errors

FLIGHTS: Final = 8
"""Round trips under way at most."""

Asked = tuple[Call, asyncio.Future[Any]]


class AsyncLane:
    """Each call is made once; what to do about an error is its caller's business."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport
        self._most = min(FLIGHTS, transport.round_trips)
        self._waiting: list[Asked] = []
        self._flights: list[asyncio.Task[None]] = []

    async def ask(self, call: Call) -> Any:
        """The call's reply. Raises what the call raises."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((call, answer))
        self._flights = [flight for flight in self._flights if not flight.done()]
        if not self._flights or (len(self._waiting) >= MAX_EVENTS and len(self._flights) < self._most):
            self._flights.append(asyncio.create_task(self._run(), name="sse-publisher-answers"))
        return await answer

    async def _run(self) -> None:
        while self._waiting:
            going, self._waiting = self._waiting[:MAX_EVENTS], self._waiting[MAX_EVENTS:]
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
