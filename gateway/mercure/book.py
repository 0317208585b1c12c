"""Who is subscribed: this node's subscribers in Redis, for all nodes, with a lease as presence has one.

What comes and goes while one call is under way travels with the next. A node that was gone for too long is told so,
and says everything anew; what was said before is not announced twice, because Redis knows who is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from gateway.broker.script import Script
from gateway.broker.store import Store, is_wrong_type
from gateway.exceptions import StoreDown
from gateway.logs.log import Log
from gateway.mercure.hub_history import HISTORY_TTL_S, SHARED, HubHistory
from gateway.mercure.subscriptions import HubSubscriber, documents_in
from publisher.core.identity import new_epoch
from publisher.keys import hub_node_key

log = Log("gateway.mercure")

WATCHED_MS: Final = 60_000
"""So long after somebody asked, or listened, it is told who comes and goes; else that would fill the history."""
BRIDGE_S: Final = 86_400
"""So long after the last node publishers still write native topics into the hub's history."""
BRIDGE_AGAIN_S: Final = 5.0
MAX_BATCH: Final = 128
MAX_LISTED: Final = 10_000
CLOSE_S: Final = 2.0
RETRY_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class BookPace:
    """How long subscriptions stand without their node, and how often it renews them."""

    lease_s: float = 10.0
    renew_s: float = 3.0


USUAL: Final = BookPace()


class SubscriptionBook:
    """``own`` are this node's subscribers."""

    def __init__(self, store: Store, history: HubHistory, prefix: str, node_id: str, pace: BookPace = USUAL) -> None:
        self._store = store
        self._history = history
        self._id = node_id
        self._pace = pace
        self._key: Callable[[str], str] = lambda node: hub_node_key(prefix, node)
        self._write = Script("mercure_book", shared=SHARED)
        self._look = Script("mercure_look")
        self._leave = Script("mercure_leave")
        self._bridge = Script("mercure_bridge")
        self._flag = history.keys.kept if store.cluster else history.keys.bridge
        self._bridged_at = -BRIDGE_AGAIN_S
        self.own: dict[str, HubSubscriber] = {}
        self._told: set[str] = set()
        """Of whom Redis may know; among them those that are to be taken away."""
        self._coming: dict[str, list[asyncio.Future[None]]] = {}
        self._going: dict[str, None] = {}
        self._anew = True
        self._watching = 0
        self._wake = asyncio.Event()

    async def arrive(self, subscriber: HubSubscriber) -> None:
        """Return when it is known to all; :meth:`leave` has to follow in any case. Raises :class:`StoreDown`."""
        self.own[subscriber.id] = subscriber
        self._watching += subscriber.watches
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._coming[subscriber.id] = [answer]
        self._wake.set()
        await answer

    def leave(self, subscriber: HubSubscriber) -> None:
        if self.own.pop(subscriber.id, None) is None:
            return
        self._watching -= subscriber.watches
        self._coming.pop(subscriber.id, None)
        if subscriber.id in self._told:
            self._going[subscriber.id] = None
            self._wake.set()

    async def run(self) -> None:
        """Tell Redis until cancelled."""
        while True:
            try:
                again = await self._tell()
                await self._keep_bridge()
            except StoreDown as error:
                self._refuse(error)
                with contextlib.suppress(StoreDown):
                    await self._mend(error)
                await asyncio.sleep(RETRY_S)
                continue
            if not again:
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pace.renew_s):
                        await self._wake.wait()

    async def _mend(self, error: StoreDown) -> None:
        """Where a key that only nodes write is of another type, it goes: nobody could subscribe ever again."""
        if is_wrong_type(error):
            keys = self._history.keys
            await self._store.mend({keys.nodes: "zset", self._key(self._id): "hash", self._flag: "hash"})

    async def _keep_bridge(self) -> None:
        now = time.monotonic()
        if now - self._bridged_at >= BRIDGE_AGAIN_S:
            await self._store.run(self._bridge, ([self._flag], [self._history.keep, BRIDGE_S]))
            self._bridged_at = now

    async def close(self) -> None:
        """Let another node end what is left here, at its next turn."""
        with contextlib.suppress(StoreDown, TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                while self._going and not self._anew:
                    await self._tell()
                await self._store.run(self._leave, ([self._history.keys.nodes], [self._id]))

    def _refuse(self, error: StoreDown) -> None:
        for answers in self._coming.values():
            for answer in answers:
                if not answer.done():
                    answer.set_exception(StoreDown(str(error)))  # who waits, leaves
            answers.clear()

    async def _tell(self) -> bool:
        """One call; whether the next one should follow at once."""
        coming = list(self._coming)[:MAX_BATCH]
        going = list(self._going)[: MAX_BATCH - len(coming)]
        args: list[str | int | bytes] = []
        for name in coming:
            args += ["+", name, self.own[name].ends, self.own[name].begins]
        for name in going:
            args += ["-", name]
        self._told.update(coming)
        reply = await self._store.run(self._write, (self._keys(), [*self._head(), *args]))
        if reply == 0:
            self._begin_anew()
            return True
        self._anew = False
        for name in coming:
            for answer in self._coming.pop(name, ()):
                if not answer.done():
                    answer.set_result(None)
        for name in going:
            self._going.pop(name, None)
            self._told.discard(name)
        return bool(self._coming or self._going or reply == 2)

    def _begin_anew(self) -> None:
        """Redis does not know this node: nothing of it is there, or all of it was ended by another."""
        if self._told:
            log.warning("mercure.lost", subscribers=len(self.own))
        self._anew = True
        self._going.clear()
        self._told.clear()
        for name in self.own:
            self._coming.setdefault(name, [])

    def _keys(self) -> list[str]:
        keys = self._history.keys
        return [keys.nodes, self._key(self._id), keys.watched, *self._history.log_keys]

    def _head(self) -> list[str | int | bytes]:
        history = self._history
        lease_ms = int(self._pace.lease_s * 1000)
        head: list[str | int | bytes] = [self._id, lease_ms, WATCHED_MS, int(self._watching > 0), int(self._anew)]
        head += [history.announce, history.keys.pubsub, history.keep, HISTORY_TTL_S]
        return [*head, secrets.token_hex(8), new_epoch()]

    # Of all nodes ---

    async def listed(self) -> tuple[str, list[dict[str, Any]]]:
        """The id of the newest update (empty: none yet), and then the subscriptions of all nodes, at most
        :data:`MAX_LISTED`. Raises :class:`StoreDown`."""
        keys = self._history.keys
        last, nodes = await self._store.run(self._look, ([keys.nodes, keys.watched, keys.log], [WATCHED_MS]))
        found: dict[str, dict[str, Any]] = {}
        for node in nodes:
            cursor: Any = 0
            while len(found) < MAX_LISTED:
                cursor, page = await self._store.command(
                    "HSCAN", self._key(node.decode(errors="replace")), cursor, "COUNT", 500
                )
                for ends in page.values():
                    found |= {each["id"]: each for each in documents_in(ends)}
                if not int(cursor):
                    break
        return last.decode(errors="replace"), list(found.values())[:MAX_LISTED]
