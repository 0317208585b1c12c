"""A node without a network: real hub, streams, history and reconciler on a loop whose clock stands still."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar, Final

from starlette.types import Message

from gateway.auth.authenticator import Authenticator
from gateway.auth.callers import Callers
from gateway.auth.principal import ADMIN, Principal
from gateway.auth.ticket_key import FixedTicketKey
from gateway.broker.history import History
from gateway.dialects.native import NativeEncoder
from gateway.exceptions import NotFound, StoreDown
from gateway.fanout.encoder import Encoder
from gateway.fanout.hub import FLUSH_BATCH, Hub
from gateway.limits import Limits
from gateway.metrics.counters import Metrics
from gateway.reconciler import Reconciler, Suspects
from gateway.settings.settings import Settings
from gateway.streams.arrival import PendingStream
from gateway.streams.open_streams import OpenStreams
from gateway.streams.opening import Opening
from gateway.streams.parts import StreamParts
from gateway.streams.plan import Plan
from gateway.timers import Timers
from publisher.envelope import Event
from publisher.job import Job
from tests.unit.model_client import QUIET, ModelSocket
from tests.unit.model_redis import ModelRedis, ModelStore

TURNS: Final = 25
"""Turns of the loop in which everything comes to rest that waits for nothing from outside."""
ANYBODY: Final = Principal(scopes=frozenset({ADMIN}))


class QuietEncoder(NativeEncoder):
    """Like a dialect that has no word for some events."""

    name: ClassVar[str] = "quiet"

    def event(self, event: Event) -> bytes | None:
        return None if event.type == QUIET else super().event(event)


QUIET_ENCODER: Final = QuietEncoder(envelope=False, heartbeat_event=False)


class StillLoop(asyncio.SelectorEventLoop):
    """Its clock goes on when the test says so."""

    now = 0.0

    def time(self) -> float:
        return self.now


class NobodyRevoked:
    loaded = True

    def revoked(self, subject: str, issued_at: float | None) -> bool:
        return False


class ModelSubscriptions:
    """Subscribes at once; what the socket brings is in ``ModelRedis.pipe``."""

    up = True

    def __init__(self, redis: ModelRedis) -> None:
        self._redis = redis

    def has(self, channel: str) -> bool:
        return channel in self._redis.subscribed

    async def want(self, *channels: str) -> None:
        self._redis.subscribed.update(channels)


class _NoLeases:
    """No worker is ever lost in the model."""

    def shown(self, job: Job) -> None: ...
    def viewed_owner(self, owner: str) -> None: ...


class ModelNode:
    """``crashed`` holds whatever escaped from a task or a callback."""

    def __init__(
        self,
        redis: ModelRedis,
        *,
        queue_bytes: int,
        encoder: Callable[[], Encoder] = lambda: QUIET_ENCODER,
        at_once: int = FLUSH_BATCH,
    ) -> None:
        """``encoder`` makes that of a stream; ``at_once`` streams are written to in one turn."""
        self.redis = redis
        self.store = ModelStore(redis)
        self.loop = StillLoop()
        self.crashed: list[object] = []
        self.loop.set_exception_handler(lambda loop, context: self.crashed.append(context))
        self._encoder = encoder
        self._at_once = at_once
        self._settings = Settings(queue_bytes=queue_bytes, max_event_bytes=256, job_wait_s=0.0, max_stream_age_s=0.0)
        self.loop.run_until_complete(self._start())

    async def _start(self) -> None:
        metrics, suspects = Metrics("model"), Suspects()
        self.hub = Hub(metrics, later=self.loop.call_soon, suspect=suspects.add, at_once=self._at_once)
        history = History(self.store, metrics, "sse")
        self.reconciler = Reconciler(self.hub, history, suspects, metrics, up=lambda: True)
        timers = Timers(
            self.hub,
            metrics,
            heartbeat_s=15,
            write_timeout_s=30,
            unwant=lambda gone: None,
            compare=self.reconciler.sweep,
        )
        self._parts = StreamParts(
            settings=self._settings,
            hub=self.hub,
            history=history,
            subscriptions=ModelSubscriptions(self.redis),
            suspect=suspects.add,
            callers=Callers(self._settings, Authenticator(self._settings, FixedTicketKey("t" * 32)), NobodyRevoked()),
            streams=OpenStreams(self._settings, self.hub, timers, metrics),
            metrics=metrics,
            leases=_NoLeases(),
        )
        self._background = self.loop.create_task(self._watched_reconciler())

    async def _watched_reconciler(self) -> None:
        try:
            await self.reconciler.run()
        except Exception as error:
            self.crashed.append(error)

    def turn(self) -> None:
        """Let everything run until it waits."""
        for _ in range(TURNS):
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()
        assert not self.crashed, self.crashed

    def pass_time(self, seconds: float) -> None:
        """Time goes by: timers fire, quiet channels are compared, channels that nobody wants are forgotten."""
        self.loop.now += seconds
        self.reconciler.sweep(self.loop.now)
        for channel in self.hub.sweep(self.loop.now, 5.0):
            self.redis.subscribed.discard(channel.name)
        self.turn()

    def open(self, channels: tuple[str, ...], cursor: str, socket: ModelSocket) -> asyncio.Task[None]:
        """A stream; its task ends with it."""

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                socket.statuses.append(message["status"])
            elif not message.get("more_body"):
                socket.ended = True

        async def serve() -> None:
            http: Any = socket
            plan = Plan(channels, self._encoder())
            asked = (self._parts, plan, ANYBODY, http, send, cursor)
            arrival = PendingStream(None, channels)
            opening = Opening(*asked, arrival=arrival, limits=Limits(0, 0), user_key="anybody")
            over = asyncio.Event()
            try:
                if await opening.open(over.set):
                    await over.wait()
                else:
                    socket.statuses.append(204)
            except (StoreDown, NotFound):
                socket.statuses.append(503)

        return self.loop.create_task(serve())

    def close(self) -> None:
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        for _ in range(TURNS):
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()
        self.loop.close()
