"""Events that wait for Redis: bounded, in order, superseded progress merged away. Pure; the caller locks.

An entry stays here until it has landed, also while it is in flight: that keeps everything else behind it, and a call
whose answer got lost is made again with the same ids, which Redis recognises. So what flew once must neither change nor
go: merged into a newer step, its event would be there twice, or in Cluster on one of the job's two channels only.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from publisher.core.answer_step import AnswerStep
from publisher.core.options import BUFFER_BYTES
from publisher.core.record import Entry, JobRecord
from publisher.core.step import Step
from publisher.exceptions import BufferFull


@dataclass(slots=True, eq=False)
class Waiting:
    """One entry in its place. ``record`` is None for a plain event."""

    number: int
    entry: Entry
    record: JobRecord | None
    size: int


class MemoryOutbox:
    """At most ``limit`` entries with at most ``limit_bytes`` of JSON, and on top of them what must always find room:
    the last word of each job, and one progress step whose predecessor may be on its way and is no longer replaced."""

    def __init__(self, limit: int, limit_bytes: int = BUFFER_BYTES) -> None:
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._bytes = 0
        self._waiting: OrderedDict[int, Waiting] = OrderedDict()
        self._progress: dict[JobRecord, int] = {}
        self._newest: dict[JobRecord, int] = {}
        """The last entry of each job."""
        self._per_job: Counter[JobRecord] = Counter()
        self._next = 0
        self._flying: Waiting | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def _fits(self, entries: Sequence[Entry]) -> bool:
        if len(entries) > self._limit - len(self._waiting):
            return False
        return sum(map(size_of, entries)) <= self._limit_bytes - self._bytes

    def waits(self, record: JobRecord) -> bool:
        """Whether something of this job has not been delivered yet."""
        return self._per_job[record] > 0

    def offer(self, entry: Entry, record: JobRecord | None = None) -> None:
        """Append an entry. Newer progress of a job replaces what waits of it. Raises :class:`BufferFull`."""
        if isinstance(entry, AnswerStep) and record is not None and self._joins(entry, record):
            return
        last_word = entry.last if isinstance(entry, AnswerStep) else isinstance(entry, Step) and entry.ends
        supersedes = isinstance(entry, Step) and (entry.op == "progress" or (last_word and not self._fits([entry])))
        replaced = False
        if record is not None and isinstance(entry, Step) and supersedes:
            replaced = self._supersede(entry, record)
        if not (last_word or replaced or self._follows_flying(entry, record)):
            self.check_room([entry])
        self._append(entry, record)

    def _joins(self, later: AnswerStep, record: JobRecord) -> bool:
        """Whether pieces of an answer travel with those that wait right before them."""
        before = self._waiting.get(self._newest.get(record, 0))
        if before is None or self._flew(before) or not isinstance(before.entry, AnswerStep):
            return False
        grown = size_of(later)
        if not later.last and grown > self._limit_bytes - self._bytes:
            return False
        if not before.entry.take_in(later):
            return False
        before.size += grown
        self._bytes += grown
        return True

    def _follows_flying(self, entry: Entry, record: JobRecord | None) -> bool:
        """Whether this is progress of the job whose newest waiting progress may be on its way."""
        if record is None or not isinstance(entry, Step) or entry.op != "progress":
            return False
        newest = self._waiting.get(self._progress.get(record, 0))
        return newest is not None and self._flew(newest)

    def _flew(self, waiting: Waiting) -> bool:
        """Whether a call with it may have reached Redis, whatever came back. Then it has to land: in Cluster it may be
        on the job's channel already, and only a retry brings it to the owner's."""
        return waiting is self._flying or waiting.entry.tried

    def check_room(self, entries: Sequence[Entry]) -> None:
        """Raise :class:`BufferFull` where these would not fit as plain events."""
        if not self._fits(entries):
            raise BufferFull(
                f"{len(self)} events with {self._bytes} bytes wait for Redis; the buffer holds {self._limit} with "
                f"{self._limit_bytes}. Bring Redis back, publish less, or raise buffer_events or buffer_bytes."
            )

    def _append(self, entry: Entry, record: JobRecord | None) -> None:
        self._next += 1
        size = size_of(entry)
        self._bytes += size
        self._waiting[self._next] = Waiting(self._next, entry, record, size)
        if record is not None:
            self._per_job[record] += 1
            self._newest[record] = self._next
            if isinstance(entry, Step) and entry.op == "progress":
                self._progress[record] = self._next

    def _supersede(self, newer: Step, record: JobRecord) -> bool:
        """Merge the job's waiting progress into a newer step; whether there was any."""
        older = self._waiting.get(self._progress.get(record, 0))  # 0: numbers begin at 1
        if older is None or self._flew(older) or not isinstance(older.entry, Step):
            return False
        newer.changes = {**older.entry.changes, **newer.changes}
        self._remove(older)
        return True

    def head(self) -> Waiting | None:
        """The entry whose turn it is. It is in flight from now on and no longer replaced, until :meth:`landed`
        or :meth:`grounded`."""
        self._flying = next(iter(self._waiting.values()), None)
        return self._flying

    def landed(self) -> None:
        """The entry in flight was delivered or given up."""
        if self._flying is not None:
            self._remove(self._flying)
        self._flying = None

    def grounded(self) -> None:
        """Nobody knows whether the entry in flight arrived; it is still the first."""
        self._flying = None

    def _remove(self, waiting: Waiting) -> None:
        del self._waiting[waiting.number]
        self._bytes -= waiting.size
        record = waiting.record
        if record is None:
            return
        self._per_job[record] -= 1
        if not self._per_job[record]:
            del self._per_job[record], self._newest[record]
        if self._progress.get(record) == waiting.number:
            del self._progress[record]


def size_of(entry: Entry) -> int:
    """Bytes of JSON that an entry holds."""
    if isinstance(entry, AnswerStep):
        return sum(len(piece.body) for piece in entry.pieces)
    return sum(map(len, entry.changes.values())) if isinstance(entry, Step) else len(entry.data)
