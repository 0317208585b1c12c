"""Reading what was missed: snapshots of channels, many in one round trip."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final, Literal

from gateway.continuity import Snapshot
from gateway.metrics import Metrics
from gateway.store import Call, Script, Store, StoreDown
from publisher import channels as names
from publisher.envelope import MessageError, Position, decode
from publisher.job import Job, from_state

log = logging.getLogger("gateway.redis")

PAGE_BYTES: Final = 256 * 1024
MAX_CALLS: Final = 200
MAX_JOBS: Final = 1000

What = Literal["", "state", "active", "jobs"]
Request = tuple[str, int | None, What]
"""Channel, the seq after which events are wanted (None: no events), and what else."""


class History:
    """Requests that wait at the same time share a round trip, and equal ones an answer."""

    def __init__(self, store: Store, metrics: Metrics, prefix: str) -> None:
        self._store = store
        self._metrics = metrics
        self._prefix = prefix
        self._script = Script("read")
        self._queue: dict[Request, asyncio.Future[Snapshot]] = {}
        self._worker: asyncio.Task[None] | None = None

    async def read(self, channel: str, after: int | None, what: What = "") -> Snapshot:
        """A snapshot of one channel. Raises :class:`StoreDown`."""
        request = (channel, after, what)
        answer = self._queue.get(request)
        if answer is None:
            answer = self._queue[request] = asyncio.get_running_loop().create_future()
            if self._worker is None or self._worker.done():
                self._worker = asyncio.create_task(self._work(), name="history")
        return await asyncio.shield(answer)

    async def jobs(self, job_ids: Sequence[str]) -> list[Job]:
        """The newest states of jobs; those that are gone are left out. Raises :class:`StoreDown`."""
        snapshots = await asyncio.gather(*[self.read(names.job_channel(i), None, "state") for i in job_ids])
        found = [from_state(snapshot.state) for snapshot in snapshots if snapshot.state]
        return [job for job in found if job is not None]

    async def job(self, job_id: str) -> Job | None:
        """The newest state of one job. Raises :class:`StoreDown`."""
        found = await self.jobs([job_id])
        return found[0] if found else None

    async def _work(self) -> None:
        while self._queue:
            batch = list(self._queue.items())[:MAX_CALLS]
            for request, _ in batch:
                del self._queue[request]
            try:
                replies = await self._store.run_many(self._script, [self._call(request) for request, _ in batch])
            except StoreDown as error:
                replies = [error] * len(batch)
            except Exception as error:
                # Those who wait must hear of it: a read that never ends would stop all repairs.
                log.exception("history.read_failed")
                replies = [StoreDown(f"Redis could not be read: {type(error).__name__}.")] * len(batch)
            for (request, answer), reply in zip(batch, replies, strict=True):
                _settle(answer, request, reply)

    def _call(self, request: Request) -> Call:
        channel, after, what = request
        keys = names.keys(self._prefix, channel)
        more = {"": [], "state": [keys.state], "active": [keys.jobs, keys.active], "jobs": [keys.jobs, keys.active]}
        start = "" if after is None else str(after)
        return [keys.log, keys.meta, *more[what]], [start, PAGE_BYTES, what, MAX_JOBS]


def _settle(answer: asyncio.Future[Snapshot], request: Request, reply: Any) -> None:
    if answer.done():
        return
    if isinstance(reply, Exception):
        answer.set_exception(reply if isinstance(reply, StoreDown) else StoreDown(f"Redis refused a read: {reply}"))
        answer.exception()  # whoever asked may be gone; then nobody else looks at it
        return
    try:
        answer.set_result(_snapshot(request, reply))
    except (ValueError, TypeError):
        answer.set_exception(StoreDown("What Redis holds for a channel is not what a publisher writes there."))
        answer.exception()


def _snapshot(request: Request, reply: list[Any]) -> Snapshot:
    channel, _, what = request
    epoch, seq, mark, messages, more, rest = reply
    events = []
    for message in messages:
        try:
            events.append(decode(channel, message))
        except MessageError:
            continue  # the chain has a hole here, and its reader will see that
    state = dict(zip(rest[::2], rest[1::2], strict=True)) if what == "state" else None
    jobs = tuple(filter(None, map(_job_id, rest))) if what in ("active", "jobs") else ()
    top = Position(epoch.decode(), int(seq), mark.decode())
    return Snapshot(top, events, more == b"1", state, jobs)


def _job_id(member: bytes) -> str | None:
    """A job's id out of a user's index; None for what no publisher can have put there."""
    try:
        return names.check_id(member.decode())
    except ValueError:
        return None
