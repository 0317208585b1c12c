"""What callers give: text subclasses are their value, item ids are free, and one rule holds for NaN and infinities."""

from __future__ import annotations

import asyncio
import enum
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from publisher import channels, jsontext
from publisher.channels import check_item_id
from publisher.core import drafts, steps
from publisher.core.options import Options
from publisher.keys import channel_keys
from publisher.redis.address import parse
from publisher.testing import AsyncRecordingPublisher, RecordingPublisher

OPTIONS = Options()
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Words(str, enum.Enum):  # noqa: UP042 - the members of a StrEnum do not call themselves Words.PRICES
    PRICES = "topic:prices"
    TICK = "tick"
    ALICE = "alice"
    JOB = "j-1"
    KIND = "media"
    FILE = "a, b.csv"
    URL = "redis://localhost:6379/3"
    TRACE = TRACE
    SECRET = "t1"
    CLIENT = "client_id"


class Count(enum.IntEnum):
    FIVE = 5


class Loud(str):
    def __str__(self) -> str:
        return self.upper()

    def __format__(self, spec: str) -> str:
        return self.upper()


class Degrees(float):
    def __repr__(self) -> str:
        return "warm"


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (channels.check_id, Words.ALICE),
        (channels.check_channel, Words.PRICES),
        (channels.check_type, Words.TICK),
        (channels.check_own_type, Words.TICK),
        (channels.check_own_id, Words.TICK),
        (channels.check_prefix, Words.SECRET),
        (channels.check_item_id, Words.FILE),
        (channels.client_channel, Loud("a")),
        (channels.job_channel, Loud("a")),
        (channels.user_channel, Loud("a")),
    ],
)
def test_every_check_answers_plain_text(check: Callable[[object], str], value: str) -> None:
    assert type(check(value)) is str
    assert check(value).endswith(str.__str__(value))


def test_an_event_named_by_an_enum_goes_where_its_value_says() -> None:
    drafts.destination.cache_clear()
    event = drafts.draft(OPTIONS, Words.PRICES, Words.TICK, {Words.TICK: Words.ALICE}, Words.JOB, Words.TRACE)
    call = event.call(OPTIONS)
    assert call.keys[0] == channel_keys("sse", "topic:prices").log
    assert {type(key) for key in call.keys} == {str}
    assert "Words" not in repr(call)
    assert (event.type, event.id, event.traceparent) == ("tick", "j-1", TRACE)
    assert orjson.loads(event.data) == {"tick": "alice"}


def test_publishers_take_enums_everywhere() -> None:
    pub = RecordingPublisher(prefix=Words.SECRET)
    pub.connect(Words.ALICE)
    receipts = [
        pub.send(Words.ALICE, Words.TICK, 1),
        pub.publish(Words.PRICES, Words.TICK, Loud("a"), id=Words.JOB, traceparent=Words.TRACE),
        *pub.publish_many([(Words.PRICES, Words.TICK, 1), {"channel": Words.PRICES, "type": Words.TICK, "data": 2}]),
    ]
    assert [receipt and receipt.channel for receipt in receipts] == ["client:alice", *["topic:prices"] * 3]
    assert pub.has_connections(Words.ALICE)
    pub.create_job(Words.JOB, kind=Words.KIND, owner=Words.ALICE, meta={Words.CLIENT: Words.ALICE})
    with pub.job(Words.JOB, kind=Words.KIND, owner=Words.ALICE) as job:
        job.progress(Count.FIVE, message=Words.FILE, stage=Words.TICK, current=Count.FIVE, total=Degrees(7))
        job.item(Words.FILE, filename=Words.FILE, status=Words.TICK, progress=Count.FIVE, message=Words.KIND)
        pub.pause_job(Words.JOB)
        assert pub.resume_job(Words.JOB).job_id == "j-1"
        job.plan({Words.TICK: 1, Words.KIND: Count.FIVE})
        with job.stage(Words.TICK):
            job.progress(1, stage=Words.KIND)
            job.log(Words.FILE)
        found = pub.get_job(Words.JOB)
        assert found is not None
        assert found.stage == "tick/media"
        job.emit(Words.TICK, {Words.TICK: Count.FIVE, "warm": Degrees(2.5)})
        job.fail(Words.FILE, code=Words.TICK, details={Words.TICK: Words.ALICE})
    found = pub.get_job(Words.JOB)
    assert found is not None
    assert (found.job_id, found.kind, found.owner, found.message) == ("j-1", "media", "alice", "a, b.csv")
    assert found.meta == {"client_id": "alice"}
    assert found.error == {"message": "a, b.csv", "code": "tick", "details": {"tick": "alice"}}
    assert [item["item_id"] for item in found.items] == ["a, b.csv"]
    assert {event.channel for event in pub.events} == {"client:alice", "topic:prices", "job:j-1", "user:alice"}
    assert b"Words" not in b"".join(event.data for event in pub.events)


def test_updates_and_cancellations_take_enums() -> None:
    async def story() -> None:
        pub = AsyncRecordingPublisher()
        for end in (pub.cancel_job, lambda job_id: pub.update_job(job_id, status="failed", error=Words.FILE)):
            await pub.create_job(Words.JOB, kind=Words.KIND)
            assert (await end(Words.JOB)).job_id == "j-1"
            assert {event.channel for event in pub.events} == {"job:j-1"}
            assert b"Words" not in b"".join(event.data for event in pub.events)
            pub.clear()

    asyncio.run(story())


def test_settings_take_enums() -> None:
    options = Options(prefix=Words.SECRET, history_events=Count.FIVE, flush_timeout_s=Degrees(2))
    assert (type(options.prefix), type(options.history_events)) == (str, int)
    assert type(parse(Words.URL).url) is str


@pytest.mark.parametrize("item_id", ["IMG 0001.png", "a, b.csv", "{x}", "a:b", " ", "日本 語.txt", "x" * 200, "📷"])
def test_an_item_id_is_free_text(item_id: str) -> None:
    assert check_item_id(item_id) == item_id
    pub = RecordingPublisher()
    with pub.job("j", kind="k") as job:
        job.item(item_id, filename=item_id, progress=10)
        job.item(item_id, status="done")
    found = pub.get_job("j")
    assert found is not None
    assert found.items == [{"item_id": item_id, "filename": item_id, "status": "done", "progress": 10, "message": None}]


@pytest.mark.parametrize("item_id", ["", "x" * 201, "a\nb", "a\x00", "a\x7f", "\x85", "\ud800", 7, None, b"a"])
def test_an_item_id_without_length_or_with_control_characters_is_refused(item_id: Any) -> None:
    with pytest.raises(ValueError, match="item id"):
        steps.item(OPTIONS, "j", None, item_id)


@dataclass
class Reading:
    value: float
    nested: list[Any] = field(default_factory=list)


@dataclass(slots=True)
class Slotted:
    value: float


class LimitEnum(enum.Enum):
    NONE = math.inf
    FIVE = 5.0
    READING = Reading(math.nan)


NOT_JSON = [
    math.nan,
    Degrees("inf"),
    Reading(math.nan),
    Slotted(-math.inf),
    Reading(1, [{"a": (Slotted(math.nan),)}]),
    LimitEnum.NONE,
    LimitEnum.READING,
    {"a": {Words.TICK: [LimitEnum.NONE]}},
]


@pytest.mark.parametrize("value", NOT_JSON, ids=repr)
def test_a_number_that_json_does_not_know_is_refused_wherever_it_hides(value: Any) -> None:
    pub = RecordingPublisher()
    with pytest.raises(ValueError, match="NaN or an infinity"):
        pub.broadcast("t", value)
    with pytest.raises(ValueError, match="NaN or an infinity"):
        pub.create_job("j", kind="k", meta={"x": value})
    pub.create_job("j", kind="k")
    job = pub.job("j", kind="k")
    with pytest.raises(ValueError, match="NaN or an infinity"):
        job.complete(value)
    with pytest.raises(ValueError, match="NaN or an infinity"):
        job.fail("m", details=value)
    with pytest.raises(ValueError, match="NaN or an infinity"):
        job.emit("t", [value])
    ends: tuple[dict[str, Any], ...] = (
        {"status": "completed", "result": value},
        {"status": "failed", "error": {"message": "m", "details": value}},
    )
    for changes in ends:
        with pytest.raises(ValueError, match="NaN or an infinity"):
            pub.update_job("j", **changes)
    for name in ("progress", "current", "total"):
        with pytest.raises(ValueError, match=name):
            job.progress(**{name: value} if name != "progress" else {"value": value})
    with pytest.raises(ValueError, match="progress"):
        job.item("f", progress=value)
    assert [event.type for event in pub.events] == ["job.created", "job.started"]


def test_values_that_json_knows_go_through_as_they_are() -> None:
    data = {"none": None, "reading": Reading(1.5, [Slotted(2)]), Words.TICK: [LimitEnum.FIVE, Degrees(3), "null"]}
    wanted = {"none": None, "reading": {"value": 1.5, "nested": [{"value": 2}]}, "tick": [5.0, 3.0, "null"]}
    assert orjson.loads(jsontext.dump(data)) == wanted
    for wrong in ({1: "a"}, {None: 1}, {Count.FIVE: 1}, {"a": [{2.5: 1}]}, {1, 2}, object()):
        with pytest.raises(ValueError, match="cannot be written as JSON"):
            jsontext.dump(wrong)
