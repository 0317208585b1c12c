"""The secret that signs tickets, the same on all nodes: from the settings, or created once in Redis."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Callable
from typing import Final

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import RedisError

from gateway.auth_errors import AuthUnavailable
from publisher.closed import closed_is_connection_error

REFRESH_S: Final = 30.0
RETRY_S: Final = 1.0
CALL_TIMEOUT_S: Final = 5.0
_KEY = re.compile(r"[A-Za-z0-9_-]{43}")


def key_name(prefix: str) -> str:
    """Where the nodes share the secret."""
    return f"{prefix}:{{gateway}}:ticket-key"


class FixedTicketKey:
    """The secret of ``GATEWAY_TICKET_KEY``."""

    def __init__(self, key: str) -> None:
        self._key = key

    async def get(self) -> str:
        return self._key


class SharedTicketKey:
    """The secret that the first node created in Redis.

    It is looked at again at most every 30 seconds, when it is used. Where Redis lost it, the node puts back the one it
    knows, so that tickets survive; while Redis is away the known one goes on being used.
    """

    def __init__(
        self, client: Redis | RedisCluster, prefix: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._name = key_name(prefix)
        self._clock = clock
        self._key: str | None = None
        self._looked_at = -float("inf")
        self._lock = asyncio.Lock()

    async def get(self) -> str:
        """The secret. Raises :class:`AuthUnavailable` while it has never been read and Redis is away."""
        if self._due():
            async with self._lock:
                if self._due():  # nobody else looked while this waited
                    await self._look()
        if self._key is None:
            raise AuthUnavailable(
                f"The secret that signs tickets cannot be read from Redis ({self._name}); try again soon, or set "
                "GATEWAY_TICKET_KEY."
            )
        return self._key

    def _due(self) -> bool:
        return self._clock() - self._looked_at > (RETRY_S if self._key is None else REFRESH_S)

    async def _look(self) -> None:
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                with closed_is_connection_error():
                    await self._client.set(self._name, self._key or secrets.token_urlsafe(32), nx=True)
                    stored = await self._client.get(self._name)
        except (RedisError, OSError, TimeoutError):
            stored = None
        self._looked_at = self._clock()
        text = stored.decode("latin-1") if isinstance(stored, bytes) else str(stored)
        # Anything else was put there by somebody else: a short or empty secret must not sign tickets.
        if _KEY.fullmatch(text):
            self._key = text


TicketKey = FixedTicketKey | SharedTicketKey
