"""The hub's history in Redis: publishing into it, and finding the place of an id."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import orjson

from gateway.broker.script import Script
from gateway.broker.store import ReplyError, Store
from gateway.mercure.hub_update import HubUpdate
from publisher import channels as names
from publisher.core.identity import new_names
from publisher.envelope import START, Position
from publisher.jsontext import too_deep
from publisher.keys import channel_keys, hub_keys

HISTORY_TTL_S: Final = 86_400
NATIVE_HISTORY: Final = 500
"""What the publisher keeps of a topic, too."""
SHARED: Final = ("append", "plain")
_ONE_LINE: Final = bytes.maketrans(b"\r\n", b"  ")
_PLACE: Final = re.compile(rb"[A-Za-z]{8} [1-9][0-9]{0,15} [A-Za-z0-9_-]{6}")


class HubPlace(NamedTuple):
    """Where a reader goes on. ``found``: the update that it named is kept."""

    found: bool
    position: Position


class HubHistory:
    """``keep`` is how many updates stay."""

    def __init__(self, store: Store, prefix: str, keep: int) -> None:
        self._store = store
        self._prefix = prefix
        self.keep = keep
        self.keys = hub_keys(prefix, store.db)
        self.announce = "SPUBLISH" if store.cluster else "PUBLISH"
        self._publish = Script("mercure_publish", shared=SHARED)
        self._place = Script("mercure_place")

    @property
    def log_keys(self) -> list[str]:
        keys = self.keys
        return [keys.log, keys.meta, keys.ids0, keys.ids1, keys.places]

    async def publish(self, update: HubUpdate) -> None:
        """Into the hub's history, and onto the native topics of the same names: one step, in Cluster one for each.
        Raises :class:`~gateway.exceptions.StoreDown`."""
        native = [] if update.private else [name for topic in update.topics if (name := native_channel(topic))]
        keys, args = self._call(update)
        if not self._store.cluster:
            more = [self._native(update, channel) for channel in native]
            keys += [key for each, _ in more for key in each]
            args += [arg for _, each in more for arg in each]
            await self._store.run(self._publish, (keys, args))
            return
        await self._store.run(self._publish, (keys, args))
        for channel in native:
            theirs, said = self._native(update, channel)
            # In its own slot; the hub's five keys are only places here.
            await self._store.run(self._publish, ([*theirs, theirs[0], *theirs], [*args[:7], b"", args[8], *said]))

    def _call(self, update: HubUpdate) -> tuple[list[str], list[str | int | bytes]]:
        epoch, (uid,) = new_names()
        args: list[str | int | bytes] = [self.announce, self.keys.pubsub, self.keep, HISTORY_TTL_S, uid, epoch]
        return self.log_keys, [*args, update.id, update.packed(), NATIVE_HISTORY]

    def _native(self, update: HubUpdate, channel: str) -> tuple[list[str], list[str | int | bytes]]:
        keys = channel_keys(self._prefix, channel, self._store.db)
        epoch, (uid,) = new_names()
        return (
            [keys.log, keys.meta, keys.ids0, keys.ids1],
            [keys.pubsub, uid, epoch, native_type(update.type), native_data(update.data)],
        )

    async def place(self, update_id: str) -> HubPlace:
        """The place behind an update; where it is not kept (or none is named) that before all that is.

        Raises :class:`~gateway.exceptions.StoreDown`.
        """
        reply = await self._store.run(self._place, ([self.keys.log, self.keys.meta, self.keys.places], [update_id]))
        try:
            found, epoch, seq, mark = reply
            if seq == b"0":
                return HubPlace(False, START)
            if not _PLACE.fullmatch(b" ".join((epoch, seq, mark))):
                raise ValueError(seq)
            return HubPlace(found == b"1", Position(epoch.decode(), int(seq), mark.decode()))
        except (ValueError, TypeError):
            raise ReplyError("Redis gave no place in the hub's history.") from None


def native_channel(topic: str) -> str | None:
    """The native channel of a topic, where its name may be one."""
    channel = f"topic:{topic}"
    try:
        names.check_channel(channel)
    except ValueError:
        return None
    return None if channel == names.PRESENCE else channel


def native_type(type: str) -> str:
    try:
        return names.check_own_type(type)
    except ValueError:
        return "message"


def native_data(data: bytes) -> bytes:
    """The data as JSON on one line: what it is, or else a JSON text of it."""
    try:
        value = None if too_deep(data) else orjson.loads(data)
    except ValueError:
        value = None
    if value is None and data != b"null":
        return orjson.dumps(data.decode())
    # As it stands, for numbers may be longer than this language's; line breaks are only ever between the values.
    return data.translate(_ONE_LINE)
