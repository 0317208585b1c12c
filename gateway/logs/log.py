"""How the node writes its log: an action, its fields, and perhaps words."""

from __future__ import annotations

import logging
from typing import Final

from gateway.logs.records import Line


def is_told(failures: int) -> bool:
    """Whether this one of many failures in a row gets a line: so many came before it."""
    return failures in (0, 10, 100) or failures % 1000 == 0


class Log:
    """``log.info("node.draining", streams=3, window_s=10.0)``.

    Actions and their fields are rows of ``gateway.logs.actions``. ``words`` may be any object, such as an error. Texts
    are made only of what is written: a call below the level costs its arguments and nothing else.
    """

    def __init__(self, name: str) -> None:
        self._logger: Final = logging.getLogger(name)

    def debug(self, action: str, *, words: object = "", **fields: object) -> None:
        self._write(logging.DEBUG, action, words, fields)

    def info(self, action: str, *, words: object = "", **fields: object) -> None:
        self._write(logging.INFO, action, words, fields)

    def warning(self, action: str, *, words: object = "", **fields: object) -> None:
        self._write(logging.WARNING, action, words, fields)

    def exception(self, action: str, *, words: object = "", **fields: object) -> None:
        """An error, with the traceback of the exception that is being handled."""
        self._write(logging.ERROR, action, words, fields, traceback=True)

    def at(self, level: int, action: str, *, words: object = "", **fields: object) -> None:
        """Where the level is not the same each time."""
        self._write(level, action, words, fields)

    def _write(
        self, level: int, action: str, words: object, fields: dict[str, object], *, traceback: bool = False
    ) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, Line(action, fields, words), exc_info=traceback, stacklevel=3)
