"""All checks of the broker, in the order in which a fault explains the next ones."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import redis
from redis.cluster import RedisCluster
from redis.exceptions import RedisClusterException, RedisError, ResponseError
from redis.sentinel import MasterNotFoundError

from gateway.doctor import (
    buffers,
    clock,
    cluster,
    connections,
    latency,
    memory,
    persistence,
    reach,
    replication,
    rights,
    sentinel,
    version,
)
from gateway.doctor.facts import gather
from gateway.doctor.finding import Finding, ok, over_servers, problem, unknown
from gateway.settings import Settings
from publisher import connect
from publisher.address import Address, parse

TRY_S: Final = 2.0
MAX_PRIMARIES: Final = 8
"""Of a larger cluster these are looked at; it is one template that made them all."""
Client = redis.Redis | RedisCluster


class Server(NamedTuple):
    """One server that takes writes, or should. ``tag`` names keys that it serves; empty where none were found."""

    client: redis.Redis
    address: str
    tag: str


def examine(settings: Settings) -> Iterator[Finding]:
    """Everything about the broker. Ends early where the rest would only repeat the first fault."""
    try:
        address = parse(settings.redis_url)
        yield from _at(settings, address)
    except ValueError as error:
        yield problem(reach.CHECK, str(error), "Correct GATEWAY_REDIS_URL.")


def _at(settings: Settings, address: Address) -> Iterator[Finding]:
    try:
        yield from _examine(settings, address)
    except MasterNotFoundError:
        yield reach.no_master(address)
    except (RedisError, RedisClusterException, OSError) as error:
        yield reach.why(error, address)


def _examine(settings: Settings, address: Address) -> Iterator[Finding]:
    if address.sentinel:
        yield from _sentinels(address)
    client = connect.blocking(address, timeout_s=TRY_S)
    try:
        servers = list(_servers(client, address))
        for server in servers:
            _knock(server.client)
        yield ok(reach.CHECK, f"{address.where} answers")
        if isinstance(client, RedisCluster):
            yield from _cluster(client)
        yield from _on_each(settings, address, servers)
    finally:
        client.close()


def _knock(client: redis.Redis) -> None:
    try:
        client.ping()
    except ResponseError as error:
        # It answered, if only to say that this user may not ask.
        if not rights.Refusal("PING", str(error)).denied:
            raise


def _servers(client: Client, address: Address) -> Iterator[Server]:
    if not isinstance(client, RedisCluster):
        yield Server(client, address.where, _tag())
        return
    # Every primary has rights and settings of its own, so each is tried on keys that live there.
    for node in client.get_primaries()[:MAX_PRIMARIES]:
        tags = (_tag() for _ in range(1000))
        tag = next((tag for tag in tags if client.get_node_from_key(f"{{{tag}}}") == node), "")
        yield Server(client.get_redis_connection(node), f"{node.host}:{node.port}", tag)


def _tag() -> str:
    return f"doctor-{secrets.token_hex(6)}"


def _on_each(settings: Settings, address: Address, servers: list[Server]) -> Iterator[Finding]:
    by_check: dict[str, list[tuple[str, Finding]]] = {}
    broken: Exception | None = None
    for server in servers:
        try:
            for finding in _on_one(settings, address, server):
                by_check.setdefault(finding.check, []).append((server.address, finding))
        except (RedisError, OSError) as error:
            broken = error
    for findings in by_check.values():
        yield from over_servers(findings)
    if broken is not None:
        yield reach.why(broken, address)


def _on_one(settings: Settings, address: Address, server: Server) -> Iterator[Finding]:
    facts, prefix = gather(server.client, server.address), settings.redis_prefix
    yield version.judge(facts, cluster=address.cluster)
    if version.is_sentinel(facts):
        return
    yield replication.judge(facts, failover=address.sentinel)
    yield latency.judge(latency.measure(server.client))
    yield memory.judge(facts, prefix)
    yield buffers.judge(facts, settings.max_event_bytes)
    yield persistence.judge(facts)
    yield from connections.judge(facts)
    yield clock.judge(clock.measure(server.client), settings.jwt_leeway_s)
    if not server.tag:
        yield unknown(rights.CHECK, "not tried out, because this primary serves hardly any slots")
    elif replication.is_master(facts):
        trial = rights.attempt(server.client, prefix, server.tag, cluster=address.cluster)
        yield from rights.judge(trial, prefix, _user(server.client))


def _user(client: redis.Redis) -> str:
    return str(client.connection_pool.connection_kwargs.get("username") or "default")


def _sentinels(address: Address) -> Iterator[Finding]:
    client: Any = connect.blocking(address, timeout_s=TRY_S)
    scouts = client.connection_pool.sentinel_manager.sentinels
    answers = [
        sentinel.ask(scout, f"{host}:{port}", address.service)
        for scout, (host, port) in zip(scouts, address.hosts, strict=True)
    ]
    for scout in scouts:
        scout.close()
    yield from sentinel.judge(answers, address.service)


def _cluster(client: RedisCluster) -> Iterator[Finding]:
    state: Mapping[str, str] = {}
    try:
        reply: Any = client.get_redis_connection(client.get_primaries()[0]).execute_command("CLUSTER INFO")
        state = reply
    except ResponseError:
        pass
    yield from cluster.judge(state, len(client.get_primaries()), len(client.get_replicas()))
