"""A whole cluster under test: Redis, nodes, a steady publisher, a crowd of clients, and what is known about them."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from tests.cluster import verdict
from tests.cluster.backend import Backend, Standalone, Topology, Trio
from tests.cluster.ledger import Ledger
from tests.cluster.moving_clock import move_clock
from tests.cluster.publishing import Publishing
from tests.cluster.shards import Shards
from tests.cluster.steady import OWNER, Orders
from tests.cluster.trail import Trail
from tests.cluster.truth import Truth
from tests.cluster.views import FETCHED, FINAL, PLAIN, VIEWS, View
from tests.cluster.watcher import Watcher, Watchers
from tests.support.node import Node
from tests.support.tokens import token
from tests.support.waiting import until

SETTINGS: dict[str, Any] = {
    "HEARTBEAT_S": 2,
    "RETRY_MS": "50-300",
    "MAX_CONNECTIONS_PER_USER": 0,
    "CONNECT_RATE_PER_S": 0,
    "DRAIN_S": 1,
}
SETTLE_S = 90.0


class World:
    """Made by :func:`running_world`."""

    def __init__(
        self, backend: Backend, nodes: Sequence[Node], views: Sequence[tuple[View, int]], orders: Orders
    ) -> None:
        self.backend = backend
        self.nodes = list(nodes)
        self._settled_at = 0.0
        self.clocks: list[Path] = []
        """How wrong each node's clock is, where it can be moved."""
        self.ledger = Ledger()
        self.truth = Truth()
        self.publishing = Publishing(self.ledger, orders)
        self.prefix = orders.prefix
        # Issued yesterday: a node whose clock is behind would refuse a token from what is its future.
        self.token = token(OWNER, ttl_s=86_400, channels=["topic:*"], iat=int(time.time()) - 86_400)
        self.crowd = Watchers(
            [
                Watcher(f"{view.name} #{turn}", view, self._bases(turn), self.token, self.ledger, self.truth)
                for view, count in views
                for turn in range(count)
            ]
        )

    @property
    def standalone(self) -> Standalone:
        assert isinstance(self.backend, Standalone)
        return self.backend

    @property
    def trio(self) -> Trio:
        assert isinstance(self.backend, Trio)
        return self.backend

    @property
    def shards(self) -> Shards:
        assert isinstance(self.backend, Shards)
        return self.backend

    def _bases(self, turn: int) -> list[str]:
        bases = [node.base for node in self.nodes]
        first = turn % len(bases)
        return bases[first:] + bases[:first]

    async def start(self) -> None:
        """Clients first, so that they are there for the first event."""
        self.crowd.start()
        await until(self._all_connected, "all clients to be connected", 60)
        await self.publishing.start()

    def _all_connected(self) -> bool:
        self.crowd.check()
        return all(watcher.trails for watcher in self.crowd.watchers if not watcher.view.per_job)

    # Waiting ---

    async def published(self, count: int) -> None:
        """Return when the publisher has asked for so many more plain events."""
        before = self._plain()
        await self.ledger.until(lambda: self._plain() >= before + count, f"{count} more events", 60)

    async def accepted(self, count: int) -> None:
        """Return when Redis has accepted so many more."""
        before = self.ledger.accepted_count
        await self.ledger.until(lambda: self.ledger.accepted_count >= before + count, f"{count} accepted events", 60)

    def _plain(self) -> int:
        return sum(self.ledger.newest(channel) for channel in PLAIN)

    async def settle(self, timeout_s: float = SETTLE_S) -> None:
        """Return when every node is ready and every client has all that had been asked for when this was called."""
        self._settled_at = time.monotonic()
        for node in self.nodes:
            await asyncio.to_thread(node.wait_ready, timeout_s)
        goals = {channel: self.ledger.newest(channel) for channel in self.ledger.channels()}
        ended = self.ledger.ended_jobs()
        deadline = time.monotonic() + timeout_s
        while behind := [text for each in self.crowd.watchers for text in self._behind(each, goals, ended)]:
            self.crowd.check()
            if time.monotonic() > deadline:
                raise TimeoutError(f"After {timeout_s:g} s these are still behind: {'; '.join(behind[:8])}")
            await asyncio.sleep(0.02)

    def _behind(self, watcher: Watcher, goals: dict[str, int], ended: set[str]) -> list[str]:
        if watcher.view.per_job:
            current = max((int(name.partition("-")[2]) for name in watcher.watched), default=0)
            return [
                f"{watcher.name} has not come to the end of {job_id}"
                for job_id in ended - watcher.watched
                if int(job_id.partition("-")[2]) > current
            ]
        if watcher.view.channels == (f"user:{OWNER}",):
            # Who comes anew without a cursor is told of the unfinished jobs only.
            unknown = set() if watcher.view.fetch else {j for j in ended if watcher.statuses.get(j) not in FINAL}
            return [f"{watcher.name} does not know the end of {job_id}" for job_id in unknown]
        return [
            f"{watcher.name} is at {trail.last_number} of {goals[channel]} on {channel}"
            for channel, trail in watcher.trails.items()
            if trail.last_number < goals.get(channel, 0) and not self._was_told(trail, goals[channel])
        ]

    def _was_told(self, trail: Trail, number: int) -> bool:
        """Whether a reset said that this event will not come any more."""
        return bool(trail.resets) and trail.resets[-1] >= self.ledger.entries[trail.channel][number].asked_at

    @contextlib.asynccontextmanager
    async def loss(self) -> AsyncIterator[None]:
        """Inside, Redis loses data, and until everybody has settled afterwards a reset is no surprise."""
        started = time.monotonic()
        window = (started, float("inf"))
        self.ledger.losses.append(window)
        yield
        await self.settle()
        self.ledger.losses[self.ledger.losses.index(window)] = (started, time.monotonic())

    async def finish(self) -> None:
        """Let the publisher end, and everybody get the rest."""
        code = await self.publishing.finish()
        assert code == 0, f"The publisher ended with {code}."
        await self.settle()

    def rows(self) -> list[verdict.Row]:
        return [verdict.row(watcher, self.ledger, self.truth) for watcher in self.crowd.watchers]

    def problems(self) -> list[str]:
        """What breaks the promise so far. Ask when everybody has settled."""
        return verdict.problems(self.crowd.watchers, self.ledger, self.truth, self._settled_at)


@contextlib.asynccontextmanager
async def running_world(
    prefix: str,
    *,
    nodes: int = 2,
    each: int = 1,
    topology: Topology = Standalone,
    views: Sequence[View] = (*VIEWS, *FETCHED),
    orders: dict[str, Any] | None = None,
    moving_clock: bool = False,
    **settings: Any,
) -> AsyncIterator[World]:
    """Start everything, ``each`` clients of every view; nothing of it is left afterwards."""
    backend = topology(nodes, prefix)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(backend.close)
        await backend.start()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sse-world-")))
        clocks = [folder / f"clock-{index}" for index in range(nodes)]
        made = []
        for index, clock in enumerate(clocks):
            move_clock(clock, 0)
            command = (sys.executable, "-m", "tests.cluster.moving_clock", str(clock), "serve")
            made.append(
                Node(
                    backend.node_url(index),
                    prefix,
                    command=command if moving_clock else None,
                    **{**SETTINGS, **settings},
                )
            )
        for node in made:
            stack.callback(node.close)
        await asyncio.gather(*[asyncio.to_thread(node.start) for node in made])
        given = Orders(backend.publisher_url, prefix, list(PLAIN), {}, **(orders or {}))
        world = World(backend, made, [(view, each) for view in views], given)
        world.clocks = clocks
        stack.push_async_callback(world.crowd.close)
        stack.push_async_callback(world.publishing.close)
        await world.start()
        yield world
