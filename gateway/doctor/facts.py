"""What one Redis server says of itself, gathered once for all checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from redis import Redis
from redis.exceptions import ResponseError

CONFIG_NAMES: Final = (
    "appendfsync",
    "client-output-buffer-limit",
    "min-replicas-to-write",
    "save",
    "stop-writes-on-bgsave-error",
    "tcp-keepalive",
    "timeout",
)
SECTIONS: Final = ("server", "clients", "memory", "persistence", "stats", "replication")


@dataclass(frozen=True)
class Facts:
    """``info`` is empty and ``config`` lacks names where a managed service, or the user's rights, do not show them."""

    address: str
    info: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, str] = field(default_factory=dict)

    def number(self, name: str) -> int | None:
        """A whole number of INFO, or None."""
        value = self.info.get(name)
        return int(value) if isinstance(value, int | float) else None

    def config_number(self, name: str) -> int | None:
        """A whole number of CONFIG, or None."""
        value = self.config.get(name, "")
        return int(value) if value.isascii() and value.isdigit() else None


def gather(client: Redis, address: str) -> Facts:
    """Ask one server. Raises redis-py's errors of a broken connection; a refused question leaves a gap."""
    info: dict[str, Any] = {}
    for section in SECTIONS:
        reply = _ask(client.info, section)
        if reply is None:
            break  # INFO is not for us
        info.update(reply)
    config: dict[str, str] = {}
    for name in CONFIG_NAMES:
        reply = _ask(client.config_get, name)
        if reply is None:
            break  # CONFIG is not for us
        config.update({str(key): str(value) for key, value in reply.items()})
    return Facts(address, info, config)


def _ask(question: Any, what: str) -> Any:
    try:
        return question(what)
    except ResponseError:  # unknown command, or not for this user
        return None
