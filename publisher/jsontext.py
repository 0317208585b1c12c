"""JSON values on their way out: one line of UTF-8 text, with errors that are sentences."""

from __future__ import annotations

import math
import re
from typing import Any, Final

import orjson

from publisher.exceptions import EventTooLarge

MAX_DEPTH: Final = 32
"""Levels of arrays and objects. Deeper text could not be put into an event once more by every reader."""

# Possessive and without a required end: linear also for a megabyte of quotes and backslashes.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


def dump(value: object, what: str = "data") -> bytes:
    """``value`` as JSON text without line breaks. Raises ``ValueError`` where it is not a JSON value."""
    try:
        text = orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise ValueError(f"The {what} cannot be written as JSON: {error}.") from None
    if b"null" in text and not _finite(value):
        raise ValueError(f"The {what} holds a number that JSON does not know: NaN or an infinity.")
    if too_deep(text):
        raise ValueError(f"The {what} nests arrays and objects more than {MAX_DEPTH} levels deep; flatten it.")
    return text


def _finite(value: object) -> bool:
    """Whether no number in a value is NaN or infinite; orjson would write null for it without a word."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_finite, value))
    return True


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
    """A finite number within a range as JSON. ``True`` is refused: it is a slip, not a percentage."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{what} must be a number, not {type(value).__name__}.")
    if not math.isfinite(value) or not low <= value <= high:
        limits = f" from {low:g} to {high:g}" if math.isfinite(low) else ""
        raise ValueError(f"{what} must be a finite number{limits}, not {value}.")
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**53
    return dump(int(value) if whole else value, what)


def text(value: object, what: str) -> bytes:
    """Text as JSON."""
    if not isinstance(value, str):
        raise ValueError(f"{what} must be text, not {type(value).__name__}.")
    return dump(value, what)


def mapping(value: object, what: str) -> bytes:
    """A JSON object."""
    if not isinstance(value, dict):
        raise ValueError(f"{what} must be a dict, not {type(value).__name__}.")
    return dump(value, what)


def load(value: bytes) -> Any:
    return orjson.loads(value)


def load_stored(value: bytes) -> Any:
    """What somebody stored as JSON, or None where it is not, or too deep to be passed on."""
    if too_deep(value):
        return None
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
