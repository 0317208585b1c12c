"""Log lines: the action's name first, as text or as JSON objects. Never a token, never without bound.

Every action, its fields and what to do are in ``gateway.logs.actions``.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Iterator
from math import inf
from typing import Any, Final, TextIO

from gateway.logs.records import Line, line_of

MAX_MESSAGE: Final = 8_192
MAX_TRACEBACK: Final = 16_384
FLOOD_LINES: Final = 20
FLOOD_S: Final = 10.0
"""Of one kind of warning, so many lines are written in so many seconds."""
MAX_KINDS: Final = 1_000

_SECRETS: Final = (
    (re.compile(r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*"), "(token)"),
    (re.compile(r"(?<=://)[^/@\s'\"]*@"), "(credentials)@"),
    (re.compile(r"(?<=[\w/])\?[\w.~%-]+=[^\s'\"]*"), "?(query)"),
)
_BROKEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def configure(format: str, level: str, *, actions: bool = True) -> None:
    """Write the lines of the whole process to stderr. ``format`` is text or json. Without ``actions`` text does not
    name them: where all lines are of one library, they say nothing."""
    handler = BoundedHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter(actions))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.captureWarnings(True)
    # What it has to tell of a normal life, the node tells itself.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.WARNING)


class TextFormatter(logging.Formatter):
    """``time level action field=value … words``"""

    def __init__(self, actions: bool = True) -> None:
        super().__init__()
        self._actions = actions

    def format(self, record: logging.LogRecord) -> str:
        said = line_of(record)
        message = _bounded(_cleaned(" ".join(said.shown())))
        action = f"{said.action} " if self._actions else ""
        text = f"{_time(record)} {record.levelname.lower():7} {action}{message}".rstrip()
        traceback = _traceback(record)
        return f"{text}\n{traceback}" if traceback else text


class JsonFormatter(logging.Formatter):
    """One object per line; ``message`` and ``traceback`` only where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        said = line_of(record)
        fields = said.values()
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "action": said.action,
        }
        line.update({name: _cleaned(value) if isinstance(value, str) else value for name, value in fields.items()})
        line.update({"message": _bounded(_cleaned(said.text())), "traceback": _traceback(record)})
        return json.dumps({name: value for name, value in line.items() if name in fields or value})


class Flood:
    """Lets few warnings and errors of one kind through and counts the others: a hostile client cannot fill a disk.
    Lines of lower levels are bounded by what they tell of."""

    def __init__(self) -> None:
        self._kinds: dict[object, tuple[float, int, str]] = {}
        self._looked_at = 0.0

    def admits(self, record: logging.LogRecord) -> bool:
        """Whether to write it."""
        if record.levelno < logging.WARNING:
            return True
        if len(self._kinds) >= MAX_KINDS:
            self._kinds.clear()
        kind = record.msg.action if isinstance(record.msg, Line) else record.msg
        since, count, action = self._kinds.get(kind) or (record.created, 0, line_of(record).action)
        self._kinds[kind] = (since, count + 1, action)
        return count < FLOOD_LINES

    def overdue(self, now: float) -> Iterator[tuple[str, int]]:
        """Actions whose time is over (all of them at infinity), with how many of their lines were kept back; looks once
        a second."""
        if 0 <= now - self._looked_at < 1:
            return
        self._looked_at = now
        for kind, (since, count, action) in list(self._kinds.items()):
            if not 0 <= now - since <= FLOOD_S:
                del self._kinds[kind]
                if count > FLOOD_LINES:
                    yield action, count - FLOOD_LINES


class BoundedHandler(logging.StreamHandler[TextIO]):
    """Writes what :class:`Flood` lets through, and with the next line says what it has kept back."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._flood = Flood()

    def emit(self, record: logging.LogRecord) -> None:
        self._sum_up(record.created)
        if self._flood.admits(record):
            super().emit(record)

    def close(self) -> None:
        """The process ends: no later line will say what was kept back."""
        self._sum_up(inf)
        super().close()

    def _sum_up(self, now: float) -> None:
        for action, count in self._flood.overdue(now):
            line = Line("log.suppressed", {"of": action, "lines": count})
            super().emit(logging.LogRecord("gateway.logs", logging.WARNING, __file__, 0, line, None, None))


def _time(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"


def _bounded(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE] + "…"


def _without_secrets(text: str) -> str:
    for secret, shown in _SECRETS:
        text = secret.sub(shown, text)
    return text


def _cleaned(text: str) -> str:
    return _BROKEN.sub(lambda found: repr(found[0])[1:-1], _without_secrets(text))


def _traceback(record: logging.LogRecord) -> str:
    if not record.exc_info:
        return ""
    return _without_secrets(logging.Formatter().formatException(record.exc_info))[-MAX_TRACEBACK:]
