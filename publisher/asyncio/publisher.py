"""The asyncio publisher: the same calls as coroutines."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from publisher import channels
from publisher.asyncio.answer_handle import AsyncAnswerHandle
from publisher.asyncio.job_handle import AsyncJobHandle
from publisher.core import drafts, flows, presence, steps
from publisher.core.given import JobChanges, JobOptions, PublisherOptions
from publisher.core.options import Options
from publisher.core.perform import Flow
from publisher.core.presence import ClientConnections, ConnectionMetrics, Walk
from publisher.core.replies import Receipt
from publisher.core.tracing import Tracing
from publisher.exceptions import PublisherClosed
from publisher.job import Job

if TYPE_CHECKING:
    from publisher.asyncio.transport import AsyncRedisTransport, AsyncTransport
    from publisher.redis.connect import Asyncio

T = TypeVar("T")


class AsyncPublisher:
    """Publishes events and runs jobs in one event loop. Any number of tasks may share one: calls that are made while
    a round trip is under way travel together with the next. When its loop has been closed, as after ``asyncio.run()``,
    it goes on in the next one; in a second loop beside an open one its calls raise :class:`PublisherError`.

    Settings and errors are those of :class:`publisher.Publisher`. Make it with :meth:`from_url`, or from a client of
    ``redis.asyncio`` that does not repeat calls by itself (``retry=Retry(NoBackoff(), 0)``).
    """

    def __init__(
        self,
        client: Asyncio | AsyncRedisTransport,
        **options: Unpack[PublisherOptions],
    ) -> None:
        from publisher.asyncio.transport import AsyncRedisTransport

        self._start(
            Options.of(options), client if isinstance(client, AsyncRedisTransport) else AsyncRedisTransport(client)
        )

    @classmethod
    def from_url(cls, url: str, **options: Unpack[PublisherOptions]) -> Self:
        """A publisher for ``redis://``, ``rediss://``, ``unix://``, ``redis+sentinel://host:port,host:port/service/db``
        or ``redis+cluster://host:port,host:port``. Connects at the first call; a server that is away is no error yet.
        """
        from publisher.asyncio.transport import AsyncRedisTransport
        from publisher.redis.address import parse

        return cls(AsyncRedisTransport(parse(url)), **options)

    def _start(self, options: Options, transport: AsyncTransport) -> None:
        self._options = options.on(cluster=transport.cluster, db=transport.db)
        self._closed = False
        self._tracing = Tracing()
        from publisher.asyncio.sender import AsyncSender  # redis-py takes long to import

        self._sender = AsyncSender(self._options, transport)

    def __repr__(self) -> str:
        return f"<AsyncPublisher for Redis at {self._sender.where}, prefix {self._options.prefix!r}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Wait up to ``flush_timeout_s`` for waiting events and close the connections. May be called twice."""
        self._closed = True
        await self._sender.close()

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
        event = drafts.draft(self._options, channel, type, data, id, traceparent)
        if not self._tracing.on or event.traceparent:
            return await self._sender.publish(event)
        with self._tracing.span(event.channel) as event.traceparent:
            return await self._sender.publish(event)

    async def publish_many(self, events: Iterable[Any]) -> list[Receipt | None]:
        """Publish ``(channel, type, data)`` tuples or dicts in one round trip; receipts in order.

        A dict may have ``id`` and ``traceparent`` too. All are checked before any is sent; the error names the index.
        An event for a finished job raises :class:`JobFinished` after the others have been published.
        """
        self._check_open()
        checked = drafts.drafts(self._options, events)
        if not self._tracing.on:
            return await self._sender.publish_many(checked)
        with self._tracing.span_of(checked):
            return await self._sender.publish_many(checked)

    async def create_job(
        self, job_id: str, *, kind: str, owner: str | None = None, meta: dict[str, Any] | None = None
    ) -> Job:
        """Register a job that no worker has yet; status ``pending``. One of the same kind and owner that is there
        already, because a worker was quicker, is returned as it is; another one raises :class:`JobExists`."""
        step = steps.create(self._options, job_id, kind, owner, meta)
        return await self._run(flows.create_job(self._options, step))

    def job(
        self,
        job_id: str,
        *,
        kind: str | None = None,
        owner: str | None = None,
        meta: dict[str, Any] | None = None,
        **held: Unpack[JobOptions],
    ) -> AsyncJobHandle:
        """``async with`` or ``await`` it: start a job, or attach to one that is there with the same kind and owner.
        Without ``kind`` it takes up the job of this id, whoever's it is: one that ``create_job`` registered, or one
        that is to be tried again.

        ``lease_s`` (30): the handle gives a sign of life more often than that, from a thread; a worker that does not
        is lost, and the job fails with code ``worker_lost``, or with ``on_worker_lost="wait"`` is pending until its
        queue runs it again. ``adopt``: the job's own kind counts where it differs from the one given here.
        ``progress_interval_s`` (0): progress that comes closer together is merged, and the last is always sent.
        Raises ``ValueError``, :class:`JobExists` for another kind or owner, :class:`JobNotFound` where there is none
        to take up, and :class:`JobFinished` for one that has ended. While Redis is away the job starts all the same,
        and is registered when it is back.
        """
        self._check_open()
        birth = steps.open_(self._options, job_id, kind, owner, meta, **held)
        return AsyncJobHandle(self._options, birth, held, self._sender)

    async def create_answer(
        self, chat_id: str, *, owner: str, job_id: str | None = None, meta: dict[str, Any] | None = None
    ) -> str:
        """Register an answer in the owner's chat that no worker has yet, and return its job id; status ``pending``. The
        chat's older answer, if it has not ended, is cancelled. Raises ``ValueError``, and :class:`JobExists` for the id
        of another job."""
        step = steps.create_answer(self._options, chat_id, owner, job_id, meta)
        return await self._run(flows.create_answer(self._options, step))

    def answer(
        self,
        chat_id: str,
        *,
        owner: str,
        job_id: str | None = None,
        meta: dict[str, Any] | None = None,
        **held: Unpack[JobOptions],
    ) -> AsyncAnswerHandle:
        """Start an answer in the owner's chat: a job of kind ``answer``, whose text arrives in pieces. With ``job_id``
        it takes up the one that :meth:`create_answer` registered. The chat's older answer is cancelled (``error.code``
        ``superseded``). The other arguments are those of :meth:`job`.

        Raises ``ValueError``, :class:`JobExists` for the id of another job and for an answer that another worker is
        writing, and :class:`JobFinished` for one that has ended.
        """
        self._check_open()
        birth = steps.open_answer(self._options, chat_id, owner, job_id, meta, **held)
        return AsyncAnswerHandle(self._options, birth, held, self._sender)

    async def get_job(self, job_id: str) -> Job | None:
        """A job's newest state, or None."""
        return await self._run(flows.get_job(self._options, job_id))

    async def cancel_job(self, job_id: str) -> Job:
        """Cancel a job; its worker learns it from its next report. One that is cancelled already is returned as it
        is. Raises :class:`JobNotFound`, :class:`JobFinished`."""
        return await self._run(flows.cancel_job(self._options, job_id))

    async def pause_job(self, job_id: str) -> Job:
        """Ask a job's worker to wait; it does so in ``track()`` and ``wait_if_paused()``. The status stays as it is.
        Raises :class:`JobNotFound`, :class:`JobFinished`."""
        return await self._run(flows.pause_job(self._options, job_id, paused=True))

    async def resume_job(self, job_id: str) -> Job:
        """Let a paused job go on. Raises :class:`JobNotFound`, :class:`JobFinished`."""
        return await self._run(flows.pause_job(self._options, job_id, paused=False))

    async def expire_job(self, job_id: str, *, owner: str | None = None) -> int:
        """End an active job, or let it be tried again, if its worker's lease has run out. Whoever reads the job with
        :meth:`get_job` does this too. Returns after how many ms it is worth looking again, -1 for never."""
        return await self._run(flows.expire_job(self._options, job_id, owner))

    async def update_job(self, job_id: str, **changes: Unpack[JobChanges]) -> Job:
        """Change a job from outside its handle, for a worker in another language.

        Takes ``status``, ``progress``, ``message``, ``stage``, ``current``, ``total``, ``item``, ``result`` and
        ``error``; what is left out stays as it was. ``status`` is active, completed (with ``result``), failed (with
        ``error``: text, or a dict with ``message``) or cancelled; ``item`` is a dict with ``item_id``.
        Raises ``ValueError``, :class:`JobNotFound`, :class:`JobFinished`.
        """
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

    async def _run(self, flow: Flow[T]) -> T:
        self._check_open()
        return await self._sender.run(flow)
