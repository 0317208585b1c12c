"""Plain events through a real server, published by both publishers."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from publisher import AsyncPublisher, BufferFull, EventTooLarge, JobFinished, Publisher, PublisherClosed, PublishError
from publisher.blocking.transport import RedisTransport
from publisher.core import drafts
from publisher.core.options import Options
from publisher.envelope import NO_MARK, decode
from publisher.keys import channel_keys
from tests.support.broker import Broker
from tests.support.publishers import FACES, Reader, done, side_by_side, within
from tests.support.waiting import until

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(params=list(FACES))
def face(request: pytest.FixtureRequest) -> Any:
    return FACES[request.param]


@pytest.fixture
async def pub(face: Any, redis_url: str, prefix: str) -> AsyncIterator[Any]:
    async with within(face.from_url(redis_url, prefix=prefix, history_events=5)) as found:
        yield found


async def test_an_event_is_in_the_history_and_on_the_channel(pub: Any, reader: Reader, prefix: str) -> None:
    listening = reader.client.pubsub()
    listening.subscribe(f"{prefix}:{{client:ü1}}")
    assert listening.get_message(timeout=10)["type"] == "subscribe"
    before = time.time_ns() // 1_000_000
    receipt = await done(pub.send("ü1", "note", {"text": "Grüße\n"}))
    (event,) = reader.log("client:ü1")
    assert receipt == ("client:ü1", event.epoch, 1)
    assert (event.type, event.data, event.id, event.prev) == ("note", '{"text":"Grüße\\n"}'.encode(), None, NO_MARK)
    assert before - 1000 <= event.time <= time.time_ns() // 1_000_000 + 1000
    heard = listening.get_message(timeout=10)
    assert decode("client:ü1", heard["data"]) == event
    listening.close()


async def test_events_form_a_chain_and_the_history_is_trimmed_exactly(pub: Any, reader: Reader) -> None:
    for n in range(12):
        await done(pub.broadcast("tick", n))
    log = reader.log("broadcast")
    assert [event.seq for event in log] == [8, 9, 10, 11, 12]
    assert all(later.follows(earlier.position) for earlier, later in itertools.pairwise(log))


async def test_an_own_id_is_published_once(pub: Any, reader: Reader) -> None:
    first = await done(pub.publish("topic:a", "t", 1, id="order 7"))
    again = await done(pub.publish("topic:a", "t", 2, id="order 7"))
    assert first == again
    (event,) = reader.log("topic:a")
    assert (event.id, event.data) == ("order 7", b"1")


async def test_keys_expire_and_the_meta_outlives_the_log(pub: Any, reader: Reader, prefix: str) -> None:
    await done(pub.publish("topic:a", "t", 1))
    names = channel_keys(prefix, "topic:a")
    assert 86_000 < reader.client.ttl(names.log) <= 86_400
    assert reader.client.ttl(names.meta) > 29 * 86_400
    assert all(0 < reader.client.ttl(name) <= 2_592_000 for name in reader.client.scan_iter(f"{prefix}:*"))


async def test_a_lost_history_begins_a_new_epoch(pub: Any, reader: Reader, prefix: str) -> None:
    first = await done(pub.publish("topic:a", "t", 1))
    await done(pub.publish("topic:a", "t", 2))
    reader.client.delete(channel_keys(prefix, "topic:a").meta)
    third = await done(pub.publish("topic:a", "t", 3))
    assert third.epoch != first.epoch
    assert [(event.seq, event.data) for event in reader.log("topic:a")] == [(1, b"3")]


async def test_a_list_is_published_in_order_with_receipts_in_order(pub: Any, reader: Reader) -> None:
    events = [("topic:a", "t", 0), {"channel": "topic:b", "type": "t", "data": 1, "id": "x"}, ("topic:a", "t", 2)]
    receipts = await done(pub.publish_many(events))
    assert [(r.channel, r.seq) for r in receipts] == [("topic:a", 1), ("topic:b", 1), ("topic:a", 2)]
    assert [event.data for event in reader.log("topic:a")] == [b"0", b"2"]
    assert await done(pub.publish_many([])) == []


async def test_one_bad_event_keeps_the_whole_list_back(pub: Any, reader: Reader) -> None:
    with pytest.raises(ValueError, match="Event 1:"):
        await done(pub.publish_many([("topic:a", "t", 0), ("topic:a", "job.done", 1)]))
    with pytest.raises(EventTooLarge, match="Event 1:"):
        await done(pub.publish_many([("topic:a", "t", 0), ("topic:a", "t", "x" * 300_000)]))
    assert reader.log("topic:a") == []


async def test_scripts_that_the_server_forgot_are_sent_again(pub: Any, reader: Reader) -> None:
    await done(pub.publish_many([("topic:a", "t", 0), ("topic:a", "t", 1)]))
    reader.client.script_flush()
    await done(pub.publish_many([("topic:a", "t", n) for n in range(2, 5)]))
    reader.client.script_flush()
    await done(pub.publish("topic:a", "t", 5))
    assert [event.data for event in reader.log("topic:a")] == [b"1", b"2", b"3", b"4", b"5"]


async def test_the_channel_of_a_finished_job_is_closed(pub: Any, reader: Reader) -> None:
    async with within(pub.job("j", kind="k")):
        await done(pub.publish("job:j", "token", 1))
    with pytest.raises(JobFinished, match="completed"):
        await done(pub.publish("job:j", "token", 2))
    with pytest.raises(JobFinished, match=r"Event 0:.*rest of the list was published"):
        await done(pub.publish_many([("job:j", "token", 2), ("topic:a", "t", 1)]))
    assert reader.types("topic:a") == ["t"]


@pytest.mark.parametrize("recent", [True, False], ids=["remembered", "found in the log"])
def test_a_repeated_call_appends_and_announces_nothing(
    redis_url: str, prefix: str, reader: Reader, recent: bool
) -> None:
    transport = RedisTransport(redis_url)
    options = Options(prefix)
    call = drafts.draft(options, "topic:a", "t", 1).call(options)
    other = drafts.draft(options, "topic:a", "t", 2).call(options)
    first = transport.execute(call)
    transport.execute(other)
    if not recent:
        reader.client.delete(channel_keys(prefix, "topic:a").ids0, channel_keys(prefix, "topic:a").ids1)
    assert transport.execute(call.again()) == first
    assert [event.data for event in reader.log("topic:a")] == [b"1", b"2"]
    transport.close()


async def test_a_frozen_server_gets_each_event_once(own_broker: Broker, prefix: str, face: Any) -> None:
    async with within(face.from_url(own_broker.url, prefix=prefix)) as pub:
        await done(pub.publish("topic:a", "t", 0))
        own_broker.freeze()
        # Longer than one try, shorter than all of them.
        thaw = threading.Timer(2.5, own_broker.thaw)
        thaw.start()
        receipt = await done(pub.publish("topic:a", "t", 1))
        thaw.join()
    reader = Reader(own_broker.url, prefix)
    assert receipt.seq == 2
    assert [event.data for event in reader.log("topic:a")] == [b"0", b"1"]
    reader.close()


async def test_an_outage_is_a_publish_error_that_names_place_and_remedy(own_broker: Broker, face: Any) -> None:
    url = own_broker.url.replace("redis://", "redis://user:hunter2@")
    own_broker.kill()
    async with within(face.from_url(url)) as pub:
        errors = await side_by_side(
            lambda: pub.send("u", "note", 1),
            lambda: pub.publish_many([("client:u", "note", 1)]),
            lambda: pub.get_job("j"),
        )
    assert all(type(error) is PublishError for error in errors)
    assert all(f"127.0.0.1:{own_broker.port}" in str(error) for error in errors)
    assert all("on_error" in str(error) and "hunter2" not in str(error) for error in errors)
    assert str(errors[0]).startswith("The event note for client:u")
    assert str(errors[1]).startswith("Event 0 of the list")


async def test_a_full_server_is_told_at_once(own_broker: Broker, prefix: str, face: Any) -> None:
    reader = Reader(own_broker.url, prefix)
    async with within(face.from_url(own_broker.url, prefix=prefix)) as pub:
        reader.client.config_set("maxmemory", "1")
        with pytest.raises(PublishError, match=r"OutOfMemory.*room"):
            await done(pub.publish("topic:a", "t", 1))
        reader.client.config_set("maxmemory", "0")
    reader.close()


async def test_a_buffer_keeps_events_in_order_until_redis_is_back(own_broker: Broker, prefix: str, face: Any) -> None:
    async with within(face.from_url(own_broker.url, prefix=prefix, on_error="buffer", buffer_events=5)) as pub:
        assert (await done(pub.publish("topic:a", "t", 0))).seq == 1
        own_broker.kill()
        assert await done(pub.publish("topic:a", "t", 1)) is None
        assert await done(pub.publish_many([("topic:a", "t", n) for n in (2, 3, 4)])) == [None] * 3
        with pytest.raises(BufferFull, match="buffer_events"):
            await done(pub.publish_many([("topic:a", "t", 8), ("topic:a", "t", 9)]))
        assert await done(pub.publish("topic:a", "t", 5)) is None
        with pytest.raises(BufferFull):
            await done(pub.publish("topic:a", "t", 6))
        own_broker.start()
    reader = Reader(own_broker.url, prefix)
    assert [event.data for event in reader.log("topic:a")] == [b"%d" % n for n in range(6)]
    reader.close()


async def test_a_publisher_may_start_before_redis(own_broker: Broker, prefix: str, face: Any) -> None:
    own_broker.kill()
    async with within(face.from_url(own_broker.url, prefix=prefix, on_error="buffer")) as pub:
        assert await done(pub.publish("topic:a", "t", 1)) is None
        own_broker.start()
    reader = Reader(own_broker.url, prefix)
    assert reader.types("topic:a") == ["t"]
    reader.close()


def test_threads_share_a_publisher_without_gaps_or_repeats(redis_url: str, prefix: str, reader: Reader) -> None:
    numbers: list[int] = []
    with Publisher.from_url(redis_url, prefix=prefix, history_events=2000) as pub:

        def work(name: int) -> None:
            for n in range(200):
                receipt = pub.publish("topic:a", "t", [name, n])
                assert receipt is not None
                numbers.append(receipt.seq)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(numbers) == list(range(1, 1601))
    assert len(reader.log("topic:a")) == 1600


async def test_tasks_share_a_publisher_and_their_calls_keep_their_order(
    redis_url: str, prefix: str, reader: Reader
) -> None:
    async with AsyncPublisher.from_url(redis_url, prefix=prefix, history_events=2000) as pub:
        receipts = await asyncio.gather(*(pub.publish("topic:a", "t", n) for n in range(600)))
    assert [receipt.seq for receipt in receipts if receipt] == list(range(1, 601))
    assert [event.data for event in reader.log("topic:a")] == [b"%d" % n for n in range(600)]


async def test_a_caller_who_gives_up_leaves_the_others_alone(redis_url: str, prefix: str, reader: Reader) -> None:
    async with AsyncPublisher.from_url(redis_url, prefix=prefix) as pub:
        tasks = [asyncio.create_task(done(pub.publish("topic:a", "t", n))) for n in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        receipts = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(receipts[1], asyncio.CancelledError)
        await until(lambda: len(reader.log("topic:a")) >= 2, "the others' events")
        assert {event.data for event in reader.log("topic:a")} >= {b"0", b"2"}


async def test_a_client_made_elsewhere_is_used_and_left_open(redis_url: str, prefix: str, reader: Reader) -> None:
    with redis.Redis.from_url(redis_url, retry=Retry(NoBackoff(), 0)) as client:
        with Publisher(client, prefix=prefix) as pub:
            pub.broadcast("t", 1)
        assert client.ping()
    assert reader.types("broadcast") == ["t"]


@pytest.mark.parametrize("face", ["blocking", "asyncio"])
def test_a_client_that_repeats_calls_by_itself_is_refused(redis_url: str, face: str) -> None:
    with pytest.raises(ValueError, match=r"retry=Retry\(NoBackoff\(\), 0\)"):
        if face == "blocking":
            Publisher(redis.Redis.from_url(redis_url, retry_on_timeout=True))
        else:
            AsyncPublisher(redis.asyncio.Redis.from_url(redis_url, retry_on_timeout=True))
    with pytest.raises(ValueError, match="decode_responses"):
        Publisher(redis.Redis.from_url(redis_url, retry=Retry(NoBackoff(), 0), decode_responses=True))


def test_remembered_unique_ids_are_bounded(redis_url: str, prefix: str, reader: Reader) -> None:
    names = channel_keys(prefix, "topic:a")
    with Publisher.from_url(redis_url, prefix=prefix) as pub:
        pub.publish("topic:a", "t", 0)
        for name in (names.ids0, names.ids1):
            reader.client.hset(name, mapping={f"u{n}": "x" for n in range(10_000)})
        sizes = [reader.client.hlen(name) for name in (names.ids0, names.ids1)]
        pub.publish("topic:a", "t", 1)
        assert all(reader.client.hlen(name) <= size for name, size in zip((names.ids0, names.ids1), sizes, strict=True))
    assert len(reader.log("topic:a")) == 2


async def test_a_closed_publisher_says_so(face: Any, redis_url: str, prefix: str) -> None:
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        await done(pub.publish("topic:a", "t", 1))
    with pytest.raises(PublisherClosed, match="make a new one"):
        await done(pub.publish("topic:a", "t", 2))
    with pytest.raises(PublisherClosed):
        await done(pub.get_job("j"))


async def test_a_list_stops_at_the_event_that_redis_refuses_and_names_it(
    face: Any, redis_url: str, prefix: str, reader: Reader
) -> None:
    url = narrow_user(reader.client, redis_url, prefix, "{topic:a}*")
    events = [("topic:a", "t", 1), ("topic:a", "t", 2), ("topic:bad", "t", 3), ("topic:a", "t", 4)]
    async with within(face.from_url(url, prefix=prefix)) as pub:
        with pytest.raises(PublishError, match=r"Event 2 of the list "):
            await done(pub.publish_many(events))
        assert [event.seq for event in reader.log("topic:a")] == [1, 2]
        assert (await done(pub.publish("topic:a", "t", 5))).seq == 3
    reader.client.execute_command("ACL", "DELUSER", prefix)


async def test_channels_go_on_after_a_call_that_broke_off(
    face: Any, redis_url: str, prefix: str, reader: Reader
) -> None:
    """An event that is in the history is counted, also where the script could not go on behind it."""
    url = narrow_user(reader.client, redis_url, prefix, "{topic:a}:log", "{topic:a}:meta", "{topic:b}*")
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        await done(pub.publish("topic:a", "t", 0))
        async with within(face.from_url(url, prefix=prefix)) as narrow:
            with pytest.raises(PublishError):
                await done(narrow.publish_many([("topic:a", "t", 1), ("topic:b", "t", 1)] * 3))
        after = [await done(pub.publish(channel, "t", 2)) for channel in ("topic:a", "topic:b")]
    for channel, receipt in zip(("topic:a", "topic:b"), after, strict=True):
        assert [event.seq for event in reader.log(channel)] == list(range(1, receipt.seq + 1))
    assert [receipt.seq for receipt in after] == [5, 4]
    reader.client.execute_command("ACL", "DELUSER", prefix)


def narrow_user(admin: Any, url: str, prefix: str, *keys: str) -> str:
    """The address of a user whose scripts break off at any other key, in their middle: it may name all in a call."""
    patterns = [f"~{prefix}:{key}" for key in keys]
    admin.execute_command("ACL", "SETUSER", prefix, "on", ">pw", "+@all", "&*", *patterns, "(+eval +evalsha ~*)")
    return url.replace("://", f"://{prefix}:pw@")


async def test_long_lists_keep_their_order_over_many_calls(
    face: Any, redis_url: str, prefix: str, reader: Reader
) -> None:
    events = [(f"topic:{n % 3}", "t", n) for n in range(1000)]
    async with within(face.from_url(redis_url, prefix=prefix, history_events=1000)) as pub:
        receipts = await done(pub.publish_many(events))
    assert [(receipt.channel, receipt.seq) for receipt in receipts] == [
        (f"topic:{n % 3}", n // 3 + 1) for n in range(1000)
    ]
    for channel in range(3):
        assert [event.data for event in reader.log(f"topic:{channel}")] == [b"%d" % n for n in range(channel, 1000, 3)]


async def test_an_own_id_twice_in_a_list_is_published_once(
    face: Any, redis_url: str, prefix: str, reader: Reader
) -> None:
    event = {"channel": "topic:a", "type": "t", "data": 1, "id": "same"}
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        first, second = await done(pub.publish_many([event, event]))
    assert first == second
    assert len(reader.log("topic:a")) == 1
