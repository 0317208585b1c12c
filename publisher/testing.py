"""Publishers for users' own tests: they check and answer as the real ones do, and keep the events instead of
sending them.

    pub = RecordingPublisher()
    my_code(pub)
    assert [event.type for event in pub.on("job:42")] == ["job.created", "job.started", "job.completed"]

Nothing expires, and there is no limit but memory. They are no threads' playground: one test, one publisher.
"""

from __future__ import annotations

from typing import Any

import orjson

from publisher import channels
from publisher.asyncio.memory import AsyncMemoryTransport
from publisher.asyncio.publisher import AsyncPublisher
from publisher.blocking.memory import MemoryTransport
from publisher.blocking.publisher import Publisher
from publisher.core.memory import MemoryStore
from publisher.core.options import Options
from publisher.envelope import Event

__all__ = ["AsyncRecordingPublisher", "RecordingPublisher"]


class _Recording:
    """What both fakes remember."""

    _store: MemoryStore

    @property
    def events(self) -> list[Event]:
        """All events so far, on all channels, in order. ``event.data`` is JSON text; see :meth:`data`."""
        return self._store.events()

    def on(self, channel: str) -> list[Event]:
        """The events of one channel, in order."""
        return [event for event in self.events if event.channel == channel]

    def data(self, channel: str) -> list[tuple[str, Any]]:
        """Type and data of the events of one channel, in order."""
        return [(event.type, orjson.loads(event.data)) for event in self.on(channel)]

    def connect(self, client_id: str, connections: int = 1) -> None:
        """Let a client have so many open streams from now on; 0: none."""
        client_id = channels.check_id(client_id, "client id")
        self._store.connections.pop(client_id, None)
        if connections > 0:
            self._store.connections[client_id] = connections

    def clear(self) -> None:
        """Forget all events, jobs and connections."""
        self._store.clear()


class RecordingPublisher(_Recording, Publisher):
    """A :class:`publisher.Publisher` without Redis."""

    def __init__(self, *, prefix: str = "sse", max_event_bytes: int = 262_144) -> None:
        self._store = MemoryStore()
        self._start(Options(prefix, max_event_bytes=max_event_bytes), MemoryTransport(self._store))


class AsyncRecordingPublisher(_Recording, AsyncPublisher):
    """A :class:`publisher.AsyncPublisher` without Redis."""

    def __init__(self, *, prefix: str = "sse", max_event_bytes: int = 262_144) -> None:
        self._store = MemoryStore()
        self._start(Options(prefix, max_event_bytes=max_event_bytes), AsyncMemoryTransport(self._store))
