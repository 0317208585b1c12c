"""What a dialect is to the rest of the node: a way to turn events and states into blocks.

Encoders hold no state, so one object serves every connection of its kind, and an event is encoded once for all of
them. Blocks carry no ``id:`` line; the connection puts it in front.
"""

from __future__ import annotations

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

    def opened(self, connection_id: str, channels: list[str], resumed: bool) -> list[bytes]:
        """The greeting, before anything else."""
        return []

    def state(self, job: Job, seq: int) -> list[bytes]:
        """A job's newest state, for a fresh stream or after a reset; ``seq`` is the number it is as new as."""
        return []

    def event(self, event: Event) -> bytes | None:
        """One event, or None where the dialect has no word for it."""
        raise NotImplementedError

    def reset(self, channel: str, reason: str) -> list[bytes]:
        """Events of this channel were missed that cannot be replayed; the state follows anew."""
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


def closing_data(closing: Closing) -> dict[str, Any]:
    return {"reason": closing.reason, "reconnect": closing.reconnect, "message": closing.sentence}
