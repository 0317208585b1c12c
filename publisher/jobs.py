"""The blocking job handle: what a worker holds while it works."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

from publisher import forks, reports, steps
from publisher.calls import Step
from publisher.exceptions import PublisherError
from publisher.handle import Handle, Throttle, expected
from publisher.options import Options
from publisher.post import Post
from publisher.record import Entry

T = TypeVar("T")


class JobHandle(Handle):
    """One job, seen by its worker. Use it in a ``with`` block: a normal exit completes the job, an exception fails
    it with the exception's message and goes on, :class:`JobCancelled` goes on without failing it.

    After a call returns, its event is in Redis; during an outage events wait in memory, in order, and the call
    returns at once. Any number of threads may use one handle. Bad arguments raise ``ValueError``; calls after the
    end that this handle gave the job raise :class:`JobFinished`; events after an end that somebody else gave it
    are dropped quietly.
    """

    def __init__(self, options: Options, birth: Step, post: Post) -> None:
        super().__init__(options, birth)
        self._post = post
        self._lock = threading.Lock()
        forks.register(self)
        with self._tracing.span(self._channel) as birth.traceparent:
            self._post.report(self._record, birth)
        error = self._record.error()
        if error is not None:
            raise error

    def after_fork(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end = self._end_of(error)
        if end is not None:
            try:
                self._send(end)
            except PublisherError as trouble:
                # The exception that ended the block matters more than the news of it.
                if error is None:
                    raise
                reports.log.error("The failure of job %s could not be reported: %s", self.job_id, trouble)
        self._post.settle(self._record)

    def progress(
        self,
        value: float | None = None,
        *,
        message: str | None = None,
        stage: str | None = None,
        current: float | None = None,
        total: float | None = None,
    ) -> None:
        """Say how far the job is: ``value`` from 0 to 100; what is left out stays as it was."""
        self._send(
            steps.progress(
                self._options,
                self.job_id,
                self.owner,
                value,
                message=message,
                stage=stage,
                current=current,
                total=total,
            )
        )

    def item(
        self,
        item_id: str,
        *,
        filename: str | None = None,
        status: str | None = None,
        progress: float | None = None,
        message: str | None = None,
    ) -> None:
        """Say how far one of the job's files is; what is left out stays as it was."""
        self._send(
            steps.item(
                self._options,
                self.job_id,
                self.owner,
                item_id,
                filename=filename,
                status=status,
                progress=progress,
                message=message,
            )
        )

    def emit(self, type: str, data: Any) -> None:
        """Send an event of the worker's own type on the job's channel."""
        self._send(steps.emit(self._options, self.job_id, type, data))

    def complete(self, result: Any = None) -> None:
        """End the job well, with a JSON value as its result."""
        self._send(steps.complete(self._options, self.job_id, self.owner, result))

    def fail(self, message: str, *, code: str | None = None, details: Any = None) -> None:
        """End the job badly, with a sentence for its owner."""
        self._send(steps.fail(self._options, self.job_id, self.owner, message, code, details))

    def track(self, iterable: Iterable[T], *, total: float | None = None) -> Iterator[T]:
        """Pass items on and report progress after each, at most 10 times a second, and always after the last."""
        total = expected(iterable, total)
        throttle = Throttle()
        done, reported = 0, 0
        for item in iterable:
            yield item
            done += 1
            if throttle.due():
                reported = done
                self._send(self._fraction(done, total))
        if reported != done:
            self._send(self._fraction(done, total))

    def raise_if_cancelled(self) -> None:
        """Raise :class:`JobCancelled` where the job has been cancelled. Asks Redis at most once a second; while
        Redis is away it knows only what it was told before."""
        if not self._record.deaf and self._may_look():
            worked, status = self._post.look(self.job_id)
            if worked:
                self._looked(status)
            else:
                self._look_failed()
        self._raise_if_cancelled()

    def _send(self, entry: Entry) -> None:
        with self._lock:
            if self._admit(entry):
                with self._tracing.span(self._channel) as entry.traceparent:
                    self._post.report(self._record, entry)
