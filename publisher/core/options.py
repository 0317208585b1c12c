"""What a publisher is set to: one frozen, checked object that the pure parts share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from publisher import channels, keys
from publisher.core import given
from publisher.core.given import OnError, PublisherOptions

TRY_S: Final = 2.0
"""How long one try against Redis may take: connecting, and again reading the answer."""
BUFFER_BYTES: Final = 64 * 1024 * 1024
"""JSON that may wait for Redis. A single event of the largest legal size always fits."""
DIRECT_S: Final = 5.0
"""How long a direct publish goes on trying before it raises."""


@dataclass(frozen=True, slots=True)
class Options:
    """Settings of a publisher. Raises ``ValueError`` with the legal range for anything that makes no sense."""

    prefix: str = keys.DEFAULT_PREFIX
    on_error: OnError = "raise"
    history_events: int = 500
    history_ttl_s: int = 86_400
    buffer_events: int = 10_000
    max_event_bytes: int = 262_144
    flush_timeout_s: float = 10
    buffer_bytes: int = BUFFER_BYTES
    cluster: bool = False
    db: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "prefix", channels.check_prefix(self.prefix))
        if self.on_error not in ("raise", "buffer"):
            raise ValueError(f"on_error must be 'raise' or 'buffer', not {self.on_error!r}.")
        _whole("history_events", self.history_events, 1, 1_000_000)
        _whole("history_ttl_s", self.history_ttl_s, 1, 2_592_000)
        _whole("buffer_events", self.buffer_events, 1, 10_000_000)
        _whole("max_event_bytes", self.max_event_bytes, 1, 16 * 1024 * 1024)
        _whole("buffer_bytes", self.buffer_bytes, self.max_event_bytes, 1 << 40)
        for name in _WHOLE:  # an IntEnum would be written by its name
            object.__setattr__(self, name, int(getattr(self, name)))
        timeout: object = self.flush_timeout_s
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 <= timeout <= 3600:
            raise ValueError(f"flush_timeout_s must be 0 to 3600 seconds, not {timeout!r}.")

    @classmethod
    def of(cls, options: PublisherOptions) -> Options:
        """Checked options. Raises ``TypeError`` for one that there is not, ``ValueError`` for one that is wrong."""
        given.check(options, PublisherOptions, "A publisher")
        found: Any = options
        return cls(**found)

    def on(self, *, cluster: bool, db: int) -> Options:
        """The same for a Redis that is, or is not, a Cluster, and for this database of it."""
        return replace(self, cluster=cluster, db=db)

    @property
    def announce(self) -> str:
        """The command that announces an event: in Cluster the sharded one, which stays on the channel's node."""
        return "SPUBLISH" if self.cluster else "PUBLISH"


_WHOLE: Final = ("history_events", "history_ttl_s", "buffer_events", "max_event_bytes", "buffer_bytes")


def _whole(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{name} must be a whole number from {low} to {high}, not {value!r}.")
