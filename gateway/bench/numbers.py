"""The load test's own events: their channels, their data, and how many of them are due. Pure."""

from __future__ import annotations

from typing import Any, Final

TYPE: Final = "bench"
_FRAME: Final = len('{"n":,"t":,"pad":""}')


def channel(run: str, index: int) -> str:
    return f"topic:bench-{run}-{index}"


def pattern(run: str) -> str:
    """What a token has to name to read them all."""
    return f"topic:bench-{run}-*"


def place(event: int, channels: int) -> tuple[int, int]:
    """(channel, number on that channel) of the event with this number (from 0) over all channels, which take turns."""
    return event % channels, event // channels + 1


def on_channel(published: int, channels: int, index: int) -> int:
    """How many of the first ``published`` events are on this channel."""
    return max(0, (published - index + channels - 1) // channels)


def data(number: int, now_ns: int, size: int) -> dict[str, Any]:
    """An event's data; ``size`` bytes of JSON where they are enough for the number and the time."""
    pad = size - _FRAME - len(str(number)) - len(str(now_ns))
    return {"n": number, "t": now_ns, "pad": "x" * max(0, pad)}


def due(elapsed_s: float, rate: float, total: int) -> int:
    """How many events are to be out by now."""
    return min(total, int(elapsed_s * rate) + 1)
