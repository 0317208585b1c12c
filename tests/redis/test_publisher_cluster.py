"""Both publishers on Redis Cluster and behind a Sentinel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.crc import key_slot

from publisher import AsyncPublisher, Publisher
from publisher.blocking.driver import drive
from publisher.blocking.transport import RedisTransport
from publisher.core import steps
from publisher.core.options import Options
from publisher.core.perform import perform
from publisher.keys import answer_key, channel_keys
from publisher.redis import connect
from tests.support.broker import Broker
from tests.support.publishers import FACES, Reader, done, within
from tests.support.redis_cluster import SLOTS, cluster_url, redis_cluster
from tests.support.waiting import PATIENCE_S, wait_until


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[Broker]]:
    """A cluster of two primaries, so that a job and its owner may live apart."""
    with redis_cluster() as pair:
        yield pair


@pytest.fixture
def url(nodes: list[Broker]) -> str:
    return cluster_url(nodes)


@pytest.fixture
def reader(nodes: list[Broker], prefix: str) -> Iterator[Reader]:
    found = Reader("redis://127.0.0.1", prefix)
    found.client = redis.RedisCluster(port=nodes[0].port, host="127.0.0.1", protocol=2)
    yield found
    found.close()


@pytest.fixture(params=list(FACES))
def face(request: pytest.FixtureRequest) -> Any:
    return FACES[request.param]


async def test_events_go_to_the_slot_of_their_channel(face: Any, url: str, reader: Reader, prefix: str) -> None:
    channels = [f"topic:{n}" for n in range(8)]
    async with within(face.from_url(url, prefix=prefix)) as pub:
        receipts = await done(pub.publish_many([(channel, "t", n) for n in range(3) for channel in channels]))
        last = await done(pub.publish("topic:0", "t", 3))
    assert [r.seq for r in receipts] == [1] * 8 + [2] * 8 + [3] * 8
    assert last.seq == 4
    assert all([event.seq for event in reader.log(channel)][:3] == [1, 2, 3] for channel in channels)


async def test_announcements_are_sharded(face: Any, url: str, nodes: list[Broker], reader: Reader, prefix: str) -> None:
    name = channel_keys(prefix, "topic:a").pubsub
    node = reader.client.get_node_from_key(name)
    listening = redis.Redis(host=node.host, port=node.port, protocol=2).pubsub()
    listening.ssubscribe(name)
    assert listening.get_sharded_message(timeout=10)["type"] == "ssubscribe"
    async with within(face.from_url(url, prefix=prefix)) as pub:
        await done(pub.publish("topic:a", "t", 1))
    assert listening.get_sharded_message(timeout=10)["data"].endswith(b" t\n1")
    listening.close()


def _far_owner(job_id: str) -> str:
    """An owner whose slot is on the other node than this job's, and who is nobody else's owner."""
    mine = key_slot(f"job:{job_id}".encode()) < SLOTS // 2
    return next(f"{job_id}-{n}" for n in range(100) if (key_slot(f"user:{job_id}-{n}".encode()) < SLOTS // 2) != mine)


async def test_a_job_and_its_owner_may_live_on_different_nodes(
    face: Any, url: str, reader: Reader, prefix: str
) -> None:
    owners = [_far_owner(f"j{n}") for n in range(6)]
    async with within(face.from_url(url, prefix=prefix)) as pub:
        for n, owner in enumerate(owners):
            async with within(pub.job(f"j{n}", kind="k", owner=owner)) as job:
                await done(job.progress(10))
                await done(job.item("f"))
            await done(pub.create_job(f"c{n}", kind="k", owner=owner))
            assert (await done(pub.cancel_job(f"c{n}"))).status == "cancelled"
    for n, owner in enumerate(owners):
        life = ["job.created", "job.started", "job.progress", "job.completed"]
        assert reader.types(f"job:j{n}") == [*life[:3], "job.item", life[3]]
        assert reader.types(f"user:{owner}") == [*life, "job.created", "job.cancelled"]
        assert [e.mark for e in reader.log(f"user:{owner}")][:4] == [
            e.mark for e in reader.log(f"job:j{n}") if e.type != "job.item"
        ]
        assert reader.client.zrange(channel_keys(prefix, f"user:{owner}").active, 0, -1) == []


def test_a_repeated_step_tells_the_owner_what_the_lost_answer_would_have(url: str, reader: Reader, prefix: str) -> None:
    """The job's half arrived, its answer did not: the repetition still brings created and started to the owner."""
    options = Options(prefix, cluster=True)
    transport = RedisTransport(url)
    step = steps.open_(options, "j", "k", "ann", None)
    transport.execute(step.call(options))
    step.tried = True
    for _ in range(2):
        assert drive(perform(options, step), transport.execute).verdict == "ok"
    assert reader.types("job:j") == ["job.created", "job.started"]
    assert reader.types("user:ann") == ["job.created", "job.started"]
    transport.close()


async def test_a_sentinel_leads_to_the_primary(face: Any, own_broker: Broker, prefix: str) -> None:
    with Broker(
        sentinel=True,
        config=(f"sentinel monitor main 127.0.0.1 {own_broker.port} 1",),
    ) as sentinel:
        async with (
            within(face.from_url(f"redis+sentinel://127.0.0.1:{sentinel.port}/main/0", prefix=prefix)) as pub,
            within(pub.job("j", kind="k")) as job,
        ):
            await done(job.progress(5))
    reader = Reader(own_broker.url, prefix)
    assert reader.types("job:j") == ["job.created", "job.started", "job.progress", "job.completed"]
    reader.close()


async def test_a_demoted_primary_is_left_for_the_new_one(face: Any, own_broker: Broker, prefix: str) -> None:
    """READONLY: the connections lead to a server that was demoted; they are dropped and the call is repeated."""
    with Broker(append_only=True) as other:
        reader = Reader(own_broker.url, prefix)
        async with within(face.from_url(own_broker.url, prefix=prefix)) as pub:
            async with within(pub.job("j", kind="k")) as job:
                reader.client.replicaof("127.0.0.1", other.port)
                await done(job.progress(5))
                reader.client.replicaof("NO", "ONE")
        wait_until(lambda: reader.types("job:j")[-1:] == ["job.completed"], "the end of the job")
        reader.close()


async def test_who_is_connected_is_asked_of_the_slot_that_knows(face: Any, url: str, prefix: str) -> None:
    async with within(face.from_url(url, prefix=prefix)) as pub:
        assert await done(pub.connection_metrics()) == (0, 0, 0.0)
        assert not await done(pub.has_connections("ann"))


async def test_a_long_list_goes_to_all_nodes_and_keeps_each_channels_order(
    face: Any, url: str, reader: Reader, prefix: str
) -> None:
    events = [(f"topic:{n % 5}", "t", n) for n in range(700)]
    async with within(face.from_url(url, prefix=prefix)) as pub:
        receipts = await done(pub.publish_many(events))
        again = await done(pub.publish_many(events[:10]))
    assert [receipt.seq for receipt in receipts] == [n // 5 + 1 for n in range(700)]
    assert [receipt.seq for receipt in again] == [141] * 5 + [142] * 5
    for channel in range(5):
        wanted = [b"%d" % n for n in range(channel, 700, 5)]
        assert [event.data for event in reader.log(f"topic:{channel}")][:140] == wanted


def test_our_own_cluster_clients_repeat_nothing_by_themselves(face: Any, url: str) -> None:
    """redis-py would repeat a call without the mark of a repetition: the event would be there twice."""
    client: Any = connect.asyncio(url) if face is AsyncPublisher else connect.blocking(url)
    connect.check(client, type(client))


async def test_a_cluster_client_that_repeats_calls_by_itself_is_refused(face: Any, nodes: list[Broker]) -> None:
    module: Any = redis.asyncio if face is AsyncPublisher else redis
    client = module.RedisCluster(host="127.0.0.1", port=nodes[0].port)
    with pytest.raises(ValueError, match="cluster_error_retry_attempts=0"):
        face(client)
    await done(client.aclose() if face is AsyncPublisher else client.close())


async def test_a_job_ends_though_its_owners_primary_has_died(face: Any, prefix: str) -> None:
    """A replica took its place. The job's own primary answers all the time, which must not hide that from the call."""
    config = ["cluster-node-timeout 2000"]
    with redis_cluster(append_only=True, primaries=3, replicas=True, config=config) as nodes:
        home, away = (3 * key_slot(name) // SLOTS for name in (b"job:j", b"user:ann"))
        assert home != away
        async with within(face.from_url(cluster_url(nodes), prefix=prefix, flush_timeout_s=PATIENCE_S)) as pub:
            async with within(pub.job("j", kind="k", owner="ann")) as job:
                nodes[away].kill()
                await done(job.progress(5))
        reader = Reader("redis://127.0.0.1", prefix)
        reader.client = redis.RedisCluster(port=nodes[home].port, host="127.0.0.1", protocol=2)
        assert reader.types("user:ann") == ["job.created", "job.started", "job.progress", "job.completed"]
        reader.close()


def test_events_follow_a_slot_that_moves_and_a_node_that_comes_back(
    url: str, nodes: list[Broker], reader: Reader, prefix: str
) -> None:
    """The blocking publisher asks the nodes itself; redis-py's own way is for whatever goes wrong there."""
    servers = [redis.Redis(port=node.port, protocol=2) for node in nodes]
    ids = [server.execute_command("CLUSTER MYID") for server in servers]
    names = [f"topic:{prefix}-{n}" for n in range(30)]  # in slots without keys of other tests
    channels = {key_slot(channel_keys(prefix, name).log.encode()): name for name in names}
    home: Any = next(slot for slot in channels if slot < SLOTS // 2)
    away: Any = next(slot for slot in channels if slot >= SLOTS // 2)
    with Publisher.from_url(url, prefix=prefix, on_error="buffer") as pub:
        for n in range(3):  # the first finds the layout
            assert pub.publish(channels[away], "t", n) is not None
        servers[0].execute_command("CLUSTER SETSLOT", home, "MIGRATING", ids[1])
        servers[1].execute_command("CLUSTER SETSLOT", home, "IMPORTING", ids[0])
        pub.publish(channels[home], "t", "moving")  # waits: its keys are on neither node
        for server in reversed(servers):
            server.execute_command("CLUSTER SETSLOT", home, "NODE", ids[1])
        wait_until(lambda: pub.publish(channels[home], "t", "moved") is not None, "the slot at its new node")
        assert pub.publish(channels[away], "t", 3) is not None
        moved = [event.data for event in reader.log(channels[home])]
        assert moved[0] == b'"moving"' and set(moved[1:]) == {b'"moved"'}
        nodes[1].kill()  # with all that it had
        assert pub.publish(channels[away], "t", "kept") is None
        nodes[1].start()
        pub.publish(channels[away], "t", "behind it")
    assert [event.data for event in reader.log(channels[away])] == [b'"kept"', b'"behind it"']
    for server in servers:
        server.close()


async def test_an_answer_its_chat_and_its_owner_may_live_apart(
    face: Any, url: str, reader: Reader, prefix: str
) -> None:
    async with within(face.from_url(url, prefix=prefix)) as pub:
        for owner in ("ann", "bob", "eve"):
            for n in range(3):
                async with within(pub.answer("c", owner=owner, job_id=f"{owner}-{n}")) as answer:
                    await done(answer.text("Hel"))
                    await done(answer.text("lo"))
                    await done(answer.part({"type": "start-step"}))
            first = await done(pub.create_answer("c", owner=owner))
            await done(pub.create_answer("c", owner=owner))
            replaced = await done(pub.get_job(first))
            assert (replaced.status, replaced.error["code"]) == ("cancelled", "superseded")
            for n in range(3):
                job = await done(pub.get_job(f"{owner}-{n}"))
                assert (job.status, job.text, len(job.parts)) == ("completed", "Hello", 2)
            assert reader.types(f"user:{owner}").count("job.cancelled") == 1
    slots = {key_slot(answer_key(prefix, f"job:{owner}-0").encode()) for owner in ("ann", "bob", "eve")}
    assert len(slots) == 3
