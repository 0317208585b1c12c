"""What the loop hears of clients in one turn: a few of them at a time, however many have something to say.

asyncio serves whatever is ready before it looks again: hundreds of requests at once would be one turn of a tenth of a
second, and what Redis brings meanwhile would reach nobody. So clients have a poll of their own, of which a turn takes a
few; the kernel puts those that were taken behind the others. Whatever else is ready is heard in every turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import select
import time
from collections.abc import Iterator, Mapping
from selectors import EVENT_READ, EVENT_WRITE, BaseSelector, SelectorKey
from typing import Any, Final

from gateway.sockets.peer import StreamPeer
from gateway.sockets.requests import RequestProtocol

CLIENTS: Final = 8
"""Heard in one turn. Each may begin a request, which costs about half a millisecond …"""
FEWEST: Final = 4
TURN_S: Final = 0.01
"""… and a stream of 32 channels several of them: after a turn that took longer than this, fewer are heard. Not so few
that what they ask of Redis would no longer travel together. It is time of the processor, because others may use it."""


def new_loop() -> asyncio.AbstractEventLoop:
    """A loop that hears clients in turns; on systems without epoll the usual one, which hears everybody at once."""
    if hasattr(select, "epoll"):
        return asyncio.SelectorEventLoop(TurnSelector())
    return asyncio.new_event_loop()


class TurnSelector(BaseSelector):
    """Linux: two polls, one within the other."""

    def __init__(self, clients: int = CLIENTS) -> None:
        self._most = self._at_once = clients
        self._used_s: float | None = None
        """What the thread had used when clients were heard last; None once that is settled."""
        self._keys: dict[int, SelectorKey] = {}
        self._polls: dict[int, select.epoll] = {}
        self._map = _Keys(self._keys)
        self._all = select.epoll()
        self._clients = select.epoll()
        self._all.register(self._clients.fileno(), select.EPOLLIN)

    def register(self, fileobj: Any, events: int, data: Any = None) -> SelectorKey:
        key = SelectorKey(fileobj, _number(fileobj), events, data)
        poll = self._clients if _of_client(data) else self._all
        poll.register(key.fd, _mask(events))
        self._keys[key.fd] = key
        self._polls[key.fd] = poll
        return key

    def unregister(self, fileobj: Any) -> SelectorKey:
        key = self._keys.pop(_number(fileobj))
        with contextlib.suppress(OSError):  # it was closed before
            self._polls.pop(key.fd).unregister(key.fd)
        return key

    def modify(self, fileobj: Any, events: int, data: Any = None) -> SelectorKey:
        fd = _number(fileobj)
        if self._keys[fd].events != events:
            self._polls[fd].modify(fd, _mask(events))
        key = self._keys[fd] = SelectorKey(fileobj, fd, events, data)
        return key

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        if self._used_s is not None:
            self._pace(time.thread_time() - self._used_s)
        # Rounded up to what the kernel counts in: else the loop would turn idly until a timer is due.
        wait = -1 if timeout is None else math.ceil(max(0.0, timeout) * 1000) / 1000
        ready: list[tuple[SelectorKey, int]] = []
        try:
            if not self._take(self._all.poll(wait), ready):
                self._take(self._clients.poll(0, self._at_once), ready)
                self._used_s = time.thread_time()
        except InterruptedError:
            pass
        return ready

    def _take(self, found: list[tuple[int, int]], ready: list[tuple[SelectorKey, int]]) -> bool:
        """Whether all of them are known; the poll of clients is not, nor is what was closed meanwhile."""
        known = True
        for fd, event in found:
            key = self._keys.get(fd)
            if key is None:
                known = False
            else:
                events = (event & ~select.EPOLLIN and EVENT_WRITE) | (event & ~select.EPOLLOUT and EVENT_READ)
                ready.append((key, events & key.events))
        return known

    def _pace(self, used_s: float) -> None:
        """After a turn that heard clients; the others, which only bring what Redis has, are not measured."""
        self._used_s = None
        if used_s > TURN_S:
            self._at_once = max(FEWEST, self._at_once // 2)
        elif self._at_once < self._most:
            self._at_once += 1

    def get_map(self) -> Mapping[Any, SelectorKey]:
        return self._map

    def close(self) -> None:
        self._clients.close()
        self._all.close()
        self._keys.clear()
        self._polls.clear()


class _Keys(Mapping[Any, SelectorKey]):
    """By number, or by what has one."""

    def __init__(self, keys: dict[int, SelectorKey]) -> None:
        self._keys = keys

    def __getitem__(self, fileobj: Any) -> SelectorKey:
        return self._keys[_number(fileobj)]

    def __iter__(self) -> Iterator[int]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def _number(fileobj: Any) -> int:
    return fileobj if isinstance(fileobj, int) else int(fileobj.fileno())


def _mask(events: int) -> int:
    return (select.EPOLLIN if events & EVENT_READ else 0) | (select.EPOLLOUT if events & EVENT_WRITE else 0)


_CLIENTS: Final = (RequestProtocol, StreamPeer)
"""A tuple, because each new connection is looked at: a union would be made anew each time."""


def _of_client(data: Any) -> bool:
    """``data`` are asyncio's handles of a file for reading and for writing, either of them None; those of a connection
    call a method of its transport."""
    for handle in data or ():
        transport: Any = getattr(getattr(handle, "_callback", None), "__self__", None)
        if hasattr(transport, "get_protocol"):
            return isinstance(transport.get_protocol(), _CLIENTS)
    return False
