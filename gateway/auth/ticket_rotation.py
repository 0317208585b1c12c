"""Changes the secret in Redis that signs tickets, and tells how it stands without telling it."""

from __future__ import annotations

import hashlib
from typing import Any, Final, NamedTuple

from redis import Redis
from redis.cluster import RedisCluster

from gateway.auth.ticket_key import CALL_TIMEOUT_S, REFRESH_S, new_secret
from gateway.auth.tickets import MAX_TTL_S
from publisher.keys import old_ticket_key, ticket_key

# KEYS: secret, old one; ARGV: new secret, how long (ms) tickets of the present one stay good, 0 to refuse them at once
# Reply: 1, or 0 where tickets of the one before are still good
_ROTATE: Final = """
local present = redis.pcall('GET', KEYS[1])
if type(present) == 'table' then present = nil end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[2])
elseif redis.call('EXISTS', KEYS[2]) == 1 then
  return 0
elseif present then
  redis.call('SET', KEYS[2], present, 'PX', ARGV[2])
end
redis.call('SET', KEYS[1], ARGV[1])
return 1
"""
_STATUS: Final = """
return { redis.call('GET', KEYS[1]) or '', redis.call('GET', KEYS[2]) or '', redis.call('PTTL', KEYS[2]) }
"""


class Standing(NamedTuple):
    """Fingerprints of the secrets, empty where there is none, and for how many seconds more the old one counts (-1: for
    good, which no rotation does)."""

    present: str
    old: str
    old_s: float


def keep_s(leeway_s: float) -> float:
    """How long the old secret has to be there: as long as any ticket, and as long as a node may go on using it."""
    return MAX_TTL_S + leeway_s + REFRESH_S + CALL_TIMEOUT_S


def standing(client: Redis | RedisCluster, prefix: str) -> Standing:
    """Raises redis-py's errors."""
    present, old, left_ms = _call(client, _STATUS, prefix)
    return Standing(_fingerprint(present), _fingerprint(old), max(-1.0, left_ms / 1000) if old else 0.0)


def rotate(client: Redis | RedisCluster, prefix: str, kept_s: float) -> bool:
    """Put a new secret there; tickets of the present one stay good for ``kept_s`` seconds, with 0 for none.

    False, and nothing is changed, where tickets of an older one would be cut off by that. Raises redis-py's errors,
    after which it may have happened or not.
    """
    return bool(_call(client, _ROTATE, prefix, new_secret(), round(kept_s * 1000)))


def _call(client: Redis | RedisCluster, script: str, prefix: str, *args: str | int) -> Any:
    return client.eval(script, 2, ticket_key(prefix), old_ticket_key(prefix), *map(str, args))


def _fingerprint(secret: bytes) -> str:
    return hashlib.sha256(secret).hexdigest()[:12] if secret else ""
