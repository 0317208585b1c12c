"""The secret that signs tickets, the same on all nodes: from the settings, or created once in Redis."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from redis.asyncio import Redis, RedisCluster

from gateway.auth.errors import AuthUnavailable
from gateway.metrics.unreadable import Unreadable
from publisher.keys import old_ticket_key, ticket_key
from publisher.redis.closed import closed_is_connection_error
from publisher.redis.errors import ERRORS

REFRESH_S: Final = 1.0
"""So long after a rotation a node may go on signing with the old secret."""
CALL_TIMEOUT_S: Final = 5.0
_KEY: Final = re.compile(r"[A-Za-z0-9_-]{43}")
# EVAL, because two GETs would let a rotation pass in between. What is no secret is removed: no ticket could be made.
# KEYS: secret, old one; ARGV: secret where there is none
# Reply: secret, old one or '', how many were none
_SCRIPT: Final = """
local bad = 0
local function secret(key)
  local found = redis.pcall('GET', key)
  if not found then return nil end
  if type(found) == 'string' and #found == 43 and not string.find(found, '[^%w_-]') then return found end
  if found.err and not string.find(found.err, 'WRONGTYPE', 1, true) then return redis.call('GET', key) end
  bad = bad + 1
  redis.call('DEL', key)
end
local present, old = secret(KEYS[1]), secret(KEYS[2])
if not present then redis.call('SET', KEYS[1], ARGV[1]) end
return { present or ARGV[1], old or '', bad }
"""


@dataclass(frozen=True, slots=True)
class TicketKeys:
    """``signing`` makes tickets; those that ``other`` signed are accepted too. Neither shows in the repr."""

    signing: str = field(repr=False)
    other: str | None = field(default=None, repr=False)

    @property
    def accepted(self) -> tuple[str, ...]:
        return (self.signing, self.other) if self.other else (self.signing,)


def new_secret() -> str:
    """256 random bits, as nodes put them into Redis."""
    return secrets.token_urlsafe(32)


def is_secret(text: str) -> bool:
    """Anything else was put into Redis by somebody else: a short or empty secret must not sign tickets."""
    return _KEY.fullmatch(text) is not None


class FixedTicketKey:
    """The secrets of ``GATEWAY_TICKET_KEY`` and ``GATEWAY_TICKET_KEY_OTHER``."""

    def __init__(self, key: str, other: str | None = None) -> None:
        self._keys = TicketKeys(key, other)

    async def get(self) -> TicketKeys:
        return self._keys

    async def look_again(self) -> TicketKeys:
        return self._keys


class SharedTicketKey:
    """The secret that the first node created in Redis, and while it is being changed the one before.

    It is looked at again when it is used and a second has passed. Where Redis lost it, or somebody put something else
    there, the node puts back the one it knows, so that tickets survive; while Redis is away the known one goes on being
    used.
    """

    def __init__(
        self,
        client: Redis | RedisCluster,
        prefix: str,
        *,
        unreadable: Unreadable | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._unreadable = unreadable or Unreadable()
        self._names = (ticket_key(prefix), old_ticket_key(prefix))
        self._clock = clock
        self._keys: TicketKeys | None = None
        self._looked_at = -float("inf")
        self._answered = False
        self._lock = asyncio.Lock()

    async def get(self) -> TicketKeys:
        """The secrets, at most a second old. Raises :class:`AuthUnavailable` while they have never been read and Redis
        is away."""
        if self._due():
            async with self._lock:
                if self._due():  # nobody else looked while this waited
                    await self._look()
        return self._known()

    async def look_again(self) -> TicketKeys:
        """The secrets as they are now, for a ticket that none of the known ones signed. Those who wait share a look, so
        that bad tickets cost one call at a time.

        Raises :class:`AuthUnavailable` where Redis does not say: the ticket may be of a secret that came meanwhile.
        """
        asked_at = self._clock()
        async with self._lock:
            if self._looked_at <= asked_at:
                await self._look()
        if not self._answered:
            raise self._unavailable()
        return self._known()

    def _due(self) -> bool:
        return self._clock() - self._looked_at > REFRESH_S

    def _known(self) -> TicketKeys:
        if self._keys is None:
            raise self._unavailable()
        return self._keys

    def _unavailable(self) -> AuthUnavailable:
        return AuthUnavailable(
            f"The secret that signs tickets cannot be read from Redis ({self._names[0]}); try again soon, or set "
            "GATEWAY_TICKET_KEY."
        )

    async def _look(self) -> None:
        known = self._keys.signing if self._keys else new_secret()
        began_at = self._clock()
        found: Any = None
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                with closed_is_connection_error():
                    found = await self._client.eval(_SCRIPT, 2, *self._names, known)
        except ERRORS:
            pass
        # Where it failed, the time that it took does not count: the next try is a second away.
        self._looked_at = began_at if found else self._clock()
        keys, replaced = read_reply(found)
        self._unreadable.note("secret", replaced)
        self._answered = keys is not None
        self._keys = keys or self._keys


def read_reply(found: Any) -> tuple[TicketKeys | None, int]:
    """The script's answer: the secrets, None where it has none to sign with, and how many were none."""
    match found:
        case [bytes() as signing, bytes() as other, int() as replaced]:
            present, old = signing.decode("latin-1"), other.decode("latin-1")
            if is_secret(present):
                return TicketKeys(present, old if is_secret(old) else None), replaced
            return None, replaced
    return None, 0


TicketKey = FixedTicketKey | SharedTicketKey
