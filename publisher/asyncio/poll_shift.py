"""One run of a poller: the jobs that it holds, those that it has to give back, and the answers that it waits for."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from publisher.asyncio.publisher import AsyncPublisher
from publisher.core import backoff, polls, reports
from publisher.core.given import JobChanges
from publisher.core.identity import new_uid
from publisher.core.poll_memory import PollMemory
from publisher.core.polls import Claim, Poll, Rhythm
from publisher.core.reason import words
from publisher.core.scripts import PollRelease
from publisher.exceptions import BufferFull, JobError, JobNotFound, PublisherError, PublishError
from publisher.job import Job

log: Final = logging.getLogger("publisher.polling")

AT_ONCE: Final = 100
"""Answers of the provider that one process waits for."""
IN_ONE_CALL: Final = 32
"""Jobs that one script call takes, and gives back: everybody else in Redis waits for it."""
RENEW_S: Final = 2.0
"""So often a poller says what it holds; a third of the lease."""
IDLE_S: Final = 1.0
"""At least so often it looks for jobs that other processes have registered."""
GATHER_S: Final = 0.02
"""Jobs that are done within so long are given back together."""
LEAVE_S: Final = 2.0

Fetch = Callable[[Job], Awaitable[Poll]]


class _Held(NamedTuple):
    claim: Claim
    task: asyncio.Task[None]


class PollShift:
    """One ``run()``: the jobs that it holds, each with a task, those that it has to give back, and those that it has
    asked for lately."""

    def __init__(self, publisher: AsyncPublisher, fetch: Fetch, rhythm: Rhythm, keys: tuple[str, str]) -> None:
        self._publisher = publisher
        self._fetch = fetch
        self._rhythm = rhythm
        self._keys = keys
        self._holder = new_uid()
        self._held: dict[str, _Held] = {}
        self._releases: list[PollRelease] = []
        self._memory = PollMemory(rhythm.remembered_s)
        self._mark = b""
        self._deaf: set[asyncio.Future[Poll]] = set()
        self._outages = 0
        self._renew_at = 0.0
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    async def run(self) -> None:
        try:
            while True:
                rest_s = await self._turn()
                if rest_s:
                    await self._rest(rest_s)
        finally:
            await self._leave()

    async def _rest(self, rest_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(rest_s):
                await self._wake.wait()
        if self._wake.is_set():
            await asyncio.sleep(GATHER_S)
            self._wake.clear()

    async def _turn(self) -> float:
        """Give back, keep, and take; how long to rest."""
        given, self._releases = self._releases[:IN_ONE_CALL], self._releases[IN_ONE_CALL:]
        kept = tuple(self._held) if time.monotonic() >= self._renew_at else ()
        # Fetches that do not end although they were cancelled keep their room.
        room = min(IN_ONE_CALL, AT_ONCE - len(self._held) - len(self._deaf))
        try:
            turn = await self._publisher._run(polls.turn(self._keys, self._holder, max(0, room), given, kept))
            await self._heed(turn.mark)
        except (PublishError, BufferFull) as trouble:
            self._releases[:0] = given
            self._outages += 1
            if self._outages == 1:
                log.warning("Nothing is polled: %s", reports.for_users(trouble))
            return backoff.backoff_s(self._outages)
        except BaseException:
            self._releases[:0] = given  # giving back twice changes nothing
            raise
        if self._outages:
            self._outages = 0
            log.info("Polling goes on.")
        self._releases += turn.rubbish
        for claim in turn.claims:
            if claim.job_id not in self._held:  # else its lease ran out while this process stood still
                task = asyncio.create_task(self._poll(claim), name=f"sse-poll-{claim.job_id}")
                self._held[claim.job_id] = _Held(claim, task)
        if kept or not self._held:
            self._renew_at = time.monotonic() + RENEW_S
        if self._releases or (turn.claims and len(turn.claims) == room):
            return 0
        if room <= 0:
            return RENEW_S  # or until something is done
        look_s = min(IDLE_S, self._rhythm.interval_s)
        return max(GATHER_S, look_s if turn.wait_s is None else min(look_s, turn.wait_s))

    async def _heed(self, mark: bytes) -> None:
        """Register anew what this process knows of, if Redis has lost everything: what it has not asked for lately,
        others have. The mark is taken in when that is done, so that an outage meanwhile changes nothing."""
        if self._mark and mark != self._mark:
            known = self._memory.jobs(time.monotonic())
            log.warning("Redis has lost what is to be polled; %d jobs are put back from here.", len(known))
            for start in range(0, len(known), AT_ONCE):
                await asyncio.gather(*map(self._put_back, known[start : start + AT_ONCE]))
        self._mark = mark

    async def _put_back(self, job: Job) -> None:
        with contextlib.suppress(JobError):  # another job has this id by now
            await self._publisher.create_job(job.job_id, kind=job.kind, owner=job.owner, meta=job.meta)
            await self._publisher._run(polls.register(self._keys, job.job_id))

    async def _poll(self, claim: Claim) -> None:
        errors: int | None = claim.errors
        try:
            errors = await self._ask(claim)
        except JobNotFound:
            errors = None  # it has vanished
        except JobError:
            errors = None  # it ended while it was asked for
            self._memory.forget(claim.job_id)
        except PublisherError:
            pass  # Redis is away; the provider will say the same again
        except Exception:
            log.exception("Job %s could not be polled.", claim.job_id)
        finally:
            self._give_back(claim, errors)
            self.wake()

    def _give_back(self, claim: Claim, errors: int | None) -> None:
        if self._held.pop(claim.job_id, None) is not None:
            self._releases.append(self._rhythm.release(claim, errors))

    async def _ask(self, claim: Claim) -> int | None:
        """Ask for a job and report it. Returns the errors in a row from now on; None: it is asked for no more."""
        job = await self._publisher.get_job(claim.job_id)
        if job is None:
            return None
        if job.finished:
            self._memory.forget(job.job_id)
            return None
        self._memory.remember(job, time.monotonic())
        left_s = self._rhythm.left_s(claim)
        if left_s <= 0:
            await self._end(job, polls.timed_out(self._rhythm.timeout_s))
            return None
        try:
            found = await self._answer(job, min(polls.FETCH_S, left_s))
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise  # this process is to end
        except BaseException as error:  # also one of the publisher's, if fetch uses it
            return await self._failed(job, claim.errors + 1, error)
        try:
            await self._report(job, found)
        except ValueError as error:
            return await self._failed(job, claim.errors + 1, error)
        return 0 if found.status == "active" else None

    async def _answer(self, job: Job, limit_s: float) -> Poll:
        """What ``fetch`` says. One that does not even end when it is cancelled keeps its place here."""
        asked: asyncio.Future[Poll] = asyncio.ensure_future(self._fetch(job))
        try:
            await asyncio.wait({asked}, timeout=limit_s)
            if not asked.done():
                raise TimeoutError(f"no answer within {limit_s:.3g} s")
            if asked.cancelled():
                raise TimeoutError("fetch was cancelled")
            found: object = asked.result()
            if not isinstance(found, Poll):
                raise TypeError(f"fetch must answer a Poll, not {type(found).__name__}")
            return found
        finally:
            if not asked.done():
                self._deaf.add(asked)
                asked.add_done_callback(self._heard)
                asked.cancel()

    def _heard(self, asked: asyncio.Future[Poll]) -> None:
        self._deaf.discard(asked)
        if not asked.cancelled():
            asked.exception()  # nobody wants it any more
        self._wake.set()

    async def _report(self, job: Job, found: Poll) -> None:
        changes = polls.news(found, job)
        if changes is None:
            return
        if found.status == "active":
            await self._publisher.update_job(job.job_id, **changes)
        else:
            await self._end(job, changes)

    async def _end(self, job: Job, changes: JobChanges) -> None:
        """End a job, whatever else an answer holds: a result that cannot be sent must not keep it open."""
        try:
            await self._publisher.update_job(job.job_id, **changes)
        except ValueError as error:
            log.warning("Of the end of job %s only the status is told: %s", job.job_id, error)
            await self._publisher.update_job(job.job_id, status=changes["status"])
        self._memory.forget(job.job_id)

    async def _failed(self, job: Job, errors: int, error: BaseException) -> int | None:
        said = f"{type(error).__name__}: {words(error)}"[:500]
        if not self._rhythm.gives_up(errors):
            log.warning("Job %s could not be asked for (error %d in a row): %s", job.job_id, errors, said)
            return errors
        log.error("Job %s is given up after %d errors in a row: %s", job.job_id, errors, said)
        await self._end(job, polls.unreachable(errors))
        return None

    async def _leave(self) -> None:
        """Give everything back, so that others need not wait for a lease to run out."""
        held = tuple(self._held.values())
        for each in held:
            each.task.cancel()
        await asyncio.gather(*(each.task for each in held), return_exceptions=True)
        for each in held:
            self._give_back(each.claim, each.claim.errors)
        if self._releases:
            try:
                async with asyncio.timeout(LEAVE_S):
                    for start in range(0, len(self._releases), IN_ONE_CALL):
                        given = self._releases[start : start + IN_ONE_CALL]
                        await self._publisher._run(polls.turn(self._keys, self._holder, 0, given, ()))
            except Exception as trouble:
                log.info("What was held could not be given back: %s", trouble)
