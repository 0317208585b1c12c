"""Tells on ``topic:presence`` who came and who went, over all nodes, in order and each once.

The scripts that count streams find it out, and write it down in the same step, in a list that all nodes share (the
*outbox*); here a node takes what is there and publishes it. Nothing waits for that: streams come and go at the pace of
the counting. An entry's number only grows and is its event's own id, so the topic's history says what was told last,
and an event that two nodes publish at the same time appears once: it does not matter how many tell, or who dies on the
way.

What a departed node held is gone through in pages by whoever is there; a script tells each client that is nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from gateway.broker.script import Script
from gateway.broker.store import ReplyError, Store, is_wrong_type
from gateway.exceptions import StoreDown
from gateway.logs.log import Log
from gateway.metrics.unreadable import Unreadable
from gateway.presence import outbox
from publisher import AsyncPublisher, PublishError
from publisher.channels import PRESENCE
from publisher.keys import channel_keys, news_keys

log = Log("gateway.presence")

PAGE: Final = 250
HISTORY_EVENTS: Final = 2_000
RECENT: Final = 100
"""Events among which the last one told is looked for; others may have spoken on the topic since."""
PACE_S: Final = 0.1
"""What comes within it is told together: a burst of connects must not be a burst of calls."""
RETRY_S: Final = 1.0


class PresenceAnnouncer:
    """``nodes_key`` and ``node_key`` are those of the presence data; every key but the topic's shares their slot."""

    def __init__(
        self, store: Store, *, prefix: str, node_id: str, nodes_key: str, node_key: str, unreadable: Unreadable
    ) -> None:
        self.keys = news_keys(prefix)
        """The last keys of the scripts that count."""
        self._store = store
        self._id = node_id
        self._presence_keys = (nodes_key, node_key, *self.keys)
        self._log_key = channel_keys(prefix, PRESENCE).log
        self._publisher = AsyncPublisher(store.client, prefix=prefix, history_events=HISTORY_EVENTS)
        self._departed_script = Script("presence_news", "presence_departed")
        self._leave_script = Script("presence_news", "presence_leave")
        self._due = asyncio.Event()
        self._unreadable = unreadable
        self._failing = False

    def look(self) -> None:
        """There may be something to tell; does not wait."""
        self._due.set()

    async def run(self) -> None:
        """Tell whenever there is something, until cancelled."""
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                await self.tell_all()
                self._failing = False
                await asyncio.sleep(PACE_S)
            except StoreDown as error:
                if not self._failing:
                    log.warning("presence.untold", words=error)
                self._failing = True
                with contextlib.suppress(StoreDown):
                    await self._mend(error)
                self._due.set()
                await asyncio.sleep(RETRY_S)

    async def _mend(self, error: StoreDown) -> None:
        """Where a key that only nodes write is of another type, it goes: nothing would ever be told again."""
        if is_wrong_type(error):
            nodes, node, outbox_key, departed = self._presence_keys
            types = {nodes: "zset", node: "hash", outbox_key: "stream", departed: "zset"}
            self._unreadable.note("key", await self._store.mend(types))

    async def leave(self) -> None:
        """This node stops: go through what it still held, and tell. Raises :class:`StoreDown`."""
        await self._store.run(self._leave_script, (self._presence_keys, [self._id]))
        await self.tell_all()

    async def tell_all(self) -> None:
        """Go through the departed nodes and publish the outbox until both are empty. Raises :class:`StoreDown`."""
        member, cursor = b"", b"0"
        more = True
        while more:
            args: list[str | int | bytes] = [self._id, member, cursor]
            answer = await self._store.run(self._departed_script, (self._presence_keys, args))
            if not isinstance(answer, list) or len(answer) != 2:
                raise ReplyError("Redis gave no answer about nodes that are gone.")
            member, cursor = answer
            told = await self._tell_page()
            more = bool(member) or told == PAGE

    async def _tell_page(self) -> int:
        rows = await self._store.command("XRANGE", self.keys[0], "-", "+", "COUNT", PAGE)
        if not rows:
            return 0
        told = await self._told()
        page = [outbox.event(entry, fields) for entry, fields in rows if outbox.number(entry) > told]
        self._unreadable.note("outbox", page.count(None))
        try:
            await self._publisher.publish_many([event for event in page if event is not None])
        except PublishError as error:
            raise StoreDown(str(error)) from None
        with contextlib.suppress(StoreDown):  # who finds them again passes them over
            await self._store.command("XDEL", self.keys[0], *[entry for entry, _ in rows])
        return len(rows)

    async def _told(self) -> outbox.Number:
        """The number of the last entry that the topic's history has."""
        try:
            rows = await self._store.command("XREVRANGE", self._log_key, "+", "-", "COUNT", RECENT)
        except StoreDown as error:
            if not is_wrong_type(error):
                raise
            return outbox.NONE  # whoever publishes there next makes the history anew
        return outbox.last_told(rows, self._unreadable)
