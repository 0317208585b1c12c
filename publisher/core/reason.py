"""What an exception says of itself, for a job or a line of the log. It is somebody else's code, and may do anything."""

from __future__ import annotations

from typing import Final

from publisher import channels

MAX_REASON: Final = 2000
"""Characters of an exception's message that go into a failed job."""


def reason(error: BaseException) -> str:
    """An exception's message as a job's error: never too long, never unprintable, never empty. That of a ``KeyError``
    is only a key, and so its name stands before it."""
    name, said = type(error).__name__, words(error)
    if said and _says_a_key(error):
        said = f"{name}: {said}"
    return said[:MAX_REASON].encode("utf-8", "replace").decode() or name


def words(error: BaseException) -> str:
    """All that it says; nothing where it cannot."""
    try:
        return channels.plain(str(error.args[0] if _says_a_key(error) else error))
    except BaseException:  # whatever it is, it must not stand in for the exception that is being told
        return ""


def _says_a_key(error: BaseException) -> bool:
    """Whether its text would be the key in quotes."""
    return type(error).__str__ is KeyError.__str__ and len(error.args) == 1
