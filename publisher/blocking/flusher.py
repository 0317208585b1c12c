"""The background thread that brings waiting events to Redis, in order, for all of a publisher's handles."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from publisher.blocking import exits
from publisher.blocking.driver import drive, perform
from publisher.blocking.transport import Transport
from publisher.core.options import Options
from publisher.core.outage import Outage
from publisher.core.outbox import MemoryOutbox, Waiting
from publisher.core.record import Entry, JobRecord
from publisher.core.requests import Effect
from publisher.redis.buffered import bring


class Flusher:
    """An outbox and the thread that empties it. The thread lives only as long as something waits."""

    def __init__(self, options: Options, transport: Transport, owner: object) -> None:
        """``owner`` lives as long as something waits."""
        self._owner = owner
        self._options = options
        self._transport = transport
        self.after_fork()

    def after_fork(self) -> None:
        """Start with nothing: what waited is the parent's to send, and a thread of the parent that does not exist here
        may have held the lock."""
        self._changed = threading.Condition()
        self._outbox = MemoryOutbox(self._options.buffer_events, self._options.buffer_bytes)
        self._thread: threading.Thread | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing waits, so that an event may go straight to Redis.

        Asked without the lock. Another thread's event may come in between and be overtaken, which is fair: threads
        that do not wait for each other have no order. The reports of one job have: its handle's lock keeps it.
        """
        return not len(self._outbox)

    def add(self, entries: Sequence[Entry], record: JobRecord | None = None) -> None:
        """Let entries wait for their turn, all of them or none. Raises :class:`BufferFull`."""
        with self._changed:
            if len(entries) > 1:
                self._outbox.check_room(entries)
            for entry in entries:
                self._outbox.offer(entry, record)
            if self._thread is None:
                exits.prepare()
                thread = threading.Thread(target=self._run, name="sse-publisher", daemon=True)
                thread.start()
                self._thread = thread

    def wait(self, timeout_s: float, record: JobRecord | None = None) -> bool:
        """Wait until nothing waits any more, of this job or at all; False where that took too long."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waits(record), timeout_s)

    def _waits(self, record: JobRecord | None) -> bool:
        return self._outbox.waits(record) if record is not None else len(self._outbox) > 0

    def __len__(self) -> int:
        return len(self._outbox)

    def _run(self) -> None:
        outage = Outage(self._transport.where)
        while (waiting := self._next()) is not None:
            # Without the lock: whoever reports meanwhile must not wait for Redis. The entry stays in the outbox, marked
            # as in flight, so that `idle` is false and nothing overtakes it or is merged into it.
            error = drive(bring(self._options, self._transport.where, waiting), self._perform)
            with self._changed:
                if error is None:
                    self._outbox.landed()
                    self._changed.notify_all()
                else:
                    self._outbox.grounded()
            if error is None:
                outage.worked()
            else:
                time.sleep(outage.failed(error))
        outage.over()

    def _next(self) -> Waiting | None:
        with self._changed:
            waiting = self._outbox.head()
            if waiting is None:
                # In the same breath as finding it empty: an entry that is added right after this starts a new thread.
                # Between two locks, it would be left to a thread that has decided to end.
                self._thread = None
        return waiting

    def _perform(self, effect: Effect) -> Any:
        return perform(self._transport, effect)
