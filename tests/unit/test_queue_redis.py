"""Where a queue's own Redis is, read off its connections."""

from __future__ import annotations

import pytest
import redis

from publisher.integrations.queue_redis import url_of
from publisher.redis.address import parse


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost:6379/0",
        "redis://user:p%40ss@10.0.0.1:6390/3",
        "redis://:only%2Fpassword@[::1]:6390/1",
        "rediss://user:pass@example.org:6380/2?ssl_ca_certs=%2Fca.pem&ssl_check_hostname=False",
        "unix://user:pass@/run/redis.sock?db=4",
    ],
)
def test_the_url_leads_where_the_queue_s_connections_lead(url: str) -> None:
    pool = redis.ConnectionPool.from_url(url)
    again = redis.ConnectionPool.from_url(url_of(pool))
    assert again.connection_class is pool.connection_class
    for name in ("host", "port", "path", "db", "username", "password", "ssl_ca_certs", "ssl_check_hostname"):
        assert again.connection_kwargs.get(name) == pool.connection_kwargs.get(name), name
    parse(url_of(pool))


def test_a_queue_behind_sentinel_needs_the_events_redis_to_be_told() -> None:
    pool = redis.sentinel.SentinelConnectionPool("primary", redis.sentinel.Sentinel([("localhost", 26379)]))
    with pytest.raises(ValueError, match="Set SSE_REDIS_URL"):
        url_of(pool)
