"""Publish events and report on jobs; an sse-gateway node brings them to browsers. Needs ``redis`` and ``orjson``."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from publisher.core.presence import ClientConnections, ConnectionMetrics
from publisher.core.replies import Receipt
from publisher.exceptions import (
    AnswerTooLong,
    BufferFull,
    EventTooLarge,
    JobCancelled,
    JobError,
    JobExists,
    JobFinished,
    JobNotFound,
    PublisherClosed,
    PublisherError,
    PublishError,
)
from publisher.job import Job

if TYPE_CHECKING:
    from publisher.asyncio.answer_handle import AsyncAnswerHandle
    from publisher.asyncio.job_handle import AsyncJobHandle
    from publisher.asyncio.publisher import AsyncPublisher
    from publisher.blocking.answer_handle import AnswerHandle
    from publisher.blocking.job_handle import JobHandle
    from publisher.blocking.publisher import Publisher
    from publisher.current import current_job, job_headers, reported

    __version__: str

__all__ = [
    "AnswerHandle",
    "AnswerTooLong",
    "AsyncAnswerHandle",
    "AsyncJobHandle",
    "AsyncPublisher",
    "BufferFull",
    "ClientConnections",
    "ConnectionMetrics",
    "EventTooLarge",
    "Job",
    "JobCancelled",
    "JobError",
    "JobExists",
    "JobFinished",
    "JobHandle",
    "JobNotFound",
    "PublishError",
    "Publisher",
    "PublisherClosed",
    "PublisherError",
    "Receipt",
    "current_job",
    "job_headers",
    "reported",
]

# Imported when they are first asked for: each side needs redis-py, which takes longer to import than all of this.
_LATER = {
    "AnswerHandle": "publisher.blocking.answer_handle",
    "AsyncAnswerHandle": "publisher.asyncio.answer_handle",
    "AsyncJobHandle": "publisher.asyncio.job_handle",
    "AsyncPublisher": "publisher.asyncio.publisher",
    "JobHandle": "publisher.blocking.job_handle",
    "Publisher": "publisher.blocking.publisher",
    "current_job": "publisher.current",
    "job_headers": "publisher.current",
    "reported": "publisher.current",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("publisher.version").version()
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_LATER[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER, "__version__"})
