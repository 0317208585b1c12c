"""Pieces of many answers whose moment has come leave together: one task and one wait for all of them, which cost more
than what each has to say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Protocol, TypeAlias

from publisher.asyncio.driver import advance, drive
from publisher.asyncio.lane import AsyncLane
from publisher.core.perform import Effects
from publisher.core.requests import Call, Effect
from publisher.core.scripts import ScriptName

Perform: TypeAlias = Callable[[Any], Coroutine[Any, Any, Any]]


class GatheringHandle(Protocol):
    """A handle with pieces that wait."""

    @property
    def waits(self) -> bool:
        """Whether pieces have not arrived."""

    def turn(self) -> asyncio.Lock:
        """What keeps its reports in order."""

    def flight(self) -> Effects[None]:
        """Send what waits; the caller has the turn. Raises nothing of the publisher's."""

    async def fly(self) -> None:
        """The same for this one alone, in its turn."""

    async def bring_all(self) -> None:
        """Send all that waits, behind what is under way, and log what keeps it."""


async def take_off(handles: Sequence[GatheringHandle], lane: AsyncLane, perform: Perform) -> None:
    """Send what waits in all of these. What each of them asks first travels as one; who asks for more, or is in the
    middle of something else, goes on alone."""
    if len(handles) == 1:
        await handles[0].fly()
        return
    calls: list[Call] = []
    flying: list[_Flight] = []
    async with asyncio.TaskGroup() as others:
        for handle in handles:
            turn = handle.turn()
            if turn.locked():
                others.create_task(handle.fly())
                continue
            await turn.acquire()  # does not wait: it is free
            flight = _Flight(handle.flight(), turn)
            flight.step(None)
            request = flight.request
            if isinstance(request, Call) and request.script is ScriptName.ANSWER:
                calls.append(request)
                flying.append(flight)
            elif request is not None:
                others.create_task(_go_on(flight, perform))
        for flight, result in zip(flying, await _ask(lane, calls, flying), strict=True):
            flight.step(result)
            if flight.request is not None:
                others.create_task(_go_on(flight, perform))


async def land(handles: Iterable[GatheringHandle], timeout_s: float) -> None:
    """Return when nothing waits in any of these; what takes longer goes on as something that waits for Redis."""
    bringing = [asyncio.create_task(handle.bring_all()) for handle in handles if handle.waits]
    if bringing:
        _, late = await asyncio.wait(bringing, timeout=timeout_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


async def _ask(lane: AsyncLane, calls: list[Call], flying: list[_Flight]) -> list[Any]:
    """Of each call its reply or error. Where this is broken off, each flow is told so: what it was to bring must
    not be lost over that."""
    try:
        return await lane.ask_many(calls) if calls else []
    except asyncio.CancelledError as interruption:
        for flight in flying:
            flight.step(interruption)
        raise


async def _go_on(flight: _Flight, perform: Perform) -> None:
    try:
        await drive(flight.flow, perform, flight.request)
    finally:
        flight.turn.release()


class _Flight:
    """The flow of one handle, which has the turn until its end. ``request`` is what it asks for; None at its end."""

    __slots__ = ("flow", "request", "turn")

    def __init__(self, flow: Effects[None], turn: asyncio.Lock) -> None:
        self.flow = flow
        self.turn = turn
        self.request: Effect | None = None

    def step(self, result: Any) -> None:
        """Go on to the next request with the result of the one before: a reply, or an error to raise there. An error
        that gets out is a fault of the program, and harms none of the others."""
        try:
            self.request = advance(self.flow, result)
        except (Exception, asyncio.CancelledError) as trouble:
            self.request = None
            if isinstance(trouble, Exception):
                context = {"message": "Pieces of an answer could not be sent.", "exception": trouble}
                asyncio.get_running_loop().call_exception_handler(context)
        if self.request is None:
            self.turn.release()
