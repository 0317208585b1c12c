"""Dramatiq: ``broker.add_middleware(ReportJobs("redis://…"))`` makes jobs of a broker's messages."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, Unpack

from publisher import current
from publisher.blocking.job_handle import JobHandle
from publisher.exceptions import JobCancelled
from publisher.integrations.awaited import shown_to
from publisher.integrations.policy import ReportOptions
from publisher.integrations.reporter import Reporter
from publisher.integrations.rules import TaskOrder, order

try:
    import dramatiq
    from dramatiq.middleware import SkipMessage
except ImportError as missing:
    raise ImportError("This needs Dramatiq: pip install 'sse-gateway[dramatiq]'") from missing


class NeverRun(Exception):
    """Dramatiq gave a message up before its actor had it."""


@dataclass(slots=True)
class _Run:
    """A message that a thread of the worker has; ``error`` is what its actor raised."""

    job: JobHandle
    error: BaseException | None = None


class ReportJobs(dramatiq.Middleware):
    """Report the messages of a broker to the Redis at ``url``. Add it last, in the processes that send messages and in
    the workers. Takes ``prefix``, ``lease_s``, ``on_worker_lost`` and ``tracebacks``.

    Raises ``ValueError`` for options that make no sense. Messages never fail because of an event.
    """

    def __init__(self, url: str, **options: Unpack[ReportOptions]) -> None:
        self._reporter = Reporter(url, **options)
        self._runs: dict[str, _Run] = {}

    def after_declare_actor(self, broker: dramatiq.Broker, actor: dramatiq.Actor[Any, Any]) -> None:
        """Whoever cancels a job means it: such a message is not tried again."""
        throws = actor.options.get("throws") or ()
        actor.options["throws"] = (*(throws if isinstance(throws, tuple) else (throws,)), JobCancelled)

    def before_enqueue(self, broker: dramatiq.Broker, message: Any, delay: int | None) -> None:
        """A message that is queued by its own failure will be tried again, and nobody has it yet."""
        error = sys.exc_info()[1]
        if error is not None and (run := self._runs.pop(message.message_id, None)) is not None:
            current.running.set(None)
            self._reporter.retry(run.job, error)

    def after_enqueue(self, broker: dramatiq.Broker, message: Any, delay: int | None) -> None:
        found = None if message.options.get("retries") else _order(broker, message)
        if found is not None:
            self._reporter.queued(found)

    def before_process_message(self, broker: dramatiq.Broker, message: Any) -> None:
        found = None if message.failed else _order(broker, message)
        if found is None:
            return
        try:
            job = self._reporter.begin(found)
        except JobCancelled as error:
            raise SkipMessage(str(error)) from None
        if job is not None:
            current.running.set(shown_to(broker.get_actor(message.actor_name).fn, job))
            self._runs[message.message_id] = _Run(job)

    def after_process_message(
        self, broker: dramatiq.Broker, message: Any, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        run = self._runs.get(message.message_id)
        if run is None:
            return
        current.running.set(None)
        run.error = exception
        if exception is None:
            del self._runs[message.message_id]
            self._reporter.complete(run.job, result)

    def after_skip_message(self, broker: dramatiq.Broker, message: Any) -> None:
        if message.failed:
            return  # it is rejected next
        run = self._runs.pop(message.message_id, None)
        if (found := _order(broker, message)) is not None:
            self._reporter.cancel(found)
        if run is not None:
            current.running.set(None)
            self._reporter.complete(run.job, None)

    def after_ack(self, broker: dramatiq.Broker, message: Any) -> None:
        """What has failed and was neither queued again nor rejected has nobody who retries it."""
        self._fail(message)

    def after_nack(self, broker: dramatiq.Broker, message: Any) -> None:
        if not self._fail(message) and (found := _order(broker, message)) is not None:
            error = NeverRun("Dramatiq gave this message up before it ran: it is too old, or nobody knows its actor.")
            self._reporter.lost(found, error)

    def _fail(self, message: Any) -> bool:
        run = self._runs.pop(message.message_id, None)
        if run is not None and run.error is not None:
            self._reporter.fail(run.job, run.error)
        return run is not None


def _order(broker: dramatiq.Broker, message: Any) -> TaskOrder | None:
    actor = broker.actors.get(message.actor_name)
    return order(message.message_id, message.actor_name, message.options, getattr(actor, "fn", None))
