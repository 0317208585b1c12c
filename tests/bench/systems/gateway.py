"""This gateway: a ``sse-gateway serve`` process, fed by the publisher with its history on."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import Any, Final, Self

import redis

from publisher import Publisher
from publisher.channels import job_channel
from publisher.keys import channel_keys
from tests.bench.load import Request
from tests.bench.processes import CORES, give_own_core
from tests.bench.systems.system import SHARED, System, events
from tests.support.broker import Broker
from tests.support.node import SERVE, Node, children
from tests.support.tokens import token
from tests.support.waiting import wait_until

PREFIX: Final = "bench"
BATCH: Final = 100
"""Events per ``publish_many``."""
KIND: Final = "bench"
SETTINGS: Final[dict[str, Any]] = {
    "ANONYMOUS": "read",
    "MAX_CONNECTIONS": 0,
    "MAX_CONNECTIONS_PER_USER": 0,
    "CONNECT_RATE_PER_S": 0,
    "HEARTBEAT_S": 600,  # nobody's heartbeats may fall into another one's round
    "LOG_LEVEL": "warning",
}


class Gateway(System):
    """One node, or ``nodes`` of them on one Redis; a load client then talks to the first. With ``processes`` each is so
    many of them on one port."""

    name = "gateway"
    label = "this gateway"
    burst_deliveries = 4_000_000

    def __init__(self, nodes: int = 1, processes: int = 1, **settings: object) -> None:
        self._processes = processes
        self._settings = {**SETTINGS, **settings}
        self._wanted = nodes
        self._parts = ExitStack()
        self.nodes: list[Node] = []
        self.broker = Broker()
        self._publisher: Publisher | None = None

    @property
    def pids(self) -> Sequence[int]:
        if self._processes == 1:
            return [node.pid for node in self.nodes]
        return [pid for node in self.nodes for pid in children(node.pid)]

    @property
    def redis_pid(self) -> int | None:
        return self.broker.pid

    @property
    def publisher(self) -> Publisher:
        assert self._publisher is not None
        return self._publisher

    def request(self, channel: str) -> Request:
        kind, _, rest = channel.partition(":")
        return Request(f"/v1/jobs/{rest}/events" if kind == "job" else f"/v1/events?channel={channel}")

    @staticmethod
    def authorized(number: int) -> Request:
        """The shared channel, asked for by a user of its own who shows a token."""
        return Request(f"/v1/events?channel={SHARED}", (_bearer(number),))

    @staticmethod
    def own_client(number: int) -> Request:
        """The user's own channel beside the shared one."""
        return Request(f"/v1/clients/user-{number}/events", (_bearer(number),))

    def request_at(self, node: int, channel: str) -> Request:
        """The same at another of its nodes."""
        return Request(f":{self.nodes[node].port}{self.request(channel).path}")

    def prepare(self, channels: Iterable[str]) -> None:
        for channel in channels:
            kind, _, job_id = channel.partition(":")
            if kind == "job":
                self.publisher.create_job(job_id, kind=KIND)

    def send(self, channel: str) -> None:
        self.publisher.publish(*events([channel])[0])

    def send_many(self, channels: Iterable[str]) -> None:
        wanted = list(channels)
        for start in range(0, len(wanted), BATCH):
            self.publisher.publish_many(events(wanted[start : start + BATCH]))

    def redis(self) -> redis.Redis:
        """A connection to its Redis."""
        return redis.Redis.from_url(self.broker.url)

    def state_key(self, job_id: str) -> str:
        """Where a job's state is kept."""
        return channel_keys(PREFIX, job_channel(job_id)).state

    def history_reads(self) -> int:
        """How often a history has been read in Redis, by all nodes."""
        with self.redis() as client:
            found: Any = client.info("commandstats")
        return int(found.get("cmdstat_xrange", {}).get("calls", 0))

    def __enter__(self) -> Self:
        try:
            self._parts.enter_context(self.broker)
            for number in range(self._wanted):
                node = self._parts.enter_context(Node(self.broker.url, PREFIX, command=self._command, **self._settings))
                give_own_core(node.pid, number)
                self.nodes.append(node)
            if self._processes > 1:
                self._spread()
            self.port = self.nodes[0].port
            self._publisher = self._parts.enter_context(Publisher.from_url(self.broker.url, prefix=PREFIX))
        except BaseException:
            self.__exit__()
            raise
        return self

    @property
    def _command(self) -> Sequence[str]:
        return SERVE if self._processes == 1 else (*SERVE, "--processes", str(self._processes))

    def _spread(self) -> None:
        """Each on a core, also on those of the load client: that all cores serve is what is measured."""
        wait_until(lambda: len(self.pids) == self._processes * len(self.nodes), "all processes")
        for number, pid in enumerate(self.pids):
            os.sched_setaffinity(pid, {CORES[number % len(CORES)]})

    def __exit__(self, *error: object) -> None:
        self._parts.close()


class ClientStreams(Gateway):
    """The same with streams as clients open them, each with a token: its own channel, on which nothing happens, and the
    broadcast."""

    name = "gateway-clients"
    label = "this gateway, clients' streams"

    def __init__(self) -> None:
        super().__init__()
        self._numbers = itertools.count()

    def request(self, channel: str) -> Request:
        return self.own_client(next(self._numbers))


def _bearer(number: int) -> str:
    return f"Authorization: Bearer {token(f'user-{number}', ttl_s=7200)}"
