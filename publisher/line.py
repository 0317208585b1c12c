"""Round trips on connections of redis-py's pool, with commands that are packed already.

redis-py's own way for a command costs a worker more time than the command itself: the pool's lock and its look at the
socket, measurements, a retry object, packing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import redis
import redis.asyncio
from redis.exceptions import ResponseError

TRUST_S: Final = 1.0
"""A connection that was used this recently is taken for alive."""


class Line:
    """Blocking. Any number of threads may share it: each call has a connection for itself.

    ``keep``: a connection is kept for the next call; after a pause it goes back to the pool, which looks whether it
    is still good before it hands it out again. False where the pool is somebody else's.
    """

    def __init__(self, client: redis.Redis, *, keep: bool) -> None:
        self._pool: Any = client.connection_pool
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
            return self._pool.get_connection()
        if time.monotonic() - used_at < TRUST_S:
            return connection
        self._pool.release(connection)
        self.release()
        return self._pool.get_connection()

    def release(self) -> None:
        """Give all connections that are not in use back to the pool."""
        while True:
            try:
                connection, _ = self._idle.popleft()
            except IndexError:
                return
            self._pool.release(connection)


def _reply(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error


class AsyncLine:
    """The same for asyncio. Calls mostly travel many at a time, so that it does not pay to keep a connection."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._pool: Any = client.connection_pool

    async def ask(self, packed: Sequence[bytes]) -> list[Any]:
        """Send packed commands in one go and return a reply or an error reply for each."""
        connection = await self._pool.get_connection()
        try:
            await connection.send_packed_command(packed)
            return [await _reply_soon(connection) for _ in packed]
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        finally:
            await self._pool.release(connection)


async def _reply_soon(connection: Any) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error
