"""The Lua scripts as they are sent: source and SHA-1. Each is the concatenation of the chunks it needs."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import Final, NamedTuple

from publisher.core.scripts import ScriptName


class LuaScript(NamedTuple):
    """``sha`` is how EVALSHA names a script; ``source`` is what EVAL takes where the server has lost it."""

    source: str
    sha: str


_CHUNKS: Final = {
    ScriptName.PUBLISH: ("append", "plain", "publish"),
    ScriptName.PUBLISH_MANY: ("append", "plain", "publish_many"),
    ScriptName.HUB: ("append", "plain", "hub"),
    ScriptName.JOB: ("append", "owner", "job"),
    ScriptName.OWNER: ("append", "owner", "owner_main"),
    ScriptName.LEASE: ("lease",),
    ScriptName.ANSWER: ("append", "answer", "answer_main"),
    ScriptName.ANSWER_MANY: ("append", "answer", "answer_many"),
    ScriptName.CHAT: ("chat",),
    ScriptName.NODES: ("nodes",),
    ScriptName.POLL: ("poll_keys", "poll"),
    ScriptName.POLL_WATCH: ("poll_keys", "poll_watch"),
}


def _load(chunks: tuple[str, ...]) -> LuaScript:
    folder = files(__name__)
    source = "".join((folder / f"{chunk}.lua").read_text("utf-8") for chunk in chunks)
    return LuaScript(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


_LOADED: Final = {name: _load(chunks) for name, chunks in _CHUNKS.items()}


def lua(name: ScriptName) -> LuaScript:
    """A script's source and SHA-1."""
    return _LOADED[name]
