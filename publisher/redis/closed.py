"""What loops say where they should say ``ConnectionError``: a connection was closed just before it was written to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from redis.exceptions import ConnectionError

_LOOPS_SAY: Final = (
    "the handler is closed",  # uvloop: a RuntimeError
    "has no attribute '_add_writer'",  # asyncio of Python 3.12 and 3.13: an AttributeError
)


@contextmanager
def closed_is_connection_error() -> Iterator[None]:
    """Raise ``redis.exceptions.ConnectionError`` in place of what the loop raises.

    redis-py passes that on, so that a connection that broke a moment ago would look like a mistake in the program and
    nobody would try again.
    """
    try:
        yield
    except (RuntimeError, AttributeError) as error:
        if not any(words in str(error) for words in _LOOPS_SAY):
            raise
        raise ConnectionError("The connection was closed before the call was written.") from error
