"""Whether the user of the Redis URL may do what nodes or publishers do: tried out, on keys of its own."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from redis import Redis
from redis.exceptions import ResponseError

from gateway.broker.script import Script
from gateway.doctor import grants
from gateway.doctor.finding import Finding, ok, problem
from gateway.doctor.grants import Role
from publisher.channels import BROADCAST, KINDS
from publisher.keys import CONTROL, STREAMS, census_key, node_key, nodes_key, pubsub_name
from publisher.redis import connect

CHECK: Final = "rights"
LOOP: Final = "pub/sub"
ROUND_TRIP_S: Final = 3.0
_DENIED: Final = ("permission", "can't run", "can't publish", "can't access")
"""What Redis from 7.0 and Valkey say, to a user and to the user's script."""


class Refusal(NamedTuple):
    """A command, and what Redis said to it; ``keys`` and ``channels`` are the patterns that would allow what it was
    tried on."""

    command: str
    reason: str
    keys: str = ""
    channels: str = ""

    @property
    def denied(self) -> bool:
        """Whether it is for want of a right, and not of memory or a disk."""
        return any(word in self.reason for word in _DENIED)

    @property
    def grant(self) -> str:
        """What ``ACL SETUSER`` takes to allow it."""
        if "run the" not in self.reason:
            if "key" in self.reason:
                return self.keys
            if "channel" in self.reason:
                return self.channels
        return f"+{self.command.lower().replace(' ', '|')}"


class Attempt(NamedTuple):
    """``heard``: whether an announcement of the doctor's own came back; None where it could not be tried."""

    refusals: tuple[Refusal, ...]
    heard: bool | None


class Tried(NamedTuple):
    """Who asks whom for what: the parts of one trial. ``tags`` are names behind the prefix that this server keeps."""

    client: Redis
    role: Role
    prefix: str
    tags: Sequence[str]
    cluster: bool

    @property
    def db(self) -> int:
        return connect.database(self.client)


def tags(role: Role) -> Iterator[str]:
    """What may be tried: names of the doctor's own, without an end, and for a worker also those that are fixed. Of
    those that begin alike (up to the colon) one will do."""
    if role is Role.WORKER:
        yield from (BROADCAST, CONTROL)
    kinds = [f"{kind}:" for kind in grants.OWN_KEYS] if role is Role.WORKER else [""]
    while True:
        yield from (f"{kind}doctor-{secrets.token_hex(6)}" for kind in kinds)


def attempt(tried: Tried) -> Attempt:
    """Try everything that the user of a role does; leaves nothing behind."""
    if tried.role is Role.WORKER:
        refusals = [each for tag in tried.tags for each in _as_worker(tried, tag)]
        return Attempt((*refusals, *_follow(tried)), None)
    (tag,) = tried.tags
    (keys,), (channels,) = (
        grants.key_patterns(Role.NODE, tried.prefix),
        grants.channel_patterns(Role.NODE, tried.prefix, tried.db),
    )
    refusals = [each._replace(keys=keys, channels=channels) for each in _try_scripts(tried, tag)]
    refusals += _try(tried.client, "CLIENT SETNAME", "sse-gateway-doctor")
    refusals += _follow(tried)
    publish, listen, leave = _pubsub(tried)
    may_publish = not any(each.command in (publish, "EVAL") for each in refusals)
    heard, channel = None, pubsub_name(tried.prefix, tag, tried.db)
    with tried.client.pubsub() as listener:
        step = listen
        try:
            heard = _hear(tried, listener, channel, publish if may_publish else None)
            step = leave
            _leave(tried, listener, channel)
        except ResponseError as error:
            refusals.append(Refusal(step, str(error), channels=channels))
    return Attempt(tuple(refusals), heard)


def judge(trial: Attempt, role: Role, prefix: str, user: str) -> Iterator[Finding]:
    denied = [each for each in trial.refusals if each.denied]
    other = [each for each in trial.refusals if not each.denied]
    if denied:
        names = ", ".join(dict.fromkeys(each.command for each in denied))
        missing = " ".join(dict.fromkeys(each.grant for each in denied))
        yield problem(CHECK, f"the user {user} may not use {names}", f"ACL SETUSER {user} {missing}")
    elif not other:
        who = "nodes and publishers need" if role is Role.NODE else "a worker needs"
        yield ok(CHECK, f"everything that {who} on {prefix}:*")
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


def may(client: Redis, command: str, *args: object) -> bool:
    """Whether a command is not refused for want of a right."""
    return not any(each.denied for each in _try(client, command, *args))


def _as_worker(tried: Tried, tag: str) -> list[Refusal]:
    patterns = grants.key_patterns(Role.WORKER, tried.prefix)
    if tag == CONTROL:
        return _ask_for_nodes(tried, patterns[-2], patterns[-1])
    kind = tag.partition(":")[0]
    keys = dict(zip((*grants.OWN_KEYS, BROADCAST), patterns, strict=False))
    heard_on = grants.channel_patterns(Role.WORKER, tried.prefix, tried.db)
    channels = dict(zip((*KINDS, BROADCAST), heard_on, strict=True))
    refusals = _try_scripts(tried, tag, announce=kind in channels)
    return [each._replace(keys=keys[kind], channels=channels.get(kind, "")) for each in refusals]


def _ask_for_nodes(tried: Tried, named: str, read: str) -> list[Refusal]:
    """What ``has_connections`` and the like ask."""
    nodes, row = nodes_key(tried.prefix), node_key(tried.prefix, "")
    refusals = _try(tried.client, "EVAL", "return 1", 1, census_key(tried.prefix))
    refusals = [each._replace(keys=named) for each in refusals]
    reads = (("ZRANGEBYSCORE", nodes, 0, 0), ("HMGET", row + "doctor", STREAMS), ("HSCAN", row + "doctor", 0))
    for command in reads:
        refusals += [each._replace(keys=read) for each in _try(tried.client, *map(str, command))]
    return refusals


def _follow(tried: Tried) -> list[Refusal]:
    """What a slot that is on its way to another primary is followed with."""
    return _try(tried.client, "ASKING") if tried.cluster else []


def _pubsub(tried: Tried) -> tuple[str, str, str]:
    shard = "S" if tried.cluster else ""
    return f"{shard}PUBLISH", f"{shard}SUBSCRIBE", f"{shard}UNSUBSCRIBE"


def _try_scripts(tried: Tried, tag: str, *, announce: bool = True) -> list[Refusal]:
    script = Script("rights")
    own = f"{pubsub_name(tried.prefix, tag)}:doctor-{secrets.token_hex(6)}"
    keys = [f"{own}-{part}" for part in ("hash", "stream", "zset", "text", "spare")]
    channel = pubsub_name(tried.prefix, tag, tried.db)
    commands = map(str.upper, grants.keyed(tried.role))
    call = (len(keys), *keys, _pubsub(tried)[0] if announce else "", channel, *commands)
    try:
        reply: Any = tried.client.execute_command("EVAL", script.text, *call)
    except ResponseError as error:
        return [Refusal("EVAL", str(error))]
    texts = [part.decode(errors="replace") for part in reply]
    inside = [Refusal(*pair) for pair in zip(texts[::2], texts[1::2], strict=True)]
    return inside + _try(tried.client, "EVALSHA", script.sha, *call)


def _try(client: Redis, command: str, *args: object) -> list[Refusal]:
    try:
        client.execute_command(*command.split(), *args)
    except ResponseError as error:
        return [Refusal(command, str(error))]
    return []


def _hear(tried: Tried, listener: Any, name: str, publish: str | None) -> bool | None:
    """Whether an announcement comes back; None where none can be made. ``ResponseError``: one may not listen."""
    text = secrets.token_hex(8).encode()
    (listener.ssubscribe if tried.cluster else listener.subscribe)(name)
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
            tried.client.execute_command(publish, name, text)
    return False


def _leave(tried: Tried, listener: Any, name: str) -> None:
    (listener.sunsubscribe if tried.cluster else listener.unsubscribe)(name)
    deadline = time.monotonic() + ROUND_TRIP_S
    while listener.subscribed and (left_s := deadline - time.monotonic()) > 0:
        listener.get_message(timeout=left_s)
