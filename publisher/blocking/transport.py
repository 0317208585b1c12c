"""One short try against Redis: requests in, replies out, errors of redis-py out. Repeating is up to the caller."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import redis
from redis.cluster import RedisCluster
from redis.exceptions import NoPermissionError, NoScriptError, ResponseError

from publisher.blocking.pipeline import ELSEWHERE, ClusterPipelines, PooledPipeline
from publisher.core.bundles import Bundle, bundles
from publisher.core.hub_bridge import NO_HUB, HubBridge
from publisher.core.requests import Call, Request
from publisher.redis import connect, errors, packing
from publisher.redis.address import Address, parse
from publisher.redis.exchange import IN_ONE_GO, Result, nothing_there, read, sentinels, spread
from publisher.redis.scripts import lua


class Transport(Protocol):
    """What a publisher sends through. ``where`` names the place in errors, without a password; ``renews`` says whether
    a thread can renew leases there."""

    where: str
    cluster: bool
    renews: bool
    db: int

    def execute(self, request: Request) -> Any: ...
    def batch(self, calls: Sequence[Call]) -> list[Result]: ...
    def repair(self, error: BaseException) -> None: ...
    def close(self) -> None: ...
    def after_fork(self) -> None: ...
    def twin(self) -> connect.Twin | None: ...


class RedisTransport:
    """Made from a URL it connects when it has to. A given client is not closed, and its pool is somebody else's:
    no connection is kept longer than for a call."""

    def __init__(self, source: str | Address | connect.Blocking) -> None:
        self._client: connect.Blocking | None = None
        self._pipeline: PooledPipeline | None = None
        self._nodes: ClusterPipelines | None = None
        self._loaded = False
        self._hub = HubBridge()
        self.renews = True
        if isinstance(source, str | Address):
            address = parse(source) if isinstance(source, str) else source
            self._address: Address | None = address
            self.where, self.cluster = address.where, address.cluster
            self.db = 0 if self.cluster else connect.database(self.client())
        else:
            connect.check(source, redis.Redis, RedisCluster)
            self._address = None
            self._use(source, keep=False)
            self.where = connect.where(source)
            self.cluster, self.db = isinstance(source, RedisCluster), connect.database(source)

    def client(self) -> connect.Blocking:
        """The client. Redis Cluster is asked for its layout here, at the first call, and not before."""
        if self._client is None:
            assert self._address is not None
            self._use(connect.blocking(self._address), keep=True)
        assert self._client is not None
        return self._client

    def _use(self, client: connect.Blocking, *, keep: bool) -> None:
        if isinstance(client, RedisCluster):
            self._nodes = ClusterPipelines(client, keep=keep)
        else:
            self._pipeline = PooledPipeline(client, keep=keep)
        self._client = client

    def execute(self, request: Request) -> Any:
        client: Any = self._client
        if client is None:
            client = self.client()
        if not isinstance(request, Call):
            try:
                return read(client, request)
            except ResponseError as error:
                return nothing_there(request, error)
        if self._pipeline is not None:
            return self._ask(self._pipeline, request)
        reply = self._ask_cluster(client, request)
        self._tell_hub(client, request, reply)
        return reply

    def _tell_hub(self, client: Any, done: Call, reply: Any) -> None:
        """Cluster: what follows an event on a topic."""
        call = self._hub.call(done, reply)
        if call is not None:
            try:
                self._hub.heard(self._ask_cluster(client, call))
            except NoPermissionError:
                self._hub.heard(NO_HUB)

    def _ask_cluster(self, client: Any, call: Call) -> Any:
        nodes = self._nodes
        assert nodes is not None
        reply = nodes.ask(call.keys[0], packing.evalsha(call))
        if reply is not ELSEWHERE and not isinstance(reply, NoScriptError):
            if isinstance(reply, Exception):
                raise reply
            return reply
        script = lua(call.script)
        try:
            reply = client.execute_command("EVALSHA", script.sha, len(call.keys), *call.keys, *call.args)
        except NoScriptError:
            reply = client.execute_command("EVAL", script.source, len(call.keys), *call.keys, *call.args)
        nodes.worked(call.keys[0])
        return reply

    def _ask(self, line: PooledPipeline, call: Call) -> Any:
        (reply,) = line.ask((packing.evalsha(call),))
        if isinstance(reply, NoScriptError):
            (reply,) = line.ask((packing.evaluate(call),))
        if isinstance(reply, Exception):
            raise reply
        return reply

    def batch(self, calls: Sequence[Call]) -> list[Result]:
        """Send calls in order, in as few round trips as the server's memory allows."""
        client = self.client()
        packs = bundles(calls, cluster=self.cluster)
        if isinstance(client, RedisCluster):
            return spread(len(calls), packs, self._to_all_nodes(client, packs))
        assert self._pipeline is not None
        replies: list[Result] = []
        for start in range(0, len(packs), IN_ONE_GO):
            going = [pack.call for pack in packs[start : start + IN_ONE_GO]]
            replies += self._pipeline.ask(packing.packed(going, self._loaded))
            self._loaded = not any(isinstance(reply, NoScriptError) for reply in replies)
            failure = next((reply for reply in replies if isinstance(reply, Exception)), None)
            if failure is not None:  # what follows is not sent, so that it does not overtake
                return spread(len(calls), packs, [*replies, *[failure] * (len(packs) - len(replies))])
        return spread(len(calls), packs, replies)

    def _to_all_nodes(self, client: RedisCluster, packs: Sequence[Bundle]) -> list[Result]:
        """Cluster: one round trip to all nodes for the first call of each channel, another for the second …"""
        results: list[Result] = [None] * len(packs)
        waiting: dict[str, list[int]] = {}
        for index in reversed(range(len(packs))):
            waiting.setdefault(packs[index].call.keys[0], []).append(index)
        while waiting:
            turn = [indexes.pop() for indexes in waiting.values()]
            for index, reply in zip(turn, self._round(client, [packs[index].call for index in turn]), strict=True):
                results[index] = reply
                key = packs[index].call.keys[0]
                if isinstance(reply, Exception):
                    for later in waiting[key]:
                        results[later] = reply
                    del waiting[key]
                elif not waiting[key]:
                    del waiting[key]
        return results

    def _round(self, client: RedisCluster, calls: Sequence[Call]) -> list[Result]:
        if len(calls) == 1:
            try:
                return [self.execute(calls[0])]
            except errors.ERRORS as error:
                return [error]
        pipeline: Any = client.pipeline()
        for call in calls:
            pipeline.execute_command("EVALSHA", lua(call.script).sha, len(call.keys), *call.keys, *call.args)
        try:
            replies: list[Result] = pipeline.execute(raise_on_error=False)
        except errors.ERRORS as error:
            return [error] * len(calls)
        unknown = {index for index, reply in enumerate(replies) if isinstance(reply, NoScriptError)}
        for index, (call, reply) in enumerate(zip(calls, replies, strict=True)):
            if index in unknown:
                (replies[index],) = self._round(client, [call])
            elif not isinstance(reply, Exception):
                try:
                    self._tell_hub(client, call, reply)
                except errors.ERRORS as error:
                    replies[index] = error  # the whole goes again
        return replies

    def repair(self, error: BaseException) -> None:
        """Drop the connections where they lead to a server that is no longer the primary."""
        client = self._client
        # A cluster client follows MOVED by itself.
        if errors.is_failover(error) and isinstance(client, redis.Redis):
            if self._pipeline is not None:
                self._pipeline.release()
            client.connection_pool.disconnect(inuse_connections=False)

    def twin(self) -> connect.Twin | None:
        """A client for the thread that renews leases."""
        return connect.twin(self._address or self.client())

    def close(self) -> None:
        if self._address is not None and self._client is not None:
            for kept in (self._pipeline, self._nodes):
                if kept is not None:
                    kept.release()
            self._client.close()
            for scout in sentinels(self._client):
                scout.close()

    def after_fork(self) -> None:
        # A lock inside the old client may have been held by a thread that does not exist here.
        if self._address is not None:
            self._client = self._pipeline = self._nodes = None
