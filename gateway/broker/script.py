"""A Lua script of the node's, by its text and its SHA-1."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.resources import files


class Script:
    """The concatenation of chunks; called by its SHA-1, and sent along where the server does not know it (``EVAL``;
    ``SCRIPT`` is not there for everybody). ``shared`` are chunks of the publisher's, which come first."""

    def __init__(self, *chunks: str, shared: Sequence[str] = ()) -> None:
        self.text = "".join(
            [
                *(_chunk("publisher.redis.scripts", name) for name in shared),
                *(_chunk("gateway.broker.scripts", name) for name in chunks),
            ]
        )
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


def _chunk(room: str, name: str) -> str:
    package, _, folder = room.rpartition(".")
    return files(package).joinpath(folder).joinpath(f"{name}.lua").read_text("utf-8")
