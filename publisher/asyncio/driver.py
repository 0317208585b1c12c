"""Runs flows: hands what they ask for to a transport and awaits the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from publisher.asyncio.transport import AsyncTransport
from publisher.core.perform import Effects
from publisher.core.requests import Effect, Pause, Repair, SendMany

R = TypeVar("R")


async def drive(flow: Effects[R], perform: Callable[[Any], Any], request: Effect | None = None) -> R:
    """Run a flow to its end, from a request that it has made already, where one is given. What ``perform(request)``
    raises is raised inside the flow, where the request was made."""
    step: Callable[[Any], Any] = flow.send
    value: Any = None
    try:
        while True:
            if request is None:
                request = step(value)
            try:
                step, value = flow.send, await perform(request)
            except BaseException as error:
                step, value = flow.throw, error
            request = None
    except StopIteration as end:
        result: R = end.value
        return result
    finally:
        value = None  # an error holds this frame by its traceback; together they would wait for the collector


def advance(flow: Effects[Any], result: Any) -> Effect | None:
    """What a flow asks for next, given a reply or an error to raise where it asked; None at its end."""
    try:
        return flow.throw(result) if isinstance(result, BaseException) else flow.send(result)
    except StopIteration:
        return None


async def perform(transport: AsyncTransport, effect: Effect) -> Any:
    """Do what a flow asks for."""
    if isinstance(effect, SendMany):
        return await transport.batch(effect.calls)
    if isinstance(effect, Repair):
        return await transport.repair(effect.error)
    if isinstance(effect, Pause):
        return await asyncio.sleep(effect.seconds)
    return await transport.execute(effect)
