"""One open stream: going through the history when its connection has fallen behind, and its farewell.

The hot path does not run here: the hub writes to the socket itself. A stream has a task only while there is something
to read or to end; asleep it is a few small objects.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Sequence
from typing import Final

from gateway.broker.reading import JobFacts
from gateway.closing import Closing
from gateway.exceptions import StoreDown
from gateway.fanout import continuity, sse
from gateway.fanout.channel import Channel
from gateway.fanout.connection import Connection
from gateway.fanout.continuity import Snapshot
from gateway.fanout.cursor import event_parts
from gateway.fanout.encoder import Encoder
from gateway.fanout.hub import reset_blocks
from gateway.fanout.ownership import Owner, new_owners
from gateway.fanout.raw_page import RawPage
from gateway.fanout.state import BEHIND, CLOSED, ENDING
from gateway.logs.log import Log
from gateway.reconciler import newest
from gateway.sockets.peer import StreamPeer
from gateway.streams.parts import StreamParts
from publisher import channels as names
from publisher.envelope import Event, Position
from publisher.job import Job

log = Log("gateway.stream")

FAREWELL_S: Final = 5.0
"""A peer that takes none of the last words for this long is cut off,"""
FAREWELL_MAX_S: Final = 60.0
"""and one that takes them slowly after this."""
COMMENT: Final = b": ok\n"


class Stream:
    """What a connection needs beside the hub. ``on_end`` is called once, when nothing of the stream is left.

    Where it stands is its connection's state. There is a task while it is *behind* or *ending*, and only then; two
    would read the same events twice. The task ends in the same turn in which the state says that it has no more to do
    (:meth:`_work`), so that whoever wakes the stream finds either a task that will look again, or none.
    """

    __slots__ = ("_loop", "_on_end", "_parts", "_peer", "_task", "_woken", "connection")

    def __init__(
        self,
        parts: StreamParts,
        encoder: Encoder,
        peer: StreamPeer,
        channels: Sequence[Channel],
        *,
        subject: str | None,
        admits: Callable[[str, Owner], bool],
        on_end: Callable[[], None],
    ) -> None:
        self._parts = parts
        self._peer = peer
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._woken: asyncio.Event | None = None
        self.connection = Connection(
            f"{random.getrandbits(72):018x}",
            encoder,
            peer,
            channels,
            limit=parts.settings.queue_bytes,
            chunked=peer.chunked,
            subject=subject,
            admits=admits,
            wake=self._wake,
            now=time.monotonic(),
        )

    def begin(self, say: Callable[[], None]) -> None:
        """``say`` the first words, without waiting; from then on the stream goes on by itself."""
        try:
            say()
        except Exception:
            self._failed()
        else:
            self.connection.begun()
            self.connection.wake()  # not _wake: who is closed already has heard it

    # Asleep and awake -------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        """The connection has fallen behind, is to end, has room again, or is closed.

        While it is opening its first words are not complete: :meth:`going` looks again. So an end that comes with them
        (a job that has ended) has a task that waits for the next turn, when they are.
        """
        state = self.connection.state
        if state is CLOSED:
            self._over()
        elif self._woken is not None:
            self._woken.set()
        elif state is BEHIND or state is ENDING:
            self._woken = asyncio.Event()
            self._task = self._loop.create_task(self._work(), name="stream")

    async def _work(self) -> None:
        try:
            await self._catch_up()
            if self.connection.is_ending():
                await self._farewell()
                self.connection.close(Closing.INTERNAL)
            else:
                # No await between the look at the state and this: what came in between would wake nobody.
                self._task = self._woken = None
        except asyncio.CancelledError:
            self.connection.close(Closing.INTERNAL)
            raise
        except Exception:
            self._failed()

    def _failed(self) -> None:
        log.exception("stream.failed", connection=self.connection.id)
        self.connection.close(Closing.INTERNAL)
        self._peer.abort()

    def _over(self) -> None:
        """The connection is closed, and calls this once. At once, and also where the task has not begun: whoever comes
        next may need the place."""
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task(self._loop):
            task.cancel()
        self._parts.streams.closed(self.connection)
        self._on_end()

    # What it has to say -----------------------------------------------------------------------------------------------

    def tell(self, channel: Channel, blocks: list[bytes], top: Position) -> None:
        """What brings the client to ``top``. Only the last of them says so: who is cut off in between is told anew."""
        connection = self.connection
        if not blocks:
            connection.behind[channel] = top
            connection.told(channel)
            return
        start, before = connection.id_start(channel), connection.part(channel)
        connection.behind[channel] = top
        connection.told(channel)
        after = connection.part(channel)
        self.queue([start + frame for frame in connection.encoder.numbered(blocks, before, after)])

    def learn(self, channel: Channel, snapshot: Snapshot, asked: Position | None) -> None:
        if not self._parts.hub.learn(channel, snapshot, asked):
            self._parts.suspect(channel)

    def splice(self, channel: Channel) -> None:
        """Go live if what this stream has joins up with what the hub has. Never waits: see :meth:`Hub.join`.

        A stream that is to end goes nowhere; the events that it lacks may be what it must not read.
        """
        connection = self.connection
        if channel in connection.untold or channel in connection.anew:
            return
        lacking = None if connection.is_ending() else channel.since(connection.behind[channel])
        if lacking is not None:
            self.replay(channel, lacking)
            if not connection.is_ending():
                self._parts.hub.join(connection, channel)

    def replay(self, channel: Channel, events: Sequence[Event]) -> None:
        connection, encoder = self.connection, self.connection.encoder
        if not events or (channel.is_job and connection.turned_away(channel, new_owners(events))):
            return
        start = connection.id_start(channel)
        if encoder.verbatim and isinstance(events, RawPage):
            frames = events.frames(start, channel.raw_tag)
        else:
            worded = encoder.frames(event_parts(channel.tag, events), events)
            if worded is None:
                connection.finish(Closing.LOST)
                return
            frames = [start + frame for frame in worded]
        last = events[-1]
        connection.behind[channel] = last.position
        self.queue(frames)
        self._parts.metrics.replayed += len(events)
        if channel.is_job and last.type in names.TERMINAL_TYPES:
            connection.channel_ended(channel)

    def reset(self, channel: Channel, snapshot: Snapshot, jobs: list[Job], reason: str) -> None:
        if channel.is_job and self.connection.turned_away(channel, [job.owner for job in jobs]):
            return
        self._parts.metrics.resets[reason] += 1
        if channel.jobs_of is not None:
            self._begin_anew(channel, reason)
            return
        blocks = reset_blocks(self.connection.encoder, channel.name, reason, jobs, snapshot.top.seq)
        if blocks is None:
            self.connection.finish(Closing.LOST)
            return
        self.tell(channel, blocks, continuity.place_after(snapshot, told=bool(jobs) or not channel.is_job))
        self.note_end(channel, jobs)

    def _begin_anew(self, channel: Channel, reason: str) -> None:
        """A user's jobs are told by the task. Until then the cursor stays: who is cut off is reset once more."""
        connection = self.connection
        connection.anew |= {channel}
        line = connection.id_line()
        self.queue([line + block for block in connection.encoder.reset(channel.name, reason) or ()])

    def retry(self) -> bytes:
        """When the client is to come back if it has to: each at another moment."""
        low, high = self._parts.settings.retry_ms
        return sse.retry(low + int(random.random() * (high - low + 1)))  # randint() takes eight calls for it

    def note_end(self, channel: Channel, jobs: list[Job]) -> None:
        if channel.is_job and jobs and jobs[0].finished:
            self.connection.channel_ended(channel)

    def queue(self, frames: list[bytes]) -> None:
        if frames:
            self._parts.hub.queue(self.connection, self.connection.framed(frames))

    async def _catch_up(self) -> None:
        """Read the history page by page until every channel is live; the peer sets the pace."""
        connection = self.connection
        for channel in connection.channels:  # also those that fall behind meanwhile
            channel.join()
        try:
            while connection.behind and not connection.is_ending():
                for channel in list(connection.behind):
                    await self._read_on_when_drained(channel)
                self._parts.hub.flush()
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
        if channel in self.connection.untold or channel in self.connection.anew:
            await self._tell_jobs(channel)
            return
        position = self.connection.behind[channel]
        asked = channel.position
        after = position.seq if asked is None else min(position.seq, asked.seq)
        snapshot = await self._parts.history.read(channel.name, after)
        self.learn(channel, snapshot, asked)
        events = continuity.missed(position, snapshot)
        jobs: list[Job] = []
        if events is None:
            snapshot, jobs = await newest(self._parts.history, channel.name)
        if self.connection.is_ending():
            return  # what was read may be what it may not have any more
        if events is None:
            self.reset(channel, snapshot, jobs, continuity.loss(position, snapshot))
        else:
            self.replay(channel, events)
        self.splice(channel)

    async def _tell_jobs(self, channel: Channel) -> None:
        """Tell a user's jobs step by step, each when the peer has taken the one before: for a fresh stream those that
        are not finished; after a loss all, since nobody else will say how they ended."""
        connection, history = self.connection, self._parts.history
        everything, owner = channel in connection.anew, channel.jobs_of
        snapshot = await history.read(channel.name, None, "jobs" if everything else "active")

        def wanted(facts: JobFacts) -> bool:
            return facts.owner == owner and (everything or facts.status not in names.FINISHED)

        held: list[bytes] = []  # one step stays back: only the last block of all moves the cursor
        async with contextlib.aclosing(history.jobs_in_steps(snapshot.jobs, wanted)) as steps:
            async for step in steps:
                if connection.is_ending():
                    return  # what was read may be what it may not have any more
                if held:
                    line = connection.id_line()
                    self.queue([line + block for block in held])
                    self._parts.hub.flush()
                await self._drained()
                if connection.is_ending():
                    return
                held = [block for job in step for block in connection.encoder.state(job, snapshot.top.seq)]
                for job in step:
                    self._parts.leases.shown(job)
        if connection.is_ending():
            return
        top = snapshot.top if everything else connection.behind[channel]
        connection.told_anew(channel)
        self.tell(channel, held, top)

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
        while (connection.paused or connection.queued) and connection.state is not CLOSED:
            held = connection.queued + self._peer.unsent()
            try:
                async with asyncio.timeout(FAREWELL_S):
                    await self._more_room()
            except TimeoutError:
                if connection.queued + self._peer.unsent() == held:
                    return False
            if self._loop.time() > deadline:
                return False
        return connection.state is not CLOSED

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
        self._parts.hub.discard(connection)
        if closing in (Closing.GONE, Closing.STALLED, Closing.PROTOCOL):
            self._peer.abort()
            return
        if self.connection.encoder.breaks_off and closing is not Closing.FINISHED:
            await self._emptied()
            self._peer.break_off()
            return
        if closing is Closing.FINISHED and self.connection.encoder.end_delay_s:
            await asyncio.sleep(self.connection.encoder.end_delay_s)
        blocks = self.connection.encoder.closing(closing)
        if closing.reconnect:
            retry = self.retry()
            blocks = [retry + blocks[0], *blocks[1:]] if blocks else [retry + COMMENT]
        self.queue(blocks)
        self._parts.hub.flush()
        if not await self._emptied():
            self._peer.abort()
            return
        self._peer.end()
