"""All streams of a load test: opened at a steady pace, and opened again when they end, as browsers do."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Coroutine
from typing import Any, Final
from urllib.parse import quote

from gateway.bench import numbers
from gateway.bench.choices import Choices
from gateway.bench.latencies import Latencies
from gateway.bench.listener import Listener
from gateway.bench.pieces import PieceReader
from gateway.bench.target import Target

AT_ONCE: Final = 500
"""Connections that are being made at the same time, at most."""
CONNECT_S: Final = 15.0
LEAST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0


class Viewers:
    """The streams, and what happened to them."""

    def __init__(self, choices: Choices) -> None:
        self.listeners = [Listener(number, number % choices.channels, self) for number in range(choices.connections)]
        self.reader = PieceReader()
        self.latencies = Latencies()
        self.open_times = Latencies()
        """From the first packet of a connection to ``stream.open``."""
        self.deliveries = 0
        self.last_delivery = 0.0
        self.resets = 0
        self.opened = 0
        """Streams that were open at least once."""
        self.refused: Counter[str] = Counter()
        """Streams that never were, by reason."""
        self.ended: Counter[str] = Counter()
        """Ends of open streams before the load test's own, by reason."""
        self.reopened = 0
        self.opening_s = 0.0
        self._choices = choices
        self._places = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._settled = asyncio.Event()
        self._closing = False

    @property
    def open_now(self) -> int:
        return self.opened + self.reopened - self.ended.total()

    @property
    def all_back(self) -> bool:
        """Whether no stream that could be open is closed."""
        return all(listener.open or listener.over for listener in self.listeners if listener.ready)

    async def open_all(self) -> None:
        """Open them at the pace that was asked for; returns when each is open or refused."""
        start = time.monotonic()
        for listener in self.listeners:
            pause = start + listener.number / self._choices.ramp - time.monotonic()
            if pause > 0:
                await asyncio.sleep(pause)
            await self._places.acquire()
            self._spawn(self._first(listener))
        await self._settled.wait()
        self.opening_s = time.monotonic() - start

    async def close(self) -> None:
        """End them all."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        for listener in self.listeners:
            listener.close()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def lacks(self, published: int) -> bool:
        """Whether an open stream still waits for some of the events that are out."""
        return any(listener.open and listener.ledger.lacking(last)[1] for listener, last in self.lasts(published))

    def lasts(self, published: int) -> list[tuple[Listener, int]]:
        """Every stream that was ever open, and the number of the last event on its channel."""
        channels = self._choices.channels
        each = [numbers.on_channel(published, channels, index) for index in range(channels)]
        return [(listener, each[listener.channel]) for listener in self.listeners if listener.tries and listener.ready]

    def target(self, listener: Listener) -> Target:
        """Where its next connection goes: the nodes take turns, as behind a balancer."""
        return self._choices.targets[(listener.number + listener.tries) % len(self._choices.targets)]

    def lost(self, listener: Listener, reason: str) -> None:
        """An open stream has ended."""
        if not self._closing:
            self.ended[reason] += 1
            if not listener.over:
                self._spawn(self._come_back(listener))

    # Connections ---

    async def _first(self, listener: Listener) -> None:
        try:
            reason = await self._connect(listener)
        finally:
            self._places.release()
        if reason:
            self.refused[reason] += 1
        else:
            self.opened += 1
        if self.opened + self.refused.total() == len(self.listeners):
            self._settled.set()

    async def _come_back(self, listener: Listener) -> None:
        """After the pause that the node has asked for, as a browser does; until it works."""
        while True:
            await asyncio.sleep(max(LEAST_PAUSE_S, min(LONGEST_PAUSE_S, listener.retry_ms / 1000)))
            async with self._places:
                if not await self._connect(listener):
                    self.reopened += 1
                    return

    async def _connect(self, listener: Listener) -> str:
        """Empty when the stream is open, else why it is not."""
        target = self.target(listener)
        outcome = listener.begin()
        try:
            async with asyncio.timeout(CONNECT_S):
                transport, _ = await asyncio.get_running_loop().create_connection(
                    lambda: listener,
                    target.address,
                    target.port,
                    ssl=target.tls,
                    server_hostname=target.host if target.tls else None,
                )
                transport.write(self._request(target, listener))
                reason = await outcome
        except TimeoutError:
            listener.close()
            return "no answer"
        except OSError as error:
            # Not its text: each event loop words it differently.
            return os.strerror(error.errno).lower() if error.errno else type(error).__name__.lower()
        if not reason:
            self.open_times.add(time.monotonic_ns() - listener.started_ns)
        return reason

    def _request(self, target: Target, listener: Listener) -> bytes:
        choices = self._choices
        path = f"/v1/events?channel={numbers.channel(choices.run, listener.channel)}"
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-cache"}
        if choices.ticket:
            path += f"&ticket={quote(choices.ticket, safe='')}"
        elif choices.tokens:
            headers["Authorization"] = f"Bearer {choices.tokens[listener.number % len(choices.tokens)]}"
        if listener.last_id:
            headers["Last-Event-ID"] = listener.last_id
        return target.request("GET", path, headers)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
