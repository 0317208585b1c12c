"""Every error the publisher raises; the docstring is the message and names the remedy.

::

    PublisherError
    ├── PublishError              Redis could not be reached, or refused
    ├── PublisherClosed           close() was called before
    ├── BufferFull                more events wait for Redis than the buffer may hold
    ├── EventTooLarge             also a ValueError
    ├── AnswerTooLong             also a ValueError
    └── JobError
        ├── JobExists
        ├── JobNotFound
        └── JobFinished
            └── JobCancelled
"""

from __future__ import annotations


class PublisherError(Exception):
    """Something the publisher could not do. Bad arguments are ``ValueError`` instead, before anything is sent.

    Called with an error's ``args``, its class makes the same error again: that is how errors come back from a process
    pool, and out of a queue's result store. The last of them is the sentence.
    """

    def __str__(self) -> str:
        return str(self.args[-1]) if self.args else ""


class PublishError(PublisherError):
    """An event is not in Redis as far as can be told. Start or unblock Redis, or use ``on_error="buffer"``."""


class PublisherClosed(PublisherError):
    """The publisher was closed, by close() or at the end of its with block. Make a new one."""

    def __init__(
        self, message: str = "The publisher was closed; make a new one, or publish inside its with block."
    ) -> None:
        super().__init__(message)


class BufferFull(PublisherError):
    """Redis has been away for so long that the buffer is full. Raise ``buffer_events`` or ``buffer_bytes``,
    or publish less."""


class EventTooLarge(PublisherError, ValueError):
    """The event's JSON is longer than allowed. Send a link to the data, or raise ``max_event_bytes``."""

    def __init__(self, size: int, limit: int, message: str | None = None) -> None:
        super().__init__(
            size,
            limit,
            message
            or f"The event's JSON data has {size} bytes; at most {limit} are allowed. "
            "Send a link to the data instead, or raise max_event_bytes.",
        )
        self.size = size
        self.limit = limit


class AnswerTooLong(PublisherError, ValueError):
    """An answer's text and parts are longer than allowed with this piece, which was not sent. End the answer, or put
    what is long elsewhere and send a link."""

    def __init__(self, size: int, limit: int, message: str | None = None) -> None:
        super().__init__(
            size,
            limit,
            message
            or f"With this piece the answer would have more than {limit} bytes; {size} are there and stay. "
            "End it, or put what is long elsewhere and send a link.",
        )
        self.size = size
        self.limit = limit


class JobError(PublisherError):
    """A job is not in the state that the call needs. ``job_id`` names it."""

    def __init__(self, job_id: str, message: str) -> None:
        super().__init__(job_id, message)
        self.job_id = job_id


class JobExists(JobError):
    """A job with this id is there already. Use another id, or ``job()`` with the same kind and owner to attach."""


class JobNotFound(JobError):
    """There is no such job, or its state has expired. Create it with ``create_job()`` or ``job()``."""

    def __init__(self, job_id: str, message: str | None = None) -> None:
        super().__init__(job_id, message or f"There is no job {job_id}; create it with create_job() or job().")


class JobFinished(JobError):
    """The job has ended, as ``status`` says, and accepts no further events. Start a new one under another id."""

    def __init__(self, job_id: str, status: str, message: str | None = None) -> None:
        sentence = message or f"The job {job_id} is {status} and accepts no further events; use a new job id."
        super().__init__(job_id, sentence)
        self.args = (job_id, status, sentence)
        self.status = status


class JobCancelled(JobFinished):
    """Somebody cancelled the job. Let the exception end the work: the job handle does not turn it into a failure."""

    def __init__(self, job_id: str, status: str = "cancelled", message: str | None = None) -> None:
        sentence = f"The job {job_id} was cancelled: its work is to end here. To do it after all, use a new job id."
        super().__init__(job_id, status, message or sentence)


def finished(job_id: str, status: str) -> JobFinished:
    """The error for a job that has ended like this."""
    return JobCancelled(job_id) if status == "cancelled" else JobFinished(job_id, status)
