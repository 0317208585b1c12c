"""What a publisher asks Redis for. ``docs/reference/wire-format.md`` describes the same for other languages. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

from publisher.core.scripts import Arg, ScriptName


class Call(NamedTuple):
    """One script call. Repeating it with :meth:`again` appends nothing that is there already."""

    script: ScriptName
    keys: tuple[str, ...]
    args: tuple[Arg, ...]
    retry_at: int

    def again(self) -> Call:
        """The same call, marked as a repetition; one that has no place for the mark only reads."""
        if self.retry_at < 0:
            return self
        args = self.args
        return self._replace(args=(*args[: self.retry_at], "1", *args[self.retry_at + 1 :]))


class ReadJob(NamedTuple):
    """Read a job's state hash, or some fields of it."""

    key: str
    fields: tuple[str, ...] = ()


class ReadCommand(NamedTuple):
    """A command that only reads."""

    command: tuple[str | int, ...]


_POLLING: Final = {ScriptName.POLL: "The turn of a poller", ScriptName.POLL_WATCH: "A job to be polled"}

Request: TypeAlias = Call | ReadJob | ReadCommand
"""What one try against Redis answers."""


class SendMany(NamedTuple):
    """Calls that travel together; answered with a reply or an error for each."""

    calls: Sequence[Call]


class Repair(NamedTuple):
    """Drop the connections that an error has shown to be useless."""

    error: BaseException


class Pause(NamedTuple):
    """Wait before the next try."""

    seconds: float


Effect: TypeAlias = Request | SendMany | Repair | Pause
"""What a flow may ask its driver for."""


def what(request: Request) -> str:
    """A request in an error's words."""
    if isinstance(request, Call) and request.script in _POLLING:
        return _POLLING[request.script]
    return "A job's step" if isinstance(request, Call) and request.retry_at >= 0 else "A read"
