"""What a dialect is to the rest of the node: a way to turn events and states into blocks.

Most encoders hold no state, so one object serves every connection of its kind, and an event is encoded once for all of
them. Blocks carry no ``id:`` line; the connection puts it in front.

Where what is said depends on what was said before, each stream brings an encoder of its own, and goes on with that of
its kin while both stand at the same place: :meth:`Encoder.together` and :meth:`Encoder.apart`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from gateway.closing import Closing
from gateway.fanout import sse
from publisher.envelope import Event
from publisher.job import Job


class Encoder:
    """The base of all dialects: says nothing but heartbeats. Every method returns complete blocks."""

    name: ClassVar[str]
    """The dialect's label in metrics and logs."""
    final: ClassVar[bool] = False
    """Its clients take any end of the stream as final: no maximum age, last to go at a drain."""
    end_delay_s: ClassVar[float] = 0.0
    """How long the stream stays open after a job's last event."""
    breaks_off: ClassVar[bool] = False
    """Its clients take a complete response for a complete job: one that ends before is broken off."""
    by_status: ClassVar[bool] = False
    """Refusals are a status, also for clients that would like a stream better."""
    headers: ClassVar[tuple[tuple[bytes, bytes], ...]] = ()
    """Of its streams, beside those of all."""
    shares_states: ClassVar[bool] = False
    """Streams of one job know its state between them, so that one read serves a crowd; see :meth:`at_hand`."""
    verbatim: bool = False
    """An event is said as it was published, under its own type."""
    id_start: ClassVar[bytes] = sse.ID
    """How id lines begin on a stream of one channel; empty where it writes them itself."""

    def opened(self, connection_id: str, channels: list[str], resumed: bool) -> list[bytes]:
        """The greeting, before anything else."""
        return []

    def state(self, job: Job, seq: int) -> list[bytes]:
        """A job's newest state, for a fresh stream; ``seq`` is the number it is as new as."""
        return []

    def renewed(self, job: Job, seq: int) -> list[bytes] | None:
        """The newest state after a reset; None where the stream cannot go on with it."""
        return self.state(job, seq)

    def event(self, event: Event) -> bytes | None:
        """One event, or None where the dialect has no word for it."""
        raise NotImplementedError

    def frames(self, parts: Sequence[bytes], events: Sequence[Event]) -> list[bytes] | None:
        """What is to be said of events, each behind what ends its id line (``parts``); None where the stream cannot go
        on with them."""
        if self.verbatim:
            return [b"%b\n%b" % (part, as_published(event)) for part, event in zip(parts, events, strict=True)]
        return [
            b"%b\n%b" % (part, block)
            for part, event in zip(parts, events, strict=True)
            if (block := self.event(event)) is not None
        ]

    def numbered(self, blocks: Sequence[bytes], before: bytes, after: bytes) -> list[bytes]:
        """Blocks that say one thing together, behind what ends their id lines. Only the last one moves the cursor: who
        is cut off in between is told all of them again."""
        cut_off = [b"%b\n%b" % (before, block) for block in blocks[:-1]]
        return [*cut_off, b"%b\n%b" % (after, blocks[-1])] if blocks else []

    # Encoders of one stream ---

    def resumed(self, job: Job, missed: Sequence[Event], *, complete: bool) -> bool:
        """A stream goes on with these events; False where it cannot. After them, and others where they are not
        ``complete``, its job is as given."""
        return True

    def at_hand(self, others: Iterable[Encoder], admits: Callable[[Job], bool]) -> Job | None:
        """The job whose newest state :meth:`state` can say without a read, by what ``others`` know that are live on its
        channel; None where none of them does, or it is not admitted."""
        return None

    def together(self, others: Iterable[Encoder]) -> Encoder:
        """The one of ``others``, live on the channel that this one has come up with, that has said the same; or this
        one itself."""
        return self

    def apart(self) -> Encoder:
        """An encoder for a stream that had no room for what was said last, and reads on by itself."""
        return self

    def reset(self, channel: str, reason: str) -> list[bytes] | None:
        """Events of this channel were missed that cannot be replayed; the state follows anew. None where the stream
        cannot go on."""
        return []

    def degraded(self, lost: bool) -> list[bytes]:
        """The node has lost Redis (``lost``) or has it again."""
        return []

    def closing(self, closing: Closing) -> list[bytes]:
        """The last words before the server ends the stream."""
        return []

    def heartbeat(self) -> bytes:
        """Sent every HEARTBEAT_S; has no id."""
        return sse.HEARTBEAT

    def refusal(self, closing: Closing) -> bytes:
        """Why a stream cannot be served now, for clients whose EventSource would die of a status other than 200."""
        return sse.json_block(closing_data(closing), b"stream.close")


def as_published(event: Event) -> bytes:
    """The block of an event under its own type."""
    return sse.data_block(event.data, event.type.encode())


def closing_data(closing: Closing) -> dict[str, Any]:
    return {"reason": closing.reason, "reconnect": closing.reconnect, "message": closing.sentence}
