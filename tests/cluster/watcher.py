"""One client: an EventSource that goes from node to node with its cursor, or a fetch that knows no cursor."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Sequence

from gateway.fanout import cursor
from publisher.envelope import Position
from tests.cluster.ledger import Ledger
from tests.cluster.trail import Kind, Trail, TrailStep, Wrong
from tests.cluster.truth import Truth
from tests.cluster.views import FINAL, Block, View
from tests.support.http1 import Exchange, HttpStream
from tests.support.sse_parser import SseEvent, SseParser

MAX_RETRY_S = 0.5
"""What a stream's ``retry`` is cut to, so that a test need not wait as long as a browser."""
FETCH_AGAIN_S = 0.3


class Watcher:
    """Keeps one trail per channel, and what it has learned of jobs. Watches as long as its task lives."""

    def __init__(self, name: str, view: View, bases: Sequence[str], token: str, ledger: Ledger, truth: Truth) -> None:
        self.name = name
        self.view = view
        self.trails: dict[str, Trail] = {}
        self.statuses: dict[str, str] = {}
        """Jobs by id, as this client has them."""
        self.watched: set[str] = set()
        """Jobs whose streams it has seen to their end."""
        self.refusals: list[str] = []
        """Answers after which a browser would never have come back."""
        self.answers: Counter[int] = Counter()
        self.longest_silence_s = 0.0
        self._bases = itertools.cycle(bases)
        self._token = token
        self._ledger = ledger
        self._truth = truth
        self._heard_at: float | None = None
        self._stream: HttpStream | None = None

    @property
    def reconnects(self) -> int:
        return max(0, sum(self.answers.values()) - 1 - len(self.watched))

    async def run(self) -> None:
        """Until cancelled."""
        if not self.view.per_job:
            while True:
                await self._watch(self.view)
                await asyncio.sleep(MAX_RETRY_S)
        job_id: str | None = None
        while True:
            job_id = await self._ledger.next_job(job_id)
            self._heard_at = None
            await self._watch_job(job_id)
            self.watched.add(job_id)

    async def _watch_job(self, job_id: str) -> None:
        """Until its end, or until it is clear that Redis lost its end: then there is none to come."""
        ways = [
            asyncio.create_task(self._watch(self.view.of(job_id))),
            asyncio.create_task(self._ledger.end_lost(job_id)),
        ]
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in done:
                way.result()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _watch(self, view: View) -> None:
        """Follow one path until there is nothing more to come from it."""
        for channel in view.channels:
            self.trails.setdefault(channel, Trail(channel, view.has_word))
        last_id, retry_s = "", 0.1
        while True:
            exchange = Exchange(next(self._bases), self._headers(last_id, view))
            parser = SseParser(last_id)
            await self._connect(exchange, parser, view)
            self.answers[exchange.status] += 1
            if self.view.per_job and (exchange.status == 204 or self._over(view)):
                return
            if exchange.status not in (0, 200) and not self._bears(view, exchange):
                return
            if view.fetch:
                last_id, retry_s = "", FETCH_AGAIN_S
            else:
                last_id = parser.last_event_id
                retry_s = retry_s if parser.retry_ms is None else min(MAX_RETRY_S, parser.retry_ms / 1000)
            await asyncio.sleep(retry_s)

    def _headers(self, last_id: str, view: View) -> dict[str, str]:
        headers = {"Accept": "*/*" if view.fetch else "text/event-stream", "Authorization": f"Bearer {self._token}"}
        return {**headers, "Last-Event-ID": last_id} if last_id else headers

    def _over(self, view: View) -> bool:
        """Whether a client of one job has no reason to come back."""
        if not view.fetch:
            return False
        return self.statuses.get(view.channels[0].partition(":")[2]) in FINAL

    def _bears(self, view: View, exchange: Exchange) -> bool:
        """Whether an answer other than 200 is one that this client tries again after."""
        if view.fetch and exchange.status in (429, 503):
            return True
        gone = self._ledger.may_be_gone(view.channels[0].partition(":")[2], time.monotonic())
        if not (gone and exchange.status == 404):
            self.refusals.append(f"{exchange.status} for {view.path}")
        return False

    async def _connect(self, exchange: Exchange, parser: SseParser, view: View) -> None:
        fresh = "Last-Event-ID" not in exchange.sent_headers
        try:
            stream = self._stream = await HttpStream.open(exchange, view.path)
            async for chunk in stream.chunks():
                exchange.chunks.clear()
                self._heard()
                if exchange.status == 200:
                    for event in parser.feed(chunk):
                        fresh = not self._take(view, event, fresh) and fresh
        except (OSError, EOFError, ValueError):
            pass  # cut off, or by a node that was killed in the middle of its answer
        finally:
            if self._stream is not None:
                self._stream.abort()
                self._stream = None

    def _heard(self) -> None:
        now = time.monotonic()
        if self._heard_at is not None:
            self.longest_silence_s = max(self.longest_silence_s, now - self._heard_at)
        self._heard_at = now

    def _take(self, view: View, event: SseEvent, fresh: bool) -> bool:
        """Note one block; False where it says nothing."""
        if event.type.startswith("stream.") and not view.has_word:
            return False  # a refusal: all dialects have the same words for it
        block = view.read(view, event)
        if block is None:
            return False
        if block.job and block.status:
            self.statuses[block.job] = block.status
        places = cursor.places(event.last_event_id, [cursor.tag(channel) for channel in view.channels])
        for channel in view.channels:
            position = places.get(cursor.tag(channel))
            if position is None and block.kind is Kind.RESET and block.channel == channel:
                position = cursor.UNKNOWN  # its state is to come, now or when there is one
            if position is not None:
                self._step(channel, block, position, fresh)
        return True

    def _step(self, channel: str, block: Block, position: Position, fresh: bool) -> None:
        trail = self.trails[channel]
        before = trail.have
        if block.channel not in ("", channel):
            # The cursor names all channels: those that the block is not about must stay where they are.
            if position != before:
                trail.take(TrailStep(time.monotonic(), Kind.STATE, position, None, fresh))
            return
        follows = trail.take(TrailStep(time.monotonic(), block.kind, position, block.number, fresh))
        if trail.has_word and block.kind is Kind.EVENT:
            self._truth.saw(channel, position, block.type, block.number)
            if follows and before is not None and self._truth.linked(channel, before, position) != before:
                trail.forks.append(Wrong(time.monotonic(), f"{channel} at {position.seq}"))


class Watchers:
    """Watchers and the tasks they live in."""

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self.watchers = list(watchers)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(watcher.run(), name=watcher.name) for watcher in self.watchers]

    def check(self) -> None:
        """Raise what a watcher died of."""
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
