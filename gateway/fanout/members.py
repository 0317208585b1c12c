"""Who is live on which channel. Only the hub changes it."""

from __future__ import annotations

from typing import Final

from gateway.fanout.channel import ByEncoder, Channel
from gateway.fanout.connection import Connection
from gateway.fanout.encoder import Encoder

_NOBODY: Final[ByEncoder] = {}


class Members:
    """A channel's members by their encoder, so that an event is encoded once for each.

    They are kept in the order in which they came, which is mostly that of their places in memory: to go through them in
    a set's order takes a tenth more of a delivery.
    """

    def __init__(self) -> None:
        self._of: dict[Channel, dict[Encoder, dict[Connection, None]]] = {}

    def of(self, channel: Channel) -> ByEncoder:
        """As they are now: who goes through them while they change takes a copy first."""
        return self._of.get(channel, _NOBODY)

    def add(self, channel: Channel, connection: Connection) -> None:
        members = self._of.setdefault(channel, {}).setdefault(connection.encoder, {})
        if connection not in members:
            members[connection] = None
            channel.size += 1
            self._note_single(channel)

    def remove(self, channel: Channel, connection: Connection) -> None:
        """Nothing of the last one stays behind."""
        by_encoder = self._of.get(channel, {})
        members = by_encoder.get(connection.encoder)
        if members is None or connection not in members:
            return
        del members[connection]
        channel.size -= 1
        if not members:
            del by_encoder[connection.encoder]
            if not by_encoder:
                del self._of[channel]
        self._note_single(channel)

    def _note_single(self, channel: Channel) -> None:
        channel.single = None
        if channel.size == 1:
            ((encoder, (only,)),) = self._of[channel].items()
            if encoder.verbatim and channel.audience is None:
                channel.single = only
