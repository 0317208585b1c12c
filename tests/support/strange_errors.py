"""Exceptions that will not be told: what they are asked for raises in turn, whatever it likes."""

from __future__ import annotations


class StrangeError(Exception):
    """``str()`` of it raises what it was made with."""

    def __str__(self) -> str:
        raise self.args[0]

    __repr__ = __str__


class PanicError(BaseException):
    """As libraries in Rust raise it: no ``Exception``."""


def strange_errors() -> list[BaseException]:
    """One of each kind, made anew: what ``except Exception`` catches, and what it does not."""
    return [StrangeError(kind("no words")) for kind in (RuntimeError, SystemExit, KeyboardInterrupt, PanicError)]
