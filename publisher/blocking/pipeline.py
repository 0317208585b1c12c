"""Round trips on connections of redis-py's pool, with commands that are packed already.

redis-py's own way for a command costs a worker more time than the command itself: the pool's lock and its look at the
socket, measurements, a retry object, packing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import redis
from redis.cluster import RedisCluster
from redis.crc import key_slot
from redis.exceptions import AskError, ClusterDownError, ResponseError, TryAgainError

from publisher.redis.versions import opener

TRUST_S: Final = 1.0
"""A connection that was used this recently is taken for alive."""

ELSEWHERE: Final = object()
"""What a Cluster's pipelines answer where redis-py has to find the way."""


class PooledPipeline:
    """Blocking. Any number of threads may share it: each call has a connection for itself.

    ``keep``: a connection is kept for the next call; after a pause it goes back to the pool, which looks whether it
    is still good before it hands it out again. False where the pool is somebody else's.
    """

    def __init__(self, client: redis.Redis, *, keep: bool) -> None:
        self._pool: Any = client.connection_pool
        self._open = opener(self._pool)
        self._keep = keep
        self._idle: deque[tuple[Any, float]] = deque()

    def ask(self, packed: Sequence[bytes]) -> list[Any]:
        """Send packed commands in one go and return a reply or an error reply for each.

        Raises redis-py's errors where the connection failed: any of the commands may have arrived.
        """
        connection = self._take()
        try:
            connection.send_packed_command(packed)
            replies = [_reply(connection) for _ in packed]
        except BaseException:
            # Whatever is still under way on it must not be taken for the next call's answer.
            connection.disconnect()
            self._pool.release(connection)
            raise
        if self._keep:
            self._idle.append((connection, time.monotonic()))
        else:
            self._pool.release(connection)
        return replies

    def _take(self) -> Any:
        try:
            connection, used_at = self._idle.pop()
        except IndexError:
            return self._open()
        if time.monotonic() - used_at < TRUST_S:
            return connection
        self._pool.release(connection)
        self.release()
        return self._open()

    def release(self) -> None:
        """Give all connections that are not in use back to the pool."""
        while True:
            try:
                connection, _ = self._idle.popleft()
            except IndexError:
                return
            self._pool.release(connection)


class ClusterPipelines:
    """The same for a Cluster: one pipeline for each of its primaries, found by the layout that redis-py knows.

    Only redis-py's own way mends that layout. So it is taken after every trouble with a primary, until it has worked
    once for a key of that primary: one that has died is not forgotten because the others answer.
    """

    def __init__(self, client: RedisCluster, *, keep: bool) -> None:
        self._client: Any = client
        self._keep = keep
        self._lines: dict[str, tuple[redis.Redis, PooledPipeline]] = {}
        self._found = False
        self._doubted: set[str] = set()
        """Names of primaries."""

    def ask(self, key: str, packed: bytes) -> Any:
        """The reply to one command for this key, or :data:`ELSEWHERE` where it has to go redis-py's way; then nothing
        has been done yet. Raises redis-py's errors as a pipeline does."""
        node = self._primary(key) if self._found else None
        if node is None or node.name in self._doubted:
            return ELSEWHERE
        try:
            (reply,) = self._line(node).ask((packed,))
        except BaseException:
            self._doubted.add(node.name)
            raise
        if isinstance(reply, AskError | TryAgainError | ClusterDownError):  # MOVED is an AskError too
            self._doubted.add(node.name)
            return ELSEWHERE
        return reply

    def worked(self, key: str) -> None:
        """redis-py's own way has just worked for this key."""
        self._found = True
        node = self._primary(key)
        if node is not None:
            self._doubted.discard(node.name)

    def _primary(self, key: str) -> Any:
        nodes = self._client.nodes_manager.slots_cache.get(slot_of(key))
        return nodes[0] if nodes else None

    def _line(self, node: Any) -> PooledPipeline:
        client = self._client.get_redis_connection(node)
        known = self._lines.get(node.name)
        if known is None or known[0] is not client:
            if known is not None:
                known[1].release()
            known = self._lines[node.name] = client, PooledPipeline(client, keep=self._keep)
        return known[1]

    def release(self) -> None:
        """Give all connections that are not in use back to their pools."""
        for _, line in list(self._lines.values()):
            line.release()


@lru_cache(maxsize=4096)
def slot_of(key: str) -> int:
    """The slot of the Cluster that a key is in."""
    slot: int = key_slot(key.encode())
    return slot


def _reply(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error
