"""A system under test: one process that turns events into SSE, and the way events get into it."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Sequence
from typing import ClassVar, Self

from tests.bench import payload
from tests.bench.load import LoadClient, Request
from tests.bench.processes import cpu_seconds, resident_kib

SHARED = "broadcast"
"""The channel that all viewers of a broadcast share; others are ``job:N`` and ``topic:N``."""


class System(abc.ABC):
    """Started by ``with``. Its process has a core of its own; its clients, Redis and the publisher share the other."""

    name: ClassVar[str]
    label: ClassVar[str]
    burst_deliveries: ClassVar[int]
    """About as many deliveries as it does in two seconds, so that a burst takes about as long for each system."""
    most_connections: ClassVar[int] = 10_000
    resumes: ClassVar[bool] = True

    port: int
    load_client: Sequence[object] | None = None
    """The command of another load client than the usual one."""

    @property
    @abc.abstractmethod
    def pids(self) -> Sequence[int]:
        """The processes that are measured."""

    @property
    def redis_pid(self) -> int | None:
        """The Redis or Valkey server behind it."""
        return None

    @abc.abstractmethod
    def request(self, channel: str) -> Request:
        """How a viewer asks for a channel."""

    @abc.abstractmethod
    def send(self, channel: str) -> None:
        """Publish one event now."""

    @abc.abstractmethod
    def send_many(self, channels: Iterable[str]) -> None:
        """Publish an event on each of these channels, as fast as the system's publishing allows."""

    def prepare(self, channels: Iterable[str]) -> None:  # noqa: B027 (most need nothing)
        """Make channels ready that need it before they can be viewed."""

    def listen(self, requests: Iterable[Request]) -> LoadClient:
        """A load client for this system."""
        return LoadClient(self.port, requests, self.load_client)

    def cpu(self) -> float:
        """Seconds of CPU so far."""
        return sum(cpu_seconds(pid) for pid in self.pids)

    def redis_cpu(self) -> float:
        return 0.0 if self.redis_pid is None else cpu_seconds(self.redis_pid)

    def memory_kib(self) -> int:
        return sum(resident_kib(pid) for pid in self.pids)

    @abc.abstractmethod
    def __enter__(self) -> Self: ...

    @abc.abstractmethod
    def __exit__(self, *error: object) -> None: ...


def events(channels: Iterable[str]) -> list[tuple[str, str, dict[str, str]]]:
    """An event for each channel, as the publisher takes them."""
    return [(channel, "tick", payload.data()) for channel in channels]
