"""One clock for all connections: heartbeats, maximum ages and token expiry, stalled peers, channels nobody wants.

A timer per connection would cost memory and wake-ups; a wheel of slots costs one tick a second for all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from gateway.closing import Closing
from gateway.fanout.connection import Connection
from gateway.fanout.encoder import Encoder
from gateway.fanout.hub import Hub
from gateway.metrics.counters import Metrics

LINGER_S: Final = 5.0
"""How long a channel stays subscribed after its last listener: reconnects and page changes find it warm."""


class Timers:
    """Times are of the monotonic clock, in seconds."""

    def __init__(
        self,
        hub: Hub,
        metrics: Metrics,
        *,
        heartbeat_s: float,
        write_timeout_s: float,
        unwant: Callable[[list[str]], None],
        compare: Callable[[float], None],
    ) -> None:
        slots = max(1, round(heartbeat_s))
        self._hub = hub
        self._metrics = metrics
        self._tick_s = heartbeat_s / slots
        self._write_timeout_s = write_timeout_s
        self._unwant = unwant
        self._compare = compare
        self._slots: list[set[Connection]] = [set() for _ in range(slots)]
        self._slot_of: dict[Connection, int] = {}
        self._now_slot = self._next_slot = 0
        self._deadlines: dict[int, set[Connection]] = {}
        self._passed = int(time.monotonic())

    def add(self, connection: Connection, deadline: float | None, closing: Closing) -> None:
        """Care for a connection; at ``deadline`` it is ended for the reason ``closing``."""
        # Round and round, and not into the slot of this second: who comes in a crowd would be written to as one.
        self._next_slot = (self._next_slot + 1) % len(self._slots)
        self._slots[self._next_slot].add(connection)
        self._slot_of[connection] = self._next_slot
        if deadline is not None:
            deadline = max(deadline, float(self._passed))
            connection.deadline = (deadline, closing)
            self._deadlines.setdefault(int(deadline), set()).add(connection)

    def remove(self, connection: Connection) -> None:
        """Nothing of a closed connection stays behind."""
        slot = self._slot_of.pop(connection, None)
        if slot is not None:
            self._slots[slot].discard(connection)
        if connection.deadline is not None:
            self._forget_deadline(connection, int(connection.deadline[0]))

    async def run(self) -> None:
        """Until cancelled."""
        due = time.monotonic()
        while True:
            due += self._tick_s
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            now = time.monotonic()
            self._metrics.lag.observe(max(0.0, now - due))
            if now - due > 5 * self._tick_s:
                due = now  # the process was stopped for a while: do not make up for lost ticks
            self.expire(now)
            self._cut_stalled(now)
            self.beat()
            self._compare(now)
            gone = self._hub.sweep(now, LINGER_S)
            if gone:
                self._unwant([channel.name for channel in gone])

    def beat(self) -> None:
        """Heartbeats for the connections whose turn it is."""
        self._now_slot = (self._now_slot + 1) % len(self._slots)
        beats: dict[tuple[Encoder, bool], bytes] = {}
        for connection in self._slots[self._now_slot]:
            if connection.paused or connection.closing is not None:
                continue
            key = (connection.encoder, connection.chunked)
            data = beats.get(key)
            if data is None:
                data = beats[key] = connection.framed([connection.encoder.heartbeat()])
            self._hub.queue(connection, data)
        self._hub.flush()

    def expire(self, now: float) -> None:
        """End what is at its deadline, and nothing before it: a token is good until its ``exp``."""
        for second in range(self._passed, int(now) + 1) if self._deadlines else ():
            for connection in list(self._deadlines.get(second, ())):
                if connection.deadline is not None and connection.deadline[0] <= now:
                    self._forget_deadline(connection, second)
                    connection.finish(connection.deadline[1])
        self._passed = int(now)

    def _forget_deadline(self, connection: Connection, second: int) -> None:
        waiting = self._deadlines.get(second)
        if waiting is not None:
            waiting.discard(connection)
            if not waiting:
                del self._deadlines[second]

    def _cut_stalled(self, now: float) -> None:
        for connection in self._slot_of:
            if connection.paused and connection.is_stuck(now, self._write_timeout_s):
                connection.finish(Closing.STALLED)
