"""What one node tells all: to end a subject's streams, and to refuse its tokens issued until now.

A message on a channel that every node listens to says it at once; the revocations are also kept in Redis, and read
again after each reconnection and from time to time, so that a lost message is made up for.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from itertools import islice
from typing import Final

import orjson
from redis.exceptions import RedisError, ResponseError

from gateway.revocations import MAX_SUBJECTS, Revocations
from gateway.store import Script, Store
from gateway.subscriber import Subscriber
from publisher.channels import pubsub_name

log = logging.getLogger("gateway.control")

CHANNEL: Final = "gateway"
REFRESH_S: Final = 30.0
RETRY_S: Final = 1.0
WANT_TIMEOUT_S: Final = 5.0
PAGE: Final = 1000


class Control:
    """``disconnect`` ends the streams of a subject on this node."""

    def __init__(self, store: Store, subscriber: Subscriber, *, prefix: str, disconnect: Callable[[str], None]) -> None:
        self._store = store
        self._subscriber = subscriber
        self._disconnect = disconnect
        self._channel = pubsub_name(prefix, CHANNEL)
        self._key = f"{self._channel}:revoked"
        self._script = Script("control")
        self._revocations = Revocations()
        self._due = asyncio.Event()
        self.loaded = False
        """Whether the revocations were read since the node started."""

    def revoked(self, subject: str, issued_at: float | None) -> bool:
        """Whether a token is refused because its subject was revoked when it had been issued already."""
        return self._revocations.revoked(subject, issued_at)

    async def disconnect_everywhere(self, subject: str, *, revoke: bool) -> None:
        """End a subject's streams on every node; with ``revoke`` also refuse its tokens issued until now.

        Raises :class:`~gateway.store.StoreDown`; then some nodes may have heard of it nevertheless.
        """
        announce = "SPUBLISH" if self._store.cluster else "PUBLISH"
        args: list[str | int | bytes] = [subject, int(revoke), MAX_SUBJECTS, announce, self._channel]
        at = await self._store.run(self._script, ([self._key], args))
        if revoke:
            self._learn([(subject, int(at))])  # what was answered with success holds here from now on

    def pick(self, messages: list[tuple[str, bytes]]) -> None:
        """Find this channel's messages among others, and act on them."""
        for channel, message in messages:
            if channel == CHANNEL:
                self._act(message)

    def reload(self) -> None:
        """Read the revocations again soon; does not wait."""
        self._due.set()

    async def run(self) -> None:
        """Listen and keep the revocations up to date until cancelled."""
        while True:
            self._due.clear()
            pause = REFRESH_S
            try:
                async with asyncio.timeout(WANT_TIMEOUT_S):
                    await self._subscriber.want(CHANNEL)
                await self._load()
            except (RedisError, OSError) as error:
                # While Redis is away there are lines enough; refusals of a Redis that is there must be seen.
                level = logging.WARNING if isinstance(error.__cause__, ResponseError) else logging.DEBUG
                log.log(level, "control.unreachable %s", type(error).__name__)
                pause = RETRY_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._due.wait()

    def _act(self, message: bytes) -> None:
        try:
            order = orjson.loads(message)
            subject, at = order["disconnect"], order["revoked"]
        except (ValueError, TypeError, KeyError):
            subject = at = None
        if not isinstance(subject, str) or not isinstance(at, int):
            log.warning("control.unreadable bytes=%d", len(message))
            return
        if at:
            self._revocations.learn([(subject, at)])
        self._disconnect(subject)

    def _learn(self, found: list[tuple[str, int]]) -> None:
        """Streams that were opened before this node heard of a revocation end now."""
        for subject in self._revocations.learn(found):
            self._disconnect(subject)

    async def _load(self) -> None:
        found: set[str] = set()
        cursor: int | bytes = 0
        while True:
            cursor, page = await self._store.command("ZSCAN", self._key, cursor, "COUNT", PAGE)
            entries = [(member.decode(errors="replace"), int(at)) for member, at in page]
            found.update(subject for subject, _ in entries)
            self._learn(entries)
            if not int(cursor):
                break
        self.loaded = True
        if len(found) < MAX_SUBJECTS:
            await self._put_back(found)

    async def _put_back(self, found: set[str]) -> None:
        """What Redis has lost this node still knows."""
        lost = ((subject, at) for subject, at in list(self._revocations.items()) if subject not in found)
        while some := list(islice(lost, PAGE)):
            await self._store.command(
                "ZADD", self._key, "GT", *[part for subject, at in some for part in (at, subject)]
            )
