"""A log record taken apart: its action, its fields with their types, and the words that are left. Pure.

A message is written as ``log.info("stream.opened connection=%s dialect=%s", …)``: the action first, then fields, then
perhaps words. What is a field is told by the template alone, so that no value can pass for another field.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

ACTION: Final = re.compile(r"([a-z]+(?:\.[a-z_]+)+)(?:[ :]+|$)")
FIELD: Final = re.compile(r"(?P<name>[a-z_]+)=(?P<format>%[-+ #0]*\d*(?:\.\d+)?[a-zA-Z])(?:[ :]+|$)")
_PLACE: Final = re.compile(r"%[-+ #0]*\d*(?:\.\d+)?[a-zA-Z]|%%")
MAX_VALUE: Final = 1_024
"""Characters of one value; a field's number is bounded by its template."""

_FOREIGN: Final = {
    "uvicorn": "http.message",
    "asyncio": "loop.message",
    "publisher": "publisher.message",
    "py": "python.warning",
}

Value = str | int | float | bool | None


class Parts(NamedTuple):
    """``words`` is what remains of the message beside action and fields."""

    action: str
    fields: Mapping[str, Value]
    words: str


def take_apart(record: logging.LogRecord) -> Parts:
    """The parts of a record; of one that names no action, the action is told by who wrote it."""
    template = record.msg if isinstance(record.msg, str) else ""
    found = ACTION.match(template)
    if found is None or not isinstance(record.args, tuple):
        return Parts(_foreign_action(record.name), {}, record.getMessage())
    fields: dict[str, Value] = {}
    words: list[str] = []
    waiting = list(record.args)
    at = found.end()
    while at < len(template):
        field = FIELD.match(template, at)
        if field:
            fields[field["name"]] = _value(waiting.pop(0), field["format"])
            at = field.end()
            continue
        place = _PLACE.match(template, at)
        if place is None:
            words.append(template[at])
            at += 1
            continue
        words.append("%" if place[0] == "%%" else place[0] % waiting.pop(0))
        at = place.end()
    return Parts(found[1], fields, "".join(words).strip())


def _foreign_action(logger: str) -> str:
    return _FOREIGN.get(logger.partition(".")[0], "library.message")


def _value(value: Any, format: str) -> Value:
    """Numbers stay numbers, rounded as the text shows them."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return float(format % value) if format[-1] in "fgd" else value
    text = str(value)
    return text if len(text) <= MAX_VALUE else text[:MAX_VALUE] + "…"
