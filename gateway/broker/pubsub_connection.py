"""One pub/sub connection that is kept alive: connect, reconcile to the wanted set, probe, start over.

The wanted set is the truth. After every connection all of it is subscribed anew and, when Redis has confirmed, the
owner is told, so that it can compare every channel with the history. A connection that is silent is asked for a sign of
life through Redis itself (a probe that only the node which accepts writes can publish): answering PING proves
nothing after a failover.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

from gateway.broker.pubsub_protocol import PubSubProtocol, ServerAddress
from gateway.exceptions import StoreDown
from gateway.logs.log import Log, is_told
from gateway.sockets.time_limit import TimeLimit

CONNECT_TIMEOUT_S: Final = 4.0
CONFIRM_TIMEOUT_S: Final = 5.0
SILENT_S: Final = 8.0
"""Silence after which a probe is sent. With the next one: a deaf connection is noticed within 15 s."""
PROBE_TIMEOUT_S: Final = 5.0
RESHARD_S: Final = 5.0
MAX_BACKOFF_S: Final = 2.0
TICK_S: Final = 0.5
RESOLVE_EVERY_S: Final = 5.0
"""How often it is asked whether the master is still where the connection goes."""
PASSING: Final = ("MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "BUSY")
"""Refusals of a subscription that end by themselves."""

log = Log("gateway.redis")


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds of silence before a connection is probed, seconds that the probe may take, and seconds after which a
    Cluster's layout is compared with the connections, where nothing says that it has changed."""

    silent_s: float = SILENT_S
    probe_timeout_s: float = PROBE_TIMEOUT_S
    reshard_s: float = RESHARD_S


USUAL_PATIENCE: Final = Patience()


class _Waiter:
    """Somebody who waits for Redis to confirm a subscription."""

    __slots__ = ("heard",)

    def __init__(self, heard: asyncio.Future[None]) -> None:
        self.heard = heard

    def on_late(self) -> None:
        if not self.heard.done():
            self.heard.set_exception(StoreDown("Redis did not confirm the subscription."))


class PubSubConnection:
    """``resolve`` says where to connect (asked anew each time), ``probe`` publishes one message on the probe channel
    of this connection and raises if that fails, ``on_up``/``on_down`` report the state, ``on_refused`` each time that
    Redis does not let this user listen, ``on_moved`` each time that a Cluster says that a channel is elsewhere."""

    def __init__(
        self,
        *,
        name: str,
        probe_channel: str,
        sharded: bool,
        resolve: Callable[[], Awaitable[ServerAddress]],
        probe: Callable[[str], Awaitable[None]],
        on_messages: Callable[[list[tuple[bytes, bytes]]], None],
        on_up: Callable[[], None],
        on_down: Callable[[str], None],
        on_refused: Callable[[], None],
        on_probe: Callable[[float], None],
        on_moved: Callable[[], None],
        patience: Patience,
    ) -> None:
        self._name = name
        self._probe_channel = probe_channel
        self._sharded = sharded
        self._resolve = resolve
        self._probe = probe
        self._on_messages = on_messages
        self._on_up = on_up
        self._on_down = on_down
        self._on_refused = on_refused
        self._on_probe = on_probe
        self._on_moved = on_moved
        self._patience = patience
        self._refusal = ""
        self.wanted: set[str] = {probe_channel}
        self._confirmed: set[str] = set()
        self._unconfirmed_since: dict[str, float] = {}
        self._waiters: dict[str, list[_Waiter]] = {}
        self._fresh: list[str] = []
        self._protocol: PubSubProtocol | None = None
        self._lost: asyncio.Event = asyncio.Event()
        self._lost_reason = ""
        self._loop = asyncio.get_running_loop()
        self._time = TimeLimit(self._loop, CONFIRM_TIMEOUT_S)
        self.up = False
        self.endpoint: ServerAddress | None = None

    # Interest ---

    def want(self, name: str) -> None:
        """Subscribe; names wanted in the same turn of the loop travel together."""
        if name not in self.wanted:
            self.wanted.add(name)
            if not self._fresh:
                self._loop.call_soon(self._subscribe_fresh)
            self._fresh.append(name)

    def unwant(self, names: Iterable[str]) -> None:
        """Unsubscribe."""
        leaving = [name for name in names if name in self.wanted]
        self.wanted.difference_update(leaving)
        self._confirmed.difference_update(leaving)
        for name in leaving:
            self._unconfirmed_since.pop(name, None)
        if self._protocol is not None:
            self._protocol.unsubscribe(leaving)

    def has(self, name: str) -> bool:
        """Whether the subscription is wanted, and confirmed on the present connection."""
        return name in self._confirmed and name in self.wanted

    async def confirmed(self, name: str) -> None:
        """Return when Redis has confirmed the subscription. Raises :class:`StoreDown` where it does not in time."""
        if name in self._confirmed:
            return
        waiter = _Waiter(self._loop.create_future())
        self._waiters.setdefault(name, []).append(waiter)
        self._time.begin(waiter)
        try:
            await waiter.heard
        finally:
            self._time.end(waiter)
            waiting = self._waiters.get(name, [])
            if waiter in waiting:
                waiting.remove(waiter)
                if not waiting:
                    del self._waiters[name]

    def _subscribe_fresh(self) -> None:
        names = [name for name in self._fresh if name in self.wanted]
        self._fresh.clear()
        if self._protocol is not None and names:
            now = self._loop.time()
            self._unconfirmed_since.update(dict.fromkeys(names, now))
            self._protocol.subscribe(names)

    # Life ---

    async def run(self) -> None:
        """Keep the connection until cancelled."""
        failures = 0  # attempts in a row that led to nothing: to be connected is not yet to be let listen
        try:
            while True:
                try:
                    await self._connect()
                    await self._watch()
                except (StoreDown, OSError) as error:
                    self._lost_reason = self._lost_reason or "unreachable"
                    if is_told(failures):
                        log.warning("redis.connect_failed", words=error)
                failures = 0 if self.up else failures + 1
                self._note_refusal()
                self._drop()
                await asyncio.sleep(random.uniform(0.0, min(MAX_BACKOFF_S, 0.1 * 2 ** min(failures, 8))))
        finally:
            self._drop()

    async def _connect(self) -> None:
        self._lost.clear()
        self._lost_reason = ""
        self._confirmed.clear()
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            self.endpoint = await self._resolve()
        protocol = PubSubProtocol(
            sharded=self._sharded,
            on_messages=self._on_messages,
            on_change=self._changed,
            on_lost=self._protocol_lost,
        )
        await protocol.open(self.endpoint, self._name, CONNECT_TIMEOUT_S)
        self._protocol = protocol
        self._fresh.clear()
        everything = sorted(self.wanted)
        self._unconfirmed_since = dict.fromkeys(everything, self._loop.time())
        protocol.subscribe(everything)

    async def _watch(self) -> None:
        """Until the connection is lost, deaf, or leaves a subscription unconfirmed."""
        protocol = self._protocol
        assert protocol is not None
        resolved_at = self._loop.time()
        while not self._lost.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._lost.wait()
            now = self._loop.time()
            oldest = next(iter(self._unconfirmed_since.values()), now)
            if now - oldest > CONFIRM_TIMEOUT_S:
                self._lost_reason = "unconfirmed"
                return
            if now - resolved_at > RESOLVE_EVERY_S:
                resolved_at = now
                if await self._moved():
                    self._lost_reason = "moved"
                    return
            if now - protocol.received_at > self._patience.silent_s and not await self._alive(protocol):
                self._lost_reason = "deaf"
                return

    async def _moved(self) -> bool:
        """Whether there is another master now. Not knowing is no reason to leave."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                return (await self._resolve()) != self.endpoint
        except Exception as error:  # whatever the client library raises
            log.debug("redis.resolve_failed", words=type(error).__name__)
            return False

    async def _alive(self, protocol: PubSubProtocol) -> bool:
        """Send a probe around; whatever arrives meanwhile proves as much as the probe."""
        sent = self._loop.time()
        try:
            async with asyncio.timeout(self._patience.probe_timeout_s):
                protocol.heard.clear()
                await self._probe(self._probe_channel)
                await protocol.heard.wait()
        except Exception as error:  # whatever the client library raises: the way through Redis does not work
            log.warning("redis.probe_failed", words=type(error).__name__)
            return False
        self._on_probe(self._loop.time() - sent)
        return not self._lost.is_set()

    def _note_refusal(self) -> None:
        """Count it, and say it once until Redis lets this user listen again."""
        refusal = self._protocol.refusal if self._protocol is not None else ""
        if refusal.startswith("MOVED"):
            self._on_moved()
        if not refusal or refusal.startswith(PASSING):
            return
        self._lost_reason = "refused"
        self._on_refused()
        if refusal != self._refusal:
            self._refusal = refusal
            pattern = self._probe_channel.partition("{")[0] + "*"
            log.warning(
                "redis.subscribe_refused",
                words=f"{refusal[:200]}. Let the user of GATEWAY_REDIS_URL subscribe to &{pattern}: "
                "`sse-gateway doctor` has the line.",
            )

    def _drop(self) -> None:
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.close()
        self._confirmed.clear()
        if self.up:
            self.up = False
            self._on_down(self._lost_reason or "closed")

    # Callbacks of the protocol ---

    def _changed(self, raw: bytes, subscribed: bool) -> None:
        name = raw.decode()
        if not subscribed:
            if name in self._confirmed and name in self.wanted:
                self._protocol_lost("moved")  # Cluster moved the slot away
                self._on_moved()
                if self._protocol is not None:
                    self._protocol.close()
            return
        self._unconfirmed_since.pop(name, None)
        if name in self.wanted:
            self._confirmed.add(name)
        for waiter in self._waiters.pop(name, ()):
            if not waiter.heard.done():
                waiter.heard.set_result(None)
        if not self.up and not self._unconfirmed_since:
            self.up = True
            self._refusal = ""
            self._on_up()

    def _protocol_lost(self, reason: str) -> None:
        if self._protocol is not None:
            self._protocol.heard.set()
        self._lost_reason = self._lost_reason or reason
        self._lost.set()
