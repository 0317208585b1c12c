"""What uvloop says where asyncio says ``ConnectionError``: a connection was closed just before it was written to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from redis.exceptions import ConnectionError

_UVLOOP_SAYS: Final = "the handler is closed"


@contextmanager
def closed_is_connection_error() -> Iterator[None]:
    """Raise ``redis.exceptions.ConnectionError`` in place of uvloop's ``RuntimeError``.

    redis-py passes that one on, so that a connection that broke a moment ago would look like a mistake in the program
    and nobody would try again.
    """
    try:
        yield
    except RuntimeError as error:
        if _UVLOOP_SAYS not in str(error):
            raise
        raise ConnectionError("The connection was closed before the call was written.") from error
