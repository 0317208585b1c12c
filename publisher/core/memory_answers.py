"""The rules of ``answer.lua`` and ``chat.lua`` in Python, for the fake publishers of ``publisher.testing``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from publisher import channels, keys
from publisher.core.requests import Call
from publisher.core.scripts import STATE_KEY, AnswerArgs, ScriptName

if TYPE_CHECKING:
    from publisher.core.memory import MemoryStore

_FIELDS: Final = 5


def write(store: MemoryStore, call: Call) -> list[Any]:
    """Append pieces to an answer."""
    given: Any = call.args
    args = AnswerArgs(*given[: len(AnswerArgs._fields)])
    pieces = given[len(AnswerArgs._fields) :]
    state = store.state(call.keys[STATE_KEY])
    if state is None:
        return [b"missing"]
    there = int(state.get("answer_bytes", b"0"))
    refusal = _refusal(state, args)
    if refusal is not None:
        return refusal
    if not pieces:
        return [b"written", b"", 0, there]
    added = sum(pieces[n + 3] for n in range(0, len(pieces), _FIELDS))
    if there + added > args.limit:
        return [b"long", there]
    channel = keys.channel_of(args.pubsub)
    sent: list[Any] = []
    for n in range(0, len(pieces), _FIELDS):
        uid, kind, body, _, points = pieces[n : n + _FIELDS]
        type, data = _grow(store.answers, call.keys[-1], state, kind, body, points)
        data = b'{"job_id":%b%b' % (args.job_id_json, data)
        sent = store.append(channel, uid, args.epoch, type, data, trace=args.traceparent)
    state["answer_bytes"] = b"%d" % (there + added)
    return [b"written", *sent[1:], there + added]


def refuse_to_open(state: dict[str, bytes], chat: bytes | None, worker: object) -> list[Any] | None:
    """What ``job.lua`` says to whoever must not take up an answer."""
    if chat is not None and state.get("chat") != chat:
        return [b"chat", state.get("chat", b"null")]
    if state["status"] == b'"active"' and state.get("worker") not in (None, worker):
        return [b"held"]
    return None


def _refusal(state: dict[str, bytes], args: AnswerArgs) -> list[Any] | None:
    status, worker = state["status"], state.get("worker")
    if status not in (b'"active"', b'"pending"'):
        return [b"finished", status]
    if state["kind"] != b'"answer"':
        return [b"kind", state["kind"]]
    if worker is not None and worker != args.worker_json:
        return [b"held"]
    return [b"pending"] if status == b'"pending"' else None


def _grow(
    answers: dict[str, bytes], key: str, state: dict[str, bytes], kind: str, body: bytes, points: int
) -> tuple[str, bytes]:
    """Append one piece; its event."""
    parts, open_ = int(state.get("answer_parts", b"0")), state.get("answer_open", b"").decode()
    said = b"".join(_around(parts, open_, kind))
    if said:
        parts += 1
    answers[key] = (answers.get(key, b"") if parts > 1 or not said else b"") + said + body
    state["answer_parts"], state["answer_open"] = b"%d" % parts, kind.encode()
    if kind == "text":
        offset = int(state.get("answer_points", b"0"))
        state["answer_points"] = b"%d" % (offset + points)
        return channels.TEXT, b',"text":"%b","offset":%d}' % (body, offset)
    part = b'{"type":"reasoning","text":"%b"}' % body if kind == "reasoning" else body
    return channels.PART, b',"part":%b,"index":%d}' % (part, parts - 1)


def _around(parts: int, open_: str, kind: str) -> Iterator[bytes]:
    """What stands between the part before and this piece, where it begins another part."""
    if kind != "part" and open_ == kind:
        return
    if open_ in ("text", "reasoning"):
        yield b'"}'
    yield b"," if parts else b"["
    if kind != "part":
        yield b'{"type":"%b","text":"' % kind.encode()


def take_chat(store: MemoryStore, call: Call) -> bytes:
    """Make an answer the newest of its chat; the one before it."""
    chat, job_id = store.chats.setdefault(call.keys[0], []), str(call.args[0])
    if job_id not in chat:
        chat.append(job_id)
        del chat[: -int(call.args[1])]
    at = chat.index(job_id)
    return chat[at - 1].encode() if at else b""


CALLS: Final[Mapping[ScriptName, Callable[[MemoryStore, Call], Any]]] = {
    ScriptName.ANSWER: write,
    ScriptName.CHAT: take_chat,
}
