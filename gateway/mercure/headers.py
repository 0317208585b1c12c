"""Header lines that only the hub's answers have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from starlette.types import Message, Send

from gateway.mercure.form import HubAddress

RESUMED: Final = (b"last-event-id", b"mercure-last-event-id")
"""That of 0.x and that of 1.0."""


def link(address: HubAddress, last: str = "") -> str:
    """The hub, as any resource may name it; ``last`` is the newest update when it was made."""
    attribute = f'; last-event-id="{_quoted(last)}"' if last else ""
    return f'<{address.url}>; rel="mercure"{attribute}'


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').encode().decode("latin-1")


def with_more(send: Send, more: Callable[[], Mapping[bytes, bytes]]) -> Send:
    """``send``, and what ``more`` says when the answer begins."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *more().items()]}
        await send(message)

    return sending
