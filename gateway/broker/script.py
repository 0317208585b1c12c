"""A Lua script of the node's, by its text and its SHA-1."""

from __future__ import annotations

import hashlib
from importlib.resources import files


class Script:
    """The concatenation of chunks; called by its SHA-1, and sent along where the server does not know it (``EVAL``;
    ``SCRIPT`` is not there for everybody)."""

    def __init__(self, *chunks: str) -> None:
        folder = files("gateway.broker").joinpath("scripts")
        self.text = "".join(folder.joinpath(f"{name}.lua").read_text("utf-8") for name in chunks)
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
