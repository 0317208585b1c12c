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
import logging
from typing import Any, Final

from gateway.presence_topic import CHANNEL, JOINED, LEFT, RESET
from gateway.store import Script, Store, StoreDown
from publisher import AsyncPublisher, PublishError, channels
from publisher.envelope import decode

log = logging.getLogger("gateway.presence")

PAGE: Final = 250
HISTORY_EVENTS: Final = 2_000
RECENT: Final = 100
"""Events among which the last one told is looked for; others may have spoken on the topic since."""
PACE_S: Final = 0.1
"""What comes within it is told together: a burst of connects must not be a burst of calls."""
RETRY_S: Final = 1.0


class PresenceNews:
    """``nodes_key`` and ``node_key`` are those of the presence data; every key but the topic's shares their slot."""

    def __init__(self, store: Store, *, prefix: str, node_id: str, nodes_key: str, node_key: str) -> None:
        base = f"{prefix}:{{gateway}}"
        self.keys = (f"{base}:outbox", f"{base}:departed")
        """The last keys of the scripts that count."""
        self._store = store
        self._id = node_id
        self._presence_keys = (nodes_key, node_key, *self.keys)
        self._log_key = channels.keys(prefix, CHANNEL).log
        self._publisher = AsyncPublisher(store.client, prefix=prefix, history_events=HISTORY_EVENTS)
        self._departed_script = Script("presence_news", "presence_departed")
        self._leave_script = Script("presence_news", "presence_leave")
        self._due = asyncio.Event()
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
                    log.warning("presence.untold %s", error)
                self._failing = True
                self._due.set()
                await asyncio.sleep(RETRY_S)

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
            member, cursor = await self._store.run(self._departed_script, (self._presence_keys, args))
            told = await self._tell_page()
            more = bool(member) or told == PAGE

    async def _tell_page(self) -> int:
        rows = await self._store.command("XRANGE", self.keys[0], "-", "+", "COUNT", PAGE)
        if not rows:
            return 0
        told = await self._told()
        page = [_event(entry, fields) for entry, fields in rows if _number(entry) > told]
        try:
            await self._publisher.publish_many(page)
        except PublishError as error:
            raise StoreDown(str(error)) from None
        with contextlib.suppress(StoreDown):  # who finds them again passes them over
            await self._store.command("XDEL", self.keys[0], *[entry for entry, _ in rows])
        return len(rows)

    async def _told(self) -> tuple[int, int]:
        """The number of the last entry that the topic's history has."""
        rows = await self._store.command("XREVRANGE", self._log_key, "+", "-", "COUNT", RECENT)
        for _, fields in rows:
            event = decode(CHANNEL, fields[b"m"])
            if event.type in (JOINED, LEFT, RESET) and event.id is not None:
                return _number(event.id.encode())
        return 0, 0


def _number(entry: bytes) -> tuple[int, int]:
    ms, _, n = entry.partition(b"-")
    return (int(ms), int(n)) if ms.isdigit() and n.isdigit() else (0, 0)


def _event(entry: bytes, fields: dict[bytes, bytes]) -> dict[str, Any]:
    kind = fields[b"t"].decode()
    event: dict[str, Any] = {"channel": CHANNEL, "id": entry.decode(), "type": RESET, "data": {}}
    if kind != "reset":
        event["type"] = JOINED if kind == "joined" else LEFT
        event["data"] = {"client_id": fields[b"c"].decode(), "connections": int(fields[b"n"])}
    return event
