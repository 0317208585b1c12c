"""What a log line says: its action, its fields with their types, and words. Pure.

The node's own lines come as :class:`Line` and are never taken apart from text, so that no value can pass for a field.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MAX_VALUE: Final = 1_024
"""Characters of one value; a field's number is bounded by its type."""

_FOREIGN: Final = {
    "uvicorn": "http.message",
    "asyncio": "loop.message",
    "publisher": "publisher.message",
    "py": "python.warning",
}

Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Line:
    """The message of a record. ``words`` is what there is to say beside action and fields."""

    action: str
    fields: Mapping[str, object]
    words: object = ""

    def __str__(self) -> str:
        """As a handler of somebody else's shows it."""
        return " ".join([self.action, *self.shown()]).rstrip()

    def shown(self) -> list[str]:
        """``name=value`` for each field, then the words."""
        return [*(f"{name}={_text(value)}" for name, value in self.values().items()), self.text()]

    def text(self) -> str:
        """The words."""
        return str(self.words).strip()

    def values(self) -> dict[str, Value]:
        """The fields as they are written: numbers stay numbers, texts are bounded."""
        return {name: _value(value) for name, value in self.fields.items()}


def line_of(record: logging.LogRecord) -> Line:
    """What a record says; of one of a library, the action is told by who wrote it."""
    if isinstance(record.msg, Line):
        return record.msg
    return Line(_FOREIGN.get(record.name.partition(".")[0], "library.message"), {}, record.getMessage())


def _value(value: object) -> Value:
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    return text if len(text) <= MAX_VALUE else text[:MAX_VALUE] + "…"


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
