"""Rubbish under a publisher's keys: it goes on publishing, and what it writes can be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
import redis

from publisher import AsyncPublisher, Publisher
from publisher.keys import channel_keys, poll_keys
from publisher.polling import Poll, Poller
from tests.support.publishers import Reader

HUGE: Final = "9" * 40
ODD: Final = ("", "x", "-1", "0", "1.5", "inf", "nan", "1e308", HUGE, b"\xff\xfe", "abcdefgh", "a b", "aaaaaa\n")
LAST_ID: Final = "18446744073709551615-18446744073709551615"
TYPES: Final[tuple[tuple[Any, ...], ...]] = (
    ("SET", "x"),
    ("LPUSH", "x"),
    ("SADD", "x"),
    ("ZADD", "1", "x"),
    ("HSET", "x", "x"),
    ("XADD", "5-1", "m", "x"),
    ("XADD", LAST_ID, "m", "x"),
)


@pytest.fixture
def pub(redis_url: str, prefix: str) -> Iterator[Publisher]:
    with Publisher.from_url(redis_url, prefix=prefix) as publisher:
        yield publisher


@pytest.fixture
def admin(redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


def put(admin: Any, key: str, command: tuple[Any, ...]) -> None:
    admin.delete(key)
    admin.execute_command(command[0], key, *command[1:])


@pytest.mark.parametrize("part", ["log", "meta", "ids0", "ids1"])
def test_a_channel_whose_key_is_of_another_type_takes_events(
    pub: Publisher, admin: Any, prefix: str, reader: Reader, part: str
) -> None:
    key = getattr(channel_keys(prefix, "topic:a"), part)
    for number, kind in enumerate(TYPES):
        pub.publish("topic:a", "t", 0)
        put(admin, key, kind)
        first = pub.publish("topic:a", "t", number)
        put(admin, key, kind)
        own = pub.publish("topic:a", "t", number, id=f"own-{number}")
        put(admin, key, kind)
        many = pub.publish_many([("topic:a", "t", number), ("topic:b", "t", number), ("topic:a", "t", number)])
        assert first and own and all(many)
        last = reader.log("topic:a")[-1]
        assert (last.epoch, last.seq) == (many[2].epoch, many[2].seq), kind  # type: ignore[union-attr]
        assert last.data == str(number).encode()


def test_a_channel_whose_place_makes_no_sense_begins_a_history(
    pub: Publisher, admin: Any, prefix: str, reader: Reader
) -> None:
    meta = channel_keys(prefix, "topic:a").meta
    for field in ("epoch", "seq", "mark", "turn", "renewed"):
        for value in ODD:
            pub.publish("topic:a", "t", 0)
            admin.hset(meta, field, value)
            assert pub.publish("topic:a", "t", 1) and pub.publish("topic:a", "t", 2)
            one, two = reader.log("topic:a")[-2:]  # each is decoded
            assert two.follows(one.position), (field, value)
            assert admin.ttl(meta) > 0


def test_jobs_go_on_where_their_keys_or_their_owners_are_of_another_type(
    pub: Publisher, admin: Any, prefix: str, reader: Reader
) -> None:
    ids = 0
    for channel, parts in (
        ("job", ("log", "meta", "ids0", "state")),
        ("user", ("log", "meta", "ids1", "jobs", "active")),
    ):
        for part in parts:
            for kind in TYPES[:-1]:
                ids += 1
                job_id, owner = f"j{ids}", f"u{ids}"
                key = getattr(channel_keys(prefix, f"job:{job_id}" if channel == "job" else f"user:{owner}"), part)
                put(admin, key, kind)
                with pub.job(job_id, kind="k", owner=owner, lease_s=None) as job:
                    job.progress(5)
                    if part != "state":
                        put(admin, key, kind)
                    job.complete(ids)
                ended = pub.get_job(job_id)
                assert ended and ended.result == ids, (channel, part, kind)
                types = [event.type for event in reader.log(f"user:{owner}")]
                assert types[-1] == "job.completed", (channel, part, kind, types)


def test_a_state_that_is_none_is_no_job(pub: Publisher, admin: Any, prefix: str) -> None:
    state = channel_keys(prefix, "job:j").state
    put(admin, state, TYPES[0])
    assert pub.get_job("j") is None
    assert pub.publish("job:j", "t", 1)
    put(admin, state, TYPES[0])
    assert pub.create_job("j", kind="k").status == "pending"


async def test_a_poller_whose_keys_are_of_another_type_takes_jobs(redis_url: str, prefix: str, admin: Any) -> None:
    async def fetch(job: Any) -> Poll:
        return Poll("active")

    async with AsyncPublisher.from_url(redis_url, prefix=prefix) as pub:
        state = channel_keys(prefix, "job:n").state
        put(admin, state, TYPES[0])
        assert await pub.get_job("n") is None
        for number, key in enumerate(poll_keys(prefix, "default")):
            put(admin, key, TYPES[0])
            await Poller(pub, fetch).watch(f"p{number}", kind="k")
            assert admin.exists(*poll_keys(prefix, "default")) == 2
