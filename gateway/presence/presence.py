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
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from gateway.broker.script import Script
from gateway.broker.store import ReplyError, Store, is_wrong_type
from gateway.exceptions import StoreDown
from gateway.logs.log import Log
from gateway.metrics.unreadable import Unreadable
from gateway.presence.announcer import PresenceAnnouncer
from gateway.presence.delivered import Delivered
from gateway.presence.reader import PresenceReader
from gateway.presence.rows import NodeFigures, grants
from gateway.presence.stream_counts import CountedStream, StreamCounts, user_field
from gateway.presence.sweep import Sweep
from publisher.keys import node_key, nodes_key, rewritten_key, users_key

log = Log("gateway.presence")

LEASE_S: Final = 12.0
"""What a killed node had counted is gone after it; two renewals may fail before that happens to a living one."""
RENEW_S: Final = 4.0
RETRY_S: Final = 1.0
CLOSE_S: Final = 2.0
MAX_BATCH: Final = 256
"""Streams in one call: a script keeps everybody else waiting."""
TYPES: Final = ("zset", "hash", "hash", "stream", "zset")
"""Of the keys that the scripts take: the nodes, the node's own, the users, the outbox, the departed."""
SYNC_FIELDS: Final = 1000
"""Fields in one call that writes everything anew."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long counts stand without their node, how often it renews them, and how many fields one call writes."""

    lease_s: float = LEASE_S
    renew_s: float = RENEW_S
    sync_fields: int = SYNC_FIELDS


USUAL_PACE: Final = Pace()


Args = list[str | int | bytes]


class _Change(NamedTuple):
    """A stream that comes or goes. ``answer`` is there where it waits for being let in."""

    place: CountedStream
    by: int
    answer: asyncio.Future[bool] | None = None

    def args(self) -> Args:
        kind = "-" if self.by < 0 else "=" if self.answer is None else "+"
        return [kind, int(self.place.for_client), len(self.place.fields), *self.place.fields]


class Presence:
    """Counts this node's streams for all nodes; ``reader`` reads what all nodes have counted. ``max_per_user`` 0 means
    no limit; with ``events`` it is told who comes and goes."""

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
        pace: Pace = USUAL_PACE,
        unreadable: Unreadable | None = None,
    ) -> None:
        self._store = store
        self._id = node_id
        self._version = version
        self._max = max_per_user
        self._draining = draining
        self._delivered = delivered
        self._pace = pace
        self._unreadable = unreadable or Unreadable()
        self._started_at = int(time.time() * 1000)
        self._nodes_key = nodes_key(prefix)
        self._key = node_key(prefix, node_id)
        self._users_key = users_key(prefix)
        self._flush_script = Script("presence_news", "presence_users", "presence")
        self._sync_script = Script("presence_news", "presence_users", "presence_sync")
        self.news: PresenceAnnouncer | None = None
        if events:
            self.news = PresenceAnnouncer(
                store,
                prefix=prefix,
                node_id=node_id,
                nodes_key=self._nodes_key,
                node_key=self._key,
                unreadable=self._unreadable,
            )
        self._news_keys = self.news.keys if self.news else ()
        self._pause_s = pace.renew_s
        self._sweep = Sweep(pace.renew_s)
        self._streams = StreamCounts()
        self.reader = PresenceReader(
            store,
            self._streams,
            nodes_key=self._nodes_key,
            node_key=self._key,
            own=self._own,
            unreadable=self._unreadable,
        )
        self._changes: deque[_Change] = deque()
        self._wake = asyncio.Event()
        self._generation = 0
        self._known = False
        """Whether Redis has everything but the queued changes."""
        self._down = False

    # Streams ---

    async def arrive(self, place: CountedStream) -> bool:
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

    def leave(self, place: CountedStream) -> None:
        """Give a place back that :meth:`arrive` has granted. Who arrives afterwards finds it free."""
        self._streams.remove(place)
        self._queue(_Change(place, -1))

    def _let_in(self, place: CountedStream) -> bool:
        """Decide alone, without Redis."""
        if self._max and self._streams.counts[user_field(place.user_key)] >= self._max:
            return False
        self._streams.add(place)
        self._queue(_Change(place, 1))
        return True

    def _queue(self, change: _Change) -> None:
        self._changes.append(change)
        self._wake.set()

    def _own(self) -> NodeFigures:
        streams = self._streams
        return NodeFigures(
            id=self._id,
            connections=streams.streams,
            client_streams=streams.client_streams,
            clients=streams.clients,
            channels=streams.channels,
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
                with contextlib.suppress(StoreDown):
                    await self._mend(error)
                await asyncio.sleep(RETRY_S)
                continue
            if self._known and not self._changes:
                await self._wait()

    async def _mend(self, error: StoreDown) -> None:
        """Where a key that only nodes write is of another type, it goes: nothing could be counted ever again."""
        if isinstance(error, ReplyError):
            self._unreadable.note("reply")
        if is_wrong_type(error):
            types = dict(zip((self._nodes_key, self._key, self._users_key, *self._news_keys), TYPES, strict=False))
            self._unreadable.note("key", await self._store.mend(types))

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
            if not self._known:
                return
        batch = self._next_batch()
        args: Args = [arg for change in batch for arg in change.args()]
        head: Args = [self._id, self._generation, int(self._pace.lease_s * 1000), self._max]
        head += [int(self._draining()), str(self._delivered()), self._sweep.due(time.monotonic())]
        answers = [change for change in batch if change.answer is not None]
        try:
            keys = [self._nodes_key, self._key, self._users_key, *self._news_keys]
            reply = await self._store.run(self._flush_script, (keys, [*head, *args]))
            told = None if reply is None else grants(reply, len(answers))
        except StoreDown:
            self._changes.extendleft(reversed(batch))  # whether it was counted cannot be known
            raise
        if told is None:
            log.warning("presence.lost", generation=self._generation, words="writing everything anew")
            self._changes.extendleft(reversed(batch))
            self._known = False
            return
        self._sweep.went_to(told.swept_to)
        self._pause_s = min(self._pace.renew_s, (told.lease_left_ms + 1) / 1000)
        if self.news and told.is_news:
            self.news.look()
        for change, yes in zip(answers, told.granted, strict=True):
            self._settle(change, yes)

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
            self._streams.add(change.place)
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
            **self._streams.summary(),
            **self._streams.counts,
        }
        flat: Args = [part for field in fields.items() for part in field]
        new = rewritten_key(self._key, self._generation)
        keys = [self._nodes_key, self._key, self._users_key, new, *self._news_keys]
        step = 2 * self._pace.sync_fields
        for start in range(0, len(flat), step):
            last = start + step >= len(flat)
            head: Args = [self._id, self._generation, int(self._pace.lease_s * 1000), int(last)]
            newer = await self._store.run(self._sync_script, (keys, [*head, *flat[start : start + step]]))
            if newer:  # somebody has put another number there
                self._generation = max(self._generation, int(newer))
                return
        self._known = True
        if self.news:
            self.news.look()
        if self._down:
            self._down = False
            log.warning("presence.back", generation=self._generation, streams=self._streams.streams)

    def _alone(self, error: StoreDown) -> None:
        """Go on without Redis, until everything can be written anew."""
        if not self._down:
            log.warning("presence.alone", words=error)
        self._down = True
        self._known = False
        self._settle_alone([change for change in self._changes if change.answer is not None])
        self._changes.clear()

    def _settle_alone(self, waiting: list[_Change]) -> None:
        for change in waiting:
            if change.answer is not None and not change.answer.cancelled():
                change.answer.set_result(self._let_in(change.place))
