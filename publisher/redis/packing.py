"""Script calls as the bytes that Redis reads (RESP). Pure.

redis-py packs each argument of each call anew; what a channel's calls have in common is kept here, packed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from publisher.core.requests import Call
from publisher.core.scripts import COMMON, NO_RETRY, Arg, ScriptName
from publisher.redis.scripts import lua


def evalsha(call: Call) -> bytes:
    """The call by its script's name."""
    args = call.args
    if call.retry_at == NO_RETRY:  # hardly ever the same again: not worth remembering
        return command(("EVALSHA", lua(call.script).sha, len(call.keys), *call.keys, *args))
    head = _head(call.script, call.keys, args[:COMMON])
    return b"*%d\r\n%b%b" % (3 + len(call.keys) + len(args), head, _packed(args[COMMON:]))


def evaluate(call: Call) -> bytes:
    """The call with its script's source, for a server that has never seen it."""
    return command(("EVAL", lua(call.script).source, len(call.keys), *call.keys, *call.args))


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


@lru_cache(maxsize=4096)
def _head(script: ScriptName, keys: tuple[str, ...], common: tuple[Arg, ...]) -> bytes:
    return _packed(("EVALSHA", lua(script).sha, len(keys), *keys, *common))


def _packed(parts: Iterable[Arg]) -> bytes:
    packed = []
    for part in parts:
        data = part.encode() if isinstance(part, str) else part if isinstance(part, bytes) else b"%d" % part
        packed.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(packed)
