"""One node: its parts, wired together, and what lives in the background. Knows nothing of routes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from gateway.auth.authenticator import Authenticator
from gateway.auth.callers import Callers
from gateway.auth.ticket_key import FixedTicketKey, SharedTicketKey, TicketKey
from gateway.broker.gate import Gate
from gateway.broker.history import History
from gateway.broker.pulse import Pulse
from gateway.broker.store import Store
from gateway.broker.subscriber import Subscriber
from gateway.disconnects import Disconnects
from gateway.fanout.hub import Hub
from gateway.lease_watch import LeaseWatch
from gateway.limits import Limits
from gateway.logs.log import Log
from gateway.metrics.counters import Metrics
from gateway.metrics.exposition import MetricFigures, figures
from gateway.presence.delivered import Delivered
from gateway.presence.presence import Presence
from gateway.reconciler import Reconciler, Suspects
from gateway.settings.settings import Settings
from gateway.streams.open_streams import OpenStreams
from gateway.streams.parts import StreamParts
from gateway.timers import Timers
from publisher import AsyncPublisher
from publisher.redis import connect

if TYPE_CHECKING:
    from gateway.mercure.hub import MercureHub

log = Log("gateway.node")

DEGRADED_AFTER_S: Final = 1.0
"""A pub/sub connection that is back sooner than this is nobody's business."""
CANCEL_AGAIN_S: Final = 0.5
FIRST_UP_S: Final = 1.0


class Node:
    """Made inside the running loop that it is to live in, with all its parts. ``on_crash`` is told when a background
    task has died: the process must not live on without it."""

    def __init__(self, settings: Settings, *, version: str, dev: bool = False, on_crash: Callable[[], None]) -> None:
        prefix = settings.redis_prefix
        self.settings = settings
        self.dev = dev
        self.version = version
        self.id = secrets.token_hex(6)
        self.metrics = Metrics(version)
        self._loop = asyncio.get_running_loop()
        self._redis_lost = False
        self._on_crash = on_crash
        self._tasks: list[asyncio.Task[None]] = []

        # Redis, and what comes from there
        self.store = Store(connect.asyncio(settings.redis_url))
        self._pulse = Pulse(self.store)
        self.publisher = AsyncPublisher(self.store.client, prefix=prefix, max_event_bytes=settings.max_event_bytes)
        self._gate = Gate(lambda messages: self._hub.receive(messages), lambda: self._reconciler.suspect_all())
        self.history = History(self.store, self.metrics, prefix, self._gate)
        self.subscriber = Subscriber(
            self.store,
            self.metrics,
            prefix=prefix,
            node_id=self.id,
            on_messages=self._receive,
            on_up=self._redis_up,
            on_down=self._redis_down,
        )
        self._suspects = Suspects()
        self._leases = LeaseWatch(self.publisher, self.history, viewed=self._is_viewed)
        self._hub = Hub(
            self.metrics, later=self._loop.call_soon, suspect=self._suspects.add, started=self._leases.started
        )
        self._reconciler = Reconciler(
            self._hub, self.history, self._suspects, self.metrics, up=lambda: self.subscriber.up
        )

        # Who is here
        self._timers = Timers(
            self._hub,
            self.metrics,
            heartbeat_s=settings.heartbeat_s,
            write_timeout_s=settings.write_timeout_s,
            unwant=self.subscriber.unwant,
            compare=self._reconciler.sweep,
        )
        self.streams = OpenStreams(settings, self._hub, self._timers, self.metrics)
        self.limits = Limits(settings.max_connections, settings.connect_rate_per_s)
        self.presence = Presence(
            self.store,
            prefix=prefix,
            node_id=self.id,
            version=version,
            max_per_user=settings.max_connections_per_user,
            draining=lambda: self.streams.draining,
            delivered=lambda: Delivered.now(self.metrics),
            events=settings.presence_events,
            unreadable=self.metrics.unreadable,
        )

        # Who asks
        self.disconnects = Disconnects(
            self.store,
            self.subscriber,
            prefix=prefix,
            disconnect=self.streams.disconnect,
            gate=self._gate,
            leeway_s=settings.jwt_leeway_s,
            unreadable=self.metrics.unreadable,
        )
        given, other = settings.ticket_key, settings.ticket_key_other
        fixed = FixedTicketKey(given, other) if given else None
        self.ticket_key: TicketKey = fixed or SharedTicketKey(
            self.store.client, prefix, unreadable=self.metrics.unreadable
        )
        self._authenticator = Authenticator(settings, self.ticket_key)
        self.callers = Callers(settings, self._authenticator, self.disconnects, dev=dev)

        self.stream_parts = StreamParts(
            settings=settings,
            hub=self._hub,
            history=self.history,
            subscriptions=self.subscriber,
            suspect=self._suspects.add,
            callers=self.callers,
            streams=self.streams,
            metrics=self.metrics,
            leases=self._leases,
        )
        self.mercure: MercureHub | None = None
        if settings.mercure:
            from gateway.mercure.hub import MercureHub

            self.mercure = MercureHub(
                settings, self.store, self.stream_parts, self.limits, self.presence, self._authenticator.tokens, self.id
            )

    # Life ---

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The node at work; everything in the background is gone when this is left."""
        parts: dict[str, Coroutine[Any, Any, None]] = {
            "subscriber": self.subscriber.run(),
            "reconciler": self._reconciler.run(),
            "presence": self.presence.run(),
            "disconnects": self.disconnects.run(),
            "timers": self._timers.run(),
            "leases": self._leases.run(),
        }
        if self.presence.news:
            parts["presence_news"] = self.presence.news.run()
        if self.mercure:
            parts["mercure"] = self.mercure.run()
        self._tasks = [asyncio.create_task(self._guard(name, part), name=name) for name, part in parts.items()]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_UP_S):
                while not self.knows_enough:
                    await asyncio.sleep(0.02)
        try:
            yield
        finally:
            await self._end_tasks()
            if self.mercure:
                await self.mercure.close()
            await self.presence.close()
            await self.close()

    @property
    def knows_enough(self) -> bool:
        """Whether it hears Redis and has read which tokens were revoked."""
        return self.subscriber.up and self.disconnects.loaded

    async def is_served(self) -> bool:
        """Whether Redis answers, too: it is heard on one connection, and asked on others."""
        return self.knows_enough and await self._pulse.beats()

    def figures(self) -> list[MetricFigures]:
        """Everything that it counts."""
        self.metrics.queue_bytes = self.streams.queue_bytes()
        return figures(self.metrics)

    async def close(self) -> None:
        """Close what a node that has never run holds as well."""
        await self._authenticator.aclose()
        await self.store.close()

    async def _end_tasks(self) -> None:
        """Cancel until each has ended: a library may swallow a cancellation, and the process must not hang for it."""
        waiting = set(self._tasks)
        while waiting:
            for task in waiting:
                task.cancel()
            _, waiting = await asyncio.wait(waiting, timeout=CANCEL_AGAIN_S)

    async def _guard(self, name: str, part: Coroutine[Any, Any, None]) -> None:
        try:
            await part
        except asyncio.CancelledError:
            raise
        except BaseException:
            log.exception("node.task_died", name=name)
        self._on_crash()

    # What Redis brings, to whom it concerns ---

    def _receive(self, messages: list[tuple[str, bytes]]) -> None:
        self.disconnects.pick(messages)
        self._gate.receive(messages)

    def _is_viewed(self, channel: str) -> bool:
        known = self._hub.channels.get(channel)
        return known is not None and known.used

    def _redis_up(self) -> None:
        # Whoever heard of the loss hears of its end.
        log.at(logging.WARNING if self._redis_lost else logging.INFO, "redis.up")
        self._redis_lost = False
        self._gate.doubt()
        self._reconciler.suspect_all()
        self.streams.tell_degraded(False)

    def _redis_down(self, reason: str) -> None:
        # A stopping node closes the connection itself.
        self._redis_lost = not self.streams.draining
        log.at(logging.WARNING if self._redis_lost else logging.INFO, "redis.lost", reason=reason)
        self._gate.doubt()
        self._loop.call_later(DEGRADED_AFTER_S, self._check_degraded)

    def _check_degraded(self) -> None:
        if not self.subscriber.up:
            self.streams.tell_degraded(True)
