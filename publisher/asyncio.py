"""The asyncio publisher: the same calls as coroutines."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from publisher import calls, channels, flows, presence, reports, retry, steps
from publisher.batch import Batch
from publisher.calls import Call, Draft, Receipt, Request
from publisher.connect import Asyncio
from publisher.exceptions import PublisherClosed
from publisher.flusher_asyncio import AsyncFlusher, drive
from publisher.job import Job
from publisher.jobs_asyncio import AsyncJobHandle
from publisher.lane import Lane
from publisher.options import BUFFER_BYTES, DIRECT_S, OnError, Options
from publisher.post_asyncio import AsyncPost
from publisher.presence import ClientConnections, ConnectionMetrics, Walk
from publisher.tracing import Tracing
from publisher.transport import AsyncRedisTransport, AsyncTransport

T = TypeVar("T")

DIRECT_CAP_S: Final = 0.5
"""Longest pause between two tries of a direct publish."""


class AsyncPublisher:
    """Publishes events and runs jobs in one event loop. Any number of tasks may share one: calls that are made while
    a round trip is under way travel together with the next.

    Settings and errors are those of :class:`publisher.Publisher`. Make it with :meth:`from_url`, or from a client of
    ``redis.asyncio`` that does not repeat calls by itself (``retry=Retry(NoBackoff(), 0)``).
    """

    def __init__(
        self,
        client: Asyncio | AsyncRedisTransport,
        *,
        prefix: str = channels.DEFAULT_PREFIX,
        on_error: OnError = "raise",
        history_events: int = 500,
        history_ttl_s: int = 86_400,
        buffer_events: int = 10_000,
        max_event_bytes: int = 262_144,
        flush_timeout_s: float = 10,
        buffer_bytes: int = BUFFER_BYTES,
    ) -> None:
        settings = Options(
            prefix,
            on_error,
            history_events,
            history_ttl_s,
            buffer_events,
            max_event_bytes,
            flush_timeout_s,
            buffer_bytes,
        )
        self._start(settings, client if isinstance(client, AsyncRedisTransport) else AsyncRedisTransport(client))

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        prefix: str = channels.DEFAULT_PREFIX,
        on_error: OnError = "raise",
        history_events: int = 500,
        history_ttl_s: int = 86_400,
        buffer_events: int = 10_000,
        max_event_bytes: int = 262_144,
        flush_timeout_s: float = 10,
        buffer_bytes: int = BUFFER_BYTES,
    ) -> Self:
        """A publisher for ``redis://``, ``rediss://``, ``unix://``, ``redis+sentinel://host:port,host:port/service/db``
        or ``redis+cluster://host:port,host:port``. Connects at the first call; a server that is away is no error yet.
        """
        return cls(
            AsyncRedisTransport(url),
            prefix=prefix,
            on_error=on_error,
            history_events=history_events,
            history_ttl_s=history_ttl_s,
            buffer_events=buffer_events,
            max_event_bytes=max_event_bytes,
            flush_timeout_s=flush_timeout_s,
            buffer_bytes=buffer_bytes,
        )

    def _start(self, options: Options, transport: AsyncTransport) -> None:
        self._options = options.on(transport.cluster)
        self._transport = transport
        self._closed = False
        self._tracing = Tracing()
        self._lane = Lane(self._options, transport)
        self._flusher = AsyncFlusher(self._options, transport)
        self._post = AsyncPost(self._options, transport, self._flusher)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Wait up to ``flush_timeout_s`` for waiting events and close the connections. May be called twice."""
        self._closed = True
        timeout_s = self._options.flush_timeout_s
        if not await self._flusher.wait(timeout_s):
            reports.left_over(len(self._flusher), self._transport.where, timeout_s)
        await self._flusher.stop()
        await self._lane.close()
        await self._transport.close()

    async def send(self, client_id: str, type: str, data: Any) -> Receipt | None:
        """Publish to one client: the channel ``client:{client_id}``."""
        return await self.publish(channels.client_channel(client_id), type, data)

    async def broadcast(self, type: str, data: Any) -> Receipt | None:
        """Publish to everybody who is connected."""
        return await self.publish(channels.BROADCAST, type, data)

    async def publish(
        self, channel: str, type: str, data: Any, *, id: str | None = None, traceparent: str | None = None
    ) -> Receipt | None:
        """Publish one event; None where it waits for Redis (``on_error="buffer"`` only).

        ``id`` is the caller's own: a second event with it on the channel within 5 minutes is not published, and
        answers the first one's receipt. ``traceparent`` (W3C) travels with the event; left out, it is that of a span
        which is made here where OpenTelemetry is installed. Raises ``ValueError`` (:class:`EventTooLarge` among them)
        before anything is sent, :class:`JobFinished` for the channel of a job that has ended, :class:`PublishError`,
        :class:`BufferFull`.
        """
        self._check_open()
        event = calls.draft(self._options, channel, type, data, id, traceparent)
        if not self._tracing.on or event.traceparent:
            return await self._publish(event)
        with self._tracing.span(event.channel) as event.traceparent:
            return await self._publish(event)

    async def _publish(self, event: Draft) -> Receipt | None:
        if self._options.on_error == "buffer":
            return await self._post.publish(event)
        reply = await self._lane.send(event.call(self._options), reports.name(event))
        return calls.receipt(event, reply)

    async def publish_many(self, events: Iterable[Any]) -> list[Receipt | None]:
        """Publish ``(channel, type, data)`` tuples or dicts in one round trip; receipts in order.

        A dict may have ``id`` and ``traceparent`` too. All are checked before any is sent; the error names the index.
        An event for a finished job raises :class:`JobFinished` after the others have been published.
        """
        self._check_open()
        checked = calls.drafts(self._options, events)
        if not self._tracing.on:
            return await self._publish_many(checked)
        with self._tracing.span_of(checked):
            return await self._publish_many(checked)

    async def _publish_many(self, events: list[Draft]) -> list[Receipt | None]:
        if self._options.on_error == "buffer":
            return await self._post.publish_many(events)
        return calls.receipts(events, await self._insist_many(events))

    async def create_job(
        self, job_id: str, *, kind: str, owner: str | None = None, meta: dict[str, Any] | None = None
    ) -> Job:
        """Register a job that no worker has yet; status ``pending``. Raises :class:`JobExists`."""
        step = steps.create(self._options, job_id, kind, owner, meta)
        return await self._run(flows.create_job(self._options, step))

    def job(
        self, job_id: str, *, kind: str, owner: str | None = None, meta: dict[str, Any] | None = None
    ) -> AsyncJobHandle:
        """``async with`` or ``await`` it: start a job, or attach to one that
        ``create_job`` registered with the same kind and owner.

        Raises :class:`JobExists` for another kind or owner and :class:`JobFinished` for one that has ended. While
        Redis is away the job starts all the same, and is registered when it is back.
        """
        self._check_open()
        return AsyncJobHandle(self._options, steps.open_(self._options, job_id, kind, owner, meta), self._post)

    async def get_job(self, job_id: str) -> Job | None:
        """A job's newest state, or None."""
        return await self._run(flows.get_job(self._options, job_id))

    async def cancel_job(self, job_id: str) -> Job:
        """Cancel a job; its worker learns it from its next report. One that is cancelled already is returned as it
        is. Raises :class:`JobNotFound`, :class:`JobFinished`."""
        return await self._run(flows.cancel_job(self._options, job_id))

    async def update_job(
        self,
        job_id: str,
        *,
        status: str | None = None,
        progress: float | None = None,
        message: str | None = None,
        stage: str | None = None,
        current: float | None = None,
        total: float | None = None,
        item: dict[str, Any] | None = None,
        result: Any = None,
        error: str | dict[str, Any] | None = None,
    ) -> Job:
        """Change a job from outside its handle, for a worker in another language.

        ``status`` is active, completed (with ``result``), failed (with ``error``) or cancelled; ``item`` is a dict
        with ``item_id``. Raises ``ValueError``, :class:`JobNotFound`, :class:`JobFinished`.
        """
        changes = flows.changes(status, progress, message, stage, current, total, item, result, error)
        return await self._run(flows.update_job(self._options, job_id, changes))

    async def has_connections(self, client_id: str) -> bool:
        """Whether a stream of ``client:{id}`` is open on any node: whether :meth:`send` reaches somebody now."""
        return await self._run(presence.has_connections(self._options.prefix, client_id))

    async def connection_metrics(self) -> ConnectionMetrics:
        """Streams of clients and different clients over all nodes. A killed node counts for up to 15 s more."""
        return await self._run(presence.connection_metrics(self._options.prefix))

    async def connected_clients(self) -> AsyncIterator[ClientConnections]:
        """All clients with an open stream and how many they have, each once, in no order. Reads some hundred at a
        time while it goes on; who comes or goes meanwhile may be missed or come twice."""
        self._check_open()
        walk = Walk(self._options.prefix)
        while (page := await self._run(walk.next_page())) is not None:
            for client in page:
                yield client

    def _check_open(self) -> None:
        if self._closed:
            raise PublisherClosed

    async def _run(self, flow: flows.Flow[T]) -> T:
        self._check_open()
        return await drive(flow, self._insist)

    async def _insist(self, request: Request) -> Any:
        if isinstance(request, Call):
            return await self._lane.send(request, calls.what(request))
        deadline = time.monotonic() + DIRECT_S
        for attempt in itertools.count(1):
            try:
                return await self._transport.execute(request)
            except retry.ERRORS as error:
                await self._pause(attempt, deadline, error, "A read")

    async def _insist_many(self, events: list[Draft]) -> list[Any]:
        batch = Batch([event.call(self._options) for event in events])
        deadline = time.monotonic() + DIRECT_S
        for attempt in itertools.count(1):
            error: Exception | None
            try:
                error = batch.take(await self._transport.batch(batch.pending))
            except retry.ERRORS as trouble:
                batch.lost()
                error = trouble
            if error is None:
                break
            await self._pause(attempt, deadline, error, f"Event {len(batch.replies)} of the list")
        return batch.replies

    async def _pause(self, attempt: int, deadline: float, error: Exception, what: str) -> None:
        """Wait for the next try. Raises :class:`PublishError` where there should be none."""
        await self._transport.repair(error)
        delay = retry.backoff_s(attempt, cap_s=DIRECT_CAP_S)
        if retry.fault(error) is not retry.Fault.AWAY or time.monotonic() + delay > deadline:
            raise reports.unreachable(what, self._transport.where, error, self._options) from error
        await asyncio.sleep(delay)
