"""What the two users of Redis need, as ``ACL SETUSER`` takes it: a node's, and a worker's, which is narrow. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from publisher.channels import BROADCAST, KINDS
from publisher.keys import CONTROL, census_key, nodes_key, pubsub_name

POLLER: Final = "poll"
"""Begins the names of pollers, which have keys like a channel, and no announcements."""
OWN_KEYS: Final = (*KINDS, POLLER)
"""What begins the names behind which a worker may write anything."""


class Role(StrEnum):
    """Whose user it is."""

    NODE = "node"
    WORKER = "worker"


_PUBLISHING: Final = (
    *(
        "append",
        "del",
        "exists",
        "expire",
        "get",
        "hdel",
        "hexists",
        "hget",
        "hgetall",
        "hlen",
        "hmget",
        "hscan",
        "hset",
        "time",
    ),
    *("xadd", "xrevrange", "zadd", "zrange", "zrangebyscore", "zrem", "zremrangebyrank"),
)
"""What publishers do to keys, most of it in scripts."""
_SERVING: Final = (
    *("hincrby", "hstrlen", "pexpire", "pttl", "rename", "set", "unlink"),
    *("xdel", "xlen", "xrange", "xtrim", "zcount", "zremrangebyscore", "zscan", "zscore"),
)
"""What nodes do beside that: they publish too, and look after the leases of jobs."""
OPTIONAL: Final = ("memory|usage",)
"""What a node's scripts do without where a server or a user has it not; but each refusal fills the log of the ACL."""
_SCRIPTS: Final = ("eval", "evalsha")
_LINE: Final = ("ping", "client|setname")
_LAYOUT: Final = ("command", "cluster|slots", "cluster|shards", "asking")
"""What redis-py asks a Cluster for when it connects, and what it says where a slot is on its way to another primary."""
_EXAMINING: Final = ("cluster|info",), ("info", "config|get")
"""What only the doctor asks: a Cluster, and any server."""


def keyed(role: Role) -> tuple[str, ...]:
    """The commands on keys, in the order of the alphabet."""
    return tuple(sorted(_PUBLISHING + (_SERVING if role is Role.NODE else ())))


def commands(role: Role, *, cluster: bool = False) -> tuple[str, ...]:
    """All commands, and beside them nothing."""
    serving, s = role is Role.NODE, "s" if cluster else ""
    return (
        *(_LINE if serving else _LINE[:1]),
        *_SCRIPTS,
        *keyed(role),
        *(OPTIONAL if serving else ()),
        f"{s}publish",
        *((f"{s}subscribe", f"{s}unsubscribe") if serving else ()),
        *(_LAYOUT if cluster else ()),
        *(_EXAMINING[0] if cluster and serving else ()),
        *(_EXAMINING[1] if serving else ()),
    )


def key_patterns(role: Role, prefix: str) -> Sequence[str]:
    """``%R~`` may be read, ``~`` may be anything."""
    if role is Role.NODE:
        return [f"~{prefix}:*"]
    kinds = [f"~{pubsub_name(prefix, kind)[:-1]}:*" for kind in OWN_KEYS]
    return [*kinds, f"~{pubsub_name(prefix, BROADCAST)}:*", f"~{census_key(prefix)}", f"%R~{nodes_key(prefix)[:-1]}*"]


def channel_patterns(role: Role, prefix: str, db: int = 0) -> Sequence[str]:
    """Of pub/sub, which is one for all databases of a server."""
    if role is Role.NODE:
        return [f"&{pubsub_name(prefix, CONTROL, db).partition('{')[0]}*"]
    return [*(f"&{pubsub_name(prefix, kind, db)[:-1]}:*" for kind in KINDS), f"&{pubsub_name(prefix, BROADCAST, db)}"]


def rule(role: Role, prefix: str, *, db: int = 0, cluster: bool = False) -> str:
    """Everything that a user has to be granted, behind ``resetchannels``."""
    granted = [f"+{command}" for command in commands(role, cluster=cluster)]
    return " ".join([*key_patterns(role, prefix), *channel_patterns(role, prefix, db), *granted])
