"""Celery: ``report(app, "redis://…")`` makes jobs of an application's tasks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Unpack
from weakref import WeakValueDictionary

from publisher.current import running
from publisher.exceptions import JobCancelled
from publisher.integrations import policy
from publisher.integrations.policy import ReportOptions
from publisher.integrations.progress import mirror
from publisher.integrations.reporter import Reporter
from publisher.integrations.rules import TaskOrder, order

try:
    from celery import Celery, signals
    from celery.exceptions import Ignore, Reject, Retry, TimeLimitExceeded, WorkerLostError
except ImportError as missing:
    raise ImportError("This needs Celery: pip install 'sse-gateway[celery]'") from missing

_WRAPPED = "_sse_reported"
_sending: ContextVar[Any] = ContextVar("publisher.integrations.celery", default=None)
"""The application that is queueing a task: Celery's signal is the same for all of a process, and does not say."""


def report(app: Celery, url: str, **options: Unpack[ReportOptions]) -> None:
    """Report the app's tasks to the Redis at ``url``. Call it where the app is made: in the processes that queue, so
    that jobs are there from then on, and in the workers. A second call for the same app changes nothing.

    Raises ``ValueError`` for options that make no sense. Tasks never fail because of an event.
    """
    if getattr(app, _WRAPPED, False):
        return policy.reported_already(app)
    setattr(app, _WRAPPED, True)
    _CeleryReports(app, Reporter(url, **options)).connect()


class Rejected(Exception):
    """A task has rejected itself, and said why."""


class _CeleryReports:
    def __init__(self, app: Celery, reporter: Reporter) -> None:
        self._app = app
        self._reporter = reporter
        self._taken: WeakValueDictionary[str, Any] = WeakValueDictionary()
        """In the worker's main process: what Celery knows of its tasks, by their ids."""

    def connect(self) -> None:
        self._wrap_sending()
        own = f"{_WRAPPED}-{id(self)}"  # older Celery takes one method of two objects for the same receiver
        for signal, react in (
            (signals.before_task_publish, self._queued),
            (signals.task_received, self._received),
            (signals.task_failure, self._killed),
            (signals.task_revoked, self._revoked),
            (signals.celeryd_after_setup, self._wrap_all),
        ):
            signal.connect(react, weak=False, dispatch_uid=own)
        # Tasks are made when the app is finalized; some modules are imported after that, by the worker.
        self._app.on_after_finalize.connect(self._wrap_all, weak=False)
        if self._app.finalized:
            self._wrap_all()

    def _queued(self, sender: str, headers: dict[str, Any], **_: Any) -> None:
        if _sending.get() is not self._app or headers.get("retries") or "id" not in headers:
            return
        task = self._app._tasks.get(sender)
        found = order(headers["id"], sender, headers, getattr(task, "run", None))
        if found is not None:
            self._reporter.queued(found)

    def _received(self, request: Any, **_: Any) -> None:
        self._taken[request.id] = request

    def _killed(self, sender: Any, task_id: str, exception: BaseException, **_: Any) -> None:
        """In the worker's main process: the child that ran a task is gone, and nobody will run it again."""
        request = self._taken.get(task_id)
        if request is None or sender.app is not self._app:
            return
        if isinstance(exception, TimeLimitExceeded | WorkerLostError):
            found = _order(sender, request.request_dict)
            if found is not None:
                self._reporter.lost(found, exception if isinstance(exception, TimeLimitExceeded) else None)

    def _revoked(self, sender: Any, request: Any, **_: Any) -> None:
        found = _order(sender, vars(request)) if sender.app is self._app else None
        if found is not None:
            self._reporter.cancel(found)

    def _wrap_sending(self) -> None:
        send_task = self._app.send_task

        @functools.wraps(send_task)
        def noted_send_task(*args: Any, **kwargs: Any) -> Any:
            token = _sending.set(self._app)
            try:
                return send_task(*args, **kwargs)
            finally:
                _sending.reset(token)

        self._app.send_task = noted_send_task

    def _wrap_all(self, *_: Any, **__: Any) -> None:
        for task in list(self._app.tasks.values()):
            if not hasattr(task, _WRAPPED):
                setattr(task, _WRAPPED, True)
                self._wrap(task)

    def _wrap(self, task: Any) -> None:
        """Put the reporting around ``run``, as Celery's own autoretry does, and around it."""
        run, retry, update_state = task.run, task.retry, task.update_state

        @functools.wraps(run)
        def reported_run(*args: Any, **kwargs: Any) -> Any:
            found = None if task.request.called_directly else _order(task, vars(task.request))
            if found is None:
                return run(*args, **kwargs)
            return self._run(task, found, lambda: run(*args, **kwargs))

        def heeding_retry(*args: Any, exc: Any = None, **kwargs: Any) -> Any:
            if running.get() is not None and isinstance(exc, JobCancelled):
                raise exc  # autoretry_for=(Exception,) means it too
            return retry(*args, exc=exc, **kwargs)

        def mirrored_state(task_id: Any = None, state: Any = None, meta: Any = None, **kwargs: Any) -> None:
            update_state(task_id, state, meta, **kwargs)
            if state == "PROGRESS" and isinstance(meta, dict) and task_id in (None, task.request.id):
                mirror(meta)

        task.run, task.retry, task.update_state = reported_run, heeding_retry, mirrored_state

    def _run(self, task: Any, found: TaskOrder, call: Callable[[], Any]) -> Any:
        try:
            job = self._reporter.begin(found)
        except JobCancelled:
            raise self._dropped(task) from None
        if job is None:
            return call()
        try:
            result = self._reporter.run(job, call)
        except (Retry, Reject) as again:
            if isinstance(again, Reject) and not again.requeue:
                self._reporter.fail(job, _behind(again))
            else:
                self._reporter.retry(job, _behind(again))
            raise
        except Ignore:
            self._reporter.complete(job, None)
            raise
        except BaseException as error:
            self._reporter.fail(job, error)
            if isinstance(error, JobCancelled) and job.cancelled:
                raise self._dropped(task) from None
            raise
        self._reporter.complete(job, result)
        return result

    def _dropped(self, task: Any) -> Ignore:
        """What ends a task that nobody wants: for Celery it is revoked."""
        stores = not task.ignore_result
        task.backend.mark_as_revoked(task.request.id, "cancelled", request=task.request, store_result=stores)
        return Ignore()


def _order(task: Any, request: Mapping[str, Any]) -> TaskOrder | None:
    """``request``: what Celery knows of the task, with the headers that it was queued with."""
    return order(request.get("id", ""), task.name, {**(request.get("headers") or {}), **request}, task.run)


def _behind(end: BaseException) -> BaseException:
    """Why a task ends in ``Retry`` or ``Reject``, whose own text is for Celery."""
    if isinstance(end, Reject):
        said = end.reason
        return said if isinstance(said, BaseException) else Rejected(said or "The task rejected itself.")
    cause: BaseException | None = getattr(end, "exc", None)
    return cause or end
