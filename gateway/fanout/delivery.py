"""What is said on a channel, on its way to those who hear it."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.fanout import sse
from gateway.fanout.channel import Channel
from gateway.fanout.connection import Connection
from publisher.envelope import Position


class Delivery:
    """``frames`` came after ``before``, and lack only the beginning of their id line, which most connections share."""

    __slots__ = ("_chunked", "_data", "_frames", "_shared", "_start", "before", "channel", "number")

    def __init__(self, channel: Channel, frames: Sequence[bytes], before: Position | None) -> None:
        self.channel = channel
        self.before = before
        self.number = 0
        self._frames = frames
        self._shared: dict[tuple[bytes, bool], bytes] = {}
        self._start, self._chunked, self._data = b"", False, b""

    def to(self, connection: Connection) -> bytes:
        """The bytes for this one."""
        return self.behind(connection.id_start(self.channel), connection.chunked)

    def behind(self, start: bytes, chunked: bool) -> bytes:
        """The bytes whose id lines begin so. The hot path: mostly they are those of the one before."""
        if start != self._start or chunked is not self._chunked or not self._data:
            self._start, self._chunked = start, chunked
            self._data = self._shared.get((start, chunked), b"")
            if not self._data:
                whole = [start + frame for frame in self._frames]
                self._data = self._shared[start, chunked] = sse.framed(whole) if chunked else b"".join(whole)
        return self._data
