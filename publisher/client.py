"""The blocking publisher."""

from __future__ import annotations

import atexit
import itertools
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from weakref import WeakSet

from publisher import calls, channels, flows, forks, presence, reports, retry, steps
from publisher.batch import Batch
from publisher.calls import Call, Draft, Receipt, Request
from publisher.connect import Blocking
from publisher.exceptions import PublisherClosed
from publisher.flusher import Flusher, drive
from publisher.job import Job
from publisher.jobs import JobHandle
from publisher.options import BUFFER_BYTES, DIRECT_S, TRY_S, OnError, Options
from publisher.post import Post
from publisher.presence import ClientConnections, ConnectionMetrics, Walk
from publisher.tracing import Tracing
from publisher.transport import Transport
from publisher.transport_blocking import RedisTransport

T = TypeVar("T")

DIRECT_CAP_S: Final = 0.5
"""Longest pause between two tries of a direct publish."""


class Publisher:
    """Publishes events and runs jobs. Any number of threads may share one; a forked child may go on using it.

    Make it with :meth:`from_url`, or from a Redis client made elsewhere that does not repeat calls by itself
    (``retry=Retry(NoBackoff(), 0)``) and does not decode replies. Raises ``ValueError`` for bad settings.

    ``on_error="raise"``: :class:`PublishError` after a few tries within about 5 s. ``on_error="buffer"``: events wait
    in memory, at most ``buffer_events`` with ``buffer_bytes`` of JSON, and go out in order when Redis is back;
    :class:`BufferFull` beyond.
    """

    def __init__(
        self,
        client: Blocking | RedisTransport,
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
        self._start(settings, client if isinstance(client, RedisTransport) else RedisTransport(client))

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
            RedisTransport(url),
            prefix=prefix,
            on_error=on_error,
            history_events=history_events,
            history_ttl_s=history_ttl_s,
            buffer_events=buffer_events,
            max_event_bytes=max_event_bytes,
            flush_timeout_s=flush_timeout_s,
            buffer_bytes=buffer_bytes,
        )

    def _start(self, options: Options, transport: Transport) -> None:
        self._options = options.on(transport.cluster)
        self._transport = transport
        self._closed = False
        self._tracing = Tracing()
        self._flusher = Flusher(self._options, transport)
        self._post = Post(self._options, transport, self._flusher)
        forks.register(self)
        _open.add(self)

    def after_fork(self) -> None:
        """Called in a forked child."""
        self._transport.after_fork()
        self._flusher.after_fork()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Wait up to ``flush_timeout_s`` for waiting events and let the connections go. May be called twice."""
        _open.discard(self)
        self._closed = True
        timeout_s = self._options.flush_timeout_s
        if self._flusher.wait(timeout_s):
            self._transport.close()
        else:
            reports.left_over(len(self._flusher), self._transport.where, timeout_s)

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
        event = calls.draft(self._options, channel, type, data, id, traceparent)
        if not self._tracing.on or event.traceparent:
            return self._publish(event)
        with self._tracing.span(event.channel) as event.traceparent:
            return self._publish(event)

    def _publish(self, event: Draft) -> Receipt | None:
        if self._options.on_error == "buffer":
            return self._post.publish(event)
        call = event.call(self._options)
        try:
            reply = self._transport.execute(call)
        except retry.ERRORS as error:
            reply = self._again(call, error, reports.name(event))
        return calls.receipt(event, reply)

    def publish_many(self, events: Iterable[Any]) -> list[Receipt | None]:
        """Publish ``(channel, type, data)`` tuples or dicts in one round trip; receipts in order.

        A dict may have ``id`` and ``traceparent`` too. All are checked before any is sent; the error names the index.
        An event for a finished job raises :class:`JobFinished` after the others have been published.
        """
        self._check_open()
        checked = calls.drafts(self._options, events)
        if not self._tracing.on:
            return self._publish_many(checked)
        with self._tracing.span_of(checked):
            return self._publish_many(checked)

    def _publish_many(self, events: list[Draft]) -> list[Receipt | None]:
        if self._options.on_error == "buffer":
            return self._post.publish_many(events)
        return calls.receipts(events, self._insist_many(events))

    def create_job(
        self, job_id: str, *, kind: str, owner: str | None = None, meta: dict[str, Any] | None = None
    ) -> Job:
        """Register a job that no worker has yet; status ``pending``. Raises :class:`JobExists`."""
        step = steps.create(self._options, job_id, kind, owner, meta)
        return self._run(flows.create_job(self._options, step))

    def job(self, job_id: str, *, kind: str, owner: str | None = None, meta: dict[str, Any] | None = None) -> JobHandle:
        """Start a job, or attach to one that ``create_job`` registered with the same kind and owner.

        Raises :class:`JobExists` for another kind or owner and :class:`JobFinished` for one that has ended. While
        Redis is away the job starts all the same, and is registered when it is back.
        """
        self._check_open()
        return JobHandle(self._options, steps.open_(self._options, job_id, kind, owner, meta), self._post)

    def get_job(self, job_id: str) -> Job | None:
        """A job's newest state, or None."""
        return self._run(flows.get_job(self._options, job_id))

    def cancel_job(self, job_id: str) -> Job:
        """Cancel a job; its worker learns it from its next report. One that is cancelled already is returned as it
        is. Raises :class:`JobNotFound`, :class:`JobFinished`."""
        return self._run(flows.cancel_job(self._options, job_id))

    def update_job(
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

    def _run(self, flow: flows.Flow[T]) -> T:
        self._check_open()
        return drive(flow, self._insist)

    def _insist(self, request: Request) -> Any:
        try:
            return self._transport.execute(request)
        except retry.ERRORS as error:
            return self._again(request, error, calls.what(request))

    def _insist_many(self, events: list[Draft]) -> list[Any]:
        batch = Batch([event.call(self._options) for event in events])
        deadline = time.monotonic() + DIRECT_S
        for attempt in itertools.count(1):
            error: Exception | None
            try:
                error = batch.take(self._transport.batch(batch.pending))
            except retry.ERRORS as trouble:
                batch.lost()
                error = trouble
            if error is None:
                break
            self._pause(attempt, deadline, error, f"Event {len(batch.replies)} of the list")
        return batch.replies

    def _again(self, request: Request, error: Exception, what: str) -> Any:
        """Try a request again until it works or about 5 s are over."""
        deadline = time.monotonic() + DIRECT_S - TRY_S
        for attempt in itertools.count(1):
            self._pause(attempt, deadline, error, what)
            if isinstance(request, Call):
                request = request.again()
            try:
                return self._transport.execute(request)
            except retry.ERRORS as newer:
                error = newer

    def _pause(self, attempt: int, deadline: float, error: Exception, what: str) -> None:
        """Wait for the next try. Raises :class:`PublishError` where there should be none."""
        self._transport.repair(error)
        delay = retry.backoff_s(attempt, cap_s=DIRECT_CAP_S)
        if retry.fault(error) is not retry.Fault.AWAY or time.monotonic() + delay > deadline:
            raise reports.unreachable(what, self._transport.where, error, self._options) from error
        time.sleep(delay)


_open: Final[WeakSet[Publisher]] = WeakSet()


@atexit.register
def _flush_at_exit() -> None:
    for publisher in list(_open):
        publisher.close()
