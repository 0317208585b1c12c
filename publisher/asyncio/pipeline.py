"""Round trips on connections of redis-py's pool, with commands that are packed already: see the blocking one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis.asyncio
from redis.exceptions import ResponseError

from publisher.redis.at_hand import at_hand
from publisher.redis.versions import opener


class AsyncPooledPipeline:
    """Any number of tasks may share it. Calls mostly travel many at a time, so that it does not pay to keep a
    connection between them."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._pool: Any = client.connection_pool
        self._open = opener(self._pool)

    async def ask(self, packed: Sequence[bytes]) -> list[Any]:
        """Send packed commands in one go and return a reply or an error reply for each."""
        connection = await self._open()
        try:
            await connection.send_packed_command(packed)
            replies: list[Any] = []
            while len(replies) < len(packed):
                replies.append(await _reply(connection))
                replies += at_hand(connection, len(packed) - len(replies))
        except GeneratorExit:
            raise  # the loop is closed, and the connection with it
        except BaseException:
            await connection.disconnect(nowait=True)
            await self._pool.release(connection)
            raise
        await self._pool.release(connection)
        return replies


async def _reply(connection: Any) -> Any:
    try:
        return await connection.read_response(disconnect_on_error=False)  # its caller does so
    except ResponseError as error:
        return error
