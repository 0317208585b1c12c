"""Pieces of many answers that travel together: an idle lane sends at once, and what is asked meanwhile leaves with the
next round trip. A whole bundle does not wait for that: Redis works on some while this process packs the next. The order
of an answer's pieces is its handle's business, which asks for one call at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from redis.exceptions import NoScriptError

from publisher.asyncio.transport import AsyncTransport
from publisher.core.bundles import MAX_EVENTS
from publisher.core.requests import Call
from publisher.redis import errors

FLIGHTS: Final = 8
"""Round trips under way at most."""


class _Asked:
    """Calls of one caller, and what they have brought."""

    __slots__ = ("answered", "left", "results")

    def __init__(self, number: int) -> None:
        self.results: list[Any] = [None] * number
        self.left = number
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(self, index: int, result: Any) -> None:
        self.results[index] = result
        self.left -= 1
        if not self.left and not self.answered.done():
            self.answered.set_result(None)


class AsyncLane:
    """Each call is made once; what to do about an error is its caller's business."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport
        self._most = min(FLIGHTS, transport.round_trips)
        self._waiting: list[tuple[Call, _Asked, int]] = []
        self._flights: list[asyncio.Task[None]] = []

    async def ask(self, call: Call) -> Any:
        """The call's reply. Raises what the call raises."""
        (result,) = await self.ask_many([call])
        if isinstance(result, BaseException):
            raise result
        return result

    async def ask_many(self, calls: Sequence[Call]) -> list[Any]:
        """Of each call its reply or what it raised; all of them are under way at once."""
        asked = _Asked(len(calls))
        self._waiting += [(call, asked, index) for index, call in enumerate(calls)]
        self._flights = [flight for flight in self._flights if not flight.done()]
        whole = len(self._waiting) // MAX_EVENTS
        for _ in range(min(whole or not self._flights, self._most - len(self._flights))):
            self._flights.append(asyncio.create_task(self._run(), name="sse-publisher-answers"))
        await asked.answered
        return asked.results

    async def _run(self) -> None:
        while self._waiting:
            going, self._waiting = self._waiting[:MAX_EVENTS], self._waiting[MAX_EVENTS:]
            try:
                _tell(going, await self._send([call for call, _, _ in going]))
            except BaseException as trouble:
                _tell(going, [trouble] * len(going))
                if not isinstance(trouble, errors.ERRORS):
                    raise

    async def _send(self, calls: list[Call]) -> list[Any]:
        if len(calls) == 1:
            return [await self._transport.execute(calls[0])]
        results = await self._transport.batch(calls)
        if any(isinstance(result, NoScriptError) for result in results):
            # The server knows other scripts of ours already; now it is told this one.
            results = await self._transport.batch([call.again() for call in calls])
        return results


def _tell(going: Sequence[tuple[Call, _Asked, int]], results: Sequence[Any]) -> None:
    for (_, asked, index), result in zip(going, results, strict=True):
        asked.take(index, result)
