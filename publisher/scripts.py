"""The Lua scripts as they are sent: source and SHA-1. Each is the concatenation of the chunks it needs."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import Final, NamedTuple


class Script(NamedTuple):
    """One script. ``sha`` is how EVALSHA names it; ``source`` is what EVAL takes where the server has lost it."""

    name: str
    source: str
    sha: str


def _load(name: str, *chunks: str) -> Script:
    folder = files("publisher") / "scripts"
    source = "".join((folder / f"{chunk}.lua").read_text("utf-8") for chunk in chunks)
    return Script(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


PUBLISH: Final = _load("publish", "append", "plain", "publish")
PUBLISH_MANY: Final = _load("publish_many", "append", "plain", "publish_many")
JOB: Final = _load("job", "append", "owner", "job")
OWNER: Final = _load("owner", "append", "owner", "owner_main")
NODES: Final = _load("nodes", "nodes")
