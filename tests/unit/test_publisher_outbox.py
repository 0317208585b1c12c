"""The buffer of events that wait for Redis, and what a worker knows of its job."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher.core import drafts, steps
from publisher.core.options import Options
from publisher.core.outbox import MemoryOutbox
from publisher.core.record import MAX_ITEMS, Entry, JobRecord
from publisher.core.replies import Outcome
from publisher.core.step import Step
from publisher.exceptions import BufferFull

OPTIONS = Options()


def a_record(job_id: str = "j") -> JobRecord:
    return JobRecord(steps.open_(OPTIONS, job_id, "k", None, {"a": 1}))


def emptied(box: MemoryOutbox) -> list[Entry]:
    found = []
    while (waiting := box.head()) is not None:
        found.append(waiting.entry)
        box.landed()
    return found


def progress(value: float, message: str | None = None) -> Step:
    return steps.progress(OPTIONS, "j", None, value, message=message)


def test_newer_progress_replaces_older_and_keeps_its_other_fields() -> None:
    box, record = MemoryOutbox(10), a_record()
    box.offer(progress(10, "first"), record)
    box.offer(steps.item(OPTIONS, "j", None, "f"), record)
    box.offer(progress(20), record)
    item, merged = emptied(box)
    assert isinstance(merged, Step)
    assert isinstance(item, Step)
    assert item.op == "item"
    assert merged.changes == {"progress": b"20", "message": b'"first"'}


def test_progress_in_flight_is_not_replaced() -> None:
    box, record = MemoryOutbox(10), a_record()
    box.offer(progress(10), record)
    box.head()
    box.offer(progress(20), record)
    box.offer(progress(30), record)
    box.grounded()
    assert [orjson.loads(e.changes["progress"]) for e in emptied(box) if isinstance(e, Step)] == [10, 30]


def test_progress_that_may_have_reached_redis_is_never_replaced_again() -> None:
    """In Cluster it may be on the job's channel and not yet on the owner's, where only a retry brings it."""
    box, record = MemoryOutbox(1), a_record()
    box.offer(progress(10), record)
    flying = box.head()
    assert flying is not None
    flying.entry.tried = True
    box.grounded()
    for value in (20, 30):
        box.offer(progress(value), record)
    assert [orjson.loads(e.changes["progress"]) for e in emptied(box) if isinstance(e, Step)] == [10, 30]


def test_a_buffer_is_full_of_bytes_too_and_takes_a_jobs_last_word() -> None:
    box, record = MemoryOutbox(1000, 300), a_record()
    box.offer(drafts.draft(OPTIONS, "broadcast", "t", "x" * 198))
    with pytest.raises(BufferFull, match=r"1 events with 200 bytes .* buffer_bytes"):
        box.offer(drafts.draft(OPTIONS, "broadcast", "t", "x" * 99))
    with pytest.raises(BufferFull):
        box.check_room([drafts.draft(OPTIONS, "broadcast", "t", "x" * 49)] * 2)
    box.offer(drafts.draft(OPTIONS, "broadcast", "t", "x" * 98))
    box.offer(steps.complete(OPTIONS, "j", None, {"text": "x" * 500}), record)
    assert len(emptied(box)) == 3
    box.offer(drafts.draft(OPTIONS, "broadcast", "t", "x" * 298))


def test_a_full_buffer_refuses_plain_events_and_takes_a_jobs_last_word() -> None:
    box, record = MemoryOutbox(2), a_record()
    box.offer(drafts.draft(OPTIONS, "broadcast", "t", 1))
    box.offer(progress(10, "so far"), record)
    with pytest.raises(BufferFull, match="buffer_events"):
        box.offer(drafts.draft(OPTIONS, "broadcast", "t", 2))
    box.offer(progress(20), record)
    box.offer(steps.complete(OPTIONS, "j", None), record)
    assert len(box) == 2
    _, end = emptied(box)
    assert isinstance(end, Step)
    assert end.changes["message"] == b'"so far"'
    assert not box.waits(record)


def test_progress_finds_room_in_a_full_buffer_although_the_older_one_is_in_flight() -> None:
    box, record = MemoryOutbox(1), a_record()
    box.offer(progress(10), record)
    box.head()
    for value in range(20, 90):
        box.offer(progress(value), record)
    assert len(box) == 2
    with pytest.raises(BufferFull):
        box.offer(steps.item(OPTIONS, "j", None, "f"), record)
    with pytest.raises(BufferFull):
        box.offer(steps.progress(OPTIONS, "other", None, 1), a_record("other"))
    box.grounded()
    assert [orjson.loads(e.changes["progress"]) for e in emptied(box) if isinstance(e, Step)] == [10, 89]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["progress", "item", "emit", "send"])), max_size=60))
def test_nothing_but_superseded_progress_is_ever_lost_or_moved(script: list[tuple[str, str]]) -> None:
    box, records = MemoryOutbox(1000), {"a": a_record("a"), "b": a_record("b")}
    kept: list[Entry] = []
    newest: dict[str, Step] = {}
    for name, what in script:
        entry: Entry
        if what == "progress":
            entry = steps.progress(OPTIONS, name, None, 1)
            newest[name] = entry
        elif what == "item":
            entry = steps.item(OPTIONS, name, None, "f")
        else:
            entry = drafts.draft(OPTIONS, f"job:{name}", "t", 1)
        kept.append(entry)
        box.offer(entry, records[name])
    wanted = [e for e in kept if not (isinstance(e, Step) and e.op == "progress") or e is newest[e.job_id]]
    assert [id(entry) for entry in emptied(box)] == [id(entry) for entry in wanted]
    assert not box.waits(records["a"])
    assert not box.waits(records["b"])


def test_a_vanished_job_is_created_anew_from_all_that_is_known() -> None:
    record = a_record()
    record.note(progress(40, "half"))
    record.note(steps.item(OPTIONS, "j", None, "f:1", status="done"))
    step = record.revive()
    assert step.op == "recreate"
    assert step.changes["kind"] == b'"k"'
    assert step.changes["meta"] == b'{"a":1}'
    assert step.changes["status"] == b'"active"'
    assert step.changes["message"] == b'"half"'
    assert step.changes["item:status:f:1"] == b'"done"'
    assert step.changes["item:filename:f:1"] == b"null"


def test_a_worker_remembers_a_bounded_number_of_items() -> None:
    record = a_record()
    for n in range(MAX_ITEMS + 5):
        record.note(steps.item(OPTIONS, "j", None, f"f{n}"))
    assert sum(name.startswith("item:status:") for name in record.revive().changes) == MAX_ITEMS


def test_an_answer_tells_who_ended_the_job() -> None:
    record = a_record()
    record.settle(progress(1), Outcome("ok"))
    assert record.opened
    assert not record.deaf
    record.settle(progress(1), Outcome("finished", detail="cancelled"))
    assert record.cancelled
    assert record.deaf
