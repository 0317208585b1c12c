"""Finds out what is missing, and repairs it: after a reconnect, on a broken chain, and every so often on quiet
channels, whose last message may have been lost without a sign."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from gateway.channel import Channel
from gateway.continuity import Snapshot
from gateway.history import History, What
from gateway.hub import Hub
from gateway.metrics import Metrics
from gateway.store import StoreDown
from publisher.envelope import Position
from publisher.job import Job, from_state

log = logging.getLogger("gateway.hub")

COMPARE_EVERY_S: Final = 20.0
"""The position of a quiet channel is compared with Redis this often (the promise is 30 s)."""
AT_ONCE: Final = 200
RETRY_S: Final = 0.5


class Reconciler:
    """Works through the set of channels that are in doubt, until each has been compared with Redis once since."""

    def __init__(self, hub: Hub, history: History, metrics: Metrics, *, up: Callable[[], bool]) -> None:
        self._hub = hub
        self._history = history
        self._metrics = metrics
        self._up = up
        self._doubtful: dict[Channel, None] = {}
        self._work = asyncio.Event()

    def suspect(self, channel: Channel) -> None:
        """Compare this channel with Redis soon."""
        self._doubtful[channel] = None
        self._work.set()

    def suspect_all(self) -> None:
        """After a reconnect: anything may have been missed."""
        for channel in self._hub.channels.values():
            self.suspect(channel)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._work.wait()
            batch = list(self._doubtful)[:AT_ONCE]
            if not batch:
                self._work.clear()
                continue
            for channel in batch:
                del self._doubtful[channel]
            results = await asyncio.gather(*[self._compare(channel) for channel in batch], return_exceptions=True)
            for channel, result in zip(batch, results, strict=True):
                if isinstance(result, StoreDown):
                    self.suspect(channel)
                elif isinstance(result, BaseException):
                    raise result
            if any(isinstance(result, StoreDown) for result in results):
                await asyncio.sleep(RETRY_S)

    def sweep(self, now: float) -> None:
        """Put channels in doubt that have been quiet for a while; an event that arrives proves the ones before it."""
        if not self._up():
            return
        for channel in self._hub.channels.values():
            if channel.position is not channel.seen:
                channel.seen = channel.position
                channel.checked_at = now
            elif now - channel.checked_at > COMPARE_EVERY_S and channel.used:
                channel.checked_at = now
                self.suspect(channel)

    async def _compare(self, channel: Channel) -> None:
        while channel.position is not None and channel.used:
            asked: Position = channel.position
            snapshot = await self._history.read(channel.name, asked.seq)
            if self._hub.channels.get(channel.name) is not channel or channel.position is None:
                return
            before = channel.position
            if not self._hub.learn(channel, snapshot, asked):
                await self._reset(channel, asked)
                return
            self._hub.flush()
            if channel.position != before:
                self._metrics.gaps_repaired += 1
            if not snapshot.more:
                return

    async def _reset(self, channel: Channel, lost: Position) -> None:
        snapshot, jobs = await newest(self._history, channel.name, everything=True)
        if channel.position is None or self._hub.channels.get(channel.name) is not channel:
            return
        reason = (
            "history_lost" if snapshot.top.epoch != lost.epoch or snapshot.top.seq <= lost.seq else "history_trimmed"
        )
        log.warning("channel.reset reason=%s kind=%s", reason, channel.name.partition(":")[0])
        self._hub.reset(channel, snapshot, jobs, reason)


async def newest(
    history: History, channel: str, after: int | None = None, *, everything: bool
) -> tuple[Snapshot, list[Job]]:
    """A channel's events after ``after``, its top, and the newest state that belongs to it (the job, the user's jobs).

    A user's unfinished jobs; with ``everything`` also the finished ones, because a client that missed events has to
    learn how they ended. States of a user's jobs may be newer than the snapshot, never older. Raises
    :class:`StoreDown`.
    """
    kind, _, name = channel.partition(":")
    what: What = ""
    if kind == "job":
        what = "state"
    elif kind == "user":
        what = "jobs" if everything else "active"
    snapshot = await history.read(channel, after, what)
    if kind == "job":
        job = from_state(snapshot.state or {})
        return snapshot, [job] if job else []
    if kind == "user":
        jobs = await history.jobs(snapshot.jobs)
        # A job on the list may be gone, and its id another owner's by now.
        return snapshot, [job for job in jobs if job.owner == name and (everything or not job.finished)]
    return snapshot, []
