"""Publish events and report on jobs; an sse-gateway node brings them to browsers. Needs ``redis`` and ``orjson``."""

from publisher.asyncio import AsyncPublisher
from publisher.calls import Receipt
from publisher.client import Publisher
from publisher.exceptions import (
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
from publisher.jobs import JobHandle
from publisher.jobs_asyncio import AsyncJobHandle
from publisher.presence import ClientConnections, ConnectionMetrics

__all__ = [
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
]
