"""A stream that is only about to open: whoever is sent away meanwhile has no stream when it does."""

from __future__ import annotations

import time
from collections.abc import Sequence


class PendingStream:
    """``sent_away``: an order came that ends this stream as soon as it is one."""

    __slots__ = ("_channels", "_since", "_subject", "sent_away")

    def __init__(self, subject: str | None, channels: Sequence[str]) -> None:
        self._subject = subject
        self._channels = channels
        self._since = time.monotonic()
        self.sent_away = False

    def send_away(self, subject: str, latest: float) -> None:
        """Take in an order for a subject's streams that were there at ``latest`` (monotonic)."""
        meant = subject == self._subject or f"client:{subject}" in self._channels
        if meant and self._since <= latest:
            self.sent_away = True
