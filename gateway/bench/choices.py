"""What a load test is asked to do."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.bench.target import Target


@dataclass(frozen=True, slots=True)
class Choices:
    """All of it checked. ``tokens`` take turns over the streams; without any the streams are anonymous."""

    targets: tuple[Target, ...]
    run: str
    """Part of the channels' names, so that load tests do not hear each other."""
    connections: int
    rate: float
    """Events per second, over all channels."""
    payload_bytes: int
    seconds: float
    channels: int
    ramp: float
    """New streams per second."""
    tokens: tuple[str, ...] = ()
    ticket: str = ""
    redis_url: str = ""
    prefix: str = ""
    max_event_bytes: int = 0
    publish_url: str = ""
    publish_token: str = ""
    metrics_token: str | None = None

    def order(self) -> dict[str, object]:
        """What the publishing process has to know."""
        names = ("run", "rate", "payload_bytes", "seconds", "channels", "redis_url", "prefix", "max_event_bytes")
        return {name: getattr(self, name) for name in (*names, "publish_url", "publish_token")}

    def asked(self) -> dict[str, object]:
        """For the result; holds no secret."""
        names = ("connections", "rate", "payload_bytes", "seconds", "channels", "ramp")
        return {"urls": [target.url for target in self.targets], **{name: getattr(self, name) for name in names}}
