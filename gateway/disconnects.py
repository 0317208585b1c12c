"""What one node tells all: to end a subject's streams, and to refuse its tokens issued until now.

A message on a channel that every node listens to says it at once. It is also kept in Redis, and read again after each
reconnection, before anything else that Redis brings is delivered, and from time to time: so a node that was cut off
makes up for what it missed.

Where Redis has lost what was kept, every node that notices asks the others, which put back what they know, and waits
for their answers before it goes on. So a node that has just started accepts nobody whom a connected one knows to be
revoked.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from typing import Final, Protocol

import orjson
from redis.exceptions import ResponseError

from gateway.auth.orders import MAX_AHEAD_S, Ask, Known, Order, read_message
from gateway.auth.revocations import MAX_SUBJECTS, Newest, Revocations
from gateway.broker.gate import Gate
from gateway.broker.kept_orders import KeptOrders
from gateway.broker.script import Script
from gateway.broker.store import ReplyError, Store, is_wrong_type
from gateway.broker.subscriber import Subscriber
from gateway.exceptions import StoreDown
from gateway.logs.log import Log, is_told
from gateway.metrics.unreadable import Unreadable
from publisher.keys import CONTROL, orders_known_key, pubsub_name, revoked_key, sent_away_key
from publisher.redis.errors import ERRORS

log = Log("gateway.control")

REFRESH_S: Final = 30.0
RETRY_S: Final = 1.0
WANT_TIMEOUT_S: Final = 5.0
ANSWER_S: Final = 5.0
"""How long the other nodes are waited for where Redis has lost what was kept."""
KEEP_MS: Final = 86_400_000
"""How long it is kept whose streams were ended; revocations stay."""
MAX_ASKS: Final = 1000


class Disconnect(Protocol):
    """Ends the streams of a subject on this node that are open for so long."""

    def __call__(self, subject: str, open_for_s: float = 0.0, /) -> None: ...


class Disconnects:
    """``disconnect`` ends streams; ``gate`` opens when everything is known."""

    def __init__(
        self,
        store: Store,
        subscriber: Subscriber,
        *,
        prefix: str,
        disconnect: Disconnect,
        gate: Gate | None = None,
        leeway_s: float = 0,
        refresh_s: float = REFRESH_S,
        max_subjects: int = MAX_SUBJECTS,
        unreadable: Unreadable | None = None,
    ) -> None:
        self._store = store
        self._subscriber = subscriber
        self._disconnect = disconnect
        self._gate = gate or Gate()
        self._unreadable = unreadable or Unreadable()
        self._channel = pubsub_name(prefix, CONTROL, store.db)
        self._announce = "SPUBLISH" if store.cluster else "PUBLISH"
        self._refresh_s = refresh_s
        self._max_subjects = max_subjects
        self._revocations = Revocations(max_subjects=max_subjects, leeway_s=leeway_s)
        self._sent_away = Newest(max_subjects=max_subjects)
        kept = max_subjects, self._unreadable
        self._kept_revocations = KeptOrders(store, revoked_key(prefix), self._revocations, *kept)
        self._kept_sent_away = KeptOrders(store, sent_away_key(prefix), self._sent_away, *kept)
        self._known_key = orders_known_key(prefix)
        self._order_script, self._known_script = Script("control"), Script("orders_known")
        self._tell_script = Script("tell_nodes")
        self._ahead_s = 0.0
        """What the clock of Redis shows, minus this process's own monotonic one."""
        self._asked = ""
        self._answers = 0
        self._answered = asyncio.Event()
        self._asks: set[str] = set()
        self._ask_came = asyncio.Event()
        self.loaded = False
        """Whether the revocations were read since the node started."""

    def revoked(self, subject: str, issued_at: float | None) -> bool:
        """Whether a token is refused because its subject was revoked when it had been issued already."""
        return self._revocations.revoked(subject, issued_at)

    async def disconnect_everywhere(self, subject: str, *, revoke: bool) -> None:
        """End a subject's streams on every node; with ``revoke`` also refuse its tokens issued until now.

        Raises :class:`~gateway.exceptions.StoreDown`; then some nodes may have heard of it nevertheless.
        """
        keys = [self._kept_revocations.key, self._kept_sent_away.key]
        args: list[str | int | bytes] = [
            subject,
            int(revoke),
            self._max_subjects,
            self._announce,
            self._channel,
            KEEP_MS,
        ]
        revoked, at = await self._store.run(self._order_script, (keys, args))
        # What was answered with success holds here from now on, also before the own message has come back.
        self._follow(Order(subject, int(revoked), int(at)))

    def pick(self, messages: list[tuple[str, bytes]]) -> None:
        """Find this channel's messages among others, and act on them."""
        for channel, message in messages:
            if channel == CONTROL:
                self._act(message)

    async def run(self) -> None:
        """Listen and keep everything up to date until cancelled."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._keep(), name="disconnects: keep")
            both.create_task(self._answer(), name="disconnects: answer")

    # Messages ---

    def _act(self, message: bytes) -> None:
        said = read_message(message, self._latest_s())
        if isinstance(said, Order):
            self._follow(said)
        elif isinstance(said, Ask):
            if len(self._asks) < MAX_ASKS:
                self._asks.add(said.name)
            self._ask_came.set()
        elif isinstance(said, Known):
            self._answers += said.name == self._asked
            self._answered.set()
        else:
            self._unreadable.note("order")

    def _follow(self, order: Order) -> None:
        if order.revoked:
            self._revocations.learn([(order.subject, order.revoked)])
        # The own order comes twice: whoever has come back in between stays.
        if not order.at or self._sent_away.learn([(order.subject, order.at)]):
            self._disconnect(order.subject)

    def _latest_s(self) -> float:
        """The last second (Unix) that is believed."""
        return self._ahead_s + time.monotonic() + MAX_AHEAD_S if self._ahead_s else float(10**11)

    # What is kept ---

    async def _keep(self) -> None:
        refusals = 0
        while True:
            self._gate.due.clear()
            pause = self._refresh_s
            try:
                async with asyncio.timeout(WANT_TIMEOUT_S):
                    await self._subscriber.want(CONTROL)
                await self._load()
                refusals = 0
            except (StoreDown, *ERRORS) as error:
                # While Redis is away there are lines enough; refusals of a Redis that is there must be seen.
                words = str(error) or type(error).__name__
                refused = isinstance(error.__cause__, ResponseError)
                if is_told(refusals) or not refused:
                    log.at(logging.WARNING if refused else logging.DEBUG, "control.unreachable", words=words)
                refusals += refused
                pause = 0.0 if await self._mended(error) else RETRY_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._gate.due.wait()

    async def _mended(self, error: Exception) -> bool:
        """A key of another type goes: nothing could be read or kept there ever again."""
        removed = 0
        if isinstance(error, StoreDown) and is_wrong_type(error):
            with contextlib.suppress(StoreDown):
                types = {self._kept_revocations.key: "zset", self._kept_sent_away.key: "zset"}
                removed = await self._store.mend(types)
        self._unreadable.note("key", removed)
        return removed > 0

    async def _load(self) -> None:
        """Learn what was missed. Redis may lose everything meanwhile, so that is looked for at the end."""
        doubts = self._gate.doubts
        await self._is_known()
        await self._compare()
        if not await self._is_known():
            await self._ask()
            await self._compare()
            await self._is_known(from_now_on=True)
            await self._compare()  # once more: it may have been lost before the sign stood, and would not be missed
        self.loaded = True
        self._gate.open(doubts)

    async def _is_known(self, *, from_now_on: bool = False) -> bool:
        """Whether Redis has not lost what was kept; also looks at its clock."""
        answer = await self._store.run(self._known_script, ([self._known_key], [int(from_now_on)]))
        try:
            now_ms, known = answer
            self._ahead_s = int(now_ms) / 1000 - time.monotonic()
        except (TypeError, ValueError):
            raise ReplyError("Redis did not say what time it is.") from None
        return bool(known)

    async def _compare(self) -> None:
        """Read what is kept, and put back what is missing there."""
        await self._kept_revocations.compare(self._latest_s(), self._learn_revocations)
        latest_ms = self._latest_s() * 1000
        oldest = latest_ms - MAX_AHEAD_S * 1000 - KEEP_MS
        await self._kept_sent_away.compare(latest_ms, self._learn_sent_away, oldest)

    def _learn_revocations(self, found: list[tuple[str, int]]) -> None:
        """Streams that were opened before this node heard of a revocation end now."""
        for subject in self._revocations.learn(found):
            self._disconnect(subject)

    def _learn_sent_away(self, found: list[tuple[str, int]]) -> None:
        """Streams that are older than an order end now. Only their age is compared: no clock but Redis' counts."""
        now_s = self._ahead_s + time.monotonic()
        moments = dict(found)
        for subject in self._sent_away.learn(found):
            self._disconnect(subject, now_s - moments[subject] / 1000)

    # Where Redis has lost it ---

    async def _ask(self) -> None:
        """Have every node put back what it knows, and wait until all have."""
        self._asked, self._answers = secrets.token_hex(8), 0
        listeners = int(await self._tell({"ask": self._asked}))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                while self._answers < listeners:  # this node is one of them
                    self._answered.clear()
                    await self._answered.wait()

    async def _answer(self) -> None:
        while True:
            await self._ask_came.wait()
            self._ask_came.clear()
            asks, self._asks = self._asks, set()
            try:
                await self._compare()
                for name in asks:
                    await self._tell({"known": name})
            except StoreDown as error:  # who asked waits for a while, and asks again when it starts anew
                log.at(logging.DEBUG, "control.unreachable", words=error)

    async def _tell(self, message: dict[str, str]) -> int:
        args: list[str | int | bytes] = [self._announce, self._channel, orjson.dumps(message)]
        heard = await self._store.run(self._tell_script, ([self._known_key], args))
        return heard if isinstance(heard, int) else 0
