"""Who is here: the node's open streams, from the first words to the last; and how a stopping node lets them go."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Final

from gateway.closing import Closing
from gateway.fanout.connection import Connection
from gateway.fanout.drain import drain_order
from gateway.fanout.hub import Hub
from gateway.logs.log import Log
from gateway.metrics.counters import Metrics
from gateway.settings.settings import Settings
from gateway.streams.arrival import PendingStream
from gateway.timers import Timers

log = Log("gateway.node")
stream_log = Log("gateway.stream")

AGE_JITTER: Final = 0.2
LAST_SHARE: Final = 0.75
"""Share of the drain window after which the streams go whose clients take any end as final."""
LAST_WORDS_S: Final = 5.0
"""So much longer than the window a drain waits for streams that are only saying their last words."""


class OpenStreams:
    """``draining``: new streams are refused, because nobody would tell them later that the node stops. ``degraded``:
    Redis is away, and every open stream has heard of it."""

    def __init__(self, settings: Settings, hub: Hub, timers: Timers, metrics: Metrics) -> None:
        self._settings = settings
        self._hub = hub
        self._timers = timers
        self._metrics = metrics
        self._hurry = asyncio.Event()
        self._arrivals: set[PendingStream] = set()
        self.draining = False
        self.degraded = False

    # One comes, one goes ---

    def arriving(self, arrival: PendingStream) -> AbstractContextManager[None]:
        """Inside, a stream is about to open, and orders count for it."""
        return _Arriving(self._arrivals, arrival)

    def opened(self, connection: Connection, expires_at: float | None) -> None:
        """A stream has begun; its token expires at ``expires_at`` (Unix seconds)."""
        dialect = connection.encoder.name
        self._hub.admit(connection)
        self._metrics.opened[dialect] += 1
        self._metrics.open_by_dialect[dialect] += 1
        deadline, closing = self._deadline(connection, expires_at)
        self._timers.add(connection, deadline, closing)
        stream_log.debug("stream.opened", connection=connection.id, dialect=dialect, channels=len(connection.channels))

    def _deadline(self, connection: Connection, expires_at: float | None) -> tuple[float | None, Closing]:
        now = time.monotonic()
        age = self._settings.max_stream_age_s
        oldest = None if connection.encoder.final or not age else now + age * random.uniform(1 - AGE_JITTER, 1)
        expiry = None if expires_at is None else now + expires_at - time.time()
        if expiry is not None and (oldest is None or expiry <= oldest):
            return expiry, Closing.EXPIRED
        return oldest, Closing.AGE

    def closed(self, connection: Connection) -> None:
        """A stream has ended, for whatever reason."""
        self._hub.discard(connection)
        self._timers.remove(connection)
        dialect, closing = connection.encoder.name, connection.closing or Closing.INTERNAL
        seconds = time.monotonic() - connection.opened_at
        self._metrics.open_by_dialect[dialect] -= 1
        self._metrics.closed[closing.reason] += 1
        self._metrics.durations.observe(seconds)
        self._metrics.bytes_sent += connection.written
        stream_log.debug(
            "stream.closed",
            connection=connection.id,
            dialect=dialect,
            reason=closing.reason,
            seconds=round(seconds, 1),
            bytes=connection.written,
        )

    def disconnect(self, subject: str, open_for_s: float = 0.0) -> None:
        """End the streams of a subject, and those that listen to ``client:{subject}``, if they are open for so long;
        also those that are only about to open since then."""
        channel = self._hub.channels.get(f"client:{subject}")
        latest = time.monotonic() - open_for_s
        for connection in list(self._hub.connections.values()):
            meant = connection.subject == subject or (channel is not None and channel in connection.channels)
            if meant and connection.opened_at <= latest:
                # It hears no more: what comes in one piece with the order comes after it.
                self._hub.discard(connection)
                connection.finish(Closing.DISCONNECTED)
        for arrival in self._arrivals:
            arrival.send_away(subject, latest)

    # All of them ---

    def tell_degraded(self, lost: bool) -> None:
        """Tell every stream that Redis is away, or that it is back; nothing where they know."""
        if self.degraded is not lost:
            self.degraded = lost
            self._hub.tell_all(lambda encoder: encoder.degraded(lost))

    def queue_bytes(self) -> int:
        """Unsent bytes of all streams."""
        return sum(each.queued + each.peer.unsent() for each in self._hub.connections.values())

    async def drain(self) -> None:
        """Let the streams go, spread over the drain window; new ones are refused from now on."""
        self.draining = self._metrics.draining = True
        window = self._settings.drain_s
        started = time.monotonic()
        log.info("node.draining", streams=len(self._hub.connections), window_s=round(window, 0))
        for channel in self._hub.channels.values():
            channel.stir()  # who waits here for a job is sent to another node
        for at, connection in drain_order(list(self._hub.connections.values()), window, LAST_SHARE):
            await self._wait(started + at - time.monotonic())
            connection.finish(Closing.DRAINING)
        last = started + window + LAST_WORDS_S
        # Not by the hub, which has forgotten those that are only saying their last words.
        open_streams = self._metrics.open_by_dialect
        while any(open_streams.values()) and not self._hurry.is_set() and time.monotonic() < last:
            await asyncio.sleep(0.02)

    async def _wait(self, seconds: float) -> None:
        if seconds > 0 and not self._hurry.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._hurry.wait()

    def hurry(self) -> None:
        """End the drain now."""
        self._hurry.set()


class _Arriving(AbstractContextManager[None]):
    """A class, since every stream passes through here: a generator takes four times as long."""

    __slots__ = ("_all", "_arrival")

    def __init__(self, all_arrivals: set[PendingStream], arrival: PendingStream) -> None:
        self._all = all_arrivals
        self._arrival = arrival

    def __enter__(self) -> None:
        self._all.add(self._arrival)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._all.discard(self._arrival)
