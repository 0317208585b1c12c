"""All checks of the broker, in the order in which a fault explains the next ones."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import redis
from redis.cluster import RedisCluster
from redis.exceptions import ResponseError
from redis.sentinel import MasterNotFoundError

from gateway.doctor import (
    buffers,
    clock,
    cluster,
    connections,
    default_user,
    excess,
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
from gateway.doctor.grants import Role
from gateway.settings.settings import Settings
from publisher.redis import connect
from publisher.redis.address import Address, parse
from publisher.redis.errors import ERRORS

TRY_S: Final = 2.0
MAX_TAGS: Final = 2000
"""Names of one's own that are looked through for those that a primary serves."""
MAX_PRIMARIES: Final = 8
"""Of a larger cluster these are looked at; it is one template that made them all."""
Client = redis.Redis | RedisCluster


class Server(NamedTuple):
    """One server that takes writes, or should. ``tags`` name keys that it serves: one for each kind of name that is
    tried, as far as they were found."""

    client: redis.Redis
    address: str
    tags: tuple[str, ...]


def examine(settings: Settings, role: Role = Role.NODE) -> Iterator[Finding]:
    """Everything about the broker that this user sees. Ends early where the rest would only repeat the first fault."""
    try:
        address = parse(settings.redis_url)
        yield from _at(settings, address, role)
    except ValueError as error:
        yield problem(reach.CHECK, str(error), "Correct GATEWAY_REDIS_URL.")


def _at(settings: Settings, address: Address, role: Role) -> Iterator[Finding]:
    try:
        yield from _examine(settings, address, role)
    except MasterNotFoundError:
        yield reach.no_master(address)
    except ERRORS as error:
        yield reach.why(error, address)


def _examine(settings: Settings, address: Address, role: Role) -> Iterator[Finding]:
    if address.sentinel:
        yield from _sentinels(address)
    client = connect.blocking(address, timeout_s=TRY_S)
    try:
        servers = list(_servers(client, address, role))
        for server in servers:
            _knock(server.client)
        yield ok(reach.CHECK, f"{address.where} answers")
        if isinstance(client, RedisCluster) and role is Role.NODE:
            yield from _cluster(client)
        yield from _on_each(settings, address, servers, role)
    finally:
        client.close()


def _knock(client: redis.Redis) -> None:
    try:
        client.ping()
    except ResponseError as error:
        # It answered, if only to say that this user may not ask.
        if not rights.Refusal("PING", str(error)).denied:
            raise


def _servers(client: Client, address: Address, role: Role) -> Iterator[Server]:
    if not isinstance(client, RedisCluster):
        yield Server(client, address.where, _tags(role, lambda tag: True))
        return
    # Every primary has rights and settings of its own, so each is tried on keys that live there.
    for node in client.get_primaries()[:MAX_PRIMARIES]:

        def serves(tag: str, node: Any = node) -> bool:
            return bool(client.get_node_from_key(f"{{{tag}}}") == node)

        yield Server(client.get_redis_connection(node), f"{node.host}:{node.port}", _tags(role, serves))


def _tags(role: Role, serves: Callable[[str], bool]) -> tuple[str, ...]:
    found: dict[str, str] = {}
    for tag in itertools.islice(rights.tags(role), MAX_TAGS):
        kind = tag.partition(":")[0] if ":" in tag else tag.partition("-")[0]
        if kind not in found and serves(tag):
            found[kind] = tag
    return tuple(found.values())


def _on_each(settings: Settings, address: Address, servers: list[Server], role: Role) -> Iterator[Finding]:
    by_check: dict[str, list[tuple[str, Finding]]] = {}
    broken: Exception | None = None
    for server in servers:
        try:
            on_one = _of_node if role is Role.NODE else _of_worker
            for finding in on_one(settings, address, server):
                by_check.setdefault(finding.check, []).append((server.address, finding))
        except ERRORS as error:
            broken = error
    for findings in by_check.values():
        yield from over_servers(findings)
    if broken is not None:
        yield reach.why(broken, address)


def _of_node(settings: Settings, address: Address, server: Server) -> Iterator[Finding]:
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
    if not server.tags:
        yield unknown(rights.CHECK, "not tried out, because this primary serves hardly any slots")
    elif replication.is_master(facts):
        tried = rights.Tried(server.client, Role.NODE, prefix, server.tags, address.cluster)
        yield from rights.judge(rights.attempt(tried), Role.NODE, prefix, _user(server.client))
        yield from default_user.examine(server.client, prefix, _user(server.client))


def _of_worker(settings: Settings, address: Address, server: Server) -> Iterator[Finding]:
    """What the server is set to is not for its user to see: the doctor of a node looks at that."""
    yield latency.judge(latency.measure(server.client))
    tried = rights.Tried(server.client, Role.WORKER, settings.redis_prefix, server.tags, address.cluster)
    yield from rights.judge(rights.attempt(tried), Role.WORKER, settings.redis_prefix, _user(server.client))
    yield from excess.judge(tried, _user(server.client))
    yield from default_user.examine(server.client, settings.redis_prefix, _user(server.client))


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
