"""One short try against Redis, blocking: requests in, replies out, errors of redis-py out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis
from redis.cluster import RedisCluster
from redis.exceptions import NoScriptError

from publisher import connect, retry, wire
from publisher.address import Address, parse
from publisher.bundles import Bundle, bundles
from publisher.calls import Call, Request
from publisher.line import Line
from publisher.transport import IN_ONE_GO, Result, read, sentinels, spread


class RedisTransport:
    """Made from a URL it connects when it has to. A given client is not closed, and its pool is somebody else's:
    no connection is kept longer than for a call."""

    def __init__(self, source: str | connect.Blocking) -> None:
        self._client: connect.Blocking | None = None
        self._line: Line | None = None
        self._loaded = False
        if isinstance(source, str):
            address = parse(source)
            self._address: Address | None = address
            self.where, self.cluster = address.where, address.cluster
            if not self.cluster:
                self.client()
        else:
            connect.check(source)
            self._address = None
            self._client = source
            self._line = Line(source, keep=False) if isinstance(source, redis.Redis) else None
            self.where = connect.where(source)
            self.cluster = isinstance(source, RedisCluster)

    def client(self) -> connect.Blocking:
        """The client. Redis Cluster is asked for its layout here, at the first call, and not before."""
        if self._client is None:
            assert self._address is not None
            client = connect.blocking(self._address)
            self._line = Line(client, keep=True) if isinstance(client, redis.Redis) else None
            self._client = client
        return self._client

    def execute(self, request: Request) -> Any:
        client: Any = self._client
        if client is None:
            client = self.client()
        if not isinstance(request, Call):
            return read(client, request)
        if self._line is not None:
            return self._ask(self._line, request)
        script = request.script
        try:
            return client.execute_command("EVALSHA", script.sha, len(request.keys), *request.keys, *request.args)
        except NoScriptError:
            return client.execute_command("EVAL", script.source, len(request.keys), *request.keys, *request.args)

    def _ask(self, line: Line, call: Call) -> Any:
        (reply,) = line.ask((wire.evalsha(call),))
        if isinstance(reply, NoScriptError):
            (reply,) = line.ask((wire.evaluate(call),))
        if isinstance(reply, Exception):
            raise reply
        return reply

    def batch(self, calls: Sequence[Call]) -> list[Result]:
        """Send calls in order, in as few round trips as the server's memory allows."""
        client = self.client()
        packs = bundles(calls, cluster=self.cluster)
        if isinstance(client, RedisCluster):
            return spread(len(calls), packs, self._to_all_nodes(client, packs))
        assert self._line is not None
        replies: list[Result] = []
        for start in range(0, len(packs), IN_ONE_GO):
            going = [pack.call for pack in packs[start : start + IN_ONE_GO]]
            replies += self._line.ask(wire.packed(going, self._loaded))
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
            except retry.ERRORS as error:
                return [error]
        pipeline: Any = client.pipeline()
        for call in calls:
            pipeline.execute_command("EVALSHA", call.script.sha, len(call.keys), *call.keys, *call.args)
        try:
            replies: list[Result] = pipeline.execute(raise_on_error=False)
        except retry.ERRORS as error:
            return [error] * len(calls)
        unknown = [index for index, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        for index in unknown:
            (replies[index],) = self._round(client, [calls[index]])
        return replies

    def repair(self, error: BaseException) -> None:
        """Drop the connections where they lead to a server that is no longer the primary."""
        client = self._client
        # A cluster client follows MOVED by itself.
        if retry.is_failover(error) and isinstance(client, redis.Redis):
            if self._line is not None:
                self._line.release()
            client.connection_pool.disconnect(inuse_connections=False)

    def close(self) -> None:
        if self._address is not None and self._client is not None:
            if self._line is not None:
                self._line.release()
            self._client.close()
            for scout in sentinels(self._client):
                scout.close()

    def after_fork(self) -> None:
        # A lock inside the old client may have been held by a thread that does not exist here.
        if self._address is not None:
            self._client = self._line = None
