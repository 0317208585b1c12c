"""Cluster: what comes on a topic is the Mercure hub's too, in another slot and by a call of its own. Pure."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterator
from typing import Any, Final

from publisher.channels import PRESENCE
from publisher.core.identity import new_epoch
from publisher.core.requests import Call
from publisher.core.scripts import (
    NO_RETRY,
    Arg,
    HubArgs,
    HubEvent,
    ManyChannel,
    ManyEvent,
    ManyHead,
    PublishArgs,
    ScriptName,
)
from publisher.keys import hub_keys, topic_of

AGAIN_S: Final = 5.0
"""So long it is not asked again whether there is a hub."""
NO_HUB: Final = -1
_PUBLISHING: Final = (ScriptName.PUBLISH, ScriptName.PUBLISH_MANY)
_PRESENCE: Final = PRESENCE.partition(":")[2]
_CHANNEL: Final = len(ManyHead._fields)
_FIRST: Final = _CHANNEL + len(ManyChannel._fields)
_EACH: Final = len(ManyEvent._fields)


class HubBridge:
    """Makes the calls that follow those for topics, and remembers where there is no hub."""

    def __init__(self) -> None:
        self._silent_until = 0.0

    def call(self, done: Call, reply: Any) -> Call | None:
        """What is to follow a call that has worked; None where nothing is. Repeated, it appends nothing twice: an event
        has the same name there as long as it has the same number on its topic."""
        found = topic_of(done.keys[0]) if done.script in _PUBLISHING else None
        if found is None or time.monotonic() < self._silent_until:
            return None
        prefix, topic = found
        events = [part for event in _events(done, reply, topic) for part in event]
        if not events or topic == _PRESENCE:
            return None
        keys = hub_keys(prefix)
        announce, ttl_s = _common(done)
        args = HubArgs(announce, keys.pubsub, ttl_s, new_epoch(), topic)
        return Call(ScriptName.HUB, (*keys[:5], keys.kept), (*args, *events), NO_RETRY)

    def heard(self, reply: Any) -> None:
        """The answer to such a call; :data:`NO_HUB` also where the publisher's user may not write there."""
        if reply == NO_HUB:
            self._silent_until = time.monotonic() + AGAIN_S


def _common(done: Call) -> tuple[Arg, Arg]:
    if done.script is ScriptName.PUBLISH:
        return done.args[0], done.args[PublishArgs._fields.index("history_ttl_s")]
    return done.args[0], done.args[ManyHead._fields.index("history_ttl_s")]


def _events(done: Call, reply: Any, topic: str) -> Iterator[HubEvent]:
    if done.script is ScriptName.PUBLISH:
        args: Any = PublishArgs(*done.args)  # type: ignore[arg-type]
        if (uid := _name(topic, reply)) is not None:
            yield HubEvent(uid, args.id, args.type, args.data)
    else:
        for at, said in zip(range(_FIRST, len(done.args), _EACH), reply, strict=False):
            event: Any = ManyEvent(*done.args[at : at + _EACH])  # type: ignore[arg-type]
            if (uid := _name(topic, said)) is not None:
                yield HubEvent(uid, event.id, event.type, event.data)


def _name(topic: str, said: Any) -> str | None:
    """The event's name on the hub, from its place on the topic; None for one that has none."""
    if not isinstance(said, list) or len(said) != 3 or said[0] not in (b"ok", "ok"):
        return None
    epoch = said[1].decode() if isinstance(said[1], bytes) else said[1]
    digest = hashlib.blake2b(f"{topic} {epoch} {said[2]}".encode(), digest_size=9).digest()
    return base64.urlsafe_b64encode(digest).decode()
