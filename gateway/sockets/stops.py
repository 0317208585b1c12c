"""What is wrong with a request, raised in the parser's calls to make it stop. Pure."""

from __future__ import annotations

from gateway.sockets.allowance import Excess


class ParsingStop(Exception):
    """Their root."""


class TooMuch(ParsingStop):
    """At a request that is larger than allowed."""

    def __init__(self, excess: Excess) -> None:
        super().__init__()
        self.excess = excess


class OtherVersion(ParsingStop):
    """At a request of a version whose answers would have another form."""


class TooEarly(ParsingStop):
    """At a request that does not wait for the answer to the one before."""


class NoRoom(ParsingStop):
    """At a body for which the node has no room."""
