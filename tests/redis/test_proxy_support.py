"""The test proxy breaks the way to Redis as networks do, and mends it again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.broker import Broker
from tests.support.proxy import Direction, Proxy
from tests.support.waiting import wait_until


@pytest.fixture
def proxy(broker: Broker) -> Iterator[Proxy]:
    with Proxy(broker.port) as running:
        yield running


@pytest.fixture
def client(proxy: Proxy) -> Iterator[redis.Redis]:
    """A client that gives up after a second, and tries nothing twice."""
    with redis.Redis.from_url(proxy.redis_url, socket_timeout=1, retry=Retry(NoBackoff(), 0)) as connection:
        yield connection


def test_commands_pass(proxy: Proxy, client: redis.Redis) -> None:
    assert client.ping()
    assert client.echo("x" * 300_000) == b"x" * 300_000
    assert (proxy.accepted, proxy.connections) == (1, 1)


def test_a_cut_breaks_open_connections_and_lets_new_ones_in(proxy: Proxy, client: redis.Redis) -> None:
    subscription = client.pubsub()
    subscription.subscribe("x")
    wait_until(lambda: subscription.get_message(timeout=1), "the confirmation")
    proxy.cut()
    with pytest.raises(redis.ConnectionError):
        subscription.get_message(timeout=5)
    subscription.close()
    assert client.ping()


@pytest.mark.parametrize("direction", ["both", "up", "down"])
def test_a_blackhole_swallows_silently_until_it_is_mended(
    proxy: Proxy, client: redis.Redis, broker: Broker, prefix: str, direction: Direction
) -> None:
    key = f"{prefix}:{direction}"
    with redis.Redis.from_url(broker.url) as direct:
        client.ping()
        proxy.blackhole(direction)
        with pytest.raises(redis.TimeoutError):
            client.set(key, "1", ex=60)
        # Down only, the command arrives and just its answer is lost.
        assert direct.exists(key) == (1 if direction == "down" else 0)
        proxy.restore()
        assert client.ping()


def test_refusing_hits_new_connections_only(proxy: Proxy, client: redis.Redis) -> None:
    client.ping()
    port = proxy.port
    proxy.refuse()
    assert client.ping()
    with redis.Redis.from_url(proxy.redis_url, retry=Retry(NoBackoff(), 0)) as other:
        with pytest.raises(redis.ConnectionError):
            other.ping()
        proxy.restore()
        assert proxy.port == port
        assert other.ping()


def test_a_dead_target_looks_like_a_closed_connection(own_broker: Broker) -> None:
    with Proxy(own_broker.port) as proxy:
        own_broker.kill()
        with redis.Redis.from_url(proxy.redis_url, retry=Retry(NoBackoff(), 0)) as client:
            with pytest.raises(redis.ConnectionError):
                client.ping()
        wait_until(lambda: proxy.connections == 0, "the proxy to forget the connection")
