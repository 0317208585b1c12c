"""What the dialects share: times, reasons, events as jobs; and all of them over a job's whole life."""

from __future__ import annotations

import pytest

from gateway.dialects import clients, common, generation, jobs, tasks, video
from gateway.fanout.encoder import Encoder
from publisher import channels
from publisher.testing import RecordingPublisher
from tests.unit import dialect_world as world
from tests.unit.dialect_world import event, job, told

ENCODERS: list[Encoder] = [clients.ENCODER, generation.ENCODER, jobs.ENCODER, tasks.ENCODER, video.ENCODER]

TIMES: dict[str, tuple[int | None, str | None]] = {
    "none": (None, None),
    "the beginning": (0, "1970-01-01T00:00:00.000Z"),
    "milliseconds": (1_767_225_601_007, "2026-01-01T00:00:01.007Z"),
    "before the beginning": (-1, "1969-12-31T23:59:59.999Z"),
    "a leap day": (1_709_210_096_789, "2024-02-29T12:34:56.789Z"),
    "beyond all calendars": (10**16, None),
    "beyond all numbers": (10**40, None),
}


@pytest.mark.parametrize("name", TIMES)
def test_a_time_is_utc_with_milliseconds(name: str) -> None:
    milliseconds, expected = TIMES[name]
    assert common.iso(milliseconds) == expected


@pytest.mark.parametrize("type_", common.STATUS_OF)
def test_an_event_of_the_jobs_life_is_read_as_the_job(type_: str) -> None:
    found = common.job_of(event(type_))
    assert found is not None
    expected = {"job_id": world.JOB_ID, **world.DATA[type_]}
    shown = found.as_dict()
    assert {name: shown[name] for name in expected if name not in ("owner", "meta")} == {
        name: value for name, value in expected.items() if name not in ("owner", "meta")
    }


def test_fields_of_a_wrong_type_count_as_absent() -> None:
    """Whoever may publish to Redis may write anything there."""
    wrong = event(
        channels.FAILED, progress="40", stage=1, message=[], total=True, error="no", created_at="now", finished_at=1.5
    )
    assert common.job_of(wrong) == job(
        kind="", owner=None, status="failed", progress=0, stage=None, message=None, total=None, created_at=None
    )


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda encoder: encoder.name)
def test_a_whole_life_is_told_from_birth_to_end(encoder: Encoder) -> None:
    """What the publisher really sends: no step of a job's life is lost on a dialect."""
    publisher = RecordingPublisher()
    with publisher.job("j-1", kind="media", owner="ann") as handle:
        handle.progress(40, message="Painting", stage="render", current=4, total=10)
        handle.complete(result={"output": "x"})
    publisher.create_job("j-2", kind="media", owner="ann")
    publisher.update_job("j-2", status="failed", error="Out of paint")
    publisher.create_job("j-3", kind="media")
    publisher.cancel_job("j-3")
    lives = [each for each in publisher.events if each.channel.startswith("job:")]
    assert [each.type for each in lives] == [
        *("job.created", "job.started", "job.progress", "job.completed"),
        *("job.created", "job.failed"),
        *("job.created", "job.cancelled"),
    ]
    assert all(told(encoder, each) for each in lives)


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda encoder: encoder.name)
def test_a_dialect_counts_under_its_own_name(encoder: Encoder) -> None:
    assert type(encoder).__module__ == f"gateway.dialects.{encoder.name}"
