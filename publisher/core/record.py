"""What a worker knows of its job: enough to tell what still may be sent, and to create the job anew. No I/O."""

from __future__ import annotations

import time
from typing import Final, TypeAlias

from publisher import channels, jsontext
from publisher.core.answer_step import AnswerStep, WrittenAnswer
from publisher.core.drafts import Draft
from publisher.core.replies import Outcome
from publisher.core.step import Step
from publisher.exceptions import JobError, JobExists, JobNotFound, finished

Entry: TypeAlias = Draft | Step | AnswerStep
"""What can be sent, and sent again."""

MAX_ITEMS: Final = 1000
"""Items that are remembered for a job that vanishes; as many as its state in Redis keeps."""


_ENDS: Final = {"complete": "completed", "fail": "failed", "cancel": "cancelled", "retry": "pending"}


class JobRecord:
    """One job as its worker knows it.

    ``ended`` is the status that the worker itself ended it with, ``ended_elsewhere`` the one that others gave it,
    ``refused`` says why Redis does not let this worker have the job. ``revival`` is the step that creates a
    vanished job anew, as long as it has not arrived.
    """

    def __init__(self, birth: Step) -> None:
        self.job_id = birth.job_id
        self.owner = birth.owner
        self.ended: str | None = None
        self.ended_elsewhere: str | None = None
        self.refused: str | None = None
        self.missing = False
        self.opened = False
        self.attempt = 1
        self.paused = False
        self.lease = birth.lease
        self.worker = birth.worker
        self.full = False
        """Whether Redis refused a piece of the answer because it is as long as it may be."""
        self.revival: Step | None = None
        self.written: WrittenAnswer | None = None
        """What its worker has written, where the job is an answer."""
        self._birth = dict(birth.changes)
        self._chat = birth.chat
        self._started_at = int(time.time() * 1000)
        self._life: dict[str, bytes] = {}
        self._items: dict[str, dict[str, bytes]] = {}

    @property
    def cancelled(self) -> bool:
        return self.ended_elsewhere == "cancelled"

    @property
    def deaf(self) -> bool:
        """Whether further events would be dropped."""
        return self.ended_elsewhere is not None or self.refused is not None

    def note(self, entry: Entry) -> None:
        """Remember what a step says about the job."""
        if not isinstance(entry, Step):
            return
        if entry.op == "progress":
            self._life.update(entry.changes)
        elif entry.op == "item":
            self._note_item(entry)
        elif entry.ends:
            self.ended = _ENDS[entry.op]

    def _note_item(self, step: Step) -> None:
        if step.item_id in self._items or len(self._items) < MAX_ITEMS:
            self._items.setdefault(step.item_id, {}).update(step.changes)

    def revive(self) -> Step:
        """The step that creates the vanished job from all that is known; kept until it has arrived."""
        started = jsontext.dump(self._started_at)
        changes = {
            **self._birth,
            "status": b'"active"',
            "attempt": jsontext.dump(self.attempt),
            "created_at": started,
            "started_at": started,
            **self._life,
        }
        # A copy made in one go: another thread may be adding items.
        for item_id, known in list(self._items.items()):
            for name in channels.ITEM_FIELDS:
                changes[f"item:{name}:{item_id}"] = known.get(name, b"null")
        self.revival = Step("recreate", self.job_id, self.owner, changes, lease=self.lease)
        self.revival.chat, self.revival.worker = self._chat, self.worker
        return self.revival

    def settle(self, entry: Entry, outcome: Outcome) -> None:
        """Take in what Redis said to an entry."""
        if outcome.verdict == "ok":
            self.opened = True
            if isinstance(entry, Step):
                self.owner, self.attempt, self.paused = entry.owner, outcome.attempt, outcome.paused
                if entry.op == "open" and "kind" not in entry.changes:
                    self._learn_kind(outcome)
        elif outcome.verdict == "finished":
            self.end_elsewhere(outcome.detail or "finished")
        elif outcome.verdict == "owner":
            self.refused = (
                f"The job {self.job_id} belongs to another owner. Use the owner it was created with, or a new id."
            )
        elif outcome.verdict == "kind":
            self.refused = f"The job {self.job_id} is of kind {outcome.detail}. Use that kind, or a new id."
        elif outcome.verdict == "chat":
            self.refused = f"The job {self.job_id} is no answer of this chat. Use its own chat, or a new id."
        elif outcome.verdict == "held":
            self.refused = f"The answer {self.job_id} is being written by another worker; only one may."
        elif outcome.verdict in ("long", "behind", "ahead"):
            self.full = True
        else:
            self.missing = not self.opened
            self.refused = f"The job {self.job_id} is not in Redis and was never opened. Open it with job()."

    def _learn_kind(self, outcome: Outcome) -> None:
        """Of a job that was taken up as it is, so that it can be created anew as that."""
        for told in outcome.told:
            started = jsontext.load_stored(told.data)
            if isinstance(started, dict) and isinstance(started.get("kind"), str):
                self._birth["kind"] = jsontext.dump(started["kind"])

    def end_elsewhere(self, status: str) -> None:
        """Somebody else ended it. What this worker reported before stays reported."""
        self.ended_elsewhere = status

    def stands(self, status: bytes | None, paused: bytes | None) -> None:
        """Take in how the job stands, as its state says in JSON."""
        self.paused = paused == b"true"
        if status == b'"cancelled"' and not self.ended:
            self.end_elsewhere("cancelled")

    def error(self) -> JobError | None:
        """Why a worker cannot have this job, or None."""
        if self.missing:
            return JobNotFound(self.job_id)
        if self.refused is not None:
            return JobExists(self.job_id, self.refused)
        if self.ended_elsewhere is not None:
            return finished(self.job_id, self.ended_elsewhere)
        return None
