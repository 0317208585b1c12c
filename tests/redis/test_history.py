"""Reading histories and states: what is asked for decides what it costs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from gateway.broker.history import STEP_BYTES, History
from gateway.broker.reading import JobFacts
from gateway.broker.script import Script
from gateway.broker.store import ScriptCall, Store
from gateway.metrics.counters import Metrics
from publisher import Publisher
from publisher.channels import job_channel
from publisher.keys import channel_keys
from publisher.redis import connect


@contextlib.asynccontextmanager
async def reading(url: str, prefix: str) -> AsyncIterator[tuple[Store, History]]:
    store = Store(connect.asyncio(url))
    try:
        yield store, History(store, Metrics("test"), prefix)
    finally:
        await store.close()


@pytest.fixture
def publisher(redis_url: str, prefix: str) -> Publisher:
    return Publisher.from_url(redis_url, prefix=prefix)


async def test_facts_say_whose_job_it_is_and_how_large(redis_url: str, prefix: str, publisher: Publisher) -> None:
    publisher.create_job("small", kind="media", owner="ann")
    publisher.create_job("nobodys", kind="media", meta={"text": "x" * 100_000})
    async with reading(redis_url, prefix) as (_, history):
        small = await history.facts("small")
        assert small is not None and small._replace(size=0) == JobFacts("ann", "media", "pending", 0)
        assert small.size < 5_000
        nobodys = await history.facts("nobodys")
        assert nobodys is not None and nobodys.owner is None
        assert 100_000 < nobodys.size < 150_000
        assert await history.facts("missing") is None


@pytest.mark.parametrize("field, value", [("owner", b"[1]"), ("owner", b"\xff"), ("job_id", b"{"), ("job_id", None)])
async def test_there_are_no_facts_of_what_no_publisher_has_written(
    redis_url: str, prefix: str, publisher: Publisher, field: str, value: bytes | None
) -> None:
    publisher.create_job("odd", kind="media", owner="ann")
    state = channel_keys(prefix, job_channel("odd")).state
    async with reading(redis_url, prefix) as (store, history):
        await (store.command("HDEL", state, field) if value is None else store.command("HSET", state, field, value))
        assert await history.facts("odd") is None


async def test_states_are_read_in_steps_of_bounded_size(redis_url: str, prefix: str, publisher: Publisher) -> None:
    """Jobs of a hundred kilobytes come two by two, and one that is larger than a step comes alone."""
    for number in range(5):
        publisher.create_job(f"j{number}", kind="media", owner="ann", meta={"text": "x" * 100_000})
    with publisher.job("big", kind="media", owner="ann") as big:
        for number in range(4):
            big.item(f"f{number}", message="x" * 100_000)
    async with reading(redis_url, prefix) as (_, history):
        ids = ["j0", "j1", "big", "missing", "j2", "j3", "j4"]
        steps = [[job.job_id for job in step] async for step in history.jobs_in_steps(ids, lambda facts: True)]
    assert steps == [["j0", "j1"], ["big"], ["j2", "j3"], ["j4"]]
    assert 2 * 100_000 < STEP_BYTES < 3 * 100_000


async def test_states_of_other_owners_are_not_read(redis_url: str, prefix: str, publisher: Publisher) -> None:
    publisher.create_job("mine", kind="media", owner="ann")
    publisher.create_job("hers", kind="media", owner="eve")
    async with reading(redis_url, prefix) as (_, history):
        steps = [step async for step in history.jobs_in_steps(["hers", "mine"], lambda facts: facts.owner == "ann")]
    assert [[job.job_id for job in step] for step in steps] == [["mine"]]


class CountingStore(Store):
    """Remembers how many states were read in each round trip."""

    def __init__(self, url: str) -> None:
        super().__init__(connect.asyncio(url))
        self.states: list[int] = []

    async def run_many(self, script: Script, calls: Sequence[ScriptCall]) -> list[Any]:
        self.states.append(sum(args[2] == "state" for _, args in calls))
        return await super().run_many(script, calls)


async def test_steps_of_many_readers_are_read_one_after_the_other(
    redis_url: str, prefix: str, publisher: Publisher
) -> None:
    """All at once they would be one answer of megabytes, which a node takes in in one turn of its loop."""
    job_ids = [f"j{number}" for number in range(20)]
    for job_id in job_ids:
        publisher.create_job(job_id, kind="k", meta={"text": "x" * 100_000})
    store = CountingStore(redis_url)
    try:
        history = History(store, Metrics("test"), prefix)

        async def read_all(start: int) -> int:
            order = job_ids[start:] + job_ids[:start]
            return sum([len(step) async for step in history.jobs_in_steps(order, lambda facts: True)])

        assert await asyncio.gather(*map(read_all, range(20))) == [20] * 20
        assert max(store.states) == 2
    finally:
        await store.close()


async def test_a_job_is_read_for_those_whose_it_may_be(redis_url: str, prefix: str, publisher: Publisher) -> None:
    """For others it is as one that is not there, its events too."""
    publisher.create_job("anns", kind="media", owner="änn")
    publisher.create_job("nobodys", kind="media")
    async with reading(redis_url, prefix) as (_, history):

        async def owner_seen(job_id: str, *owners: str | None) -> object:
            channel = job_channel(job_id)
            found = await history.read(channel, 0, "state", frozenset(owners))
            job = history.job_in(channel, found)
            assert bool(found.events) == bool(found.state) == (job is not None)
            return "nothing" if job is None else job.owner

        assert await owner_seen("anns", "änn") == "änn"
        assert await owner_seen("anns", None, "änn") == "änn"
        assert await owner_seen("anns", None, "bob") == "nothing"
        assert await owner_seen("anns") == "nothing"
        assert await owner_seen("nobodys", None) is None
        assert await owner_seen("nobodys", "bob") == "nothing"
        assert await owner_seen("missing", None, "bob") == "nothing"


@pytest.mark.parametrize("stored", [b'"\\u00e4nn"', b'"\xc3\xa4nn"'])
async def test_an_owner_may_be_spelled_as_json_allows(
    redis_url: str, prefix: str, publisher: Publisher, stored: bytes
) -> None:
    publisher.create_job("anns", kind="media", owner="änn")
    channel = job_channel("anns")
    async with reading(redis_url, prefix) as (store, history):
        await store.command("HSET", channel_keys(prefix, channel).state, "owner", stored)
        found = await history.read(channel, None, "state", frozenset({"änn"}))
        job = history.job_in(channel, found)
        assert job is not None and job.owner == "änn"


@pytest.mark.parametrize("stored", [b"", b"{", b"[1]", b"false", b"\xff", b"]["])
async def test_what_is_no_owner_owns_nothing(redis_url: str, prefix: str, publisher: Publisher, stored: bytes) -> None:
    publisher.create_job("odd", kind="media", owner="ann")
    channel = job_channel("odd")
    async with reading(redis_url, prefix) as (store, history):
        await store.command("HSET", channel_keys(prefix, channel).state, "owner", stored)
        for owners in (frozenset({"ann", None}), frozenset[str | None]()):
            found = await history.read(channel, None, "state", owners)
            assert history.job_in(channel, found) is None


async def test_who_asks_at_the_same_time_shares_a_read_also_for_other_owners(
    redis_url: str, prefix: str, publisher: Publisher
) -> None:
    publisher.create_job("nobodys", kind="media")
    channel = job_channel("nobodys")
    async with reading(redis_url, prefix) as (_, history):
        asked = [history.read(channel, None, "state", frozenset({None, f"user-{number}"})) for number in range(50)]
        found = await asyncio.gather(*asked)
        assert all(each is found[0] for each in found) and found[0].state
