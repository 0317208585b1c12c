"""The Redis side of a cluster under test: what every kind of it has, one server behind proxies, and a Sentinel trio."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Protocol

from redis.asyncio import Redis

from tests.support.broker import Broker
from tests.support.ports import HOST
from tests.support.proxy import Proxy
from tests.support.waiting import until

SERVICE = "main"


@contextlib.asynccontextmanager
async def client(broker: Broker) -> AsyncIterator[Any]:
    """A client of one server, for what an operator would do."""
    async with Redis(host=HOST, port=broker.port, socket_timeout=5, protocol=2) as found:
        yield found


class Backend(Protocol):
    """Where nodes and the publisher find Redis, each by an address of its own."""

    async def start(self) -> None: ...
    def node_url(self, index: int) -> str: ...
    @property
    def publisher_url(self) -> str: ...
    async def close(self) -> None: ...


Topology = Callable[[int, str], Backend]
"""What makes one, for so many nodes and this prefix of keys."""


class Standalone:
    """One append-only server; every node and the publisher reach it through a proxy of their own."""

    def __init__(self, nodes: int, prefix: str, config: Sequence[str] = ()) -> None:
        self.prefix = prefix
        self.broker = Broker(append_only=True, config=config)
        self.proxies: list[Proxy] = []
        self._count = nodes + 1

    async def start(self) -> None:
        await asyncio.to_thread(self.broker.start)
        for _ in range(self._count):
            self.proxies.append(Proxy(self.broker.port).start())

    def node_url(self, index: int) -> str:
        return self.proxies[index].redis_url

    @property
    def publisher_url(self) -> str:
        return self.proxies[-1].redis_url

    async def wipe(self) -> None:
        """Start anew with nothing, as after the loss of a disk."""
        await asyncio.to_thread(self.broker.kill)
        shutil.rmtree(self.broker.folder / "appendonlydir", ignore_errors=True)
        await asyncio.to_thread(self.broker.start)

    async def move_to(self, other: Broker) -> None:
        """Lead new connections to another server, as a name or a floating address would; open ones stay."""
        for proxy in self.proxies:
            proxy.target_port = other.port

    async def close(self) -> None:
        for proxy in self.proxies:
            await asyncio.to_thread(proxy.close)
        self.broker.close()


class Trio:
    """A primary, a replica, and three Sentinels that promote it within seconds."""

    def __init__(self, nodes: int, prefix: str) -> None:
        self.brokers: list[Broker] = []
        self.sentinels: list[Broker] = []

    async def start(self) -> None:
        primary = Broker(append_only=True)
        self.brokers.append(primary)
        await asyncio.to_thread(primary.start)
        replica = Broker(append_only=True, config=[f"replicaof {HOST} {primary.port}"])
        self.brokers.append(replica)
        await asyncio.to_thread(replica.start)
        for _ in range(3):
            sentinel = Broker(sentinel=True, config=_sentinel_config(primary.port))
            self.sentinels.append(sentinel)
            await asyncio.to_thread(sentinel.start)
            await _hurry(sentinel)
        await until(self._know_each_other, "the Sentinels to find each other and the replica", 60)

    async def _know_each_other(self) -> bool:
        for sentinel in self.sentinels:
            async with client(sentinel) as asked:
                told = await asked.execute_command("SENTINEL", "MASTER", SERVICE)
            state = told if isinstance(told, dict) else dict(zip(told[::2], told[1::2], strict=True))
            facts = {_text(name): _text(value) for name, value in state.items()}
            if facts["num-other-sentinels"] != "2" or facts["num-slaves"] != "1" or facts["flags"] != "master":
                return False
        return await self.in_sync()

    def node_url(self, index: int) -> str:
        return self.publisher_url

    @property
    def publisher_url(self) -> str:
        places = ",".join(f"{HOST}:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{places}/{SERVICE}/0"

    async def primary_port(self) -> int:
        """The port of the primary, as the Sentinels have it."""
        async with client(self.sentinels[0]) as asked:
            told = await asked.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return int(told[1])

    async def roles(self) -> tuple[Broker, Broker]:
        """The primary and the replica."""
        port = await self.primary_port()
        first, second = self.brokers
        return (first, second) if first.port == port else (second, first)

    async def in_sync(self) -> bool:
        """Whether the replica has all that the primary has."""
        primary, replica = await self.roles()
        return await caught_up(primary, replica)

    async def close(self) -> None:
        for broker in (*self.sentinels, *self.brokers):
            broker.close()


async def caught_up(primary: Broker, replica: Broker) -> bool:
    """Whether a replica follows this primary and lacks nothing of it."""
    async with client(primary) as one, client(replica) as other:
        theirs, ours = await other.info("replication"), await one.info("replication")
    return (
        theirs["role"] == "slave"
        and int(theirs["master_port"]) == primary.port
        and theirs["master_link_status"] == "up"
        and ours["connected_slaves"] == 1
        and theirs["slave_repl_offset"] >= ours["master_repl_offset"]
    )


async def _hurry(sentinel: Broker) -> None:
    """Let it look around several times a second, instead of every two and every ten seconds."""
    async with client(sentinel) as asked:
        for name in ("INFO-PERIOD", "PUBLISH-PERIOD", "ASK-PERIOD", "PING-PERIOD"):
            await asked.execute_command("SENTINEL", "DEBUG", name, 200)


def _sentinel_config(port: int) -> list[str]:
    return [
        f"sentinel monitor {SERVICE} {HOST} {port} 2",
        f"sentinel down-after-milliseconds {SERVICE} 1000",
        f"sentinel failover-timeout {SERVICE} 6000",
        f"sentinel parallel-syncs {SERVICE} 1",
    ]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
