"""The blocking publisher."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from publisher import channels
from publisher.blocking import exits
from publisher.blocking.answer_handle import AnswerHandle
from publisher.blocking.job_handle import JobHandle
from publisher.core import drafts, flows, forks, presence, steps
from publisher.core.given import JobChanges, JobOptions, PublisherOptions
from publisher.core.options import Options
from publisher.core.perform import Flow
from publisher.core.presence import ClientConnections, ConnectionMetrics, Walk
from publisher.core.replies import Receipt
from publisher.core.tracing import Tracing
from publisher.exceptions import PublisherClosed
from publisher.job import Job

if TYPE_CHECKING:
    from publisher.blocking.transport import RedisTransport, Transport
    from publisher.redis.connect import Blocking

T = TypeVar("T")


class Publisher:
    """Publishes events and runs jobs. Any number of threads may share one; a forked child may go on using it.

    Make it with :meth:`from_url`, or from a Redis client made elsewhere that does not repeat calls by itself
    (``retry=Retry(NoBackoff(), 0)``) and does not decode replies. Raises ``ValueError`` for bad settings.

    ``on_error="raise"``: :class:`PublishError` after a few tries within about 5 s. ``on_error="buffer"``: events wait
    in memory, at most ``buffer_events`` with ``buffer_bytes`` of JSON, and go out in order when Redis is back;
    :class:`BufferFull` beyond.

    Options, and what they are when left out: ``prefix`` of all keys (``"sse"``), ``on_error`` (``"raise"``),
    ``history_events`` kept per channel (500) for ``history_ttl_s`` (86,400), ``buffer_events`` (10,000) and
    ``buffer_bytes`` (64 MiB) that may wait, ``max_event_bytes`` of JSON in one event (262,144), ``flush_timeout_s``
    that closing and the end of a job wait for Redis (10).
    """

    def __init__(
        self,
        client: Blocking | RedisTransport,
        **options: Unpack[PublisherOptions],
    ) -> None:
        from publisher.blocking.transport import RedisTransport

        self._start(Options.of(options), client if isinstance(client, RedisTransport) else RedisTransport(client))

    @classmethod
    def from_url(cls, url: str, **options: Unpack[PublisherOptions]) -> Self:
        """A publisher for ``redis://``, ``rediss://``, ``unix://``, ``redis+sentinel://host:port,host:port/service/db``
        or ``redis+cluster://host:port,host:port``. Connects at the first call; a server that is away is no error yet.
        """
        from publisher.blocking.transport import RedisTransport
        from publisher.redis.address import parse

        return cls(RedisTransport(parse(url)), **options)

    def _start(self, options: Options, transport: Transport) -> None:
        self._options = options.on(cluster=transport.cluster, db=transport.db)
        self._closed = False
        self._tracing = Tracing()
        from publisher.blocking.sender import Sender  # redis-py takes long to import

        self._sender = Sender(self._options, transport)
        forks.register(self)
        exits.register(self._sender)

    def _after_fork(self) -> None:
        self._sender.after_fork()

    def __repr__(self) -> str:
        return f"<Publisher for Redis at {self._sender.where}, prefix {self._options.prefix!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Wait up to ``flush_timeout_s`` for waiting events and let the connections go. May be called twice."""
        exits.forget(self._sender)
        self._closed = True
        self._sender.close()

    def send(self, client_id: str, type: str, data: Any) -> Receipt | None:
        """Publish to one client: the channel ``client:{client_id}``."""
        return self.publish(channels.client_channel(client_id), type, data)

    def broadcast(self, type: str, data: Any) -> Receipt | None:
        """Publish to everybody who is connected."""
        return self.publish(channels.BROADCAST, type, data)

    def publish(
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
            return self._sender.publish(event)
        with self._tracing.span(event.channel) as event.traceparent:
            return self._sender.publish(event)

    def publish_many(self, events: Iterable[Any]) -> list[Receipt | None]:
        """Publish ``(channel, type, data)`` tuples or dicts in one round trip; receipts in order.

        A dict may have ``id`` and ``traceparent`` too. All are checked before any is sent; the error names the index.
        An event for a finished job raises :class:`JobFinished` after the others have been published.
        """
        self._check_open()
        checked = drafts.drafts(self._options, events)
        if not self._tracing.on:
            return self._sender.publish_many(checked)
        with self._tracing.span_of(checked):
            return self._sender.publish_many(checked)

    def create_job(
        self, job_id: str, *, kind: str, owner: str | None = None, meta: dict[str, Any] | None = None
    ) -> Job:
        """Register a job that no worker has yet; status ``pending``. One of the same kind and owner that is there
        already, because a worker was quicker, is returned as it is; another one raises :class:`JobExists`."""
        step = steps.create(self._options, job_id, kind, owner, meta)
        return self._run(flows.create_job(self._options, step))

    def job(
        self,
        job_id: str,
        *,
        kind: str | None = None,
        owner: str | None = None,
        meta: dict[str, Any] | None = None,
        **held: Unpack[JobOptions],
    ) -> JobHandle:
        """Start a job, or attach to one that is there with the same kind and owner. Without ``kind`` it takes up the
        job of this id, whoever's it is: one that ``create_job`` registered, or one that is to be tried again.

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
        return JobHandle(self._options, birth, held, self._sender)

    def create_answer(
        self, chat_id: str, *, owner: str, job_id: str | None = None, meta: dict[str, Any] | None = None
    ) -> str:
        """Register an answer in the owner's chat that no worker has yet, and return its job id; status ``pending``. The
        chat's older answer, if it has not ended, is cancelled. Raises ``ValueError``, and :class:`JobExists` for the id
        of another job."""
        step = steps.create_answer(self._options, chat_id, owner, job_id, meta)
        return self._run(flows.create_answer(self._options, step))

    def answer(
        self,
        chat_id: str,
        *,
        owner: str,
        job_id: str | None = None,
        meta: dict[str, Any] | None = None,
        **held: Unpack[JobOptions],
    ) -> AnswerHandle:
        """Start an answer in the owner's chat: a job of kind ``answer``, whose text arrives in pieces. With ``job_id``
        it takes up the one that :meth:`create_answer` registered. The chat's older answer is cancelled (``error.code``
        ``superseded``). The other arguments are those of :meth:`job`.

        Raises ``ValueError``, :class:`JobExists` for the id of another job and for an answer that another worker is
        writing, and :class:`JobFinished` for one that has ended.
        """
        self._check_open()
        birth = steps.open_answer(self._options, chat_id, owner, job_id, meta, **held)
        return AnswerHandle(self._options, birth, held, self._sender)

    def get_job(self, job_id: str) -> Job | None:
        """A job's newest state, or None."""
        return self._run(flows.get_job(self._options, job_id))

    def cancel_job(self, job_id: str) -> Job:
        """Cancel a job; its worker learns it from its next report. One that is cancelled already is returned as it
        is. Raises :class:`JobNotFound`, :class:`JobFinished`."""
        return self._run(flows.cancel_job(self._options, job_id))

    def pause_job(self, job_id: str) -> Job:
        """Ask a job's worker to wait; it does so in ``track()`` and ``wait_if_paused()``. The status stays as it is.
        Raises :class:`JobNotFound`, :class:`JobFinished`."""
        return self._run(flows.pause_job(self._options, job_id, paused=True))

    def resume_job(self, job_id: str) -> Job:
        """Let a paused job go on. Raises :class:`JobNotFound`, :class:`JobFinished`."""
        return self._run(flows.pause_job(self._options, job_id, paused=False))

    def expire_job(self, job_id: str, *, owner: str | None = None) -> int:
        """End an active job, or let it be tried again, if its worker's lease has run out. Whoever reads the job with
        :meth:`get_job` does this too. Returns after how many ms it is worth looking again, -1 for never."""
        return self._run(flows.expire_job(self._options, job_id, owner))

    def update_job(self, job_id: str, **changes: Unpack[JobChanges]) -> Job:
        """Change a job from outside its handle, for a worker in another language.

        Takes ``status``, ``progress``, ``message``, ``stage``, ``current``, ``total``, ``item``, ``result`` and
        ``error``; what is left out stays as it was. ``status`` is active, completed (with ``result``), failed (with
        ``error``: text, or a dict with ``message``) or cancelled; ``item`` is a dict with ``item_id``.
        Raises ``ValueError``, :class:`JobNotFound`, :class:`JobFinished`.
        """
        return self._run(flows.update_job(self._options, job_id, changes))

    def has_connections(self, client_id: str) -> bool:
        """Whether a stream of ``client:{id}`` is open on any node: whether :meth:`send` reaches somebody now."""
        return self._run(presence.has_connections(self._options.prefix, client_id))

    def connection_metrics(self) -> ConnectionMetrics:
        """Streams of clients and different clients over all nodes. A killed node counts for up to 15 s more."""
        return self._run(presence.connection_metrics(self._options.prefix))

    def connected_clients(self) -> Iterator[ClientConnections]:
        """All clients with an open stream and how many they have, each once, in no order. Reads some hundred at a
        time while it goes on; who comes or goes meanwhile may be missed or come twice."""
        self._check_open()
        walk = Walk(self._options.prefix)
        while (page := self._run(walk.next_page())) is not None:
            yield from page

    def _check_open(self) -> None:
        if self._closed:
            raise PublisherClosed

    def _run(self, flow: Flow[T]) -> T:
        self._check_open()
        return self._sender.run(flow)
