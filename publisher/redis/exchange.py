"""What both transports share: how replies belong to calls, and which connections a client has besides its own. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from redis.exceptions import ResponseError

from publisher.core.bundles import Bundle
from publisher.core.requests import ReadCommand, ReadJob

Result: TypeAlias = Any
"""A reply, or the error that one call of a batch ended with."""

IN_ONE_GO: Final = 64
"""Bundles in one round trip: their replies wait in the server's memory."""


def spread(count: int, packs: Sequence[Bundle], replies: Sequence[Any]) -> list[Result]:
    """What each of ``count`` calls was answered, from the replies to the bundles that they travelled in."""
    results: list[Result] = [None] * count
    for pack, reply in zip(packs, replies, strict=True):
        for index, result in zip(pack.indexes, pack.results(reply), strict=True):
            results[index] = result
    return results


def sentinels(client: Any) -> list[Any]:
    """The clients that a Sentinel's client asks for the primary; nobody else closes them."""
    manager = getattr(getattr(client, "connection_pool", None), "sentinel_manager", None)
    return list(manager.sentinels) if manager is not None else []


def read(client: Any, request: ReadJob | ReadCommand) -> Any:
    """Ask with a client of either kind; what comes back is a reply, or has to be awaited."""
    if isinstance(request, ReadCommand):
        return client.execute_command(*request.command)
    if not request.fields:
        return client.hgetall(request.key)
    return client.hmget(request.key, request.fields)


def nothing_there(request: ReadJob | ReadCommand, error: ResponseError) -> Any:
    """What a read is answered that was refused with ``error``: that there is no job where the key is of another type.
    Raises all other errors."""
    if isinstance(request, ReadJob) and str(error).startswith("WRONGTYPE"):
        return [None] * len(request.fields) or {}
    raise error
