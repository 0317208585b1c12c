"""One pub/sub socket: an asyncio.Protocol around hiredis, RESP2.

Reading pub/sub is what the node lives from: this costs 1 to 2 microseconds a message, a general client ten times as
much. It knows SUBSCRIBE, UNSUBSCRIBE (or their sharded forms) and the handshake, nothing else, and it never
reconnects by itself: a silent resubscription would hide that messages were lost.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

import hiredis

MAX_NAMES: Final = 512
"""Names in one SUBSCRIBE: 6.6 µs a name in such batches, 161 µs one by one."""
MAX_REPLY: Final = 64 * 1024 * 1024
"""Bytes of an incomplete reply that are kept; a connection that sends more is dropped."""


@dataclass(frozen=True)
class ServerAddress:
    """Where and how to connect. ``path`` is a Unix socket. The password never shows in its repr or in errors."""

    host: str = ""
    port: int = 0
    path: str = ""
    username: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        return self.address

    @property
    def address(self) -> str:
        return self.path or f"{self.host}:{self.port}"

    def handshake(self, name: str) -> list[Sequence[str]]:
        """Commands to send first."""
        commands: list[Sequence[str]] = []
        if self.password is not None:
            commands.append(("AUTH", self.username, self.password) if self.username else ("AUTH", self.password))
        commands.append(("CLIENT", "SETNAME", name))
        return commands


class PubSubError(ConnectionError):
    """The pub/sub connection could not be made, or Redis refused it."""


class PubSubProtocol(asyncio.Protocol):
    """``on_messages`` gets all (channel, payload) of one read at once; ``on_change`` every (un)subscription that Redis
    confirmed, as (name, True or False); ``on_lost`` is called once, with a reason."""

    def __init__(
        self,
        *,
        sharded: bool,
        on_messages: Callable[[list[tuple[bytes, bytes]]], None],
        on_change: Callable[[bytes, bool], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self._sharded = sharded
        prefix = "S" if sharded else ""
        self._subscribe = f"{prefix}SUBSCRIBE"
        self._unsubscribe = f"{prefix}UNSUBSCRIBE"
        low = prefix.lower().encode()
        self._message = low + b"message"
        self._confirmed = low + b"subscribe"
        self._left = low + b"unsubscribe"
        self._on_messages = on_messages
        self._on_change = on_change
        self._on_lost = on_lost
        self._reader = hiredis.Reader()
        self._replies: list[asyncio.Future[object]] = []
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self.refusal = ""
        """What Redis said when it refused a subscription."""
        self.received_at = 0.0
        self.heard = asyncio.Event()
        """Set whenever anything arrives; whoever waits for a sign of life clears it first."""

    async def open(self, endpoint: ServerAddress, name: str, timeout: float) -> None:
        """Connect and shake hands. Raises :class:`PubSubError` with a sentence that names the address only."""
        try:
            async with asyncio.timeout(timeout):
                await self._connect(endpoint)
                for command in endpoint.handshake(name):
                    await self._call(command)
        except (OSError, TimeoutError, hiredis.HiredisError) as error:
            self.close()
            reason = str(error) or type(error).__name__
            raise PubSubError(f"No pub/sub connection to Redis at {endpoint.address}: {reason}.") from None

    async def _connect(self, endpoint: ServerAddress) -> None:
        if endpoint.path:
            await self._loop.create_unix_connection(lambda: self, endpoint.path, ssl=endpoint.tls)
        else:
            await self._loop.create_connection(lambda: self, endpoint.host, endpoint.port, ssl=endpoint.tls)

    async def _call(self, command: Sequence[str]) -> object:
        reply: asyncio.Future[object] = self._loop.create_future()
        self._replies.append(reply)
        self._send(command)
        return await reply

    def subscribe(self, names: Iterable[str]) -> None:
        self._in_batches(self._subscribe, names)

    def unsubscribe(self, names: Iterable[str]) -> None:
        self._in_batches(self._unsubscribe, names)

    def _in_batches(self, verb: str, names: Iterable[str]) -> None:
        todo = list(names)
        # A sharded command may name only channels of one slot.
        step = 1 if self._sharded else MAX_NAMES
        for start in range(0, len(todo), step):
            self._send((verb, *todo[start : start + step]))

    def _send(self, command: Sequence[str]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(_pack(command))

    def close(self) -> None:
        """Drop the connection now; ``on_lost`` follows if it was open."""
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.received_at = self._loop.time()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        self.received_at = self._loop.time()
        self.heard.set()
        messages: list[tuple[bytes, bytes]] = []
        gets, message = self._reader.gets, self._message
        try:
            while (reply := gets()) is not False:
                if type(reply) is list and len(reply) == 3 and reply[0] == message:
                    _, channel, payload = reply
                    if type(channel) is bytes and type(payload) is bytes:
                        messages.append((channel, payload))
                else:
                    self._other(reply)
        except (hiredis.HiredisError, TypeError):  # TypeError: a set or map with members that Python cannot hash
            self.close()
        if self._reader.len() > MAX_REPLY:
            self.close()
        if messages:
            self._on_messages(messages)

    def _other(self, reply: object) -> None:
        if isinstance(reply, list) and len(reply) == 3 and reply[0] in (self._confirmed, self._left):
            if isinstance(reply[1], bytes):
                self._on_change(reply[1], reply[0] == self._confirmed)
        elif self._replies:
            waiting = self._replies.pop(0)
            if waiting.done():
                return
            if isinstance(reply, Exception):
                waiting.set_exception(PubSubError(str(reply)))
            else:
                waiting.set_result(reply)
        elif isinstance(reply, Exception):
            self.refusal = self.refusal or str(reply)
            self.close()  # a subscription was refused (MOVED, NOPERM): start over with fresh knowledge

    def connection_lost(self, exc: Exception | None) -> None:
        for waiting in self._replies:
            if not waiting.done():
                waiting.set_exception(PubSubError("the connection was closed"))
        self._replies.clear()
        self._on_lost(type(exc).__name__ if exc else "closed")


def _pack(command: Sequence[str]) -> bytes:
    """RESP, as hiredis writes it; its annotation knows commands of one word only."""
    packed: bytes = hiredis.pack_command(tuple(command))  # type: ignore[arg-type]
    return packed
