"""Direct calls of one event loop that travel together: whatever is asked while a round trip is under way leaves
with the next one. Nothing waits for company; an idle lane sends at once.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from publisher.asyncio.transport import AsyncTransport
from publisher.core import backoff, reports
from publisher.core.faults import Fault
from publisher.core.options import DIRECT_S, Options
from publisher.core.requests import Call
from publisher.exceptions import BufferFull
from publisher.redis import errors

TOGETHER: Final = 256
"""Calls in one round trip: few enough that the first is not held up by the last."""


@dataclass(slots=True)
class _Passenger:
    call: Call
    what: str
    deadline: float
    answer: asyncio.Future[Any]


class Batcher:
    """Sends calls in the order they were asked for, and repeats them for about 5 s each while Redis is away."""

    def __init__(self, options: Options, transport: AsyncTransport) -> None:
        self._options = options
        self._transport = transport
        self._queue: deque[_Passenger] = deque()
        self._task: asyncio.Task[None] | None = None

    async def send(self, call: Call, what: str) -> Any:
        """One call's reply. Raises :class:`PublishError`; :class:`BufferFull` where ``buffer_events`` callers wait."""
        if len(self._queue) >= self._options.buffer_events:
            raise BufferFull(
                f"{len(self._queue)} callers wait for Redis. Publish less at once, or raise buffer_events."
            )
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._queue.append(_Passenger(call, what, time.monotonic() + DIRECT_S, answer))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="sse-publisher-lane")
        return await answer

    async def close(self) -> None:
        """Wait for the calls under way; each of them has a deadline of its own."""
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        attempt = 0
        while self._queue:
            error = await self._round()
            if error is None:
                attempt = 0
                continue
            attempt += 1
            await self._transport.repair(error)
            await asyncio.sleep(backoff.backoff_s(attempt, cap_s=0.5))

    async def _round(self) -> Exception | None:
        """One round trip. Returns the error after which the calls that it hit wait for another try."""
        going = [self._queue.popleft() for _ in range(min(TOGETHER, len(self._queue)))]
        try:
            if len(going) == 1:
                results: list[Any] = [await self._transport.execute(going[0].call)]
            else:
                results = await self._transport.batch([passenger.call for passenger in going])
        except errors.ERRORS as trouble:
            results = [trouble] * len(going)
        except BaseException as trouble:
            for passenger in going:
                if not passenger.answer.done():
                    passenger.answer.set_exception(trouble)
            raise
        return self._deal_out(going, results)

    def _deal_out(self, going: list[_Passenger], results: list[Any]) -> Exception | None:
        again: list[_Passenger] = []
        error: Exception | None = None
        for passenger, result in zip(going, results, strict=True):
            if passenger.answer.done():
                continue
            if not isinstance(result, Exception):
                passenger.answer.set_result(result)
            elif (fault := errors.fault_of(result)) is Fault.AWAY and time.monotonic() < passenger.deadline:
                error = result
                passenger.call = passenger.call.again()
                again.append(passenger)
            else:
                passenger.answer.set_exception(
                    reports.unreachable(passenger.what, self._transport.where, result, fault, self._options)
                )
        self._queue.extendleft(reversed(again))
        return error
