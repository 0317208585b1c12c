"""Plain events that travel in one script call: a call costs Redis and its client more than an event does. Pure.

A bundle holds the order of its events. Outside Cluster it may hold several channels; in Cluster it holds one, and
different channels' bundles may overtake each other, as they live on different servers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from publisher.core import bundled_answers
from publisher.core.requests import Call
from publisher.core.scripts import (
    CHANNEL_KEYS,
    COMMON,
    DATA,
    EPOCH,
    EVENT_ARGS,
    NO_RETRY,
    PUBSUB,
    TRACEPARENT,
    Arg,
    ManyChannel,
    ManyHead,
    ScriptName,
)

_MANY: Final = (ScriptName.PUBLISH_MANY, ScriptName.ANSWER_MANY)
MAX_EVENTS: Final = 64
"""Events in one call, which takes about half a millisecond of Redis' time: everybody else waits for it."""
MAX_BYTES: Final = 256 * 1024
"""A bundle with this much data takes no further event."""


class Bundle(NamedTuple):
    """A call, and which of the given calls it stands for."""

    call: Call
    indexes: list[int]

    def results(self, reply: Any) -> list[Any]:
        """What each of the calls would have answered. The error that ended the bundle is that of all behind it."""
        if self.call.script not in _MANY or isinstance(reply, Exception):
            return [reply] * len(self.indexes)
        missing = len(self.indexes) - len(reply)
        return [*reply, *[reply[-1]] * missing]


def bundles(calls: Sequence[Call], *, cluster: bool) -> list[Bundle]:
    """All calls, in order, with plain events next to each other put together, in Cluster those of one channel; and
    outside Cluster pieces of different answers."""
    groups: list[list[int]] = []
    sizes: list[int] = []
    open_groups: dict[str, int] = {}
    answers: set[str] = set()
    """The states of the answers in the open group, if it is one of answers: each may be there once."""
    for index, call in enumerate(calls):
        key = call.keys[0] if cluster else ""
        at = open_groups.get(key)
        answer = call.script is ScriptName.ANSWER and not cluster
        together = answer or call.script is ScriptName.PUBLISH
        size = _size(call) if together else 0
        first = calls[groups[at][0]] if together and at is not None else None
        alike = first is not None and first.script is call.script and call.keys[0] not in answers
        if at is not None and alike and len(groups[at]) < MAX_EVENTS and sizes[at] < MAX_BYTES:
            groups[at].append(index)
            sizes[at] += size
            if answer:
                answers.add(call.keys[0])
            continue
        groups.append([index])
        sizes.append(size)
        answers = {call.keys[0]} if answer else set()
        if together:
            open_groups[key] = len(groups) - 1
        else:
            open_groups.pop(key, None)
    return [_bundle(calls, group) for group in groups]


def _bundle(calls: Sequence[Call], indexes: list[int]) -> Bundle:
    first = calls[indexes[0]]
    if len(indexes) == 1:
        return Bundle(first, indexes)
    if first.script is ScriptName.ANSWER:
        return Bundle(bundled_answers.together([calls[index] for index in indexes]), indexes)
    numbers: dict[str, int] = {}
    keys: list[str] = []
    channels: list[Arg] = []
    events: list[Arg] = []
    for index in indexes:
        call = calls[index]
        args = call.args
        number = numbers.get(call.keys[0])
        if number is None:
            number = numbers[call.keys[0]] = len(numbers) + 1
            keys += call.keys
            channels += ManyChannel(args[PUBSUB], args[EPOCH], len(call.keys) - CHANNEL_KEYS)
        events.append(number)
        events += EVENT_ARGS(args)
        events.append(args[TRACEPARENT] if len(args) > TRACEPARENT else "")
    announce, _, history_events, history_ttl_s = first.args[:COMMON]
    head = ManyHead(announce, history_events, history_ttl_s, len(numbers))
    return Bundle(Call(ScriptName.PUBLISH_MANY, tuple(keys), (*head, *channels, *events), NO_RETRY), indexes)


def _size(call: Call) -> int:
    if call.script is ScriptName.ANSWER:
        return bundled_answers.size_of(call)
    data = call.args[DATA]
    return len(data) if isinstance(data, bytes) else 0
