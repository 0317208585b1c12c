"""One open stream: going through the history when its connection has fallen behind, and its farewell.

The hot path does not run here: the hub writes to the socket itself. A stream has a task only while there is something
to read or to end; asleep it is a few small objects.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Iterator
from typing import Final

from gateway import continuity, sse
from gateway.channel import Channel
from gateway.closing import Closing
from gateway.connection import Connection
from gateway.continuity import Snapshot
from gateway.cursor import event_part
from gateway.hub import reset_blocks
from gateway.node import Node
from gateway.ownership import new_owners
from gateway.peer import StreamPeer
from gateway.reconciler import newest
from gateway.store import StoreDown
from publisher import channels as names
from publisher.envelope import Event, Position
from publisher.job import Job

log = logging.getLogger("gateway.stream")

FAREWELL_S: Final = 5.0
"""A peer that takes none of the last words for this long is cut off,"""
FAREWELL_MAX_S: Final = 60.0
"""and one that takes them slowly after this."""
COMMENT: Final = b": ok\n"


class Stream:
    """What a connection needs beside the hub. ``on_end`` is called once, when nothing of the stream is left."""

    __slots__ = ("_asleep", "_loop", "_node", "_on_end", "_peer", "_task", "_woken", "connection")

    def __init__(self, node: Node, connection: Connection, peer: StreamPeer, on_end: Callable[[], None]) -> None:
        self.connection = connection
        self._node = node
        self._peer = peer
        self._on_end: Callable[[], None] | None = on_end
        self._asleep = False
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._woken: asyncio.Event | None = None
        connection.wake = self._wake

    @contextlib.contextmanager
    def going(self) -> Iterator[None]:
        """The first words are said inside; behind it the stream goes on by itself."""
        try:
            yield
        except Exception:
            self._failed()
        else:
            self._sleep()

    # Asleep and awake -------------------------------------------------------------------------------------------------

    def _sleep(self) -> None:
        self._asleep = True
        self._task = self._woken = None
        self._wake()

    def _wake(self) -> None:
        """The connection has fallen behind, is to end, has room again, or has lost its socket."""
        connection = self.connection
        if self._asleep:
            if connection.lost:
                self._end()
            elif connection.behind or connection.is_ending():
                self._asleep = False
                self._woken = asyncio.Event()
                self._task = self._loop.create_task(self._work(), name="stream")
        elif self._woken is not None and self._task is not None:
            self._woken.set()
            if connection.lost:
                self._task.cancel()
                self._end()  # at once, and also where the task has not begun

    async def _work(self) -> None:
        try:
            await self._catch_up()
            if self.connection.is_ending():
                await self._farewell()
                self._end()
            else:
                self._sleep()
        except asyncio.CancelledError:
            self._end()
            raise
        except Exception:
            self._failed()

    def _failed(self) -> None:
        log.exception("stream.failed connection=%s", self.connection.id)
        self.connection.finish(Closing.INTERNAL)
        self._peer.abort()
        self._end()

    def _end(self) -> None:
        on_end, self._on_end = self._on_end, None
        self._asleep = False
        if on_end is not None:
            self._node.closed(self.connection)
            self.connection.let_go()
            on_end()

    # What it has to say -----------------------------------------------------------------------------------------------

    def tell(self, channel: Channel, blocks: list[bytes], top: Position) -> None:
        """What brings the client to ``top``. Only the last of them says so: who is cut off in between is told anew."""
        before = self.connection.id_line()
        self.connection.behind[channel] = top
        self.connection.untold -= {channel}
        lines = [before] * (len(blocks) - 1) + [self.connection.id_line()]
        self.queue([line + block for line, block in zip(lines, blocks, strict=False)])

    def learn(self, channel: Channel, snapshot: Snapshot, asked: Position | None) -> None:
        if not self._node.hub.learn(channel, snapshot, asked):
            self._node.reconciler.suspect(channel)

    def splice(self, channel: Channel) -> None:
        """Go live if what this stream has joins up with what the hub has."""
        if self.connection.closing is Closing.FORBIDDEN:
            return
        lacking = self._node.hub.splice(self.connection, channel, self.connection.behind[channel])
        if lacking is not None:
            self.replay(channel, lacking)
            del self.connection.behind[channel]

    def replay(self, channel: Channel, events: list[Event]) -> None:
        connection, encoder = self.connection, self.connection.encoder
        if not events or (channel.is_job and connection.turned_away(channel, new_owners(events))):
            return
        start = connection.id_start(channel)
        frames = [
            b"%b%b\n%b" % (start, event_part(channel.tag, event), block)
            for event in events
            if (block := encoder.event(event)) is not None
        ]
        connection.behind[channel] = events[-1].position
        self.queue(frames)
        self._node.metrics.replayed += len(events)
        if channel.is_job and events[-1].type in names.TERMINAL_TYPES:
            connection.channel_ended(channel)

    def reset(self, channel: Channel, snapshot: Snapshot, jobs: list[Job], reason: str) -> None:
        if channel.is_job and self.connection.turned_away(channel, [job.owner for job in jobs]):
            return
        self._node.metrics.resets[reason] += 1
        blocks = reset_blocks(self.connection.encoder, channel.name, reason, jobs, snapshot.top.seq)
        self.tell(channel, blocks, snapshot.top)
        self.note_end(channel, jobs)

    def note_end(self, channel: Channel, jobs: list[Job]) -> None:
        if channel.is_job and jobs and jobs[0].finished:
            self.connection.channel_ended(channel)

    def queue(self, frames: list[bytes]) -> None:
        if frames:
            self._node.hub.queue(self.connection, self.connection.framed(frames))

    async def _catch_up(self) -> None:
        """Read the history page by page until every channel is live; the peer sets the pace."""
        connection = self.connection
        for channel in connection.channels:  # also those that fall behind meanwhile
            channel.join()
        try:
            while connection.behind and not connection.is_ending():
                for channel in list(connection.behind):
                    await self._read_on_when_drained(channel)
                self._node.hub.flush()
        finally:
            for channel in connection.channels:
                channel.joined()

    async def _read_on_when_drained(self, channel: Channel) -> None:
        await self._drained()
        if not self.connection.is_ending():
            try:
                await self._read_on(channel)
            except StoreDown:
                await asyncio.sleep(random.uniform(0.1, 0.5))

    async def _read_on(self, channel: Channel) -> None:
        position = self.connection.behind[channel]
        asked = channel.position
        after = position.seq if asked is None else min(position.seq, asked.seq)
        snapshot = await self._node.history.read(channel.name, after)
        self.learn(channel, snapshot, asked)
        events = continuity.missed(position, snapshot)
        if events is None:
            snapshot, jobs = await newest(self._node.history, channel.name, everything=True)
            self.reset(channel, snapshot, jobs, loss(position, snapshot))
        else:
            self.replay(channel, events)
        self.splice(channel)

    async def _drained(self) -> None:
        """Wait until the peer has taken what is queued, or the stream is to end."""
        connection = self.connection
        while (connection.paused or connection.queued) and not connection.is_ending():
            await self._more_room()

    async def _emptied(self) -> bool:
        """Whether the peer has taken all that is queued; it gets time as long as it takes something."""
        connection = self.connection
        patience = FAREWELL_S if connection.closing is Closing.DRAINING else FAREWELL_MAX_S
        deadline = self._loop.time() + patience
        while (connection.paused or connection.queued) and not connection.lost:
            held = connection.queued + self._peer.unsent()
            try:
                async with asyncio.timeout(FAREWELL_S):
                    await self._more_room()
            except TimeoutError:
                if connection.queued + self._peer.unsent() == held:
                    return False
            if self._loop.time() > deadline:
                return False
        return not connection.lost

    async def _more_room(self) -> None:
        woken = self._woken
        assert woken is not None  # there is a task
        woken.clear()
        self.connection.write_pending()
        if self.connection.paused:
            await woken.wait()

    # The end ---

    async def _farewell(self) -> None:
        """The last words, and the end of the response; a peer that does not take them is cut off."""
        connection, closing = self.connection, self.connection.closing
        assert closing is not None
        self._node.hub.discard(connection)
        if closing in (Closing.GONE, Closing.STALLED, Closing.PROTOCOL):
            self._peer.abort()
            return
        if closing is Closing.FINISHED and self.connection.encoder.end_delay_s:
            await asyncio.sleep(self.connection.encoder.end_delay_s)
        blocks = self.connection.encoder.closing(closing)
        if closing.reconnect:
            low, high = self._node.settings.retry_ms
            retry = sse.retry(random.randint(low, high))
            blocks = [retry + blocks[0], *blocks[1:]] if blocks else [retry + COMMENT]
        self.queue(blocks)
        self._node.hub.flush()
        if not await self._emptied():
            self._peer.abort()
            return
        self._peer.end()


def loss(position: Position, snapshot: Snapshot) -> str:
    """The reason of a reset: the history no longer holds this position, or no longer holds what came after it."""
    gone = position.epoch != snapshot.top.epoch or position.seq >= snapshot.top.seq
    return "history_lost" if gone else "history_trimmed"
