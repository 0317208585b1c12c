"""Replies that came together with another one. redis-py goes the whole way of a reply for each of them."""

from __future__ import annotations

from typing import Any

from redis.exceptions import ResponseError

try:
    from redis._parsers.hiredis import NOT_ENOUGH_DATA
except ImportError:  # an inner part of redis-py
    NOT_ENOUGH_DATA = None


def at_hand(connection: Any, most: int) -> list[Any]:
    """What a connection of redis-py's has in memory behind the reply that was read last: up to ``most`` replies and
    error replies. None of them where redis-py does not read with hiredis, or speaks RESP3, where other things come in
    between; they are to be read in the usual way then."""
    gets = getattr(getattr(getattr(connection, "_parser", None), "_reader", None), "gets", None)
    if gets is None or NOT_ENOUGH_DATA is None or str(getattr(connection, "protocol", "")) != "2":
        return []
    replies: list[Any] = []
    while len(replies) < most and (reply := gets()) is not NOT_ENOUGH_DATA:
        if isinstance(reply, Exception) and not isinstance(reply, ResponseError):
            raise reply
        replies.append(reply)
    return replies
