"""JSON values on their way out: one line of UTF-8 text, with errors that are sentences."""

from __future__ import annotations

import math
from typing import Any

import orjson

from publisher.exceptions import EventTooLarge


def dump(value: object, what: str = "data") -> bytes:
    """``value`` as JSON text without line breaks. Raises ``ValueError`` where it is not a JSON value."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise ValueError(f"The {what} cannot be written as JSON: {error}.") from None


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
    return dump(value, what)


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
