"""Script calls as the bytes that Redis reads (RESP). Pure.

redis-py packs each argument of each call anew; what a channel's calls have in common is kept here, packed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from publisher.core.requests import Call
from publisher.core.scripts import COMMON, NO_RETRY, Arg, ScriptName
from publisher.redis.scripts import lua

_SIZES: Final = [b"$%d" % size for size in range(512)]
"""The line in front of a part: most are short, and formatting bytes costs more than finding them."""


def evalsha(call: Call) -> bytes:
    """The call by its script's name."""
    args = call.args
    if call.retry_at == NO_RETRY:  # hardly ever the same again: not worth remembering
        return script(lua(call.script).sha, call.keys, args)
    head = _head(call.script, call.keys, args[:COMMON])
    return b"*%d\r\n%b%b" % (3 + len(call.keys) + len(args), head, _packed(args[COMMON:]))


def evaluate(call: Call) -> bytes:
    """The call with its script's source, for a server that has never seen it."""
    return command(("EVAL", lua(call.script).source, len(call.keys), *call.keys, *call.args))


def script(sha: str, keys: Sequence[str], args: Sequence[Arg]) -> bytes:
    """A script by its name, with these keys and arguments."""
    return b"*%d\r\n%b%b" % (3 + len(keys) + len(args), _named(sha, len(keys)), _packed((*keys, *args)))


def command(parts: Sequence[Arg]) -> bytes:
    """Any command."""
    return b"*%d\r\n%b" % (len(parts), _packed(parts))


def packed(calls: Sequence[Call], loaded: bool) -> list[bytes]:
    """Calls that travel together. Where the server may not know a script yet, its first call carries it: a call that
    came back with NOSCRIPT would be overtaken by those behind it."""
    known: set[ScriptName] = set()
    result = []
    for call in calls:
        result.append(evalsha(call) if loaded or call.script in known else evaluate(call))
        known.add(call.script)
    return result


@lru_cache(maxsize=256)
def _named(sha: str, keys: int) -> bytes:
    return _packed(("EVALSHA", sha, keys))


@lru_cache(maxsize=4096)
def _head(name: ScriptName, keys: tuple[str, ...], common: tuple[Arg, ...]) -> bytes:
    return _packed(("EVALSHA", lua(name).sha, len(keys), *keys, *common))


def _packed(parts: Iterable[Arg]) -> bytes:
    packed = []
    for part in parts:
        data = part.encode() if isinstance(part, str) else part if isinstance(part, bytes) else b"%d" % part
        size = len(data)
        packed.append(_SIZES[size] if size < len(_SIZES) else b"$%d" % size)
        packed.append(data)
    packed.append(b"")
    return b"\r\n".join(packed)
