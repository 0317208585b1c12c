"""What every stream of a node shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gateway.auth.callers import Callers
from gateway.broker.history import History
from gateway.fanout.channel import Channel
from gateway.fanout.hub import Hub
from gateway.metrics.counters import Metrics
from gateway.settings.settings import Settings
from gateway.streams.open_streams import OpenStreams
from publisher.job import Job


class Subscriptions(Protocol):
    """What a stream needs of the pub/sub connections."""

    @property
    def up(self) -> bool:
        """Whether all of them stand."""

    def has(self, channel: str) -> bool:
        """Whether Redis has confirmed the subscription, on a connection that stands."""

    async def want(self, *channels: str) -> None:
        """Subscribe to channels and return when Redis has confirmed all of them. Raises
        :class:`~gateway.exceptions.StoreDown`, also where it does not in time."""


class Leases(Protocol):
    """What is told of jobs that somebody watches, so that a lost worker is noticed."""

    def shown(self, job: Job) -> None:
        """A viewer has got this state."""

    def viewed_owner(self, owner: str) -> None:
        """A viewer goes on with the jobs of this owner without having got their states."""


@dataclass(frozen=True, slots=True)
class StreamParts:
    """One object per node, so that an open stream holds one reference and not eight. ``suspect`` has a channel compared
    with Redis soon."""

    settings: Settings
    hub: Hub
    history: History
    subscriptions: Subscriptions
    suspect: Callable[[Channel], None]
    callers: Callers
    streams: OpenStreams
    metrics: Metrics
    leases: Leases
