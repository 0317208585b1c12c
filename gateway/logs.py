"""Log lines: one per line, the action's name first, as text or as JSON objects. Never a token, never without bound.

A message begins with a stable action name ("stream.open connection=…"), so that lines can be searched and counted.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from typing import Final, NamedTuple

MAX_MESSAGE: Final = 8_192
MAX_TRACEBACK: Final = 16_384
FLOOD_LINES: Final = 20
FLOOD_S: Final = 10.0
"""Of one kind of warning, so many lines are written in so many seconds."""
MAX_KINDS: Final = 1_000

_ACTION = re.compile(r"([a-z]+(?:\.[a-z_]+)+)(?: +|$)")
_JWT = re.compile(r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*")
_BROKEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Line(NamedTuple):
    """A record, taken apart. ``action`` is its logger's name where the message begins with none."""

    time: str
    level: str
    logger: str
    action: str
    message: str
    traceback: str


def configure(format: str, level: str) -> None:
    """Write the lines of the whole process to stderr. ``format`` is text or json."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    handler.addFilter(FloodFilter())
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    # What it has to tell of a normal life, the node tells itself.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def split(record: logging.LogRecord) -> Line:
    """The parts of a line, with whatever looks like a token taken out and control characters made visible."""
    message = _cleaned(record.getMessage())
    if len(message) > MAX_MESSAGE:
        message = message[:MAX_MESSAGE] + "…"
    found = _ACTION.match(message)
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return Line(
        time=f"{seconds}.{int(record.msecs):03d}Z",
        level=record.levelname.lower(),
        logger=record.name,
        action=found[1] if found else record.name,
        message=message[found.end() :] if found else message,
        traceback=_traceback(record),
    )


class TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = split(record)
        text = f"{line.time} {line.level:7} {line.action} {line.message}".rstrip()
        return f"{text}\n{line.traceback}" if line.traceback else text


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = split(record)._asdict()
        if not fields["traceback"]:
            del fields["traceback"]
        return json.dumps(fields)


class FloodFilter(logging.Filter):
    """Lets few warnings and errors of one kind through and says how many it kept back: a hostile client cannot fill
    a disk. Lines of lower levels are bounded by what they tell of."""

    def __init__(self) -> None:
        super().__init__()
        self._kinds: dict[object, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        kind = record.msg
        since, count = self._kinds.get(kind, (record.created, 0))
        if record.created - since > FLOOD_S:
            if count > FLOOD_LINES:
                record.msg = f"{record.msg} (and {count - FLOOD_LINES} more like it)"
            since, count = record.created, 0
        if len(self._kinds) >= MAX_KINDS:
            self._kinds.clear()
        self._kinds[kind] = (since, count + 1)
        return count < FLOOD_LINES


def _cleaned(text: str) -> str:
    return _BROKEN.sub(lambda found: repr(found[0])[1:-1], _JWT.sub("(token)", text))


def _traceback(record: logging.LogRecord) -> str:
    if not record.exc_info:
        return ""
    return _JWT.sub("(token)", logging.Formatter().formatException(record.exc_info))[-MAX_TRACEBACK:]
