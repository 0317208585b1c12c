"""JSON values on their way out: one line of UTF-8 text, with errors that are sentences."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import json
import math
import operator
import re
from collections.abc import Iterable
from functools import partial
from typing import Any, Final

import orjson

from publisher import channels
from publisher.exceptions import EventTooLarge

ROUNDING: Final = 1e-6
"""Share of a range by which a sum of rounded steps may lie beyond it."""
MAX_INTEGER: Final = 2**63 - 1
MAX_DEPTH: Final = 32
"""Levels of arrays and objects. Deeper text could not be put into an event once more by every reader."""

# Possessive and without a required end: linear also for a megabyte of quotes and backslashes.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_MOST_DIGITS: Final = 20
_MANY_DIGITS: Final = re.compile(rb"[0-9]{19}")
_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


def dump(value: object, what: str = "data") -> bytes:
    """``value`` as JSON text without line breaks. Raises ``ValueError`` where it is not a JSON value."""
    try:
        text = orjson.dumps(value, _float)
    except orjson.JSONEncodeError as error:
        text = _with_names(value, what, error)
    if b"null" in text and not _finite(value):
        raise ValueError(f"The {what} holds a number that JSON does not know: NaN or an infinity.")
    if too_deep(text):
        raise ValueError(f"The {what} nests arrays and objects more than {MAX_DEPTH} levels deep; flatten it.")
    return text


def _float(value: object) -> float:
    """What orjson asks about a value that it does not know."""
    if isinstance(value, float):  # a subclass
        return float(value)
    raise TypeError(f"Type is not JSON serializable: {type(value).__name__}")


def _with_names(value: object, what: str, error: Exception) -> bytes:
    """Where only subclasses of ``str`` as names in an object were in the way, the JSON text all the same."""
    try:
        if _names_are_text(value):
            return orjson.dumps(value, _float, orjson.OPT_NON_STR_KEYS)
    except Exception:  # what a value answers is its own code: a proxy that stands for nothing, for one
        pass
    raise ValueError(f"The {what} cannot be written as JSON: {error}.") from None


def _names_are_text(value: object) -> bool:
    if isinstance(value, dict) and not all(isinstance(name, str) for name in value):
        return False
    return all(map(_names_are_text, _parts(value)))


def _finite(value: object) -> bool:
    """Whether no number in a value is NaN or infinite; orjson would write null for it without a word."""
    if isinstance(value, float):
        return math.isfinite(value)
    return all(map(_finite, _parts(value)))


def _parts(value: object) -> Iterable[object]:
    """What a value is made of, as orjson looks into it."""
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, list | tuple):
        return value
    if isinstance(value, enum.Enum):
        return (value.value,)
    if dataclasses.is_dataclass(value):
        named = {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
        found = {**named, **getattr(value, "__dict__", {})}
        return [part for name, part in found.items() if not name.startswith("_")]
    return ()


def too_deep(text: bytes) -> bool:
    """Whether JSON text nests deeper than :data:`MAX_DEPTH`; of broken text nothing is said, its parser refuses it."""
    if text.count(b"[") + text.count(b"{") <= MAX_DEPTH:
        return False
    brackets = _STRING.sub(b"", text).translate(_ONE_KIND, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        outer = brackets.replace(b"[]", b"")  # takes away the innermost level, everywhere
        if len(outer) == len(brackets):
            break
        brackets = outer
    return b"[]" in brackets or brackets.count(b"[") > MAX_DEPTH


def check_size(size: int, limit: int) -> None:
    """Raise :class:`EventTooLarge` where ``size`` bytes of JSON are more than ``limit``."""
    if size > limit:
        raise EventTooLarge(size, limit)


def number(value: object, what: str, low: float = -math.inf, high: float = math.inf) -> bytes:
    """A finite number within a range as JSON. What rounding puts beyond the range (1e-6 of it) is clamped."""
    found = real(value, what)
    if not low <= found <= high:  # also NaN
        slack = ROUNDING * (high - low)
        if not low - slack <= found <= high + slack:
            raise ValueError(f"{what} must be a finite number from {low:g} to {high:g}, not {shown(found)}.")
        found = min(max(found, low), high)
    fits = math.isfinite(found) if isinstance(found, float) else -MAX_INTEGER <= found <= MAX_INTEGER
    if not fits:
        raise ValueError(f"{what} must be a finite number that fits into 64 bits, not {shown(found)}.")
    whole = isinstance(found, float) and found.is_integer() and abs(found) < 2**53
    return dump(int(found) if whole else found, what)


def real(value: object, what: str) -> int | float:
    """Anything that is a number (``__index__``, else ``__float__``: numpy's, Decimal, Fraction) as one of Python's own.

    Raises ``ValueError`` for everything else, ``True`` among it: it is a slip, not a number.
    """
    kind = type(value)
    if kind is int or kind is float:
        return value  # type: ignore[return-value]
    if not isinstance(value, bool) and kind.__name__ != "bool_" and kind.__name__ != "bool":
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            if hasattr(kind, "__index__"):
                return operator.index(value)  # type: ignore[arg-type]
            if hasattr(kind, "__float__"):
                return float(value)  # type: ignore[arg-type]
    raise ValueError(f"{what} must be a number, not {kind.__name__}.")


def shown(value: float) -> str:
    """A number in an error's words, however long it is."""
    return "a number of that size" if isinstance(value, int) and abs(value) >= 10**20 else str(value)


def text(value: object, what: str) -> bytes:
    """Text as JSON."""
    if not isinstance(value, str):
        raise ValueError(f"{what} must be text, not {type(value).__name__}.")
    return dump(channels.plain(value), what)


def mapping(value: object, what: str) -> bytes:
    """A JSON object."""
    if not isinstance(value, dict):
        raise ValueError(f"{what} must be a dict, not {type(value).__name__}.")
    return dump(value, what)


def load(value: bytes) -> Any:
    return orjson.loads(value)


def check_integers(text: bytes, what: str) -> None:
    """Raise ``ValueError`` for integers beyond 64 bits in JSON text: they would silently become other numbers."""
    if _MANY_DIGITS.search(text):
        # Broken and deep text is told with better words.
        with contextlib.suppress(json.JSONDecodeError, UnicodeDecodeError, RecursionError):
            json.loads(text, parse_int=partial(_check_integer, what))


def _check_integer(what: str, digits: str) -> None:
    if len(digits) > _MOST_DIGITS or not -(2**63) <= int(digits) < 2**64:
        raise ValueError(f"A number in the {what} is an integer beyond 64 bits; send it as text.")


_PLAIN_STARTS: Final = frozenset(bytes([char]) for char in b'"-0123456789tfn')
"""With these begins what has nothing within: most fields of a state."""


def load_stored(value: bytes) -> Any:
    """What somebody stored as JSON, or None where it is not, or too deep to be passed on."""
    if value[:1] not in _PLAIN_STARTS and too_deep(value):
        return None
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
