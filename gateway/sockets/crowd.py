"""The sockets of a node whose peer is to speak next, in the order in which they began to wait for it. Pure.

Where there are too many sockets, the one that has waited longest goes: an idle connection is opened again at no cost,
while a new one that is turned away may be a health check. Streams and requests that are being answered are not in here.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

PER_ADDRESS: Final = 512
"""Waiting sockets of one address, or of one /64 network. Many people may share an address, whose browsers keep a few
idle connections each; who comes later only costs the oldest of them its idle one."""
SMALL_SHARE: Final = 4
"""On a node with few sockets an address has one in so many of them."""
REPLACED_PER_S: Final = 50
"""So many of its connections an address may replace by newer ones; who opens more is turned away, which costs less."""
FRESH_S: Final = 1.0
"""A connection this young may not have had its turn: after a restart, everybody behind one address comes at once."""


class WaitingSocket(Protocol):
    """A socket, as far as it matters here."""

    def abort(self) -> None: ...


class Crowd:
    """``most_sockets``: streams and others together; 0 for no limit. ``clock`` gives seconds."""

    def __init__(self, most_sockets: int, clock: Callable[[], float]) -> None:
        self._most = most_sockets
        self.per_address = min(PER_ADDRESS, max(1, most_sockets // SMALL_SHARE)) if most_sockets else PER_ADDRESS
        self._clock = clock
        self._all: OrderedDict[WaitingSocket, str | None] = OrderedDict()
        self._of_address: dict[str, OrderedDict[WaitingSocket, float]] = {}
        self._replaced: Counter[str] = Counter()
        """How often each address has done so in this second."""
        self._second = 0

    def __len__(self) -> int:
        return len(self._all)

    def come(self, socket: WaitingSocket, address: str | None, sockets: int) -> None:
        """A new connection, with which the node has so many ``sockets``. ``address`` is None for one that is not
        counted with others."""
        self.wait(socket, address)
        full = bool(self._most) and sockets > self._most
        if address is not None and len(self._of_address[address]) > self.per_address:
            self._replace(socket, address, full)
        elif full:
            self._abort(next(iter(self._all)))

    def _replace(self, new: WaitingSocket, address: str, full: bool) -> None:
        now = self._clock()
        oldest, since = next(iter(self._of_address[address].items()))
        if int(now) != self._second:
            self._second = int(now)
            self._replaced.clear()
        if now - since < FRESH_S and not full:
            return
        if now - since < FRESH_S or self._replaced[address] >= REPLACED_PER_S:
            self._abort(new)
            return
        self._replaced[address] += 1
        self._abort(oldest)

    def wait(self, socket: WaitingSocket, address: str | None) -> None:
        """From now on it is for the peer to speak."""
        self.leave(socket)
        self._all[socket] = address
        if address is not None:
            self._of_address.setdefault(address, OrderedDict())[socket] = self._clock()

    def leave(self, socket: WaitingSocket) -> None:
        """Its request is complete, or it is gone. May be called twice."""
        address = self._all.pop(socket, None)
        if address is not None:
            mine = self._of_address[address]
            del mine[socket]
            if not mine:
                del self._of_address[address]

    def _abort(self, socket: WaitingSocket) -> None:
        self.leave(socket)
        socket.abort()
