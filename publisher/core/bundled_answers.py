"""Pieces of several answers in one script call, which costs Redis and its client more than they do. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from publisher.core.requests import Call
from publisher.core.scripts import (
    ANSWER_HEAD,
    NO_RETRY,
    PIECE_ARGS,
    AnswerAmongMany,
    AnswerArgs,
    AnswersHead,
    Arg,
    ScriptName,
)


def together(calls: Sequence[Call]) -> Call:
    """One call for several of ``answer``, each for another answer."""
    keys: list[str] = []
    args: list[Arg] = []
    for call in calls:
        keys += call.keys
        head, pieces = _parted(call)
        args += AnswerAmongMany(
            head.pubsub,
            head.retry,
            head.epoch,
            head.job_id_json,
            head.worker_json,
            head.expected,
            head.traceparent,
            len(pieces) // PIECE_ARGS,
        )
        args += pieces
    first, _ = _parted(calls[0])
    among = AnswersHead(first.announce, first.history_events, first.history_ttl_s, first.limit, len(calls))
    return Call(ScriptName.ANSWER_MANY, tuple(keys), (*among, *args), NO_RETRY)


def size_of(call: Call) -> int:
    """Bytes of JSON in a call of ``answer``."""
    return sum(len(part) for part in call.args[ANSWER_HEAD + 2 :: PIECE_ARGS] if isinstance(part, bytes))


def _parted(call: Call) -> tuple[AnswerArgs, tuple[Arg, ...]]:
    given: tuple[Arg, ...] = call.args
    return AnswerArgs._make(given[:ANSWER_HEAD]), given[ANSWER_HEAD:]
