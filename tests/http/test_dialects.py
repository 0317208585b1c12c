"""The five dialects on a real node: from the publisher's call to the words on the socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from publisher import Publisher
from tests.support.eventsource import EventSource
from tests.support.node import Node
from tests.support.sse_parser import SseEvent
from tests.support.tokens import token

ONE_JOB = {
    "jobs": "/api/v1/sse/jobs/character/{id}",
    "generation": "/api/generation?sessionId={id}",
    "tasks": "/api/v1/status/tasks/{id}/stream",
    "video": "/jobs/{id}/stream",
}
TIMES = {"createdAt", "startedAt", "completedAt"}
UNFINISHED = {"jobs": "initial_status", "generation": "processing", "tasks": "task_progress", "video": "status"}
Words = list[tuple[str, dict[str, Any]]]

DONE = {"output": ["a"]}
AFTER_THE_END: dict[str, dict[str, Words]] = {
    "completed": {
        "jobs": [
            (
                "message",
                {"type": "initial_status", "jobId": "j1", "status": "completed", "progress": 100, "result": DONE},
            ),
            ("message", {"type": "job_update", "jobId": "j1", "status": "completed", "progress": 100, "result": DONE}),
        ],
        "generation": [
            ("message", {"status": "started"}),
            ("message", {"status": "succeeded", "progress": 100, "output": ["a"]}),
        ],
        "tasks": [("task_completed", {"job_id": "j1", "result": DONE, "task_id": "j1", "sequence": 3})],
        "video": [
            (
                word,
                {"job_id": "j1", "status": "completed", "stage": "", "progress": 100, "message": "", "details": DONE},
            )
            for word in ("status", "complete")
        ],
    },
    "cancelled": {
        "jobs": [
            ("message", {"type": word, "jobId": "j1", "status": "failed", "progress": 0, "failedReason": "cancelled"})
            for word in ("initial_status", "job_update")
        ],
        "generation": [
            ("message", {"status": "started"}),
            ("message", {"status": "failed", "progress": 0, "error": "cancelled"}),
        ],
        "tasks": [("task_failed", {"error": "cancelled", "task_id": "j1", "sequence": 3})],
        "video": [
            ("status", {"job_id": "j1", "status": "cancelled", "stage": "", "progress": 0, "message": ""}),
            ("error", {"job_id": "j1", "status": "cancelled", "stage": "", "progress": 0, "message": "cancelled"}),
        ],
    },
}


@pytest.fixture
def pub(redis_url: str, prefix: str) -> Iterator[Publisher]:
    with Publisher.from_url(redis_url, prefix=prefix) as publisher:
        yield publisher


def path_of(dialect: str, job_id: str = "j1") -> str:
    return ONE_JOB[dialect].format(id=job_id)


def words(events: list[SseEvent]) -> Words:
    """What was said, without the greeting and the times, which differ from run to run."""
    said = [(event.type, event.json()) for event in events]
    return [
        (type_, {name: value for name, value in data.items() if name not in TIMES})
        for type_, data in said
        if data.get("type") != "connected"
    ]


@pytest.mark.parametrize("end", AFTER_THE_END)
async def test_who_joins_after_the_end_hears_how_it_ended(
    end: str, pub: Publisher, start_node: Callable[..., Node]
) -> None:
    """Then the stream ends, and who comes back with its cursor is told to stop."""
    base = start_node().base
    pub.create_job("j1", kind="character", owner="user-1")
    pub.update_job("j1", status="active")
    pub.update_job("j1", status=end, result=DONE if end == "completed" else None)
    for dialect, expected in AFTER_THE_END[end].items():
        async with EventSource(base, path_of(dialect), token=token()) as late:
            await late.wait_stopped()
            assert words(late.events) == expected, dialect
        async with EventSource(base, path_of(dialect), token=token(), last_event_id=late.last_event_id) as back:
            await back.wait_stopped()
            assert back.status == 204, dialect


@pytest.mark.parametrize("dialect", ONE_JOB)
async def test_who_comes_back_with_a_cursor_of_another_world_gets_the_state_anew(
    dialect: str, node: Node, publisher: Publisher, name: str
) -> None:
    """In the dialect's own words: its front end knows no others."""
    with publisher.job(name, kind="character", owner="user-1") as job:
        job.progress(40)
        async with EventSource(node.base, path_of(dialect, name), token=token(), last_event_id="nonsense") as source:
            seen = await source.collect_until(lambda event: 40 in event.json().values())
            last = seen[-1]
            assert UNFINISHED[dialect] in (last.type, last.json().get("type"), last.json().get("status"))
            assert source.of_type("stream.reset") == []


@pytest.mark.parametrize("dialect", ONE_JOB)
async def test_a_job_of_somebody_else_is_as_missing_as_one_that_is_not_there(
    dialect: str, node: Node, publisher: Publisher, name: str
) -> None:
    publisher.create_job(name, kind="character", owner="user-1")
    bodies = []
    for job_id in (name, f"{name}-2"):
        async with EventSource(node.base, path_of(dialect, job_id), token=token("user-2")) as stranger:
            await stranger.wait_stopped()
            assert stranger.status == 404
            bodies.append(stranger.exchanges[-1].body)
    assert bodies[0] == bodies[1]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/sse/jobs/media/{id}", 404),
        ("/api/v1/sse/jobs/painting/{id}", 404),
        ("/api/generation?sessionId={id}&providerId=p2", 404),
        ("/api/generation?sessionId={id}&providerId=p1", 200),
        ("/api/generation?sessionId={id}&providerId=", 200),
        ("/api/generation", 400),
        ("/api/generation?sessionId=", 400),
        ("/api/generation?sessionId=a%0Ab", 400),
        ("/jobs/a%7Bb%7D/stream", 400),
    ],
)
async def test_a_path_must_fit_the_job(path: str, status: int, node: Node, publisher: Publisher, name: str) -> None:
    publisher.create_job(name, kind="character", owner="user-1", meta={"provider_id": "p1"})
    async with EventSource(node.base, path.replace("{id}", name), token=token()) as source:
        await source.opened()
        assert source.status == status


async def test_my_jobs_begin_with_the_unfinished_ones_and_go_on_with_new_ones(
    pub: Publisher, start_node: Callable[..., Node]
) -> None:
    base = start_node().base
    for job_id, owner in (("j1", "user-1"), ("j2", "user-1"), ("j3", "user-2")):
        pub.create_job(job_id, kind="character", owner=owner)
    pub.cancel_job("j1")
    async with EventSource(base, "/api/v1/sse/jobs/my", token=token()) as source:
        first = await source.collect_until(lambda event: event.json()["type"] == "initial_status")
        assert [event.json()["type"] for event in first] == ["connected", "initial_status"]
        assert first[-1].json()["jobId"] == "j2"
        pub.create_job("j4", kind="media", owner="user-1")
        pub.cancel_job("j4")
        updates = [(await source.next_event()).json() for _ in range(2)]
    assert [(data["type"], data["jobId"], data["status"]) for data in updates] == [
        ("job_update", "j4", "pending"),
        ("job_update", "j4", "failed"),
    ]


async def test_my_jobs_need_somebody_whose_they_are(start_node: Callable[..., Node]) -> None:
    async with EventSource(start_node(ANONYMOUS="read").base, "/api/v1/sse/jobs/my") as nobody:
        await nobody.wait_stopped()
        assert nobody.status == 401


async def test_heartbeats_are_worded_as_each_front_end_expects(pub: Publisher, start_node: Callable[..., Node]) -> None:
    """Comments are invisible to a page; a blank line is not to some, an event to others."""
    base = start_node(HEARTBEAT_S=1).base
    pub.create_job("j1", kind="character", owner="user-1")
    beats = {"jobs": b": heartbeat\n", "generation": b": heartbeat\n", "video": b": heartbeat\n\n"}
    for dialect, beat in beats.items():
        async with EventSource(base, path_of(dialect), token=token()) as source:
            await source.wait_for(lambda s=source: " heartbeat" in s.comments, "a heartbeat")  # type: ignore[misc]
            assert next(chunk for chunk in source.raw_chunks if b"heartbeat" in chunk) == beat
    async with EventSource(base, "/api/sse/subscribe/user-1", token=token()) as client:
        greeting = (await client.next_event()).json()
        beat_event = await client.next_event()
    assert set(greeting) == {"clientId", "connectionId", "timestamp"} and greeting["clientId"] == "user-1"
    assert beat_event.type == "__heartbeat" and set(beat_event.json()) == {"timestamp"}
