"""Finds out what is missing, and repairs it: after a reconnect, on a broken chain, and every so often on quiet
channels, whose last message may have been lost without a sign."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from gateway.broker.history import History, Owners
from gateway.exceptions import StoreDown
from gateway.fanout import continuity
from gateway.fanout.channel import Channel
from gateway.fanout.continuity import Snapshot
from gateway.fanout.hub import Hub
from gateway.logs.log import Log
from gateway.metrics.counters import Metrics
from publisher.channels import ANSWER, kind_of
from publisher.envelope import Position
from publisher.job import Job

log = Log("gateway.hub")

COMPARE_EVERY_S: Final = 20.0
"""The position of a quiet channel is compared with Redis this often (the promise is 30 s)."""
AT_ONCE: Final = 200
RETRY_S: Final = 0.5


class Suspects:
    """Channels that are in doubt, in the order in which they came into it; one that is here already is not added
    again."""

    def __init__(self) -> None:
        self._channels: dict[Channel, None] = {}
        self._some = asyncio.Event()

    def add(self, channel: Channel) -> None:
        """Compare this channel with Redis soon."""
        self._channels[channel] = None
        self._some.set()

    async def take(self, number: int) -> list[Channel]:
        """Up to so many of them, as soon as there are any. Who comes into doubt from now on is added again, also while
        it is being compared: what that read found may be older than the doubt."""
        await self._some.wait()
        batch = list(self._channels)[:number]
        for channel in batch:
            del self._channels[channel]
        if not self._channels:
            self._some.clear()
        return batch


class Reconciler:
    """Works through the channels that are in doubt, until each has been compared with Redis once since."""

    def __init__(
        self, hub: Hub, history: History, suspects: Suspects, metrics: Metrics, *, up: Callable[[], bool]
    ) -> None:
        self._hub = hub
        self._history = history
        self._suspects = suspects
        self._metrics = metrics
        self._up = up

    def suspect_all(self) -> None:
        """After a reconnect: anything may have been missed."""
        for channel in self._hub.channels.values():
            self._suspects.add(channel)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            batch = await self._suspects.take(AT_ONCE)
            results = await asyncio.gather(*[self._compare(channel) for channel in batch], return_exceptions=True)
            for channel, result in zip(batch, results, strict=True):
                if isinstance(result, StoreDown):
                    self._suspects.add(channel)
                elif isinstance(result, Exception):
                    _say_failed(channel, result)  # one channel's trouble: it is compared again when next in doubt
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
                self._suspects.add(channel)

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
        snapshot, jobs = await newest(self._history, channel.name)
        if channel.position is None or self._hub.channels.get(channel.name) is not channel:
            return
        reason = continuity.loss(lost, snapshot)
        log.warning("channel.reset", reason=reason, kind=kind_of(channel.name))
        self._hub.reset(channel, snapshot, jobs, reason)


def _say_failed(channel: Channel, error: Exception) -> None:
    try:
        raise error
    except Exception:
        log.exception("channel.compare_failed", kind=kind_of(channel.name))


async def newest(
    history: History,
    channel: str,
    after: int | None = None,
    *,
    has: Position | None = None,
    owners: Owners | None = None,
) -> tuple[Snapshot, list[Job]]:
    """A channel's events after ``after``, its top and, if it is a job's, the job's newest state; of an answer all that
    there is, unless a reader who ``has`` everything up to a position only needs the events.

    With ``owners`` a job that is nobody's among them may be as one that is not there: :meth:`History.read`. A user's
    jobs are not among it: they may be many, and are told step by step. Raises :class:`StoreDown`.
    """
    if kind_of(channel) != "job":
        return await history.read(channel, after), []
    snapshot = await history.read(channel, after, "state", owners)
    job = history.job_in(channel, snapshot)
    if job is not None and job.kind == ANSWER and (has is None or continuity.missed(has, snapshot) is None):
        snapshot = await history.read(channel, after, "whole", owners)
        job = history.job_in(channel, snapshot)
    return snapshot, [job] if job else []
