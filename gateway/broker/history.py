"""Reading what was missed: snapshots of channels, many in one round trip."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Final

import orjson

from gateway.broker.gate import Gate
from gateway.broker.reading import JobFacts, PipelinedRead, What, facts_in, job_in, snapshot
from gateway.broker.script import Script
from gateway.broker.store import CALL_TIMEOUT_S, ReplyError, ScriptCall, Store
from gateway.exceptions import StoreDown
from gateway.fanout.continuity import Snapshot
from gateway.logs.log import Log
from gateway.metrics.counters import Metrics
from publisher import channels as names
from publisher.job import Job
from publisher.keys import Keys, answer_key, channel_keys, chat_key

log = Log("gateway.redis")

PAGE_BYTES: Final = 256 * 1024
MAX_CALLS: Final = 200
MAX_WHOLE: Final = 8
"""Answers with their text, of up to 1 MiB, that are in memory at once because they were read together."""
MAX_JOBS: Final = 1000
LOOK_AT: Final = 100
"""Jobs whose facts are read at once, before any of their states."""
Owners = frozenset[str | None]
NOBODY: Final = (b"false",)
"""What no owner is stored as."""
STEP_BYTES: Final = 256 * 1024
"""States that are in memory at once for one reader; a single larger one comes alone."""


class History:
    """Requests that wait at the same time share a round trip, and equal ones an answer."""

    def __init__(self, store: Store, metrics: Metrics, prefix: str, gate: Gate | None = None) -> None:
        """``gate`` is where what was read waits; without one nothing does."""
        self._store = store
        self._gate = gate
        self._metrics = metrics
        self._prefix = prefix
        self._script = Script("read")
        self._queue: dict[PipelinedRead, _Waiting] = {}
        self._worker: asyncio.Task[None] | None = None
        self._lane = asyncio.Lock()
        """Steps are read one after the other, whoever asks: a hundred at once would be one answer of 25 MB, which the
        loop would take in in one turn."""

    async def read(self, channel: str, after: int | None, what: What = "", owners: Owners | None = None) -> Snapshot:
        """A snapshot of one channel. Raises :class:`StoreDown`.

        With ``owners`` what belongs to nobody among them is not read, and is as a job that is not there; unless others
        ask for it at the same time, so that whoever asks still has to look whose it is.
        """
        return await self._ask(channel, after, what, owners=owners)

    async def answers(self, owner: str, chat_id: str) -> tuple[str, ...]:
        """The job ids of the newest answers in a chat of this owner's, newest first. Raises :class:`StoreDown`."""
        return (await self._ask(names.user_channel(owner), None, "chat", chat_id)).jobs[::-1]

    async def active_answer(self, owner: str, chat_id: str) -> str | None:
        """The job id of the answer that is being given in a chat of this owner's; None alike where there is none, where
        it has ended, and where there is no such chat. Raises :class:`StoreDown`."""
        answers = await self.answers(owner, chat_id)
        facts = await self.facts(answers[0]) if answers else None
        if facts is None or facts.owner != owner or facts.status in names.FINISHED:
            return None
        return answers[0]

    def _ask(
        self, channel: str, after: int | None, what: What, chat_id: str = "", owners: Owners | None = None
    ) -> asyncio.Future[Snapshot]:
        """The answer to come. Who asks the same meanwhile gets it too, as a future of their own: one that goes takes
        nothing from the others."""
        answer: asyncio.Future[Snapshot] = asyncio.get_running_loop().create_future()
        request = (channel, after, what, chat_id)
        waiting = self._queue.get(request)
        if waiting is None:
            self._queue[request] = _Waiting([answer], owners)
        else:
            waiting.join(answer, owners)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work(), name="history")
        return answer

    async def jobs(self, job_ids: Sequence[str]) -> list[Job]:
        """The newest states of jobs; those that are gone are left out. Raises :class:`StoreDown`."""
        channels = [names.job_channel(job_id) for job_id in job_ids]
        snapshots = await asyncio.gather(*[self.read(channel, None, "state") for channel in channels])
        found = map(self.job_in, channels, snapshots)
        return [job for job in found if job is not None]

    def job_in(self, channel: str, read: Snapshot) -> Job | None:
        """The job that a read of a job's channel found, with its state asked for."""
        return job_in(channel, read.state, self._metrics.unreadable)

    async def job(self, job_id: str) -> Job | None:
        """The newest state of one job. Raises :class:`StoreDown`."""
        found = await self.jobs([job_id])
        return found[0] if found else None

    async def facts(self, job_id: str) -> JobFacts | None:
        """Whose job this is, without its state, which may be large: it costs the same for every job, and for one that
        is not there (None). Raises :class:`StoreDown`."""
        return (await self._facts([job_id]))[0]

    async def _facts(self, job_ids: Sequence[str]) -> list[JobFacts | None]:
        channels = [names.job_channel(job_id) for job_id in job_ids]
        answers = [self._ask(channel, None, "facts") for channel in channels]  # no task for each: there may be many
        return [
            facts_in(channel, (await answer).state, self._metrics.unreadable)
            for channel, answer in zip(channels, answers, strict=True)
        ]

    async def admitted_job(self, job_id: str, admits: Callable[[JobFacts], bool]) -> Job | None:
        """The newest state of a job that is admitted by its facts, of an answer all that there is; None alike for any
        other, and for none.

        Raises :class:`StoreDown`.
        """
        facts = await self.facts(job_id)
        if facts is None or not admits(facts):
            return None
        channel = names.job_channel(job_id)
        job = self.job_in(channel, await self.read(channel, None, "whole" if facts.kind == names.ANSWER else "state"))
        return job if job is not None and admits(_facts_of(job)) else None

    async def jobs_in_steps(
        self, job_ids: Sequence[str], admits: Callable[[JobFacts], bool]
    ) -> AsyncGenerator[list[Job]]:
        """The newest states of those jobs that are there and admitted, in their order, some :data:`STEP_BYTES` at a
        time: what one reader asks for is never in memory as a whole. A step is read when it is asked for, so that the
        reader sets the pace. Raises :class:`StoreDown`."""
        for start in range(0, len(job_ids), LOOK_AT):
            some = job_ids[start : start + LOOK_AT]
            step: list[str] = []
            size = 0
            async with self._lane:
                found = await self._facts(some)
            for job_id, facts in zip(some, found, strict=True):
                if facts is None or not admits(facts):
                    continue
                if step and size + facts.size > STEP_BYTES:
                    yield await self._admitted(step, admits)
                    step, size = [], 0
                step.append(job_id)
                size += facts.size
            if step:
                yield await self._admitted(step, admits)

    async def _admitted(self, job_ids: list[str], admits: Callable[[JobFacts], bool]) -> list[Job]:
        async with self._lane:
            jobs = await self.jobs(job_ids)
        # Between the look and the read a job may have gone, and its id become another owner's.
        return [job for job in jobs if admits(_facts_of(job))]

    async def _work(self) -> None:
        while self._queue:
            batch = self._next_batch()
            try:
                replies = await self._store.run_many(self._script, [self._call(*asked) for asked in batch])
                if self._gate and not self._gate.is_open:
                    async with asyncio.timeout(CALL_TIMEOUT_S):
                        await self._gate.passed()
            except StoreDown as error:
                if self._gate:
                    self._gate.doubt_reads()
                replies = [error] * len(batch)
            except TimeoutError:
                replies = [StoreDown("Whom to send away could not be read from Redis.")] * len(batch)
            except Exception as error:
                # Those who wait must hear of it: a read that never ends would stop all repairs.
                log.exception("history.read_failed")
                replies = [StoreDown(f"Redis could not be read: {type(error).__name__}.")] * len(batch)
            for (request, waiting), reply in zip(batch, replies, strict=True):
                self._settle(waiting.answers, request, reply)

    def _next_batch(self) -> list[tuple[PipelinedRead, _Waiting]]:
        """The requests of the next round trip, in their order; of answers, which may be long, few at a time."""
        batch: list[tuple[PipelinedRead, _Waiting]] = []
        long = 0
        for request, waiting in self._queue.items():
            long += request[2] == "whole"
            if len(batch) < MAX_CALLS and (request[2] != "whole" or long <= MAX_WHOLE):
                batch.append((request, waiting))
        for request, _ in batch:
            del self._queue[request]
        return batch

    def _settle(self, answers: list[asyncio.Future[Snapshot]], request: PipelinedRead, reply: Any) -> None:
        waiting = [answer for answer in answers if not answer.done()]
        found = self._found(request, reply) if waiting else reply
        for answer in waiting:
            if isinstance(found, StoreDown):
                answer.set_exception(found)
                answer.exception()  # whoever asked may be gone; then nobody else looks at it
            else:
                answer.set_result(found)

    def _found(self, request: PipelinedRead, reply: Any) -> Snapshot | StoreDown:
        if isinstance(reply, Exception):
            return reply if isinstance(reply, StoreDown) else StoreDown(f"Redis refused a read: {reply}")
        try:
            return snapshot(request, reply, self._metrics.unreadable)
        except ReplyError as error:
            self._metrics.unreadable.note("reply")
            return error

    def _call(self, request: PipelinedRead, waiting: _Waiting) -> ScriptCall:
        channel, after, what, chat_id = request
        keys = channel_keys(self._prefix, channel)
        start = "" if after is None else str(after)
        more = [chat_key(self._prefix, channel, chat_id)] if what == "chat" else _more_keys(keys, what)
        if what == "whole":
            more = [keys.state, answer_key(self._prefix, channel)]
        owners = () if waiting.owners is None else [orjson.dumps(owner) for owner in waiting.owners] or NOBODY
        return [keys.log, keys.meta, *more], [start, PAGE_BYTES, what, MAX_JOBS, *owners]


class _Waiting:
    """Those who want the same; ``owners`` of jobs that any of them may see, None for all."""

    __slots__ = ("answers", "owners")

    def __init__(self, answers: list[asyncio.Future[Snapshot]], owners: Owners | None) -> None:
        self.answers = answers
        self.owners = owners

    def join(self, answer: asyncio.Future[Snapshot], owners: Owners | None) -> None:
        self.answers.append(answer)
        self.owners = None if owners is None or self.owners is None else self.owners | owners


def _facts_of(job: Job) -> JobFacts:
    return JobFacts(job.owner, job.kind, job.status, 0)


def _more_keys(keys: Keys, what: What) -> list[str]:
    match what:
        case "" | "chat" | "whole":
            return []
        case "state" | "facts":
            return [keys.state]
        case "active" | "jobs":
            return [keys.jobs, keys.active]
