"""The two users of the guide, read out of it: each may do all that it is for, and the worker's nothing beside."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import redis
from redis.exceptions import ResponseError

from gateway.cli import GATEWAY_PACKAGES
from gateway.doctor import grants, publishing, rights
from gateway.doctor.finding import Level
from gateway.doctor.grants import Role
from publisher import AsyncPublisher, Job, JobCancelled, JobFinished, Publisher
from publisher.blocking.transport import RedisTransport
from publisher.core import drafts
from publisher.core.lease import MIN_S
from publisher.core.options import Options
from publisher.keys import channel_keys
from publisher.polling import Poll, Poller
from tests.http.api import Api
from tests.support.broker import Broker, binaries
from tests.support.commands import environment
from tests.support.doctor import diagnose, parse
from tests.support.eventsource import EventSource
from tests.support.node import ROOT, Node
from tests.support.ports import HOST
from tests.support.redis_cluster import cluster_url, redis_cluster
from tests.support.tokens import token
from tests.support.waiting import until, wait_until

GUIDE: Final = ROOT / "docs" / "howto" / "check-a-deployment.md"
ADMIN: Final = frozenset({"acl|log", "acl|setuser", "config|resetstat", "info"})
ANYBODYS: Final = frozenset({"auth", "hello", "select"})
LACKING: Final = frozenset({"config|get", "sse:{gateway}", "sse:{gateway}:revoked", "sse:{gateway}:ticket-key"})
NODES: Final = "sse:{gateway}:nodes"
SCRIPTS: Final = [*(ROOT / "publisher").rglob("*.lua"), *(ROOT / "gateway").rglob("*.lua")]


def documented(role: Role, *, cluster: bool = False) -> list[str]:
    """What follows ``ACL SETUSER NAME`` in the guide."""
    lines = re.findall(rf"^ACL SETUSER {role} (on >PASSWORD .*)$", GUIDE.read_text("utf-8"), re.M)
    assert len(lines) == 2, lines
    return str(lines[cluster]).split()


@contextmanager
def users(binary: str) -> Iterator[tuple[Any, dict[Role, str]]]:
    """Somebody with all rights on a server with both users, and their addresses."""
    with (
        Broker(binary=binary, config=["requirepass ADMIN"]) as broker,
        redis.Redis.from_url(broker.url, password="ADMIN") as admin,
    ):
        for role in Role:
            admin.execute_command("ACL", "SETUSER", role.value, *documented(role))
        yield admin, {role: f"redis://{role}:PASSWORD@{HOST}:{broker.port}/0" for role in Role}


def used(admin: Any) -> set[str]:
    """Every command that was called since the statistics were reset, inside scripts or not."""
    return {name.removeprefix("cmdstat_") for name in admin.info("commandstats")} - ADMIN - ANYBODYS


def log(admin: Any) -> set[str]:
    """What was refused."""
    return {entry["object"] for entry in admin.acl_log()}


@pytest.mark.parametrize("cluster", [False, True])
@pytest.mark.parametrize("role", list(Role))
def test_the_guide_shows_what_the_doctor_asks_for(role: Role, cluster: bool) -> None:
    assert documented(role, cluster=cluster)[3:] == grants.rule(role, "sse", cluster=cluster).split()


@pytest.mark.parametrize("binary", binaries(), ids=lambda path: Path(path).name)
def test_a_worker_may_do_all_that_publishers_do_and_uses_every_right(binary: str) -> None:
    with users(binary) as (admin, urls):
        for node in ("a", "b"):
            admin.zadd(NODES, {node: 9e15})
            admin.hset(f"sse:{{gateway}}:node:{node}", mapping={"clients": 1, "client_streams": 1, "ch:client:ann": 1})
        admin.config_resetstat()
        with Publisher.from_url(urls[Role.WORKER]) as pub:
            events(pub, urls[Role.WORKER])
            jobs(pub)
            leases(pub)
            asyncio.run(polled(urls[Role.WORKER]))
            assert pub.has_connections("ann") and not pub.has_connections("bob")
            assert (pub.connection_metrics().clients, len(list(pub.connected_clients()))) == (1, 1)
        calls = used(admin)
        assert log(admin) == set()
        seen = diagnose("--as", "worker", "--redis-url", urls[Role.WORKER])
        assert seen.worse_than_ok() == {}, seen.output
        assert log(admin) == LACKING, "tried, and refused"
        assert calls | {"ping"} == set(grants.commands(Role.WORKER)), "a right that nobody uses, or the story is short"


def events(pub: Publisher, url: str) -> None:
    assert pub.publish("topic:a", "t", 1, id="own") == pub.publish("topic:a", "t", 1, id="own")
    pub.broadcast("t", 1)
    pub.send("ann", "t", 1)
    assert all(pub.publish_many([("client:ann", "t", 1), ("topic:a", "t", 2), ("broadcast", "t", 3)]))
    # A call whose answer was lost is repeated, and found in the history where nothing else knows it any more.
    transport, options = RedisTransport(url), Options()
    never = drafts.draft(options, "topic:b", "t", 1).call(options)
    first = transport.execute(never.again())
    assert transport.execute(never.again()) == first
    transport.close()


def jobs(pub: Publisher) -> None:
    pub.create_job("j", kind="k", owner="ann", meta={"a": 1})
    with pub.job("j", kind="k", owner="ann") as job:
        job.progress(5, message="m")
        job.item("f", filename="f", status="processing", progress=1)
        job.item("f", progress=2)
        job.log("l")
        job.emit("own", 1)
        pub.pause_job("j")
        pub.resume_job("j")
        job.complete({"r": 1})
    with pytest.raises(JobFinished):
        pub.publish("job:j", "t", 1)
    with pytest.raises(JobCancelled), pub.job("c", kind="k", owner="ann") as job:
        pub.cancel_job("c")
        job.raise_if_cancelled()
    with pub.job("r", kind="k", owner="ann") as job:
        job.retrying("again")
    with pub.job("r", kind="k", owner="ann") as job:
        pub.update_job("r", progress=9)
    with pub.answer("c", owner="ann", job_id="a") as answer:
        answer.text("words")
    answered = pub.get_job("a")
    assert answered is not None and answered.text == "words"


def leases(pub: Publisher) -> None:
    with pub.job("l", kind="k", owner="ann", lease_s=MIN_S):
        first = pub.get_job("l")
        assert first is not None
        wait_until(lambda: lease_until(pub) != first.lease_until, "a renewal")
        assert pub.expire_job("l", owner="ann") > 0


async def polled(url: str) -> None:
    async def fetch(job: Job) -> Poll:
        return Poll("completed", result=1)

    async with AsyncPublisher.from_url(url) as pub:
        poller = Poller(pub, fetch)
        await poller.watch("p", kind="k", owner="ann")

        async def done() -> bool:
            job = await pub.get_job("p")
            return job is not None and job.finished

        running = asyncio.create_task(poller.run())
        await until(done, "an answer")
        running.cancel()
        await asyncio.wait([running])


def lease_until(pub: Publisher) -> float | None:
    job = pub.get_job("l")
    assert job is not None
    return job.lease_until


@pytest.mark.parametrize("binary", binaries(), ids=lambda path: Path(path).name)
async def test_a_node_may_do_all_that_nodes_do(binary: str) -> None:
    with users(binary) as (admin, urls):
        admin.config_resetstat()
        with (
            Node(urls[Role.NODE], PRESENCE_EVENTS="true", DRAIN_S="0") as node,
            Publisher.from_url(urls[Role.WORKER]) as pub,
        ):
            await viewers(node, pub, admin)
            node.terminate()
            node.wait()
        # HGETALL of a job whose worker is lost, and the rest: what the doctor tries and no story of seconds has.
        seen = diagnose("--redis-url", urls[Role.NODE])
        assert log(admin) == set()
        assert seen.level("rights") == seen.level("pub/sub") == "ok"
        assert used(admin) == set(grants.commands(Role.NODE)) - ADMIN


async def viewers(node: Node, pub: Publisher, admin: Any) -> None:
    """Streams, short calls, tickets, a lost worker, and somebody who is sent away."""
    api, root = Api(node.base), partial(Api(node.base).call, sub="root", scope="admin")
    pub.create_job("lost", kind="k", owner="ann")
    pub.update_job("lost", progress=5)
    with pub.job("lost", kind="k", owner="ann", lease_s=None):
        gone = {"lease_until": 1, "lease_ms": 100, "worker": '"w"', "lost": '"fail"'}
        admin.hset(channel_keys("sse", "job:lost").state, mapping=gone)
        async with (
            EventSource(node.base, "/v1/clients/ann/events", token=token("ann")) as client,
            EventSource(node.base, "/v1/events?channel=topic:presence", token=token("root", scope="stats")) as presence,
            EventSource(node.base, "/v1/jobs/lost/events", token=token("ann")) as job,
            EventSource(node.base, "/v1/jobs/events", token=token("ann")) as owners,
        ):
            await client.next_of_type("stream.open")
            await job.next_of_type("job.failed")
            await owners.next_of_type("job.failed")
            sent = await api.publisher("POST", "/v1/events", {"channel": "client:ann", "type": "hello", "data": 1})
            assert sent.status == 200
            await client.next_of_type("hello")
            assert (await api.call("POST", "/v1/tickets", {"channels": ["client:ann"]}, sub="ann")).status == 200
            assert (await api.publisher("POST", "/v1/jobs", {"job_id": "h", "kind": "k", "owner": "ann"})).status == 201
            answer = {"job_id": "a", "kind": "answer", "owner": "ann", "chat": "c"}
            assert (await api.publisher("POST", "/v1/jobs", answer)).status == 201
            assert (await api.publisher("PATCH", "/v1/jobs/a", {"text": "words"})).status == 200
            assert (await api.call("GET", "/v1/jobs/a", sub="ann")).json["text"] == "words"
            for path in ("h/pause", "h/resume", "h/cancel"):
                assert (await api.call("POST", f"/v1/jobs/{path}", sub="ann")).status == 200
            for path in ("/v1/jobs", "/v1/stats", "/v1/clients"):
                assert (await root("GET", path)).status == 200
            assert (await root("DELETE", "/v1/clients/ann?revoke=true")).status == 200
            await client.next_of_type("stream.close")
            await presence.next_of_type("presence.left")
        with pytest.raises(JobFinished):
            pub.update_job("lost", progress=6)


def test_a_worker_may_do_nothing_else() -> None:
    inside = "return redis.call(unpack(ARGV))"
    with users(binaries()[0]) as (admin, urls), redis.Redis.from_url(urls[Role.WORKER]) as worker:
        admin.set("sse:{gateway}:ticket-key", "secret")
        secret, topic = "sse:{gateway}:ticket-key", "sse:{topic:a}:meta"
        reads = [("HGETALL", secret), ("HGET", secret, "x"), ("GET", secret), ("XREVRANGE", secret, "+", "-")]
        writes = [
            *(("ZADD", f"sse:{{gateway}}:{name}", 1, "ann") for name in ("revoked", "sent-away", "nodes", "departed")),
            ("HSET", "sse:{gateway}:node:a", "streams", 1),
            ("XADD", "sse:{gateway}:outbox", "*", "t", "joined"),
            ("DEL", secret),
            ("DEL", "sse:{gateway}:orders-known"),
            ("HSET", "other:{topic:a}:meta", "x", 1),
            ("PUBLISH", "sse:{gateway}", '{"disconnect":"ann","revoked":0,"at":0}'),
            ("PUBLISH", "sse@1:{topic:a}", "x"),
        ]
        commands = ("FLUSHALL", "FLUSHDB", "CONFIG GET *", "CONFIG SET maxmemory 1", "KEYS *", "SCAN 0", "ACL LIST")
        more = ("SCRIPT FLUSH", "CLIENT LIST", "MONITOR", "SUBSCRIBE sse:{topic:a}", f"DUMP {topic}")
        for command in (*reads, *writes, *(tuple(text.split()) for text in (*commands, *more))):
            with pytest.raises(ResponseError) as outside:
                worker.execute_command(*command)
            assert rights.Refusal("", str(outside.value)).denied, f"{command}: {outside.value}"
        for command in (*reads, *writes, ("FLUSHALL",), ("KEYS", "*")):
            with pytest.raises(ResponseError) as caught:
                worker.execute_command("EVAL", inside, 0, *command)
            assert rights.Refusal("", str(caught.value)).denied, f"{command}: {caught.value}"
        assert admin.keys() == [secret.encode()]


@pytest.mark.parametrize("role", list(Role))
def test_the_doctor_tries_every_right_of_a_user(own_broker: Broker, role: Role) -> None:
    """One that it does not try is one that it cannot miss."""
    with redis.Redis.from_url(own_broker.url) as admin:
        admin.config_resetstat()
        tags = {tag.partition(":")[0]: tag for tag, _ in zip(rights.tags(role), range(8), strict=False)}
        mine = list(tags.values())[:1] if role is Role.NODE else list(tags.values())
        assert rights.attempt(rights.Tried(admin, role, "sse", mine, False)).refusals == ()
        missed = set(grants.commands(role)) - used(admin) - {"ping", "memory|usage", "config|get", "info"}
        assert missed == set()
        assert admin.keys() == []


def test_every_command_that_a_script_names_is_granted(own_broker: Broker) -> None:
    """Also those that no story reaches. What looks like a command and stands in capitals is one."""
    with redis.Redis.from_url(own_broker.url) as admin:
        known = {name.decode() for name in admin.execute_command("COMMAND LIST")}
    for role, files in ((Role.WORKER, [file for file in SCRIPTS if "publisher" in file.parts]), (Role.NODE, SCRIPTS)):
        words = {word.lower() for file in files for word in re.findall(r"'([A-Z]+)'", file.read_text("utf-8"))}
        granted = {command.partition("|")[0] for command in grants.commands(role)}
        assert words & known <= granted


WITHOUT: Final = [
    ("+xadd", "may not use XADD"),
    ("~sse:{user:*", "may not use EVAL"),
    ("~sse:{poll:*", "may not use EVAL"),
    ("~sse:{broadcast}:*", "may not use EVAL"),
    ("~sse:{gateway}:census", "may not use EVAL"),
    ("%R~sse:{gateway}:node*", "may not use ZRANGEBYSCORE, HMGET, HSCAN"),
    ("&sse:{topic:*", "may not use PUBLISH"),
    ("&sse:{broadcast}", "may not use PUBLISH"),
]
BESIDE: Final = [
    ("~sse:{gateway}:ticket-key", "may also read the secret that signs tickets:"),
    ("%R~sse:*", "may also read the secret that signs tickets:"),
    ("~sse:{gateway}:rev*", "may also write revocations:"),
    ("&sse:{gateway}", "may also end anybody's streams:"),
    ("+config|get", "may also administer the server:"),
]


def test_the_doctor_of_a_worker_names_what_is_missing_and_what_is_too_much() -> None:
    with users(binaries()[0]) as (admin, urls):
        given, environ = documented(Role.WORKER), {"GATEWAY_REDIS_URL": urls[Role.WORKER], "GATEWAY_NONSENSE": "1"}

        def finding(*rule: str) -> tuple[Level, str, str]:
            admin.execute_command("ACL", "SETUSER", "worker", "reset", *rule)
            found = {each.check: each for each in publishing.examine(environ)}
            assert found.keys() == {"settings", "redis", "latency", "rights", "default user"}
            return found["rights"].level, found["rights"].text, found["rights"].remedy

        assert finding(*given) == (Level.OK, "everything that a worker needs on sse:*", "")
        for right, sentence in WITHOUT:
            missing = Level.PROBLEM, f"the user worker {sentence}", f"ACL SETUSER worker {right}"
            assert finding(*(each for each in given if each != right)) == missing
        for right, sentence in BESIDE:
            level, text, remedy = finding(*given, right)
            assert (level, sentence in text) == (Level.WARNING, True), f"{right}: {text}"
            assert remedy.endswith(f"ACL SETUSER worker {' '.join(given)}")
        level, text, _ = finding(*documented(Role.NODE))
        assert level is Level.WARNING
        assert all(sentence.removeprefix("may also ").removesuffix(":") in text for _, sentence in BESIDE)


def test_the_doctor_says_a_sentence_of_rubbish_where_nodes_should_be(own_broker: Broker) -> None:
    with redis.Redis.from_url(own_broker.url) as admin:
        for key in (NODES, "sse:{gateway}:node:doctor", "sse:{gateway}:ticket-key", "sse:{gateway}:revoked"):
            admin.rpush(key, b"\xff")
    found = [each for each in publishing.examine({"GATEWAY_REDIS_URL": own_broker.url}) if each.check == "rights"]
    assert [each.level for each in found] == [Level.PROBLEM, Level.WARNING]
    assert found[0].text.startswith("Redis refuses ZRANGEBYSCORE, HMGET, HSCAN: WRONGTYPE")


def test_the_doctor_of_a_worker_runs_where_only_the_publisher_is(own_broker: Broker) -> None:
    hidden = f"import sys; sys.modules.update(dict.fromkeys({GATEWAY_PACKAGES!r}))"
    code = f"{hidden}; from gateway.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "doctor", "--as", "worker", "--json", "--redis-url", own_broker.url]
    seen = parse(subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60))
    assert seen.worse_than_ok() == {"rights": "warning"}, seen.output


def test_the_users_of_a_cluster_may_do_the_same() -> None:
    with redis_cluster() as nodes:
        admins = [redis.Redis(port=node.port, protocol=2) for node in nodes]
        for admin in admins:
            for role in Role:
                admin.execute_command("ACL", "SETUSER", role.value, *documented(role, cluster=True))
        url = cluster_url(nodes).replace("://", "://worker:PASSWORD@")
        with Publisher.from_url(url) as pub:
            jobs(pub)
            assert not pub.has_connections("ann")
        assert set[str]().union(*map(log, admins)) == set()
        found = [each for each in publishing.examine({"GATEWAY_REDIS_URL": url}) if each.check == "rights"]
        assert [each.level for each in found] == [Level.OK], found
        for admin in admins:
            admin.execute_command("ACL", "SETUSER", "worker", "-asking")
        found = [each for each in publishing.examine({"GATEWAY_REDIS_URL": url}) if each.check == "rights"]
        assert [each.remedy for each in found] == ["ACL SETUSER worker +asking"]
        with Node(cluster_url(nodes).replace("://", "://node:PASSWORD@")) as node:
            assert node.readyz() == 200
        assert {name for admin in admins for name in log(admin)} <= {*LACKING, "asking"}
        for admin in admins:
            admin.close()
