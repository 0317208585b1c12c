"""Asks a provider that calls nobody back: which jobs, and over all processes together."""

from __future__ import annotations

from typing import Any

from publisher import channels
from publisher.asyncio.poll_shift import Fetch, PollShift
from publisher.asyncio.publisher import AsyncPublisher
from publisher.core import polls
from publisher.core.polls import Rhythm
from publisher.job import Job
from publisher.keys import poll_keys


class Poller:
    """Asks ``fetch`` how each registered job stands at its provider, and tells its viewers. ``fetch`` is a coroutine
    function that gets the :class:`Job` and answers a :class:`Poll`; what it raises counts as an error, and so does an
    answer that takes longer than 30 s.

    Each job is asked for once per ``interval_s`` over all processes that run pollers of this ``name``; after errors
    less often, up to ``max_interval_s``. It fails with code ``provider_unreachable`` after ``give_up_after`` errors in
    a row, and with code ``timeout`` after ``timeout_s``. Raises ``ValueError`` for what makes no sense.
    """

    def __init__(
        self,
        publisher: AsyncPublisher,
        fetch: Fetch,
        *,
        interval_s: float = 1,
        max_interval_s: float = 10,
        timeout_s: float = 900,
        give_up_after: int = 10,
        name: str = "default",
    ) -> None:
        if not isinstance(publisher, AsyncPublisher):
            raise ValueError(f"A Poller needs an AsyncPublisher, not {type(publisher).__name__}.")
        if not callable(fetch):
            raise ValueError(f"fetch must be a coroutine function, not {type(fetch).__name__}.")
        self.publisher = publisher
        self._fetch = fetch
        self._rhythm = Rhythm(interval_s, max_interval_s, timeout_s, give_up_after)
        self._keys = poll_keys(publisher._options.prefix, channels.check_id(name, "poller's name"))
        self._name = name
        self._shifts: set[PollShift] = set()

    def __repr__(self) -> str:
        return f"<Poller {self._name!r} over {self.publisher!r}>"

    @property
    def where(self) -> str:
        """Host and port of the Redis that its publisher talks to."""
        return self.publisher._sender.where

    async def watch(
        self, job_id: str, *, kind: str, owner: str | None = None, meta: dict[str, Any] | None = None
    ) -> Job:
        """Register a job, which any process that runs this poller asks for from now on; twice is once. Once this has
        returned, Redis has it. Raises as :meth:`AsyncPublisher.create_job`: ``ValueError``, :class:`JobExists`, and
        :class:`PublishError` where Redis is away for more than about 5 s; then call it again."""
        job = await self.publisher.create_job(job_id, kind=kind, owner=owner, meta=meta)
        if not job.finished:
            await self.publisher._run(polls.register(self._keys, job.job_id))
            for shift in self._shifts:
                shift.wake()
        return job

    async def run(self) -> None:
        """Ask until the task is cancelled. A Redis that is away is waited for. Raises :class:`PublisherClosed`."""
        shift = PollShift(self.publisher, self._fetch, self._rhythm, self._keys)
        self._shifts.add(shift)
        try:
            await shift.run()
        finally:
            self._shifts.discard(shift)
