"""One load test from the first stream to the figures."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final

from gateway.bench.choices import Choices
from gateway.bench.lag import Lag
from gateway.bench.progress import Progress
from gateway.bench.publishing import PublishingProcess
from gateway.bench.result import NodeView, Published, result
from gateway.bench.scrape import NodeSample, scrape
from gateway.bench.viewers import Viewers

SETTLE_S: Final = 15.0
"""How long streams may take to get the last events, or to come back."""
QUIET_S: Final = 2.0
"""Where nothing has come for this long, nothing more will."""
LOOK_S: Final = 0.05
SHOW_S: Final = 0.1


def run(choices: Choices) -> dict[str, Any]:
    """The figures; partial ones after Ctrl-C, with ``interrupted`` true."""
    return asyncio.run(Trial(choices).run())


class Trial:
    """Opens, publishes, waits for the last events, and counts."""

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self._viewers = Viewers(choices)
        self._lag = Lag()
        self._progress = Progress()
        self._publishing = PublishingProcess(choices.order(), self._lag.late)
        self._interrupted = asyncio.Event()
        self._seen: list[list[NodeSample | None]] = []
        self._took_s = 0.0

    async def run(self) -> dict[str, Any]:
        async with self._publishing, self._watched():
            await self._look()
            await self._attend(self._viewers.open_all(), self._opening)
            await self._look()
            if self._viewers.opened and not self._interrupted.is_set():
                await self._measure()
            await self._look()
            figures = self._figures()
            # Before the publishing process takes away what the streams listen to.
            await self._viewers.close()
        self._progress.clear()
        return figures

    async def _measure(self) -> None:
        publishing, viewers = self._publishing, self._viewers
        gc.collect()
        gc.freeze()  # nothing of what is there now becomes garbage before the end
        self._lag.start()
        started = time.monotonic()
        if not await self._attend(publishing.start(), self._running):
            await publishing.stop()
        await self._attend(self._settle(), self._running)
        self._lag.stop()
        self._took_s = max(publishing.seconds, viewers.last_delivery - started)

    async def _settle(self) -> None:
        """Until every stream is open and has everything, or there was time enough for it."""
        viewers, received = self._viewers, -1
        started = moved = time.monotonic()
        while time.monotonic() - started < SETTLE_S:
            if viewers.deliveries != received or not viewers.all_back:  # who has just come back has not been told yet
                received, moved = viewers.deliveries, time.monotonic()
            quiet = time.monotonic() - moved > QUIET_S
            if viewers.all_back and (quiet or not viewers.lacks(self._publishing.published)):
                return
            await asyncio.sleep(LOOK_S)

    async def _look(self) -> None:
        """Read what the nodes tell about themselves."""
        token = self._choices.metrics_token
        self._seen.append(list(await asyncio.gather(*[scrape(each, token) for each in self._choices.targets])))

    def _figures(self) -> dict[str, Any]:
        publishing = self._publishing
        before, idle, after = self._seen
        views = [
            NodeView(target.url, *samples)
            for target, *samples in zip(self._choices.targets, before, idle, after, strict=True)
        ]
        published = Published(publishing.published, publishing.seconds, publishing.error, publishing.call_ms)
        figures = result(self._choices, self._viewers, published, views, self._lag, self._took_s)
        return {"interrupted": self._interrupted.is_set(), **figures}

    # Ctrl-C and progress ---

    @contextlib.asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()

        def interrupt() -> None:
            self._interrupted.set()
            loop.remove_signal_handler(signal.SIGINT)  # the second one ends the program at once

        with contextlib.suppress(NotImplementedError, RuntimeError):  # Windows
            loop.add_signal_handler(signal.SIGINT, interrupt)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGINT)

    async def _attend(self, work: Coroutine[Any, Any, None], words: Callable[[], str]) -> bool:
        """Whether it has finished: Ctrl-C cancels it."""
        task = asyncio.ensure_future(work)
        interrupted = asyncio.ensure_future(self._interrupted.wait())
        try:
            while not task.done() and not self._interrupted.is_set():
                await asyncio.wait({task, interrupted}, timeout=SHOW_S, return_when=asyncio.FIRST_COMPLETED)
                self._progress.show(words())
            if task.done():
                await task
                return True
            return False
        finally:
            self._progress.clear()
            for each in (task, interrupted):
                each.cancel()
            await asyncio.wait({task, interrupted})

    def _opening(self) -> str:
        viewers = self._viewers
        refused = f", {viewers.refused.total():,} refused" if viewers.refused else ""
        return f"opening: {viewers.opened:,} of {self._choices.connections:,} streams{refused}"

    def _running(self) -> str:
        viewers, publishing = self._viewers, self._publishing
        latency = viewers.latencies.summary((50, 99))
        return (
            f"{publishing.seconds:.0f} of {self._choices.seconds:g} s: {publishing.published:,} events, "
            f"{viewers.deliveries:,} deliveries, {viewers.open_now:,} streams, "
            f"p50 {latency['p50'] or 0:.1f} ms, p99 {latency['p99'] or 0:.1f} ms"
        )
