"""What loops say where they should say ``ConnectionError``: a connection was closed just before it was written to."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Final

from redis.exceptions import ConnectionError

_LOOPS_SAY: Final = (
    "the handler is closed",  # uvloop: a RuntimeError
    "has no attribute '_add_writer'",  # asyncio of Python 3.12 and 3.13: an AttributeError
)


class closed_is_connection_error(AbstractContextManager[None]):
    """Raise ``redis.exceptions.ConnectionError`` in place of what the loop raises.

    redis-py passes that on, so that a connection that broke a moment ago would look like a mistake in the program and
    nobody would try again.
    """

    __slots__ = ()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, RuntimeError | AttributeError) and any(words in str(error) for words in _LOOPS_SAY):
            raise ConnectionError("The connection was closed before the call was written.") from error
