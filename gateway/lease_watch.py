"""Notices that a watched job's worker is lost: its lease has run out, and nobody else may be looking.

A job without a viewer costs nothing here. Of one with a viewer the node knows when its lease ends, from the state that
the viewer was shown or from the event that started it, and asks Redis then: once per lease, not per renewal. Redis
decides (``job.lua``): the first look after the end only puts the worker under suspicion.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from typing import Final

import orjson

from gateway.broker.history import History
from gateway.exceptions import StoreDown
from gateway.logs.log import Log
from publisher import AsyncPublisher, PublishError
from publisher import channels as names
from publisher.envelope import Event
from publisher.job import Job

log = Log("gateway.jobs")

TICK_S: Final = 0.5
FIRST_LOOK_S: Final = 1.0
"""After a job's start, to learn when its lease ends."""
RETRY_S: Final = 1.0
AT_ONCE: Final = 200
MAX_WATCHED: Final = 50_000


class LeaseWatch:
    """``viewed`` says whether anybody on this node listens to a channel."""

    def __init__(self, publisher: AsyncPublisher, history: History, *, viewed: Callable[[str], bool]) -> None:
        self._publisher = publisher
        self._history = history
        self._viewed = viewed
        self._owners: dict[str, str | None] = {}
        self._due: list[tuple[float, str]] = []
        self._viewed_owners: set[str] = set()
        self._some = asyncio.Event()

    def shown(self, job: Job) -> None:
        """A viewer has been shown this state."""
        if job.status == "active" and job.lease_until is not None:
            self._watch(job.job_id, job.owner, max(0.0, job.lease_until / 1000 - time.time()))

    def started(self, event: Event) -> None:
        """A worker has taken a job, while somebody was watching: ``job.started`` on its channel or its owner's."""
        try:
            data = orjson.loads(event.data)
            job_id, owner = names.check_id(data["job_id"]), data.get("owner")
        except (ValueError, TypeError, KeyError, AttributeError):
            return  # whoever may publish to Redis may write anything there
        self._watch(job_id, owner if isinstance(owner, str) else None, FIRST_LOOK_S)

    def viewed_owner(self, owner: str) -> None:
        """A viewer goes on with the jobs of this owner, and was not shown their states."""
        if len(self._viewed_owners) < MAX_WATCHED:
            self._viewed_owners.add(owner)
            self._some.set()

    def _watch(self, job_id: str, owner: str | None, in_s: float) -> None:
        if not _can_be(job_id, owner):
            return
        if job_id not in self._owners and len(self._owners) < MAX_WATCHED:
            self._owners[job_id] = owner
            self._again(job_id, in_s)

    def _again(self, job_id: str, in_s: float) -> None:
        heapq.heappush(self._due, (time.monotonic() + in_s, job_id))
        self._some.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._some.wait()
            await asyncio.sleep(TICK_S)  # what falls due together is asked together
            owners, self._viewed_owners = self._viewed_owners, set()
            for owner in owners:
                await self._look_at_jobs_of(owner)
            await asyncio.gather(*[self._look(job_id) for job_id in self._take()])
            if not self._due and not self._viewed_owners:
                self._some.clear()

    async def _look_at_jobs_of(self, owner: str) -> None:
        try:
            active = await self._history.read(names.user_channel(owner), None, "active")
        except StoreDown:
            self._viewed_owners.add(owner)
            return
        for job_id in active.jobs:
            self._watch(job_id, owner, FIRST_LOOK_S)

    def _take(self) -> list[str]:
        taken: list[str] = []
        now = time.monotonic()
        while self._due and self._due[0][0] <= now and len(taken) < AT_ONCE:
            taken.append(heapq.heappop(self._due)[1])
        return taken

    async def _look(self, job_id: str) -> None:
        owner = self._owners[job_id]
        if not self._viewed(names.job_channel(job_id)) and not (owner and self._viewed(names.user_channel(owner))):
            del self._owners[job_id]
            return
        try:
            left_ms = await self._publisher.expire_job(job_id, owner=owner)
        except (PublishError, StoreDown):
            self._again(job_id, RETRY_S)
            return
        except Exception:
            log.exception("lease.look_failed")  # one job's trouble; it is looked at again when it is next shown
            left_ms = -1
        if left_ms > 0:
            self._again(job_id, left_ms / 1000)
        else:
            del self._owners[job_id]


def _can_be(job_id: str, owner: str | None) -> bool:
    """Whether there are channels of these names: whoever may write to Redis may have written anything there."""
    try:
        names.job_channel(job_id)
        if owner is not None:
            names.user_channel(owner)
    except ValueError:
        return False
    return True
