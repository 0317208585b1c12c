"""One step in a job's life, and the calls that make it: one, and in Cluster another in the owner's slot. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from publisher import channels, jsontext
from publisher.core.drafts import destination
from publisher.core.identity import new_epoch, new_uid
from publisher.core.lease import Lease
from publisher.core.options import Options
from publisher.core.replies import Outcome, Told
from publisher.core.requests import Call
from publisher.core.scripts import JOB_RETRY, NO_RETRY, OWNER_RETRY, ChatArgs, JobArgs, OwnerArgs, ScriptName
from publisher.core.tracing import NOW
from publisher.keys import Keys, answer_key, channel_keys, chat_key

CHAT_ANSWERS: Final = 32
"""Answers that a chat remembers, for those who come back to one."""
CHAT_TTL_S: Final = 30 * 86_400


@dataclass(slots=True)
class Step:
    """One checked step in a job's life. ``changes`` are state fields as JSON text; ``adopts``: whether the job's
    ``"owner"`` and its ``"kind"`` count where they differ from the step's. ``chat``: the job is an answer there."""

    op: str
    job_id: str
    owner: str | None = None
    changes: dict[str, bytes] = field(default_factory=dict)
    item_id: str = ""
    uid1: str = field(default_factory=new_uid)
    uid2: str = field(default_factory=new_uid)
    epoch: str = field(default_factory=new_epoch)
    tried: bool = False
    traceparent: str = ""
    lease: Lease | None = None
    adopts: tuple[str, ...] = ()
    chat: str = ""
    worker: str = ""
    """Who writes an answer, also without a lease."""
    said_under: Any = NOW
    """The span that it was said under, where it is sent later."""

    def adopt(self, outcome: Outcome) -> bool:
        """Take over the owner or kind that the job turned out to have; whether the step may be sent again for it."""
        if outcome.verdict not in self.adopts:
            return False
        if outcome.verdict == "owner":
            self.owner = outcome.detail
        else:
            self.changes.pop("kind", None)
        return True

    @property
    def ends(self) -> bool:
        """Whether its sender has nothing to say about the job after this step."""
        return self.op in ("complete", "fail", "cancel", "retry")

    def call(self, options: Options) -> Call:
        """The call for the job's own slot and, outside Cluster, for its owner's too."""
        channel = channels.job_channel(self.job_id)
        keys, pubsub = destination(options.prefix, channel, options.db)
        keys = (*keys, answer_key(options.prefix, channel))
        owner_pubsub = ""
        if self.owner is not None and not options.cluster:
            theirs = channel_keys(options.prefix, channels.user_channel(self.owner), options.db)
            keys = (*keys, *_owner_keys(theirs))
            owner_pubsub = theirs.pubsub
        args = JobArgs(
            options.announce,
            pubsub,
            options.history_events,
            options.history_ttl_s,
            self.uid1,
            self.uid2,
            "1" if self.tried else "0",
            self.epoch,
            self.op,
            self.job_id,
            jsontext.dump(self.job_id),
            "" if self.owner is None else jsontext.dump(self.owner),
            owner_pubsub,
            self.item_id,
            jsontext.dump(self.item_id),
            self.traceparent,
            jsontext.dump(worker) if (worker := self.lease.worker if self.lease else self.worker) else "",
            self.lease.lease_ms if self.lease else 0,
            b'"wait"' if self.lease and self.lease.on_worker_lost == "wait" else b'"fail"',
        )
        changes = (part for pair in self.changes.items() for part in pair)
        return Call(ScriptName.JOB, keys, (*args, *changes), JOB_RETRY)


def _owner_keys(keys: Keys) -> tuple[str, ...]:
    return (keys.log, keys.meta, keys.ids0, keys.ids1, keys.jobs, keys.active)


def chat_call(options: Options, step: Step) -> Call:
    """The call that makes an answer the newest of its owner's chat."""
    assert step.owner is not None
    key = chat_key(options.prefix, channels.user_channel(step.owner), step.chat)
    return Call(ScriptName.CHAT, (key,), ChatArgs(step.job_id, CHAT_ANSWERS, CHAT_TTL_S), NO_RETRY)


def owner_calls(options: Options, step: Step, told: Sequence[Told], *, retry: bool) -> list[Call]:
    """Cluster: the second half of a step, in the owner's slot."""
    if not options.cluster or step.owner is None:
        return []
    keys = channel_keys(options.prefix, channels.user_channel(step.owner), options.db)
    head = (options.announce, keys.pubsub, options.history_events, options.history_ttl_s)
    again = "1" if retry else "0"
    return [
        Call(
            ScriptName.OWNER,
            _owner_keys(keys),
            OwnerArgs(
                *head,
                event.uid,
                again,
                step.epoch,
                step.job_id,
                event.type,
                event.data,
                "1" if event.type in channels.TERMINAL_TYPES else "0",
                step.traceparent,
            ),
            OWNER_RETRY,
        )
        for event in told
        if event.type != channels.ITEM
    ]
