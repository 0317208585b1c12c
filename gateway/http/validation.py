"""Reading what comes from outside: JSON objects, whose fields are known, of their type, and there if they must be; and
``?limit=``. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, NamedTuple

from gateway.exceptions import BadRequest

MAX_QUOTED: Final = 60
"""How much of a name that somebody made up is repeated in an error."""


class JsonKind(NamedTuple):
    """A type of JSON value: how an error names it, and whether a value is one."""

    name: str
    fits: Callable[[object], bool]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


TEXT: Final = JsonKind("text", lambda value: isinstance(value, str))
NUMBER: Final = JsonKind("a number", _is_number)
OBJECT: Final = JsonKind("an object", lambda value: isinstance(value, dict))
LIST: Final = JsonKind("a list", lambda value: isinstance(value, list))
ANY: Final = JsonKind("any JSON value", lambda value: True)


def fields(what: str, value: object, known: Mapping[str, JsonKind], required: Collection[str] = ()) -> dict[str, Any]:
    """The fields of ``value``; ``what`` names it in errors ("The body").

    A field that is null counts as left out, except where any JSON value may stand. Raises :class:`BadRequest`.
    """
    if not isinstance(value, dict):
        raise BadRequest(f"{what} must be an object with {_list(known)}, not {_kind_of(value)}.")
    for name in value:
        if name not in known:
            raise BadRequest(f"{what} has an unknown field {quoted(name)}; {_hint(name, known)}")
    given = {name: content for name, content in value.items() if content is not None or known[name] is ANY}
    for name in required:
        if name not in given:
            raise BadRequest(f"{what} needs the field {name}.")
    for name, content in given.items():
        if not known[name].fits(content):
            raise BadRequest(f"{what}: {name} must be {known[name].name}, not {_kind_of(content)}.")
    return given


def listed(text: str | None, usual: int, most: int) -> int:
    """How many rows ``?limit=`` asks for; ``usual`` where it is left out. Raises :class:`BadRequest`."""
    if text is None:
        return usual
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= most):
        raise BadRequest(f"limit must be a whole number from 1 to {most}.")
    return int(text)


def quoted(name: str) -> str:
    """Somebody's text for an error: on one line and not at any length."""
    shown = name if len(name) <= MAX_QUOTED else name[:MAX_QUOTED] + "…"
    return repr(shown)


def _hint(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name[:MAX_QUOTED], known, n=1, cutoff=0.7)
    return f"did you mean {close[0]}? Known are {_list(known)}." if close else f"known are {_list(known)}."


def _list(names: Collection[str]) -> str:
    return ", ".join(names)


def _kind_of(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    return next(kind.name for kind in (TEXT, NUMBER, OBJECT, LIST, ANY) if kind.fits(value))
