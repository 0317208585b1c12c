"""What hosted servers and narrow users leave out: the node does without it, or says what it lacks."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from gateway.broker.script import Script
from gateway.broker.store import ScriptCall, Store
from gateway.doctor import grants
from gateway.doctor.grants import Role
from publisher import Publisher
from publisher.redis import connect
from publisher.redis.address import parse
from tests.http.api import Api
from tests.support.broker import Broker
from tests.support.eventsource import EventSource
from tests.support.node import Node
from tests.support.ports import HOST
from tests.support.proxy import Proxy
from tests.support.tls_front import TlsFront
from tests.support.tokens import token
from tests.support.waiting import until, wait_until

READ = Script("read")


async def test_a_server_without_the_script_command_serves_streams(prefix: str) -> None:
    """Some hosted servers have none; the node was ready there, and refused every stream."""
    with Broker(config=['rename-command SCRIPT ""']) as broker, Node(broker.url, prefix) as node:
        with Publisher.from_url(broker.url, prefix=prefix) as pub:
            pub.create_job("j", kind="k", owner="ann")
            async with EventSource(node.base, "/v1/jobs/j/events", token=token("ann")) as source:
                await source.next_of_type("job.state")
                pub.update_job("j", progress=5)
                await source.next_of_type("job.progress")


async def test_calls_whose_script_was_forgotten_are_repeated_alone(redis_url: str, own_broker: Broker) -> None:
    store = Store(connect.asyncio(own_broker.url))
    try:
        call: ScriptCall = (["x:{a}:log", "x:{a}:meta"], ["", 1000, "", 10])
        for _ in range(2):
            assert len(await store.run_many(READ, [call] * 5)) == 5
            with redis.Redis.from_url(own_broker.url) as client:
                client.script_flush()
    finally:
        await store.close()


async def test_a_node_that_may_not_listen_says_so_once_and_is_not_ready(own_broker: Broker, prefix: str) -> None:
    """It was deaf without a word, and connected anew twenty times a second."""
    rule = grants.rule(Role.NODE, prefix).replace(f"&{prefix}:*", "")
    with redis.Redis.from_url(own_broker.url) as admin:
        admin.execute_command("ACL", "SETUSER", "deaf", "on", ">pw", "resetchannels", *rule.split())
        node = Node(own_broker.url.replace("://", "://deaf:pw@"), prefix)
        try:
            node.start(wait_ready=False)
            api = Api(node.base)

            async def refusals() -> float:
                if not node.readyz():
                    return 0
                lines = (await api.call("GET", "/metrics")).body.decode().splitlines()
                name = 'sse_gateway_redis_reconnects_total{reason="refused"} '
                return float(next(line for line in lines if line.startswith(name)).removeprefix(name))

            async def four() -> bool:
                return await refusals() >= 4

            await until(four, "some attempts")
            assert node.readyz() == 503
            assert node.log.count("redis.subscribe_refused") == 1
            assert f"&{prefix}:*" in node.log and "NOPERM" in node.log
            admin.execute_command("ACL", "SETUSER", "deaf", f"&{prefix}:*")
            node.wait_ready()
        finally:
            node.close()


@contextlib.contextmanager
def frozen(broker: Broker, line: Proxy) -> Iterator[None]:
    """The server keeps its connections open: nothing but a question finds out."""
    broker.freeze()
    try:
        yield
    finally:
        broker.thaw()


@contextlib.contextmanager
def swallowed(broker: Broker, line: Proxy) -> Iterator[None]:
    """So does a line that lets nothing through, here no answers."""
    line.blackhole("down")
    try:
        yield
    finally:
        line.restore()


@contextlib.contextmanager
def busy(broker: Broker, line: Proxy) -> Iterator[None]:
    """A server that is busy with a script answers after a while, PING too, that it is; it does nothing else."""
    with redis.Redis.from_url(broker.url) as admin, socket.create_connection((HOST, broker.port)) as spinning:
        admin.config_set("lua-time-limit", 10)
        spinning.sendall(b"EVAL 'while true do end' 0\r\n")

        def answers() -> bool:
            with contextlib.suppress(redis.ResponseError):
                return not admin.ping()
            return True

        wait_until(answers, "the script to take too long")
        yield
        admin.script_kill()


@pytest.mark.parametrize("silence", [frozen, swallowed, busy])
async def test_silence_of_redis_shows_in_readiness_within_five_seconds(
    own_broker: Broker, prefix: str, silence: Any
) -> None:
    with Proxy(own_broker.port) as line, Node(line.redis_url, prefix) as node:
        with silence(own_broker, line):
            loop = asyncio.get_running_loop()
            began = loop.time()
            while node.readyz() == 200:
                assert loop.time() - began < 30
            assert "redis.lost" not in node.log, "the pub/sub connection was given up first"
            if silence is busy:
                await until(lambda: "redis.lost" in node.log, "the loss to be noticed")
                assert node.readyz() == 503
        node.wait_ready()
        assert "redis.subscribe_refused" not in node.log
        if silence is busy:  # whoever reads warnings alone hears that it is over, too
            await until(lambda: re.search(r"warning\s+redis\.up", node.log) is not None, "the word of its return")


# TLS to Sentinel and Cluster ---

OPTIONS = "ssl_ca_certs={ca}&ssl_check_hostname=false&ssl_cert_reqs=required"


@pytest.mark.parametrize("form", ["rediss+sentinel://h:1/main/2?", "rediss+cluster://h:1?", "rediss://h:1/2?"])
def test_options_of_tls_stand_in_every_form_of_address(form: str) -> None:
    with Broker() as broker, TlsFront(broker.port) as front:
        client: Any = connect.asyncio(form + OPTIONS.format(ca=front.authority))
        kwargs = (
            client.connection_kwargs if hasattr(client, "nodes_manager") else client.connection_pool.connection_kwargs
        )
        assert (kwargs["ssl_ca_certs"], bool(kwargs["ssl_check_hostname"])) == (str(front.authority), False)


def test_every_blocking_connection_over_tls_is_kept_however_soon_its_tickets_come() -> None:
    """redis-py 8.1 takes session tickets that came before the first answer for data that nobody asked for."""
    with Broker() as broker, TlsFront(broker.port) as front:
        url = f"rediss://{HOST}:{front.port}/0?ssl_ca_certs={front.authority}"
        for source in (parse(url), connect.asyncio(url)):
            for _ in range(25):
                twin = connect.twin(source)
                assert twin is not None and twin.client.ping()
                twin.close()


@pytest.mark.parametrize(
    "bad",
    [
        "redis+cluster://h:1?ssl_ca_certs=/x",
        "rediss+cluster://h:1?ssl_nonsense=1",
        "rediss+sentinel://h:1/main?ssl_check_hostname=perhaps",
        "rediss+sentinel://h:1/main?ssl_cert_reqs=sometimes",
    ],
)
def test_options_of_tls_that_make_no_sense_are_refused(bad: str) -> None:
    with pytest.raises(ValueError, match=r"ssl_|options"):
        parse(bad)


async def test_pubsub_of_a_cluster_with_tls_is_encrypted_and_checked_as_its_commands_are() -> None:
    with Broker() as broker, TlsFront(broker.port) as front:
        store = Store(connect.asyncio(f"rediss+cluster://{HOST}:{front.port}?ssl_ca_certs={front.authority}"))
        endpoint = await store.endpoint(f"{HOST}:{front.port}")
        assert endpoint.tls is not None
        reader, writer = await asyncio.open_connection(HOST, front.port, ssl=endpoint.tls)
        writer.write(b"PING\r\n")
        assert await reader.readline() == b"+PONG\r\n"
        writer.close()
        await store.close()
