"""The topic on which nodes tell who is online: its name, its words, and that they are nobody else's."""

from __future__ import annotations

from typing import Final

from publisher.channels import PRESENCE

JOINED: Final = "presence.joined"
LEFT: Final = "presence.left"
RESET: Final = "presence.reset"
"""More was waiting than is kept, so that some is lost: ask ``/v1/clients``."""


def check_foreign(channel: str) -> None:
    """Raise ``ValueError`` for an event among the nodes' own words about who is online: it could pass for one of them,
    or take the id of one, which would then not be told."""
    if channel == PRESENCE:
        raise ValueError(f"On {PRESENCE} only the nodes speak; use another topic.")
