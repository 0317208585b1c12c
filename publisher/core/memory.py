"""The scripts' rules in Python, over plain dicts: what stands behind the fake publishers of ``publisher.testing``.

A test of the project runs one scenario here and against Redis and compares every message. Nothing expires.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Final

from publisher import channels, keys
from publisher.core import memory_answers
from publisher.core.requests import Call, ReadCommand, ReadJob, Request
from publisher.core.scripts import CHANNEL_KEYS, STATE_KEY, JobArgs, PublishArgs, ScriptName
from publisher.envelope import NO_MARK, Event, decode, encode

_LIFE: Final = ("status", "attempt", "progress", "stage", "message", "current", "total")
_TIMES: Final = ("created_at", "started_at", "finished_at")
_BIRTH: Final = ("kind", "owner", "status", "attempt", "progress", "created_at", "started_at")
_WORDS: Final = ("stage", "message", "current", "total", "rate", "eta_s")
_FIELDS: Final = {
    channels.CREATED: (*_BIRTH, "meta"),
    channels.STARTED: (*_BIRTH, *_WORDS),
    channels.PROGRESS: (*_LIFE, "rate", "eta_s", "created_at", "started_at"),
    channels.RETRYING: (*_LIFE, "created_at", "started_at"),
    channels.PAUSED: ("status", "attempt", "paused"),
    channels.RESUMED: ("status", "attempt", "paused"),
    channels.COMPLETED: (*_LIFE, "result", *_TIMES),
    channels.FAILED: (*_LIFE, "error", *_TIMES),
    channels.CANCELLED: (*_LIFE, "error", *_TIMES),
}
_ENDS: Final = {
    "complete": (channels.COMPLETED, b'"completed"'),
    "fail": (channels.FAILED, b'"failed"'),
    "cancel": (channels.CANCELLED, b'"cancelled"'),
}
_PAUSES: Final = {"pause": (channels.PAUSED, b"true"), "resume": (channels.RESUMED, b"false")}
_ENDED: Final = frozenset(status for _, status in _ENDS.values())
_MAX_ITEMS: Final = 1000

MemoryState = dict[str, bytes]


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
        self.answers: dict[str, bytes] = {}
        self.chats: dict[str, list[str]] = {}
        self._channels: dict[str, _Channel] = {}
        self._states: dict[str, MemoryState] = {}

    def clear(self) -> None:
        """Forget everything."""
        for known in (self.connections, self.answers, self.chats, self._channels, self._states):
            known.clear()
        self.messages.clear()

    def execute(self, request: Request) -> Any:
        """Answer a request as Redis would."""
        if isinstance(request, ReadCommand):
            if request.command[0] == "GET":
                return self.answers.get(str(request.command[1]))
            return [0, {f"{keys.CLIENT}{client}".encode(): count for client, count in self.connections.items()}]
        if isinstance(request, ReadJob):
            state = self._states.get(request.key, {})
            return [state.get(name) for name in request.fields] or {k.encode(): v for k, v in state.items()}
        if request.script is ScriptName.NODES:
            return [[b"memory", *map(self._counted, request.args[2:])]]
        if request.script is ScriptName.PUBLISH:
            return self._publish(request)
        if request.script is ScriptName.LEASE:
            return [b'"active"', b"", b"held"]
        if request.script in memory_answers.CALLS:
            return memory_answers.CALLS[request.script](self, request)
        return _JobStep(self, request).run()

    def _counted(self, name: object) -> int:
        """A field of the one node that there is."""
        totals = {keys.CLIENT_STREAMS: sum(self.connections.values()), keys.CLIENTS: len(self.connections)}
        return totals.get(str(name), self.connections.get(str(name).removeprefix(keys.CLIENT), 0))

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

    def state(self, key: str) -> MemoryState | None:
        return self._states.get(key)

    def new_state(self, key: str) -> MemoryState:
        return self._states.setdefault(key, {})

    def forget_channel(self, channel: str) -> None:
        """Its history is lost: the next event begins a new epoch."""
        self._channels.pop(channel, None)

    def _publish(self, call: Call) -> list[Any]:
        given: Any = call.args
        args = PublishArgs(*given)
        channel = keys.channel_of(args.pubsub)
        if len(call.keys) > CHANNEL_KEYS and not self.knows(channel, args.uid, args.id):
            status = (self.state(call.keys[STATE_KEY]) or {}).get("status")
            if status is None and args.must_exist == "1":
                return [b"missing"]
            if status in _ENDED:
                return [b"finished", status]
        return self.append(channel, args.uid, args.epoch, args.type, args.data, args.id, args.traceparent)

    def events(self) -> list[Event]:
        """All events as values."""
        return [decode(channel, message) for channel, message in self.messages]


class _JobStep:
    """One call of the job script."""

    def __init__(self, store: MemoryStore, call: Call) -> None:
        given: Any = call.args
        fixed, pairs = given[: len(JobArgs._fields)], given[len(JobArgs._fields) :]
        self.store = store
        self.args = JobArgs(*fixed)
        self.channel = keys.channel_of(self.args.pubsub)
        self.owner_json = _bytes(self.args.owner_json) or b"null"
        self.owner_channel = keys.channel_of(self.args.owner_pubsub) if self.args.owner_pubsub else None
        self.changes = {str(pairs[n]): _bytes(pairs[n + 1]) for n in range(0, len(pairs), 2)}
        self.key = call.keys[STATE_KEY]
        self.told: list[Any] = []
        self.sent: list[Any] | None = None

    def run(self) -> list[Any]:
        uid = self.args.uid2 if self.args.op == "open" else self.args.uid1
        if self.store.knows(self.channel, uid):
            return [*self.store.append(self.channel, uid, self.args.epoch, "", b""), *self._stands()]
        refusal = self._refusal()
        if refusal is not None:
            return refusal
        if self._status() is None:
            self._create()
        self._change()
        sent = self.sent or self.store.position(self.channel, self.args.epoch)
        return [*sent, *self._stands(), *self.told]

    def _stands(self) -> list[bytes]:
        state = self.store.state(self.key) or {}
        return [state.get("status", b"null"), state.get("attempt", b"1"), state.get("paused", b"")]

    def _status(self) -> bytes | None:
        return (self.store.state(self.key) or {}).get("status")

    def _refusal(self) -> list[Any] | None:
        state, status = self.store.state(self.key) or {}, self._status()
        if status is None:
            creates = self.args.op in ("create", "recreate") or (self.args.op == "open" and "kind" in self.changes)
            return None if creates else [b"missing"]
        if self.args.op == "create":
            return [b"exists", status]
        if status in _ENDED:
            return [b"finished", status]
        if state["owner"] != self.owner_json:
            return [b"owner", state["owner"]]
        if self.args.op == "open" and self.changes.get("kind", state["kind"]) != state["kind"]:
            return [b"kind", state["kind"]]
        if self.args.op == "open" and state["kind"] == b'"answer"':
            return memory_answers.refuse_to_open(state, self.changes.get("chat"), self.args.worker_json)
        return None

    def _create(self) -> None:
        self.store.forget_channel(self.channel)
        self.store.new_state(self.key).update(
            {
                "job_id": self.args.job_id_json,
                "owner": self.owner_json,
                "status": b'"pending"',
                "attempt": b"1",
                "progress": b"0",
                "created_at": _now(),
                **self.changes,
            }
        )
        self._announce(self.args.uid1, channels.CREATED)

    def _change(self) -> None:
        state, pending = self.store.new_state(self.key), self._status() == b'"pending"'
        if self.args.op == "open" and self.args.worker_json:
            state["worker"] = _bytes(self.args.worker_json)
        elif self.args.op == "open" and pending and state["kind"] == b'"answer"':
            state.pop("worker", None)
        if self.args.op in ("open", "progress") and pending:
            self._start(state)
        if self.args.op == "open" and pending:
            self._announce(self.args.uid2, channels.STARTED)
        elif self.args.op == "progress":
            state.update(self.changes)
            self._announce(self.args.uid1, channels.PROGRESS)
        elif self.args.op == "item":
            self._announce(self.args.uid1, channels.ITEM)
        elif self.args.op == "retry" and not pending:
            again = str(int(state["attempt"]) + 1).encode()
            state.update(self.changes, status=b'"pending"', attempt=again)
            self._announce(self.args.uid1, channels.RETRYING)
        elif self.args.op in _PAUSES:
            self._pause(state, *_PAUSES[self.args.op])
        elif self.args.op in _ENDS:
            type, status = _ENDS[self.args.op]
            state.update(self.changes, status=status, finished_at=_now())
            state.pop("eta_s", None)
            if state.get("paused") == b"true":
                state["paused"] = b"false"
            if self.args.op == "complete":
                state["progress"] = b"100"
            self._announce(self.args.uid1, type)

    def _start(self, state: MemoryState) -> None:
        state.update(status=b'"active"', started_at=_now())
        if state["attempt"] != b"1":
            state["progress"] = b"0"
            for name in _WORDS:
                state.pop(name, None)

    def _pause(self, state: MemoryState, type: str, paused: bytes) -> None:
        if state.get("paused", b"false") != paused:
            state["paused"] = paused
            self._announce(self.args.uid1, type)

    def _announce(self, uid: str, type: str) -> None:
        data = self._item_data() if type == channels.ITEM else self._data(type)
        self.sent = self.store.append(self.channel, uid, self.args.epoch, type, data, trace=self.args.traceparent)
        if self.owner_channel is not None and type != channels.ITEM:
            self.store.append(self.owner_channel, uid, self.args.epoch, type, data, trace=self.args.traceparent)
        self.told += [uid.encode(), type.encode(), data]

    def _data(self, type: str) -> bytes:
        state = self.store.new_state(self.key)
        known = [name for name in _FIELDS[type] if name in state or (type, name) != (channels.CANCELLED, "error")]
        return _object(self.args.job_id_json, [(name, state.get(name, b"null")) for name in known])

    def _item_data(self) -> bytes:
        state = self.store.new_state(self.key)
        known = f"item:status:{self.args.item_id}" in state
        keep = known or len(state) < 4 * _MAX_ITEMS
        values: list[tuple[str, bytes]] = [("item_id", self.args.item_id_json)]
        for name in channels.ITEM_FIELDS:
            place = f"item:{name}:{self.args.item_id}"
            value = self.changes.get(name) or state.get(place, b"null")
            if keep:
                state[place] = value
            values.append((name, value))
        return _object(self.args.job_id_json, values)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def _now() -> bytes:
    return b"%d" % now_ms()


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _object(job_id: bytes, values: list[tuple[str, bytes]]) -> bytes:
    return b"{" + b",".join(b'"%s":%s' % (n.encode(), v) for n, v in [("job_id", job_id), *values]) + b"}"
