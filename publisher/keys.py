"""Every Redis key, pub/sub channel and field of a node's hash: nothing else in the code base spells one.

What one script call touches shares a hash tag, so that it lies in one slot of Redis Cluster: ``{channel}`` for a
channel, ``{gateway}`` for what the nodes share. ``docs/reference/redis-keys.md`` says what the keys hold.
"""

from __future__ import annotations

from typing import Final, NamedTuple

DEFAULT_PREFIX: Final = "sse"

CONTROL: Final = "gateway"
"""What follows the prefix of all that nodes share; also the channel on which they say whom to disconnect."""

HUB: Final = "mercure"
"""The channel of the Mercure hub: no publisher's, because it has no kind."""

# Fields of a node's hash. Each counts streams; behind a colon follows a channel, a user or a client id.
CHANNEL: Final = "ch:"
CLIENT: Final = "ch:client:"
USER: Final = "user:"
GUEST: Final = "guest:"
SUBJECT: Final = "sub:"
STREAMS: Final = "streams"
CLIENT_STREAMS: Final = "client_streams"
CLIENTS: Final = "clients"
CHANNELS: Final = "channels"


class Keys(NamedTuple):
    """The Redis keys of one channel. ``state`` is used by jobs, ``jobs`` and ``active`` by users."""

    log: str
    meta: str
    state: str
    ids0: str
    ids1: str
    jobs: str
    active: str
    pubsub: str


def pubsub_name(prefix: str, channel: str, db: int = 0) -> str:
    """The pub/sub channel on which a channel's events are announced.

    Keys of two databases are apart, pub/sub is one for all of a server, so a database other than 0 is part of the name.
    No prefix can hold the ``@``.
    """
    return f"{prefix}@{db}:{{{channel}}}" if db else _base(prefix, channel)


def channel_of(pubsub: object) -> str:
    """The channel whose events a pub/sub channel announces."""
    return str(pubsub).partition("{")[2].removesuffix("}")


def topic_of(log: str) -> tuple[str, str] | None:
    """The prefix, and the topic's name, of the key of a topic's history; None for any other key."""
    prefix, separator, rest = log.rpartition(":{topic:")
    return (prefix, rest.removesuffix("}:log")) if separator and rest.endswith("}:log") else None


def channel_keys(prefix: str, channel: str, db: int = 0) -> Keys:
    """All Redis keys of a channel in this database. The channel must have been checked."""
    base = _base(prefix, channel)
    return Keys(
        log=f"{base}:log",
        meta=f"{base}:meta",
        state=f"{base}:state",
        ids0=f"{base}:ids0",
        ids1=f"{base}:ids1",
        jobs=f"{base}:jobs",
        active=f"{base}:active",
        pubsub=pubsub_name(prefix, channel, db),
    )


def answer_key(prefix: str, job_channel: str) -> str:
    """The text and parts of an answer so far, beside its job's state."""
    return f"{_base(prefix, job_channel)}:answer"


def chat_key(prefix: str, user_channel: str, chat_id: str) -> str:
    """The newest answers of one chat of a user's."""
    return f"{_base(prefix, user_channel)}:chat:{chat_id}"


def nodes_key(prefix: str) -> str:
    """The sorted set of nodes by the time (ms) at which their lease ends."""
    return f"{_shared(prefix)}:nodes"


def node_key(prefix: str, node_id: str) -> str:
    """A node's hash: what is open there."""
    return f"{_shared(prefix)}:node:{node_id}"


def users_key(prefix: str) -> str:
    """The hash of how many streams each user has, and on which nodes."""
    return f"{_shared(prefix)}:users"


def rewritten_key(node_key: str, generation: int) -> str:
    """Where a node writes its hash anew, before it takes the old one's place."""
    return f"{node_key}:{generation}"


def census_key(prefix: str) -> str:
    """What a publisher's question about the nodes names, so that it runs on their server; nothing is kept there. Users
    of Redis who may only read what nodes count can name no key that is there: a script may write to what it names."""
    return f"{_shared(prefix)}:census"


def news_keys(prefix: str) -> tuple[str, str]:
    """Who came and went and has not been told yet, and who is about to be told to have gone."""
    return f"{_shared(prefix)}:outbox", f"{_shared(prefix)}:departed"


def ticket_key(prefix: str) -> str:
    """Where the nodes share the secret that signs tickets."""
    return f"{_shared(prefix)}:ticket-key"


def old_ticket_key(prefix: str) -> str:
    """Where the secret before that one is, while tickets that it signed are good."""
    return f"{ticket_key(prefix)}:old"


def revoked_key(prefix: str) -> str:
    """Whose tokens are refused."""
    return f"{_shared(prefix)}:revoked"


def sent_away_key(prefix: str) -> str:
    """Whose streams were ended, and when."""
    return f"{_shared(prefix)}:sent-away"


def orders_known_key(prefix: str) -> str:
    """There as long as Redis has not lost whom to send away."""
    return f"{_shared(prefix)}:orders-known"


def probe_channel(node_id: str, number: int) -> str:
    """The channel on which a node sends itself a sign of life."""
    return f"probe:{node_id}:{number}"


def probe_key(prefix: str, channel: str) -> str:
    """What the probe's script names, so that it runs on the server of the probe's channel; nothing is kept there."""
    return f"{_base(prefix, channel)}:probe"


def poll_keys(prefix: str, name: str) -> tuple[str, str]:
    """When each job of a poller is to be asked for next, and what is known of it."""
    base = _base(prefix, f"poll:{name}")
    return f"{base}:due", f"{base}:jobs"


class HubKeys(NamedTuple):
    """The Redis keys of the Mercure hub. The first five are what the scripts take for its history."""

    log: str
    meta: str
    ids0: str
    ids1: str
    places: str
    nodes: str
    watched: str
    bridge: str
    kept: str
    """In Cluster the same as ``bridge``, in the hub's slot."""
    pubsub: str


def hub_keys(prefix: str, db: int = 0) -> HubKeys:
    """What the Mercure hub of all nodes keeps."""
    keys, base = channel_keys(prefix, HUB, db), _base(prefix, HUB)
    return HubKeys(
        log=keys.log,
        meta=keys.meta,
        ids0=keys.ids0,
        ids1=keys.ids1,
        places=f"{base}:index",
        nodes=f"{base}:nodes",
        watched=f"{base}:watched",
        bridge=f"{_shared(prefix)}:nodes-mercure",
        kept=f"{base}:kept",
        pubsub=keys.pubsub,
    )


def hub_node_key(prefix: str, node_id: str) -> str:
    """A node's hash: who is subscribed to the Mercure hub there."""
    return f"{_base(prefix, HUB)}:node:{node_id}"


def demo_queue(prefix: str) -> str:
    """What the keys of the demo's queue begin with."""
    return _base(prefix, "demo")


def _shared(prefix: str) -> str:
    return _base(prefix, CONTROL)


def _base(prefix: str, channel: str) -> str:
    return f"{prefix}:{{{channel}}}"
