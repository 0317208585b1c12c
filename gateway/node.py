"""One node: its parts, wired together, and what lives in the background. Knows nothing of routes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final

from starlette.requests import Request

from gateway import access
from gateway.auth import Authenticator
from gateway.auth_errors import AuthError, AuthUnavailable, token_required
from gateway.channel import Channel
from gateway.closing import Closing
from gateway.connection import Connection
from gateway.control import Control
from gateway.credentials import Credentials
from gateway.delivered import Delivered
from gateway.drain import drain_order
from gateway.exceptions import Forbidden, NotFound, Unauthorized, Unavailable
from gateway.guard import require_same_site
from gateway.history import History
from gateway.hub import Hub
from gateway.keeper import Keeper
from gateway.limits import Limits
from gateway.metrics import Metrics
from gateway.presence import Presence
from gateway.principal import Principal
from gateway.reconciler import Reconciler
from gateway.settings import Settings
from gateway.store import Store
from gateway.subscriber import Subscriber
from gateway.ticket_key import FixedTicketKey, SharedTicketKey, TicketKey
from publisher import AsyncPublisher, connect
from publisher import channels as names
from publisher.job import Job

log = logging.getLogger("gateway.node")
stream_log = logging.getLogger("gateway.stream")

DEGRADED_AFTER_S: Final = 1.0
"""A pub/sub connection that is back sooner than this is nobody's business."""
AGE_JITTER: Final = 0.2
LAST_SHARE: Final = 0.75
"""Share of the drain window after which the streams go whose clients take any end as final."""
CANCEL_AGAIN_S: Final = 0.5
FIRST_UP_S: Final = 1.0


class Node:
    """``on_crash`` is told when a background task has died: the process must not live on without it."""

    def __init__(self, settings: Settings, *, version: str, dev: bool = False, on_crash: Callable[[], None]) -> None:
        self.settings = settings
        self.dev = dev
        self.version = version
        self.id = secrets.token_hex(6)
        self.metrics = Metrics(version)
        self.draining = False
        self._hurry = asyncio.Event()
        self._on_crash = on_crash
        self.degraded = False
        self._tasks: list[asyncio.Task[None]] = []

    def start_parts(self) -> None:
        """Make the parts. Needs a running loop."""
        settings, prefix = self.settings, self.settings.redis_prefix
        loop = asyncio.get_running_loop()
        self.store = Store(connect.asyncio(settings.redis_url))
        self.publisher = AsyncPublisher(self.store.client, prefix=prefix, max_event_bytes=settings.max_event_bytes)
        self.hub = Hub(self.metrics, later=loop.call_soon, suspect=lambda channel: self.reconciler.suspect(channel))
        self.history = History(self.store, self.metrics, prefix)
        self.subscriber = Subscriber(
            self.store,
            self.metrics,
            prefix=prefix,
            node_id=self.id,
            on_messages=self._receive,
            on_up=self._redis_up,
            on_down=self._redis_down,
        )
        self.reconciler = Reconciler(self.hub, self.history, self.metrics, up=lambda: self.subscriber.up)
        self.limits = Limits(settings.max_connections, settings.connect_rate_per_s)
        self.presence = Presence(
            self.store,
            prefix=prefix,
            node_id=self.id,
            version=self.version,
            max_per_user=settings.max_connections_per_user,
            draining=lambda: self.draining,
            delivered=lambda: Delivered.now(self.metrics),
            events=settings.presence_events,
        )
        self.control = Control(self.store, self.subscriber, prefix=prefix, disconnect=self._disconnect)
        ticket_key = FixedTicketKey(settings.ticket_key) if settings.ticket_key else None
        self.ticket_key: TicketKey = ticket_key or SharedTicketKey(self.store.client, prefix)
        self.authenticator = Authenticator(settings, self.ticket_key)
        self.keeper = Keeper(
            self.hub,
            self.metrics,
            heartbeat_s=settings.heartbeat_s,
            write_timeout_s=settings.write_timeout_s,
            unwant=self.subscriber.unwant,
            compare=self.reconciler.sweep,
        )
        self.metrics.channels = lambda: len(self.hub.channels)
        self.metrics.queue_bytes = lambda: sum(c.queued + c.peer.unsent() for c in self.hub.connections.values())
        self.metrics.clock_offset = lambda: self.subscriber.clock_offset_s

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The node at work; everything in the background is gone when this is left."""
        self.start_parts()
        parts: dict[str, Coroutine[Any, Any, None]] = {
            "subscriber": self.subscriber.run(),
            "reconciler": self.reconciler.run(),
            "presence": self.presence.run(),
            "control": self.control.run(),
            "keeper": self.keeper.run(),
        }
        if self.presence.news:
            parts["presence_news"] = self.presence.news.run()
        self._tasks = [asyncio.create_task(self._guard(name, part), name=name) for name, part in parts.items()]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_UP_S):
                while not (self.subscriber.up and self.control.loaded):
                    await asyncio.sleep(0.02)
        try:
            yield
        finally:
            await self._end_tasks()
            await self.presence.close()
            await self.authenticator.aclose()
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
            log.exception("node.task_died name=%s", name)
        self._on_crash()

    # Redis ---

    def _receive(self, messages: list[tuple[str, bytes]]) -> None:
        self.control.pick(messages)
        self.hub.receive(messages)

    def _redis_up(self) -> None:
        log.info("redis.up")
        self.reconciler.suspect_all()
        self.control.reload()
        if self.degraded:
            self.degraded = False
            self.hub.tell_all(lambda encoder: encoder.degraded(False))

    def _redis_down(self, reason: str) -> None:
        # A stopping node closes the connection itself.
        log.log(logging.INFO if self.draining else logging.WARNING, "redis.lost reason=%s", reason)
        asyncio.get_running_loop().call_later(DEGRADED_AFTER_S, self._check_degraded)

    def _check_degraded(self) -> None:
        if not self.subscriber.up and not self.degraded:
            self.degraded = True
            self.hub.tell_all(lambda encoder: encoder.degraded(True))

    # Callers ---

    async def caller(self, request: Request) -> Principal:
        """Who asks; anonymous without a token. The one way in for every call and stream that wants to know.

        Raises :class:`Unauthorized` for a bad or revoked token, :class:`Forbidden` for a cookie that a foreign page
        makes the browser send, and :class:`Unavailable` while tokens cannot be verified.
        """
        try:
            credentials = Credentials.from_request(request.scope["headers"], request.query_params, self.settings)
            principal = await self.authenticator.authenticate(credentials)
        except AuthError as error:
            raise Unauthorized.of(error) from None
        except AuthUnavailable as error:
            raise Unavailable(str(error)) from None
        self.check_revoked(principal)
        require_same_site(request, principal, self.settings)
        return principal

    def check_revoked(self, principal: Principal) -> None:
        """Raise :class:`Unauthorized` for a token whose subject was revoked after it had been issued, and
        :class:`Unavailable` where this node cannot know that yet."""
        if principal.subject is None:
            return
        if not self.control.loaded:
            raise Unavailable("The node has just started and does not know yet which tokens were revoked; try again.")
        if self.control.revoked(principal.subject, principal.issued_at):
            raise Unauthorized("The token was revoked; sign in again.")

    async def stream_caller(self, request: Request) -> Principal:
        """Like :meth:`caller`; without a token only where anonymous reading is on."""
        principal = await self.caller(request)
        if principal.anonymous and not self.settings.anonymous_reading:
            raise Unauthorized.of(token_required())
        return principal

    def check_channels(self, principal: Principal, channels: tuple[str, ...]) -> None:
        """Refuse channels that this caller may not read. Jobs are decided when their owner is known."""
        for channel in channels:
            if names.job_id_of(channel) is None and not self.may_read(principal, channel):
                if principal.anonymous:
                    raise Unauthorized.of(token_required())
                raise Forbidden(f"The token does not allow reading {channel}.")

    def may_read_job(self, principal: Principal, job: Job) -> bool:
        return self.may_read(principal, names.job_channel(job.job_id), job.owner)

    def may_read(self, principal: Principal, channel: str, job_owner: access.Owner = access.UNKNOWN) -> bool:
        return access.may_read(
            principal, channel, anonymous_reading=self.settings.anonymous_reading, job_owner=job_owner
        )

    async def readable_job(self, principal: Principal, job_id: str) -> Job:
        """The job, if this caller may read it. Raises :class:`NotFound` alike for a missing and a foreign one."""
        job = await self.history.job(job_id)
        if job is None or not self.may_read_job(principal, job):
            raise NotFound("There is no such job.")
        return job

    def user_key(self, principal: Principal, request: Request) -> str:
        """Whom a stream counts for: the token's subject, else the client's address."""
        if principal.subject is not None:
            return f"sub:{principal.subject}"
        return f"addr:{request.client.host if request.client else 'unknown'}"

    # Streams ---

    def opened(self, connection: Connection, expires_at: float | None) -> None:
        """A stream has begun."""
        dialect = connection.encoder.name
        self.hub.connections[connection.id] = connection
        self.metrics.opened[dialect] += 1
        self.metrics.open_by_dialect[dialect] += 1
        deadline, closing = self._deadline(connection, expires_at)
        self.keeper.add(connection, deadline, closing)
        stream_log.debug(
            "stream.opened connection=%s dialect=%s channels=%d", connection.id, dialect, len(connection.channels)
        )

    def _deadline(self, connection: Connection, expires_at: float | None) -> tuple[float | None, Closing]:
        now = time.monotonic()
        age = self.settings.max_stream_age_s
        oldest = None if connection.encoder.final or not age else now + age * random.uniform(1 - AGE_JITTER, 1)
        expiry = None if expires_at is None else now + expires_at - time.time()
        if expiry is not None and (oldest is None or expiry <= oldest):
            return expiry, Closing.EXPIRED
        return oldest, Closing.AGE

    def closed(self, connection: Connection) -> None:
        """A stream has ended, for whatever reason."""
        self.hub.discard(connection)
        self.keeper.remove(connection)
        dialect, closing = connection.encoder.name, connection.closing or Closing.INTERNAL
        seconds = time.monotonic() - connection.opened_at
        self.metrics.open_by_dialect[dialect] -= 1
        self.metrics.closed[closing.reason] += 1
        self.metrics.durations.observe(seconds)
        self.metrics.bytes_sent += connection.written
        stream_log.debug(
            "stream.closed connection=%s dialect=%s reason=%s seconds=%.1f bytes=%d",
            connection.id,
            dialect,
            closing.reason,
            seconds,
            connection.written,
        )

    def _disconnect(self, subject: str) -> None:
        channel: Channel | None = self.hub.channels.get(f"client:{subject}")
        for connection in list(self.hub.connections.values()):
            if connection.subject == subject or (channel is not None and channel in connection.channels):
                connection.finish(Closing.DISCONNECTED)

    # The end ---

    async def drain(self) -> None:
        """Let the streams go, spread over the drain window; new ones are refused from now on."""
        self.draining = self.metrics.draining = True
        window = self.settings.drain_s
        started = time.monotonic()
        log.info("node.draining streams=%d window_s=%.0f", len(self.hub.connections), window)
        for channel in self.hub.channels.values():
            channel.stir()  # who waits here for a job is sent to another node
        for at, connection in drain_order(list(self.hub.connections.values()), window, LAST_SHARE):
            await self._wait(started + at - time.monotonic())
            connection.finish(Closing.DRAINING)
        open_streams = self.metrics.open_by_dialect  # the hub has forgotten those that are only saying their last words
        while any(open_streams.values()) and not self._hurry.is_set() and time.monotonic() < started + window + 5:
            await asyncio.sleep(0.02)

    async def _wait(self, seconds: float) -> None:
        if seconds > 0 and not self._hurry.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._hurry.wait()

    def hurry(self) -> None:
        """End the drain now."""
        self._hurry.set()
