"""The topic on which nodes tell who is online: its name, its words, and that they are nobody else's."""

from __future__ import annotations

from typing import Final

CHANNEL: Final = "topic:presence"
"""Who may read it is stricter than for other topics (``gateway.access``)."""
OWN_TYPES: Final = "presence."
"""Beginning of the types that only nodes may use there."""
JOINED: Final = "presence.joined"
LEFT: Final = "presence.left"
RESET: Final = "presence.reset"
"""More was waiting than is kept, so that some is lost: ask ``/v1/clients``."""


def check_foreign(channel: str, type: str) -> None:
    """Raise ``ValueError`` for an event that would pass for the nodes' own word about who is online."""
    if channel == CHANNEL and type.startswith(OWN_TYPES):
        raise ValueError(f"The type {type} is one of the nodes' own words on {CHANNEL}; use another name.")
