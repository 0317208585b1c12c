"""One channel on this node: how far it has come, and who listens to it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from gateway.fanout import continuity, cursor, sse
from gateway.fanout.continuity import Snapshot
from publisher import channels
from publisher.envelope import START, Event, Position, Raw

if TYPE_CHECKING:
    from gateway.fanout.connection import Connection
    from gateway.fanout.encoder import Encoder

ByEncoder: TypeAlias = "Mapping[Encoder, Collection[Connection]]"
"""Members by the encoder that words events for them."""

TAIL_EVENTS: Final = 256
TAIL_BYTES: Final = 512 * 1024
_START_REST: Final = b"%b%b," % (sse.ID, cursor.REST)
"""The same bytes for all empty channels."""


class ChannelAudience(Protocol):
    """Knows which members of a channel its events may be for."""

    def of(self, events: Sequence[Event], members: ByEncoder) -> ByEncoder:
        """Those of ``members`` whose encoders are to be asked for these events."""


class Channel:
    """``position`` is the last event that every live member has; None until the history was read once."""

    __slots__ = (
        "audience",
        "checked_at",
        "cooling",
        "elsewhere",
        "idle_since",
        "is_job",
        "jobs_of",
        "joiners",
        "keeping",
        "name",
        "part",
        "position",
        "raw_tag",
        "reading",
        "seen",
        "single",
        "size",
        "start_elsewhere",
        "tag",
        "tail",
        "tail_bytes",
        "watchers",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.tag = cursor.tag(name)
        self.raw_tag = self.tag.encode()
        self.is_job = channels.job_id_of(name) is not None
        self.jobs_of = channels.id_of(name) if channels.kind_of(name) == "user" else None
        """Whose jobs this channel tells of, if that is what it does."""
        self.audience: ChannelAudience | None = None
        """Finds the members whom events are for, where they are not for all of them."""
        self.position: Position | None = None
        self.part = b""
        """Where it is, as a cursor says it."""
        self.elsewhere = b""
        """The same, in the cursor of another channel's event."""
        self.start_elsewhere = b""
        """How id lines of events on the only other channel of a stream begin; empty until :meth:`made_start`."""
        self.size = 0
        """Live members, as the hub counts them."""
        self.single: Connection | None = None
        """The only one of them, where it hears events as they were published."""
        self.joiners = 0
        self.keeping = False
        """Whether events are remembered: somebody joins, or has done so just now."""
        self.cooling = False
        self.reading: asyncio.Future[None] | None = None
        """Done when somebody of a crowd has read the history."""
        self.tail: deque[Event] = deque()
        self.tail_bytes = 0
        self.idle_since: float | None = None
        self.seen: Position | None = None
        self.checked_at = 0.0
        self.watchers: set[Callable[[], None]] = set()

    @property
    def used(self) -> bool:
        return self.size > 0 or self.joiners > 0

    def move_to(self, position: Position) -> None:
        """Every live member has everything up to ``position``."""
        self.position = position
        self.part = cursor.part(self.tag, position)
        self.elsewhere = cursor.REST if position == START else self.part
        self.start_elsewhere = b""

    def move_past(self, event: Event) -> bytes:
        """Every live member has everything up to ``event``; returns the part that says so."""
        self.position = event.position
        self.part = self.elsewhere = cursor.event_part(self.tag, event)
        self.start_elsewhere = b""
        return self.part

    def move_past_raw(self, raw: Raw) -> bytes:
        """As :meth:`move_past`."""
        self.position = raw.position
        self.part = self.elsewhere = part = b"%b.%b.%b.%b" % (self.raw_tag, raw.epoch, raw.seq, raw.mark)
        self.start_elsewhere = b""
        return part

    def made_start(self) -> bytes:
        """``start_elsewhere``, made when it is asked for: mostly of a client's own channel, which is empty."""
        self.start_elsewhere = _START_REST if self.elsewhere is cursor.REST else b"%b%b," % (sse.ID, self.elsewhere)
        return self.start_elsewhere

    def join(self) -> None:
        """Somebody reads the history to join: keep what arrives meanwhile, so that the two can be spliced."""
        self.joiners += 1
        self.keeping = True
        self.cooling = False

    def joined(self) -> None:
        """The reader of :meth:`join` is done, or gone."""
        self.joiners -= 1

    def cool(self) -> None:
        """To be called every so often. The second time without a joiner what was kept is forgotten: who comes back in
        a crowd finds what the first of them has read, and who comes alone leaves nothing behind."""
        if self.keeping and not self.joiners:
            if self.cooling:
                self.forget_tail()
                self.keeping = False
            self.cooling = not self.cooling

    def forget_tail(self) -> None:
        self.tail.clear()
        self.tail_bytes = 0

    def recall(self, snapshot: Snapshot) -> None:
        """Keep also what was read from the history, if it reaches further back and joins up with what is here."""
        if not self.keeping or not snapshot.events or snapshot.more or self.position is None:
            return
        newer = [event for event in self.tail if event.seq > snapshot.top.seq]
        if len(self.tail) - len(newer) < len(snapshot.events) and (newer or snapshot.top == self.position):
            self.forget_tail()
            for event in [*snapshot.events, *newer]:
                self.keep(event)

    def since(self, position: Position) -> Sequence[Event] | None:
        """The events after ``position`` up to the channel's own, if they are here; None where the history has to be
        read."""
        if self.position is None:
            return None
        if continuity.no_events_between(position, self.position):
            return []
        kept: list[Event] = []
        for event in reversed(self.tail):  # few are newer, many are kept
            if event.seq <= position.seq:
                break
            if event.seq <= self.position.seq:
                kept.append(event)
        return continuity.chain(position, kept[::-1], self.position)

    def keep(self, event: Event) -> None:
        """Remember an event for the joiners, as many as are allowed; who needs older ones reads the history again."""
        self.tail.append(event)
        self.tail_bytes += len(event.data)
        while len(self.tail) > TAIL_EVENTS or (self.tail_bytes > TAIL_BYTES and len(self.tail) > 1):
            self.tail_bytes -= len(self.tail.popleft().data)

    def stir(self) -> None:
        """Something happened on this channel: wake those who wait for a job to appear."""
        for watcher in tuple(self.watchers):
            watcher()
