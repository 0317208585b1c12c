"""What the publishing scripts are to do, as a model: channels with their history, jobs with their newest state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from publisher import channels
from publisher.core.drafts import Draft
from publisher.core.step import Step
from publisher.envelope import START, Event, Position

HISTORY: Final = 5
LIFE: Final = ("status", "progress", "stage", "message", "current", "total")
BIRTH: Final = ("kind", "owner", "status", "progress")
FIELDS: Final = {
    channels.CREATED: (*BIRTH, "meta"),
    channels.STARTED: BIRTH,
    channels.PROGRESS: LIFE,
    channels.COMPLETED: (*LIFE, "result"),
    channels.FAILED: (*LIFE, "error"),
    channels.CANCELLED: LIFE,
}
ENDS: Final = {
    "complete": ("completed", channels.COMPLETED),
    "fail": ("failed", channels.FAILED),
    "cancel": ("cancelled", channels.CANCELLED),
}

Verdict = tuple[Any, ...]
"""``("ok", epoch, seq)``, or a refusal by its name."""


@dataclass
class ModelChannel:
    """``known`` are the places of events by own id or uid; ``announced`` is all that listeners have to hear."""

    name: str
    top: Position = START
    log: list[Event] = field(default_factory=list)
    known: dict[str, tuple[str, int]] = field(default_factory=dict)
    announced: list[Event] = field(default_factory=list)

    def append(self, uid: str, type: str, data: bytes, epoch: str, *, own: str = "", anew: bool = False) -> Verdict:
        if self.top == START or anew:
            self.top, self.log = Position(epoch, 0, START.mark), []
        place, seq, prev = self.top
        event = Event(self.name, place, seq + 1, uid[:6], prev, 0, type, data, own or None)
        self.top = event.position
        self.log = [*self.log, event][-HISTORY:]
        self.known[own or uid] = (event.epoch, event.seq)
        self.announced.append(event)
        return "ok", event.epoch, event.seq


class ModelPublishing:
    """The same calls as Redis gets, and what it has to answer."""

    def __init__(self, names: list[str]) -> None:
        self.channels = {name: ModelChannel(name) for name in names}
        self.jobs: dict[str, dict[str, Any]] = {}

    def publish(self, draft: Draft, *, retry: bool) -> Verdict:
        channel = self.channels[draft.channel]
        key = draft.id or draft.uid
        if key in channel.known and (draft.id or retry):
            return "ok", *channel.known[key]
        job_id = channels.job_id_of(draft.channel)
        if job_id is not None:
            job = self.jobs.get(job_id)
            if job is None and draft.must_exist:
                return ("missing",)
            if job is not None and job["status"] in channels.FINISHED:
                return ("finished",)
        return channel.append(draft.uid, draft.type, draft.data, draft.epoch, own=draft.id)

    def step(self, step: Step, *, retry: bool) -> Verdict:
        channel = self.channels[channels.job_channel(step.job_id)]
        done = [uid for uid in (step.uid1, step.uid2) if uid in channel.known]
        if retry and done:
            return "ok", *channel.known[done[-1]]
        refusal = self._refusal(step)
        if refusal is not None:
            return (refusal,)
        if step.job_id not in self.jobs:
            self._create(step)
        job = self.jobs[step.job_id]
        if step.op == "open" and job["status"] == "pending":
            job["status"] = "active"
            self._tell(step, step.uid2, channels.STARTED)
        elif step.op == "progress":
            job["status"] = "active"
            self._change(job, step)
            self._tell(step, step.uid1, channels.PROGRESS)
        elif step.op == "item":
            self._tell_item(step, job)
        elif step.op in ENDS:
            self._change(job, step)
            job["status"], type_ = ENDS[step.op]
            if step.op == "complete":
                job["progress"] = 100
            self._tell(step, step.uid1, type_)
        return "ok", channel.top.epoch, channel.top.seq

    def _refusal(self, step: Step) -> str | None:
        job = self.jobs.get(step.job_id)
        if job is None:
            return None if step.op in ("create", "open") else "missing"
        if step.op == "create":
            return "exists"
        if job["status"] in channels.FINISHED:
            return "finished"
        if job["owner"] != step.owner:
            return "owner"
        if step.op == "open" and "kind" in step.changes and orjson.loads(step.changes["kind"]) != job["kind"]:
            return "kind"
        return None

    def _create(self, step: Step) -> None:
        job: dict[str, Any] = {
            "job_id": step.job_id,
            "owner": step.owner,
            "status": "pending",
            "progress": 0,
            "items": {},
        }
        self.jobs[step.job_id] = job
        self._change(job, step)
        self._tell(step, step.uid1, channels.CREATED, anew=True)

    def _change(self, job: dict[str, Any], step: Step) -> None:
        job.update({name: orjson.loads(value) for name, value in step.changes.items()})

    def _tell(self, step: Step, uid: str, type_: str, *, anew: bool = False) -> None:
        job = self.jobs[step.job_id]
        data = orjson.dumps({"job_id": step.job_id, **{name: job.get(name) for name in FIELDS[type_]}})
        self.channels[channels.job_channel(step.job_id)].append(uid, type_, data, step.epoch, anew=anew)
        if step.owner is not None:
            self.channels[channels.user_channel(step.owner)].append(uid, type_, data, step.epoch)

    def _tell_item(self, step: Step, job: dict[str, Any]) -> None:
        item = job["items"].setdefault(step.item_id, dict.fromkeys(channels.ITEM_FIELDS))
        item.update({name: orjson.loads(value) for name, value in step.changes.items()})
        data = orjson.dumps({"job_id": step.job_id, "item_id": step.item_id, **item})
        channel = self.channels[channels.job_channel(step.job_id)]
        channel.append(step.uid1, channels.ITEM, data, step.epoch)
