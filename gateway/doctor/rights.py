"""Whether the user of the Redis URL may do what nodes and publishers do: tried out, on keys of its own."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from redis import Redis
from redis.exceptions import ResponseError

from gateway.doctor.finding import Finding, ok, problem
from gateway.store import Script
from publisher.channels import pubsub_name

CHECK: Final = "rights"
LOOP: Final = "pub/sub"
ROUND_TRIP_S: Final = 3.0
_DENIED: Final = ("permission", "can't run")
_SCRIPTED: Final = (
    *("del", "exists", "expire", "get", "hdel", "hexists", "hget", "hgetall", "hincrby", "hlen", "hmget", "hscan"),
    *("hset", "pexpire", "rename", "set", "time", "unlink", "xadd", "xdel", "xlen", "xrange", "xrevrange", "xtrim"),
    *("zadd", "zcount", "zrange", "zrangebyscore", "zrem", "zremrangebyrank", "zremrangebyscore", "zscan", "zscore"),
)
_PLAIN: Final = ("ping", "client|setname", "eval", "evalsha", "script|load")
_SINGLE: Final = ("publish", "subscribe", "unsubscribe")
_CLUSTER: Final = (
    *("spublish", "ssubscribe", "sunsubscribe"),
    # What redis-py asks a Cluster for when it connects.
    *("command", "cluster|slots", "cluster|shards", "cluster|info"),
)


class Refusal(NamedTuple):
    """A command, and what Redis said to it."""

    command: str
    reason: str

    @property
    def denied(self) -> bool:
        """Whether it is for want of a right, and not of memory or a disk."""
        return any(word in self.reason for word in _DENIED)


class Trial(NamedTuple):
    """``heard``: whether an announcement of the doctor's own came back; None where it could not be tried."""

    refusals: tuple[Refusal, ...]
    heard: bool | None


def rule(prefix: str, *, cluster: bool = False) -> str:
    """What a user of a node and its publishers needs, as ``ACL SETUSER`` takes it; with it the doctor sees all."""
    commands = (*_PLAIN, *_SCRIPTED, *(_CLUSTER if cluster else _SINGLE), "info", "config|get")
    return f"~{prefix}:* &{prefix}:* " + " ".join(f"+{command}" for command in commands)


def attempt(client: Redis, prefix: str, tag: str, *, cluster: bool) -> Trial:
    """Try everything on the keys of ``tag``, which leaves nothing behind."""
    name = pubsub_name(prefix, tag)
    publish, subscribe = ("SPUBLISH", "SSUBSCRIBE") if cluster else ("PUBLISH", "SUBSCRIBE")
    refusals = _try_scripts(client, name, publish)
    refusals += _try(client, "CLIENT SETNAME", "sse-gateway-doctor")
    may_publish = not any(each.command in (publish, "EVAL") for each in refusals)
    heard = None
    try:
        heard = _hear(client, name, publish if may_publish else None, sharded=cluster)
    except ResponseError as error:
        refusals.append(Refusal(subscribe, str(error)))
    return Trial(tuple(refusals), heard)


def judge(trial: Trial, prefix: str, user: str) -> Iterator[Finding]:
    denied = [each for each in trial.refusals if each.denied]
    other = [each for each in trial.refusals if not each.denied]
    if denied:
        yield _missing(denied, prefix, user)
    elif not other:
        yield ok(CHECK, f"everything that nodes and publishers need on {prefix}:*")
    if other:
        names = ", ".join(dict.fromkeys(each.command for each in other))
        yield problem(
            CHECK, f"Redis refuses {names}: {other[0].reason[:200]}", "Look at what it says, and at the server's log."
        )
    if trial.heard:
        yield ok(LOOP, "an announcement came back")
    elif trial.heard is False:
        yield problem(
            LOOP,
            f"an announcement did not come back within {ROUND_TRIP_S:g} s: nodes would hear of nothing",
            "Connect to Redis directly; a proxy in between must pass pub/sub on.",
        )


def _missing(denied: Sequence[Refusal], prefix: str, user: str) -> Finding:
    grants: dict[str, None] = {}
    for each in denied:
        if "key" in each.reason and "run the" not in each.reason:
            grants[f"~{prefix}:*"] = None
        elif "channel" in each.reason and "run the" not in each.reason:
            grants[f"&{prefix}:*"] = None
        else:
            grants[f"+{each.command.lower().replace(' ', '|')}"] = None
    names = ", ".join(dict.fromkeys(each.command for each in denied))
    return problem(CHECK, f"the user {user} may not use {names}", f"ACL SETUSER {user} {' '.join(grants)}")


def _try_scripts(client: Redis, name: str, publish: str) -> list[Refusal]:
    script = Script("rights")
    call = (5, *(f"{name}:{part}" for part in ("hash", "stream", "zset", "text", "spare")), publish, name)
    try:
        reply: Any = client.execute_command("EVAL", script.text, *call)
    except ResponseError as error:
        return [Refusal("EVAL", str(error))]
    texts = [part.decode(errors="replace") for part in reply]
    inside = [Refusal(*pair) for pair in zip(texts[::2], texts[1::2], strict=True)]
    return inside + (_try(client, "SCRIPT LOAD", script.text) or _try(client, "EVALSHA", script.sha, *call))


def _try(client: Redis, command: str, *args: object) -> list[Refusal]:
    try:
        client.execute_command(*command.split(), *args)
    except ResponseError as error:
        return [Refusal(command, str(error))]
    return []


def _hear(client: Redis, name: str, publish: str | None, *, sharded: bool) -> bool | None:
    """Whether an announcement comes back; None where none can be made. ``ResponseError``: one may not listen."""
    text = secrets.token_hex(8).encode()
    with client.pubsub() as listener:
        (listener.ssubscribe if sharded else listener.subscribe)(name)
        deadline = time.monotonic() + ROUND_TRIP_S
        while (left_s := deadline - time.monotonic()) > 0:
            message: Any = listener.get_message(timeout=left_s)
            if message is None:
                continue
            if message["type"] in ("message", "smessage") and message["data"] == text:
                return True
            if message["type"] in ("subscribe", "ssubscribe"):
                if publish is None:
                    return None
                client.execute_command(publish, name, text)
    return False
