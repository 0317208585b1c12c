"""The queue's own Redis as the place of the events, where nothing else is said."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from publisher.redis.address import PLAIN_SCHEMES

_TLS = ("ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname")


def url_of(pool: Any) -> str:
    """The URL of what a connection pool of redis-py leads to. Raises ``ValueError`` for Sentinel and Cluster."""
    given: dict[str, Any] = pool.connection_kwargs
    user, password = (quote(str(given.get(name) or ""), safe="") for name in ("username", "password"))
    who = f"{user}:{password}@" if password else f"{user}@" if user else ""
    plain, tls, unix = PLAIN_SCHEMES
    if given.get("path"):
        return f"{unix}://{who}{given['path']}?db={given.get('db') or 0}"
    if not given.get("host"):
        raise ValueError("The events' Redis is not known: the queue's has no address of its own. Set SSE_REDIS_URL.")
    host, port = given["host"], given.get("port") or 6379
    place = f"[{host}]" if ":" in host else host
    secure = "SSL" in pool.connection_class.__name__
    options = {name: str(given[name]) for name in _TLS if secure and given.get(name) is not None}
    query = f"?{urlencode(options)}" if options else ""
    return f"{tls if secure else plain}://{who}{place}:{port}/{given.get('db') or 0}{query}"
