"""Who is connected: this node's open streams, counted in Redis for the whole cluster.

Each node has one hash, which lives for some seconds unless it is renewed, so that what a killed node had counted is
soon gone. All keys share one slot, and limits are checked by the script that counts: exactly, over all nodes. Streams
that come and go while one call is under way travel together with the next.

What the node itself counts is the truth. Where Redis has lost it, or may have taken in a call whose answer never
came, everything is written anew under the next *generation*, and calls of older ones are void.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from gateway.census import Census, ClientPage, NodeFigures, Totals
from gateway.delivered import Delivered
from gateway.place import Crowd, Place, user_field
from gateway.presence_news import PresenceNews
from gateway.store import Script, Store, StoreDown
from publisher.presence import node_key, nodes_key

__all__ = ["Place", "Presence"]

log = logging.getLogger("gateway.presence")

LEASE_S: Final = 12.0
"""What a killed node had counted is gone after it; two renewals may fail before that happens to a living one."""
RENEW_S: Final = 4.0
RETRY_S: Final = 1.0
CLOSE_S: Final = 2.0
MAX_BATCH: Final = 256
"""Streams in one call: a script keeps everybody else waiting."""
SYNC_FIELDS: Final = 1000
"""Fields in one call that writes everything anew."""


Args = list[str | int | bytes]


class _Change(NamedTuple):
    """A stream that comes or goes. ``answer`` is there where it waits for being let in."""

    place: Place
    by: int
    answer: asyncio.Future[bool] | None = None

    def args(self) -> Args:
        kind = "-" if self.by < 0 else "=" if self.answer is None else "+"
        return [kind, int(self.place.for_client), len(self.place.fields), *self.place.fields]


class Presence:
    """Counts this node's streams for all nodes. ``max_per_user`` 0 means no limit; with ``events`` it is told who comes
    and goes."""

    def __init__(
        self,
        store: Store,
        *,
        prefix: str,
        node_id: str,
        version: str,
        max_per_user: int,
        draining: Callable[[], bool],
        delivered: Callable[[], Delivered],
        events: bool = False,
    ) -> None:
        self._store = store
        self._id = node_id
        self._version = version
        self._max = max_per_user
        self._draining = draining
        self._delivered = delivered
        self._started_at = int(time.time() * 1000)
        self._nodes_key = nodes_key(prefix)
        self._key = node_key(prefix, node_id)
        self._flush_script = Script("presence_news", "presence")
        self._sync_script = Script("presence_news", "presence_sync")
        self.news: PresenceNews | None = None
        if events:
            self.news = PresenceNews(
                store, prefix=prefix, node_id=node_id, nodes_key=self._nodes_key, node_key=self._key
            )
        self._news_keys = self.news.keys if self.news else ()
        self._pause_s = RENEW_S
        self._crowd = Crowd()
        self._census = Census(store, self._crowd, nodes_key=self._nodes_key, node_key=self._key, own=self._own)
        self._changes: deque[_Change] = deque()
        self._wake = asyncio.Event()
        self._generation = 0
        self._known = False
        """Whether Redis has everything but the queued changes."""
        self._down = False

    # Streams ---

    async def arrive(self, place: Place) -> bool:
        """Count a stream; False where its user holds as many as allowed, over all nodes.

        While Redis is away only this node's streams count: nobody is kept out because a number cannot be had.
        """
        if self._down:
            return self._let_in(place)
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._queue(_Change(place, 1, answer))
        try:
            return await answer
        except asyncio.CancelledError:
            if answer.done() and not answer.cancelled() and answer.result():
                self.leave(place)  # the answer was on its way already
            raise

    def leave(self, place: Place) -> None:
        """Give a place back that :meth:`arrive` has granted. Who arrives afterwards finds it free."""
        self._crowd.remove(place)
        self._queue(_Change(place, -1))

    def _let_in(self, place: Place) -> bool:
        """Decide alone, without Redis."""
        if self._max and self._crowd.counts[user_field(place.user_key)] >= self._max:
            return False
        self._crowd.add(place)
        self._queue(_Change(place, 1))
        return True

    def _queue(self, change: _Change) -> None:
        self._changes.append(change)
        self._wake.set()

    # The whole cluster; each raises StoreDown ---

    async def listeners(self, channel: str) -> int:
        """Open streams that listen to a channel."""
        return await self._census.listeners(channel)

    async def streams_of_client(self, client_id: str) -> int:
        """Open streams that are this subject's or listen to ``client:{id}``."""
        return await self._census.streams_of_client(client_id)

    async def totals(self) -> Totals:
        return await self._census.totals()

    async def nodes(self) -> list[NodeFigures]:
        """All nodes that are alive, by id."""
        return await self._census.nodes()

    async def clients(self, limit: int, cursor: str | None = None) -> ClientPage:
        """Clients that are listened to, after ``cursor``, in the order of their ids."""
        return await self._census.clients(limit, cursor)

    def _own(self) -> NodeFigures:
        crowd = self._crowd
        return NodeFigures(
            id=self._id,
            connections=crowd.streams,
            client_streams=crowd.client_streams,
            clients=crowd.clients,
            channels=crowd.channels,
            started_at=self._started_at,
            version=self._version,
            draining=self._draining(),
            delivered=self._delivered(),
        )

    # Redis ---

    async def run(self) -> None:
        """Tell Redis until cancelled."""
        while True:
            try:
                await self._tell()
            except StoreDown as error:
                self._alone(error)
                await asyncio.sleep(RETRY_S)
                continue
            if self._known and not self._changes:
                await self._wait()

    async def close(self) -> None:
        """Take this node's data away, where Redis lets it. Nothing may arrive any more."""
        self._down = True
        self._settle_alone(list(self._changes))
        self._changes.clear()
        with contextlib.suppress(StoreDown, TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                if self.news:
                    await self.news.leave()
                    return
                await self._store.command("ZREM", self._nodes_key, self._id)
                await self._store.command("UNLINK", self._key)

    async def _wait(self) -> None:
        """For something to tell, at most until the lease is to be renewed, or another node's ends."""
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._pause_s):
                await self._wake.wait()

    async def _tell(self) -> None:
        if not self._known:
            await self._sync()
        batch = self._next_batch()
        args: Args = [arg for change in batch for arg in change.args()]
        head: Args = [self._id, self._generation, int(LEASE_S * 1000), self._max]
        head += [int(self._draining()), str(self._delivered())]
        try:
            keys = [self._nodes_key, self._key, *self._news_keys]
            reply = await self._store.run(self._flush_script, (keys, [*head, *args]))
        except StoreDown:
            self._changes.extendleft(reversed(batch))  # whether it was counted cannot be known
            raise
        if reply is None:
            log.warning("presence.lost generation=%d: writing everything anew", self._generation)
            self._changes.extendleft(reversed(batch))
            self._known = False
            return
        granted, is_news, lease_left_ms = reply
        self._pause_s = min(RENEW_S, (int(lease_left_ms) + 1) / 1000)
        if self.news and is_news:
            self.news.look()
        answers = [change for change in batch if change.answer is not None]
        for change, yes in zip(answers, granted, strict=True):
            self._settle(change, bool(yes))

    def _next_batch(self) -> list[_Change]:
        """Who leaves comes before who arrives: it may be the same user, who has just closed that very stream."""
        waiting = [change for change in self._changes if change.answer is None or not change.answer.cancelled()]
        waiting.sort(key=lambda change: change.answer is not None)
        self._changes = deque(waiting[MAX_BATCH:])
        return waiting[:MAX_BATCH]

    def _settle(self, change: _Change, granted: bool) -> None:
        answer = change.answer
        assert answer is not None
        if granted:
            self._crowd.add(change.place)
        if not answer.cancelled():
            answer.set_result(granted)
        elif granted:
            self.leave(change.place)  # whoever asked has gone

    async def _sync(self) -> None:
        """Write everything anew; changes that wait for no answer are in the node's own counts already."""
        self._generation += 1
        self._changes = deque(change for change in self._changes if change.answer is not None)
        fields: dict[str, str | int] = {
            "started_at": self._started_at,
            "version": self._version,
            "draining": int(self._draining()),
            "delivered": str(self._delivered()),
            **self._crowd.summary(),
            **self._crowd.counts,
        }
        flat: Args = [part for field in fields.items() for part in field]
        keys = [self._nodes_key, self._key, f"{self._key}:{self._generation}", *self._news_keys]
        step = 2 * SYNC_FIELDS
        for start in range(0, len(flat), step):
            last = start + step >= len(flat)
            head: Args = [self._id, self._generation, int(LEASE_S * 1000), int(last)]
            await self._store.run(self._sync_script, (keys, [*head, *flat[start : start + step]]))
        self._known = True
        if self.news:
            self.news.look()
        if self._down:
            self._down = False
            log.info("presence.back generation=%d streams=%d", self._generation, self._crowd.streams)

    def _alone(self, error: StoreDown) -> None:
        """Go on without Redis, until everything can be written anew."""
        if not self._down:
            log.warning("presence.alone %s", error)
        self._down = True
        self._known = False
        self._settle_alone([change for change in self._changes if change.answer is not None])
        self._changes.clear()

    def _settle_alone(self, waiting: list[_Change]) -> None:
        for change in waiting:
            if change.answer is not None and not change.answer.cancelled():
                change.answer.set_result(self._let_in(change.place))
