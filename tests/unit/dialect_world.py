"""What the tests of the dialects share: a job's events as the scripts write them, and a browser's view of blocks."""

from __future__ import annotations

import re
from typing import Any

import orjson

from gateway.fanout.encoder import Encoder
from publisher import channels
from publisher.envelope import Event
from publisher.job import Job
from tests.support.sse_parser import SseParser

Spoken = list[tuple[str, Any]]
"""What a browser dispatches: the event's name ("message" where it has none) and its JSON data."""

JOB_ID = "j-1"
CREATED_AT, STARTED_AT, FINISHED_AT = 1_767_225_600_000, 1_767_225_601_250, 1_767_225_609_007
CREATED, STARTED, FINISHED = "2026-01-01T00:00:00.000Z", "2026-01-01T00:00:01.250Z", "2026-01-01T00:00:09.007Z"

BIRTH = {"kind": "character", "owner": "ann", "status": "pending", "progress": 0, "created_at": CREATED_AT}
LIFE = {"status": "active", "progress": 40, "stage": "render", "message": "Painting", "current": 4, "total": 10}
NO_WORDS: dict[str, Any] = {"stage": None, "message": None, "current": None, "total": None}
TIMES = {"created_at": CREATED_AT, "started_at": STARTED_AT, "finished_at": FINISHED_AT}
ERROR = {"message": "Out of paint", "code": "E_PAINT", "details": {"left": 0}}
ITEM: dict[str, Any] = {
    "item_id": "f1",
    "filename": "a.png",
    "status": "processing",
    "progress": 10,
    "message": "Reading",
}

DATA: dict[str, dict[str, Any]] = {
    channels.CREATED: {**BIRTH, "started_at": None, "meta": None},
    channels.STARTED: {**BIRTH, "status": "active", "started_at": STARTED_AT},
    channels.PROGRESS: LIFE,
    channels.RETRYING: {**LIFE, "status": "pending", "attempt": 2, "message": "The provider was busy."},
    channels.ITEM: ITEM,
    channels.COMPLETED: {**LIFE, "status": "completed", "progress": 100, "result": {"characterId": "c-1"}, **TIMES},
    channels.FAILED: {**LIFE, "status": "failed", "error": ERROR, **TIMES},
    channels.CANCELLED: {**LIFE, "status": "cancelled", **TIMES},
}


def event(type_: str, seq: int = 7, channel: str = f"job:{JOB_ID}", **changes: Any) -> Event:
    """An event of the job's life, with some of its data changed."""
    data = {"job_id": JOB_ID, **DATA.get(type_, {}), **changes}
    return Event(channel, "abcdefgh", seq, "mark07", "mark06", FINISHED_AT, type_, orjson.dumps(data))


def raw_event(type_: str, data: bytes, channel: str = f"job:{JOB_ID}") -> Event:
    return Event(channel, "abcdefgh", 7, "mark07", "mark06", FINISHED_AT, type_, data)


def job(**changes: Any) -> Job:
    """The job at work, with some fields changed."""
    fields: dict[str, Any] = {
        "job_id": JOB_ID,
        "kind": "character",
        "owner": "ann",
        **LIFE,
        "created_at": CREATED_AT,
        "started_at": STARTED_AT,
    }
    return Job(**{**fields, **changes})


PENDING = job(status="pending", progress=0, started_at=None, **NO_WORDS)
ACTIVE = job()
COMPLETED = job(status="completed", progress=100, result={"characterId": "c-1"}, finished_at=FINISHED_AT)
FAILED = job(status="failed", error=ERROR, finished_at=FINISHED_AT)
CANCELLED = job(status="cancelled", finished_at=FINISHED_AT)

HOSTILE = {
    "not JSON": b"{",
    "not an object": b"[1]",
    "no job id": b"{}",
    "a job id of another type": b'{"job_id":7,"item_id":7}',
    "half a character": b'{"job_id":"\\ud800","item_id":"\\ud800"}',
}
"""Data that the job calls never write."""

_BLOCK = re.compile(rb"(event: [A-Za-z0-9_.:-]+\n)?data: [^ \r\n][^\r\n]*\n\n")


def spoken(*blocks: bytes | None) -> Spoken:
    """The blocks as a browser sees them; each must be one complete event, with exactly one space after ``data:``."""
    parser = SseParser()
    heard: Spoken = []
    for block in blocks:
        assert block is not None
        assert _BLOCK.fullmatch(block), block
        heard += [(each.type, each.json()) for each in parser.feed(block)]
    assert len(heard) == len(blocks)
    return heard


def told(encoder: Encoder, heard: Event) -> Spoken:
    """What the dialect makes of one event: one block or nothing."""
    block = encoder.event(heard)
    return [] if block is None else spoken(block)


def shown(encoder: Encoder, state: Job, seq: int = 7) -> Spoken:
    """What the dialect says of a state."""
    return spoken(*encoder.state(state, seq))


def nested(levels: int) -> Any:
    """Lists in lists."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value
