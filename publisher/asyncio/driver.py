"""Runs flows: hands what they ask for to a transport and awaits the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from publisher.asyncio.transport import AsyncTransport
from publisher.core.perform import Effects
from publisher.core.requests import Effect, Pause, Repair, SendMany

R = TypeVar("R")


async def drive(flow: Effects[R], perform: Callable[[Any], Any]) -> R:
    """Run a flow to its end. What ``perform(request)`` raises is raised inside the flow, where the request was made."""
    step: Callable[[Any], Any] = flow.send
    value: Any = None
    try:
        while True:
            request = step(value)
            try:
                step, value = flow.send, await perform(request)
            except BaseException as error:
                step, value = flow.throw, error
    except StopIteration as end:
        result: R = end.value
        return result
    finally:
        value = None  # an error holds this frame by its traceback; together they would wait for the collector


async def perform(transport: AsyncTransport, effect: Effect) -> Any:
    """Do what a flow asks for."""
    if isinstance(effect, SendMany):
        return await transport.batch(effect.calls)
    if isinstance(effect, Repair):
        return await transport.repair(effect.error)
    if isinstance(effect, Pause):
        return await asyncio.sleep(effect.seconds)
    return await transport.execute(effect)
