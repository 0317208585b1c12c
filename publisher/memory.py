"""The scripts' rules in Python, over plain dicts: what stands behind the fake publishers of ``publisher.testing``.

A test of the project runs one scenario here and against Redis and compares every message. Nothing expires.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from publisher import channels, presence, scripts
from publisher.calls import Call, Read, ReadState, Request
from publisher.envelope import NO_MARK, Event, decode, encode

_LIFE: Final = ("status", "progress", "stage", "message", "current", "total")
_TIMES: Final = ("created_at", "started_at", "finished_at")
_BIRTH: Final = ("kind", "owner", "status", "progress", "created_at", "started_at")
_FIELDS: Final = {
    channels.CREATED: (*_BIRTH, "meta"),
    channels.STARTED: _BIRTH,
    channels.PROGRESS: (*_LIFE, "created_at", "started_at"),
    channels.COMPLETED: (*_LIFE, "result", *_TIMES),
    channels.FAILED: (*_LIFE, "error", *_TIMES),
    channels.CANCELLED: (*_LIFE, *_TIMES),
}
_ENDS: Final = {
    "complete": (channels.COMPLETED, b'"completed"'),
    "fail": (channels.FAILED, b'"failed"'),
    "cancel": (channels.CANCELLED, b'"cancelled"'),
}
_ENDED: Final = frozenset(status for _, status in _ENDS.values())
_MAX_ITEMS: Final = 1000

State = dict[str, bytes]


@dataclass(slots=True)
class _Channel:
    epoch: str = ""
    seq: int = 0
    mark: str = NO_MARK
    known: dict[str, tuple[str, int]] = field(default_factory=dict)


class MemoryStore:
    """Every event in order of publication, and every job's state."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self.connections: dict[str, int] = {}
        self._channels: dict[str, _Channel] = {}
        self._states: dict[str, State] = {}

    def clear(self) -> None:
        """Forget everything."""
        self.messages.clear()
        self.connections.clear()
        self._channels.clear()
        self._states.clear()

    def execute(self, request: Request) -> Any:
        """Answer a request as Redis would."""
        if isinstance(request, Read):
            return [0, {f"{presence.CLIENT}{client}".encode(): count for client, count in self.connections.items()}]
        if isinstance(request, ReadState):
            state = self._states.get(request.key, {})
            return {k.encode(): v for k, v in state.items()} if request.field is None else state.get(request.field)
        if request.script is scripts.NODES:
            return [[b"memory", *map(self._counted, request.args[1:])]]
        if request.script is scripts.PUBLISH:
            return self._publish(request)
        return _JobStep(self, request).run()

    def _counted(self, name: object) -> int:
        """A field of the one node that there is."""
        totals = {presence.CLIENT_STREAMS: sum(self.connections.values()), presence.CLIENTS: len(self.connections)}
        return totals.get(str(name), self.connections.get(str(name).removeprefix(presence.CLIENT), 0))

    def append(
        self, channel: str, uid: str, epoch: str, type: str, data: bytes, id: str = "", trace: str = ""
    ) -> list[Any]:
        """Append an event, or find the one that it repeats."""
        now = self._channels.setdefault(channel, _Channel())
        key = f"i{id}" if id else f"u{uid}"
        if key not in now.known:
            now.epoch = now.epoch or epoch
            now.seq += 1
            event = Event(
                channel, now.epoch, now.seq, uid[:6], now.mark, now_ms(), type, data, id or None, trace or None
            )
            now.mark = event.mark
            now.known[key] = (now.epoch, now.seq)
            self.messages.append((channel, encode(event)))
        seen_epoch, seen_seq = now.known[key]
        return [b"ok", seen_epoch.encode(), seen_seq]

    def knows(self, channel: str, uid: str, id: str = "") -> bool:
        """Whether an event was appended before."""
        found = self._channels.get(channel)
        return found is not None and (f"i{id}" if id else f"u{uid}") in found.known

    def position(self, channel: str, epoch: str) -> list[Any]:
        """An answer without an event: where the channel stands."""
        found = self._channels.get(channel, _Channel(epoch))
        return [b"ok", found.epoch.encode(), found.seq]

    def state(self, key: str) -> State | None:
        return self._states.get(key)

    def new_state(self, key: str) -> State:
        return self._states.setdefault(key, {})

    def forget_channel(self, channel: str) -> None:
        """Its history is lost: the next event begins a new epoch."""
        self._channels.pop(channel, None)

    def _publish(self, call: Call) -> list[Any]:
        _, pubsub, _, _, uid, _, epoch, own, type, data, must_exist, *trace = call.args
        channel = channel_of(pubsub)
        if len(call.keys) > 4 and not self.knows(channel, str(uid), str(own)):
            status = (self.state(call.keys[4]) or {}).get("status")
            if status is None and must_exist == "1":
                return [b"missing"]
            if status in _ENDED:
                return [b"finished", status]
        assert isinstance(data, bytes)
        return self.append(channel, str(uid), str(epoch), str(type), data, str(own), str(trace[0]) if trace else "")

    def events(self) -> list[Event]:
        """All events as values."""
        return [decode(channel, message) for channel, message in self.messages]


class _JobStep:
    """One call of the job script."""

    def __init__(self, store: MemoryStore, call: Call) -> None:
        texts = [arg if isinstance(arg, str) else arg.decode() if isinstance(arg, bytes) else "" for arg in call.args]
        self.store = store
        self.channel = channel_of(call.args[1])
        self.uid1, self.uid2, _, self.epoch, self.op, self.job_id = texts[4:10]
        self.job_id_json = texts[10].encode()
        self.owner_json = texts[11].encode() or b"null"
        self.owner_channel = channel_of(texts[12]) if texts[12] else None
        self.item_id, self.item_id_json = texts[13], texts[14].encode()
        self.trace = texts[15]
        pairs = call.args[16:]
        self.changes = {str(pairs[n]): _bytes(pairs[n + 1]) for n in range(0, len(pairs), 2)}
        self.key = call.keys[4]
        self.told: list[Any] = []
        self.sent: list[Any] | None = None

    def run(self) -> list[Any]:
        uid = self.uid2 if self.op == "open" else self.uid1
        if self.store.knows(self.channel, uid):
            return [*self.store.append(self.channel, uid, self.epoch, "", b""), self._status() or b"null"]
        refusal = self._refusal()
        if refusal is not None:
            return refusal
        if self._status() is None:
            self._create()
        self._change()
        sent = self.sent or self.store.position(self.channel, self.epoch)
        return [*sent, self._status() or b"null", *self.told]

    def _status(self) -> bytes | None:
        return (self.store.state(self.key) or {}).get("status")

    def _refusal(self) -> list[Any] | None:
        state, status = self.store.state(self.key) or {}, self._status()
        if status is None:
            return None if self.op in ("create", "open", "recreate") else [b"missing"]
        if self.op == "create":
            return [b"exists", status]
        if status in _ENDED:
            return [b"finished", status]
        if state["owner"] != self.owner_json:
            return [b"owner", state["owner"]]
        if self.op == "open" and self.changes.get("kind", state["kind"]) != state["kind"]:
            return [b"kind", state["kind"]]
        return None

    def _create(self) -> None:
        self.store.forget_channel(self.channel)
        self.store.new_state(self.key).update(
            {
                "job_id": self.job_id_json,
                "owner": self.owner_json,
                "status": b'"pending"',
                "progress": b"0",
                "created_at": _now(),
                **self.changes,
            }
        )
        self._announce(self.uid1, channels.CREATED)

    def _change(self) -> None:
        state, pending = self.store.new_state(self.key), self._status() == b'"pending"'
        if self.op in ("open", "progress") and pending:
            state.update(status=b'"active"', started_at=_now())
        if self.op == "open" and pending:
            self._announce(self.uid2, channels.STARTED)
        elif self.op == "progress":
            state.update(self.changes)
            self._announce(self.uid1, channels.PROGRESS)
        elif self.op == "item":
            self._announce(self.uid1, channels.ITEM)
        elif self.op in _ENDS:
            type, status = _ENDS[self.op]
            state.update(self.changes, status=status, finished_at=_now())
            if self.op == "complete":
                state["progress"] = b"100"
            self._announce(self.uid1, type)

    def _announce(self, uid: str, type: str) -> None:
        data = self._item_data() if type == channels.ITEM else self._data(type)
        self.sent = self.store.append(self.channel, uid, self.epoch, type, data, trace=self.trace)
        if self.owner_channel is not None and type != channels.ITEM:
            self.store.append(self.owner_channel, uid, self.epoch, type, data, trace=self.trace)
        self.told += [uid.encode(), type.encode(), data]

    def _data(self, type: str) -> bytes:
        state = self.store.new_state(self.key)
        return _object(self.job_id_json, [(name, state.get(name, b"null")) for name in _FIELDS[type]])

    def _item_data(self) -> bytes:
        state = self.store.new_state(self.key)
        known = f"item:status:{self.item_id}" in state
        keep = known or len(state) < 4 * _MAX_ITEMS
        values: list[tuple[str, bytes]] = [("item_id", self.item_id_json)]
        for name in channels.ITEM_FIELDS:
            place = f"item:{name}:{self.item_id}"
            value = self.changes.get(name) or state.get(place, b"null")
            if keep:
                state[place] = value
            values.append((name, value))
        return _object(self.job_id_json, values)


class MemoryTransport:
    """A transport without Redis, for blocking publishers."""

    def __init__(self, store: MemoryStore) -> None:
        self.where, self.cluster = "memory", False
        self._store = store

    def execute(self, request: Request) -> Any:
        return self._store.execute(request)

    def batch(self, calls: Sequence[Call]) -> list[Any]:
        return [self._store.execute(call) for call in calls]

    def repair(self, error: BaseException) -> None:
        """Nothing can break."""

    def close(self) -> None:
        """Nothing to close."""

    def after_fork(self) -> None:
        """A child has a copy."""


class AsyncMemoryTransport:
    """A transport without Redis, for asyncio publishers."""

    def __init__(self, store: MemoryStore) -> None:
        self.where, self.cluster = "memory", False
        self._store = store

    async def execute(self, request: Request) -> Any:
        return self._store.execute(request)

    async def batch(self, calls: Sequence[Call]) -> list[Any]:
        return [self._store.execute(call) for call in calls]

    async def repair(self, error: BaseException) -> None:
        """Nothing can break."""

    async def close(self) -> None:
        """Nothing to close."""


def channel_of(pubsub: object) -> str:
    """The channel in ``prefix:{channel}``."""
    return str(pubsub).partition("{")[2].removesuffix("}")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def _now() -> bytes:
    return str(now_ms()).encode()


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _object(job_id: bytes, values: list[tuple[str, bytes]]) -> bytes:
    return b"{" + b",".join(b'"%s":%s' % (n.encode(), v) for n, v in [("job_id", job_id), *values]) + b"}"
