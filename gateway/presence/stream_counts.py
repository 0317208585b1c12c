"""What one open stream takes up, and all of them together. Pure."""

from __future__ import annotations

from collections import Counter

from publisher.keys import CHANNEL, CHANNELS, CLIENT, CLIENT_STREAMS, CLIENTS, GUEST, STREAMS, SUBJECT, USER


def channel_field(channel: str) -> str:
    """The field that counts the streams listening to a channel."""
    return CHANNEL + channel


def user_field(user_key: str) -> str:
    """The field that counts one user's streams."""
    return USER + user_key


def client_fields(client_id: str) -> tuple[str, str]:
    """Fields whose sum is the streams that are this subject's or listen to ``client:{id}``, each counted once."""
    return user_field(SUBJECT + client_id), GUEST + client_id


class CountedStream:
    """One stream: whom it counts for, and the channels it listens to.

    ``fields`` is what it counts as; first the user. ``for_client``: whether it listens to a client's channel.
    """

    __slots__ = ("channels", "fields", "for_client", "user_key")

    def __init__(self, user_key: str, channels: tuple[str, ...]) -> None:
        self.user_key = user_key
        self.channels = channels
        listened = [CHANNEL + channel for channel in dict.fromkeys(channels)]
        clients = [field.removeprefix(CLIENT) for field in listened if field.startswith(CLIENT)]
        guests = [GUEST + client for client in clients if user_key != SUBJECT + client]
        self.fields = (user_field(user_key), *listened, *guests)
        self.for_client = bool(clients)


class StreamCounts:
    """The open streams of one node, counted. Holds no field that is zero."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.streams = 0
        self.client_streams = 0
        """Streams that listen to a client's channel."""
        self.clients = 0
        """Different clients that are listened to."""
        self.channels = 0
        """Different channels that are listened to."""

    def add(self, place: CountedStream) -> None:
        self._change(place, 1)

    def remove(self, place: CountedStream) -> None:
        """Raises ``KeyError`` for a place that was not added: the counts would be wrong for ever."""
        if any(field not in self.counts for field in place.fields):
            raise KeyError(place.user_key)
        self._change(place, -1)

    def summary(self) -> dict[str, int]:
        return {
            STREAMS: self.streams,
            CLIENT_STREAMS: self.client_streams,
            CLIENTS: self.clients,
            CHANNELS: self.channels,
        }

    def _change(self, place: CountedStream, by: int) -> None:
        self.streams += by
        self.client_streams += by * place.for_client
        for field in place.fields:
            before = self.counts[field]
            self.counts[field] = before + by
            if not before + by:
                del self.counts[field]
            if not before or not before + by:
                self.channels += by * field.startswith(CHANNEL)
                self.clients += by * field.startswith(CLIENT)
